"""Python expressions to JavaScript, for the subset that has a plain counterpart."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable

Text = tuple[str, int]
"""JavaScript text and how tightly it binds (a higher number binds tighter)."""

ARROW, TERNARY, OR, AND, EQUAL, RELATION, SUM, PRODUCT, POWER, UNARY, CALL, ATOM = range(2, 14)

RESERVED = frozenset(
    re.findall(
        r"\w+",
        "arguments case catch const debugger default delete do enum eval export extends function "
        "implements instanceof interface let new null package private protected public static super "
        "switch this throw typeof undefined var void",
    )
)

_BINARY: dict[type[ast.operator], tuple[str, int]] = {
    ast.Add: ("+", SUM),
    ast.Sub: ("-", SUM),
    ast.Mult: ("*", PRODUCT),
    ast.Div: ("/", PRODUCT),
}
_COMPARE: dict[type[ast.cmpop], tuple[str, int]] = {
    ast.Eq: ("===", EQUAL),
    ast.NotEq: ("!==", EQUAL),
    ast.Is: ("===", EQUAL),
    ast.IsNot: ("!==", EQUAL),
    ast.Lt: ("<", RELATION),
    ast.LtE: ("<=", RELATION),
    ast.Gt: (">", RELATION),
    ast.GtE: (">=", RELATION),
}
_METHODS = {
    "append": "push",
    "strip": "trim",
    "lstrip": "trimStart",
    "rstrip": "trimEnd",
    "lower": "toLowerCase",
    "upper": "toUpperCase",
    "startswith": "startsWith",
    "endswith": "endsWith",
    "find": "indexOf",
    "index": "indexOf",
    "replace": "replaceAll",
    "pop": "pop",
    "split": "split",
    "reverse": "reverse",
}
_WITHOUT_ARGUMENTS = frozenset(("strip", "lstrip", "rstrip", "lower", "upper", "pop", "reverse"))
_OBJECT_VIEWS = {"items": "entries", "keys": "keys", "values": "values"}
_FUNCTIONS = {
    "len": "{0}.length",
    "str": "String({0})",
    "int": "Math.trunc({0})",
    "float": "Number({0})",
    "bool": "Boolean({0})",
    "abs": "Math.abs({0})",
    "round": "Math.round({0})",
    "list": "[...{0}]",
    "set": "new Set({0})",
    "any": "{0}.some(Boolean)",
    "all": "{0}.every(Boolean)",
    "sum": "{0}.reduce((a, b) => a + b, 0)",
    "reversed": "[...{0}].reverse()",
}
_TYPES = {"str": "string", "int": "number", "float": "number", "bool": "boolean"}
_UNTRANSLATED_BUILTINS = frozenset(
    re.findall(
        r"\w+",
        "range enumerate zip map filter sorted type super getattr setattr hasattr open iter next id repr "
        "hash vars dict tuple bytes input format dir issubclass callable frozenset slice globals locals "
        "object property chr ord hex bytearray memoryview divmod pow delattr eval exec compile",
    )
)


class UnsupportedError(Exception):
    """The source uses something that this converter has no counterpart for."""


def expression(node: ast.expr) -> str:
    """JavaScript text of a whole expression."""
    return _text(node)[0]


def target(node: ast.expr) -> str:
    """JavaScript text of something assigned to, destructuring included."""
    if isinstance(node, ast.Tuple | ast.List):
        return f"[{', '.join(target(e) for e in node.elts)}]"
    if isinstance(node, ast.Name | ast.Attribute | ast.Subscript):
        return expression(node)
    raise UnsupportedError(type(node).__name__)


def name(identifier: str) -> str:
    """An identifier as it is written in JavaScript."""
    if identifier in RESERVED:
        raise UnsupportedError(identifier)
    return "this" if identifier == "self" else identifier


def _text(node: ast.expr) -> Text:
    writer = _WRITERS.get(type(node))
    if writer is None:
        raise UnsupportedError(type(node).__name__)
    return writer(node)


def _at(node: ast.expr, level: int) -> str:
    text, binds = _text(node)
    return text if binds >= level else f"({text})"


def _constant(node: ast.Constant) -> Text:
    value = node.value
    if value is None:
        return "null", ATOM
    if isinstance(value, bool):
        return str(value).lower(), ATOM
    if isinstance(value, int | float):
        return repr(value), (ATOM if isinstance(value, float) else UNARY)
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False), ATOM
    raise UnsupportedError("constant")


def _joined(node: ast.JoinedStr) -> Text:
    parts: list[str] = []
    for value in node.values:
        if isinstance(value, ast.Constant):
            parts.append(str(value.value).replace("\\", "\\\\").replace("`", "\\`").replace("${", "\\${"))
        elif isinstance(value, ast.FormattedValue) and value.conversion == -1 and value.format_spec is None:
            parts.append(f"${{{expression(value.value)}}}")
        else:
            raise UnsupportedError("format")
    text = "".join(parts).replace("\n", "\\n")
    return f"`{text}`", ATOM


def _binary(node: ast.BinOp) -> Text:
    if isinstance(node.op, ast.FloorDiv):
        return f"Math.floor({_at(node.left, PRODUCT)} / {_at(node.right, PRODUCT + 1)})", CALL
    if isinstance(node.op, ast.Pow):
        return f"{_at(node.left, CALL)} ** {_at(node.right, CALL)}", POWER
    if isinstance(node.op, ast.Mod) and not isinstance(node.left, ast.Constant | ast.JoinedStr):
        return f"{_at(node.left, PRODUCT)} % {_at(node.right, PRODUCT + 1)}", PRODUCT
    if type(node.op) not in _BINARY:
        raise UnsupportedError(type(node.op).__name__)
    sign, level = _BINARY[type(node.op)]
    return f"{_at(node.left, level)} {sign} {_at(node.right, level + 1)}", level


def _unary(node: ast.UnaryOp) -> Text:
    match node.op:
        case ast.Not():
            return f"!{_at(node.operand, UNARY)}", UNARY
        case ast.USub() if not isinstance(node.operand, ast.UnaryOp):
            return f"-{_at(node.operand, UNARY)}", UNARY
        case _:
            raise UnsupportedError("unary")


def _logical(node: ast.BoolOp) -> Text:
    level, sign = (AND, " && ") if isinstance(node.op, ast.And) else (OR, " || ")
    return sign.join(_at(value, level + 1) for value in node.values), level


def _compare(node: ast.Compare) -> Text:
    operands = [node.left, *node.comparators]
    if len(operands) > 2 and not all(isinstance(o, ast.Name | ast.Constant | ast.Attribute) for o in operands):
        raise UnsupportedError("chain")
    parts = [_one_comparison(*x) for x in zip(operands, node.ops, operands[1:], strict=False)]
    if len(parts) == 1:
        return parts[0]
    return " && ".join(text for text, _ in parts), AND


def _one_comparison(left: ast.expr, op: ast.cmpop, right: ast.expr) -> Text:
    if isinstance(op, ast.In | ast.NotIn):
        sign = "!" if isinstance(op, ast.NotIn) else ""
        return f"{sign}{_at(right, CALL)}.includes({expression(left)})", UNARY if sign else CALL
    sign, level = _COMPARE[type(op)]
    return f"{_at(left, level + 1)} {sign} {_at(right, level + 1)}", level


def _conditional(node: ast.IfExp) -> Text:
    return f"{_at(node.test, OR)} ? {_at(node.body, TERNARY)} : {_at(node.orelse, TERNARY)}", TERNARY


def _attribute(node: ast.Attribute) -> Text:
    if node.attr.startswith("__"):
        raise UnsupportedError(node.attr)
    return f"{_at(node.value, CALL)}.{node.attr}", CALL


def _subscript(node: ast.Subscript) -> Text:
    value = _at(node.value, CALL)
    match node.slice:
        case ast.Slice(lower, upper, None):
            if upper is None:
                return f"{value}.slice({expression(lower) if lower else ''})", CALL
            return f"{value}.slice({expression(lower) if lower else '0'}, {expression(upper)})", CALL
        case ast.UnaryOp(ast.USub(), ast.Constant(int())):
            return f"{value}.at({expression(node.slice)})", CALL
        case ast.Slice() | ast.Tuple():
            raise UnsupportedError("slice")
        case _:
            return f"{value}[{expression(node.slice)}]", CALL


def _call(node: ast.Call) -> Text:
    if node.keywords:
        raise UnsupportedError("keyword argument")
    arguments = [_argument(a) for a in node.args]
    listed = ", ".join(arguments)
    match node.func:
        case ast.Name(called):
            return _named_call(called, node, arguments)
        case ast.Attribute(ast.Constant(str()) as separator, "join") if len(arguments) == 1:
            return f"{_at(node.args[0], CALL)}.join({expression(separator)})", CALL
        case ast.Attribute(value, view) if view in _OBJECT_VIEWS and not arguments:
            return f"Object.{_OBJECT_VIEWS[view]}({expression(value)})", CALL
        case ast.Attribute(value, method) if method in _METHODS:
            if arguments and method in _WITHOUT_ARGUMENTS:
                raise UnsupportedError(method)
            return f"{_at(value, CALL)}.{_METHODS[method]}({listed})", CALL
        case _:
            return f"{_at(node.func, CALL)}({listed})", CALL


def _named_call(called: str, node: ast.Call, arguments: list[str]) -> Text:
    listed = ", ".join(arguments)
    if called == "print":
        return f"console.log({listed})", CALL
    if called in ("min", "max"):
        spread = f"...{listed}" if len(arguments) == 1 else listed
        return f"Math.{called}({spread})", CALL
    if called == "isinstance":
        return _instance_test(node)
    if called in _FUNCTIONS and len(arguments) == 1:
        simple = _at(node.args[0], CALL) if _FUNCTIONS[called].startswith("{0}.") else arguments[0]
        return _FUNCTIONS[called].format(simple), CALL
    if called in _FUNCTIONS or called in _UNTRANSLATED_BUILTINS:
        raise UnsupportedError(called)
    return f"{'new ' if called[:1].isupper() else ''}{name(called)}({listed})", CALL


def _instance_test(node: ast.Call) -> Text:
    match node.args:
        case [value, ast.Name(kind)] if kind in _TYPES:
            return f'typeof {_at(value, UNARY)} === "{_TYPES[kind]}"', EQUAL
        case [value, ast.Name("list")]:
            return f"Array.isArray({expression(value)})", CALL
        case [value, ast.Name(kind)] if kind[:1].isupper():
            return f"{_at(value, RELATION)} instanceof {kind}", RELATION
        case _:
            raise UnsupportedError("isinstance")


def _argument(node: ast.expr) -> str:
    if isinstance(node, ast.Starred):
        return f"...{_at(node.value, TERNARY)}"
    return expression(node)


def _array(node: ast.List | ast.Tuple) -> Text:
    return f"[{', '.join(_argument(e) for e in node.elts)}]", ATOM


def _object(node: ast.Dict) -> Text:
    if not node.keys:
        return "{}", ATOM
    entries: list[str] = []
    for key, value in zip(node.keys, node.values, strict=True):
        match key:
            case None:
                entries.append(f"...{_at(value, TERNARY)}")
            case ast.Constant(str() as text) if text.isidentifier():
                entries.append(f"{text}: {expression(value)}")
            case _:
                entries.append(f"[{expression(key)}]: {expression(value)}")
    return f"{{ {', '.join(entries)} }}", ATOM


def _lambda(node: ast.Lambda) -> Text:
    if node.args.defaults or node.args.kwonlyargs or node.args.vararg or node.args.kwarg:
        raise UnsupportedError("lambda")
    return f"({', '.join(name(a.arg) for a in node.args.args)}) => {_arrow_body(node.body)}", ARROW


def _comprehension(node: ast.ListComp | ast.GeneratorExp) -> Text:
    if len(node.generators) != 1 or node.generators[0].is_async:
        raise UnsupportedError("comprehension")
    loop = node.generators[0]
    item = target(loop.target)
    parameter = f"({item})"
    text = _at(loop.iter, CALL)
    for test in loop.ifs:
        text += f".filter({parameter} => {_arrow_body(test)})"
    if not (isinstance(node.elt, ast.Name) and node.elt.id == item):
        text += f".map({parameter} => {_arrow_body(node.elt)})"
    elif not loop.ifs:
        text = f"[...{text}]"
    return text, CALL


def _arrow_body(node: ast.expr) -> str:
    text = _at(node, TERNARY)
    return f"({text})" if text.startswith("{") else text


def _await(node: ast.Await) -> Text:
    return f"await {_at(node.value, UNARY)}", UNARY


def _name(node: ast.Name) -> Text:
    return name(node.id), ATOM


_WRITERS: dict[type[ast.expr], Callable[..., Text]] = {
    ast.Constant: _constant,
    ast.Name: _name,
    ast.JoinedStr: _joined,
    ast.BinOp: _binary,
    ast.UnaryOp: _unary,
    ast.BoolOp: _logical,
    ast.Compare: _compare,
    ast.IfExp: _conditional,
    ast.Attribute: _attribute,
    ast.Subscript: _subscript,
    ast.Call: _call,
    ast.List: _array,
    ast.Tuple: _array,
    ast.Dict: _object,
    ast.Lambda: _lambda,
    ast.ListComp: _comprehension,
    ast.GeneratorExp: _comprehension,
    ast.Await: _await,
}
