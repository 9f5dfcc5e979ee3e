"""The imports of a file from its own project: the files they may refer to, and short definitions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from cato_lsp.tasks.language import ImportStyle
from cato_lsp.tasks.languages import language_of
from cato_lsp.tasks.symbols import Outline, Span, Symbol, SymbolKind
from cato_lsp.tasks.window import plain

_REACH = 20_000
"""Characters at the start of a file that are searched for imports."""
_SHORT_TYPE = 500
"""Types of at most this many characters are shown in full."""
_PYTHON = re.compile(
    r"^[ \t]*(?:from[ \t]+(?P<module>\.*[\w.]*)[ \t]+import[ \t]+(?P<names>\([^)]*\)|[^\n(]+)"
    r"|import[ \t]+(?P<whole>[\w.]+))",
    re.MULTILINE,
)
_SCRIPT = re.compile(
    r"""^[ \t]*(?:import|export)\b(?P<names>[^'"`;]*?)\bfrom[ \t]*['"](?P<module>\.[^'"\n]*)['"]""", re.MULTILINE
)
_INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*"(?P<module>[^"\n]+)"', re.MULTILINE)
_NAME = re.compile(r"[^\W\d]\w*")
_ALIAS = re.compile(r"\bas[ \t]+\w+")
_FIELD = re.compile(r"^[ \t]+(?:(?:public|readonly|static|const) )*[a-zA-Z]\w*\??:[ \t]*[^\s{][^\n]*$", re.MULTILINE)
"""A declaration with a type."""
_SCRIPT_ENDINGS = (".ts", ".tsx", ".js", ".jsx", ".mjs", "/index.ts", "/index.js")


@dataclass(frozen=True, slots=True)
class Import:
    """One import statement."""

    module: str
    names: frozenset[str] = frozenset()
    """Empty: the module itself, or all of it."""


def imports_of(text: str, language: str) -> list[Import]:
    """The imports of a text, in order; empty for languages without an `ImportStyle`."""
    head = plain(text[:_REACH])
    match language_of(language).import_style:
        case ImportStyle.PYTHON:
            return [_python_import(found) for found in _PYTHON.finditer(head)]
        case ImportStyle.SCRIPT:
            return [Import(found["module"], _names(found["names"])) for found in _SCRIPT.finditer(head)]
        case ImportStyle.INCLUDE:
            return [Import(found["module"]) for found in _INCLUDE.finditer(head)]
        case None:
            return []


def candidates(wanted: Import, importer: PurePosixPath, root: PurePosixPath) -> Iterator[tuple[PurePosixPath, Import]]:
    """The files below ``root`` that an import may refer to, most likely first, each with the wanted names."""
    is_python = importer.suffix in (".py", ".pyi")
    files = (_python_files if is_python else _relative_files)(wanted, importer.parent)
    for path, part in files:
        if path.is_relative_to(root):
            yield path, part


def definitions(text: str, language: str, wanted: frozenset[str]) -> str:
    """Short definitions of names: function heads, types with the heads of their methods, values.

    :param wanted: names; empty for all public ones.
    """
    text = plain(text)
    outline = Outline(text, language)
    found: list[tuple[int, str]] = []
    for symbol in outline.top:
        if symbol.name in wanted or (not wanted and not symbol.name.startswith("_")):
            found.append((symbol.span.start, _short(text, symbol, language)))
    for name in wanted - {symbol.name for symbol in outline.top}:
        value = re.search(rf"^(?:export )?(?:const |let |type )?{re.escape(name)}\b[^\n=]*=[^\n]*", text, re.MULTILINE)
        if value:
            found.append((value.start(), value.group()))
    return "\n".join(short for _, short in sorted(found))


def _short(text: str, symbol: Symbol, language: str) -> str:
    start = text.rfind("\n", 0, symbol.span.start) + 1
    whole = text[start : symbol.span.end]
    if symbol.body is None or (symbol.kind is SymbolKind.TYPE and len(whole) <= _SHORT_TYPE):
        return whole
    head = text[start : symbol.body.start].rstrip()
    if symbol.kind is SymbolKind.FUNCTION:
        return f"{head} ..." if language_of(language).indented_blocks else f"{head};"
    public = [child for child in symbol.children if not child.name.startswith("_") or child.name == "__init__"]
    inner = [(child.span.start, _short(text, child, language)) for child in public] + _fields(text, symbol, symbol.body)
    lines = [head, *(short for _, short in sorted(inner))]
    return "\n".join(lines) if language_of(language).indented_blocks else "\n".join([f"{head} {{", *lines[1:], "}"])


def _fields(text: str, symbol: Symbol, body: Span) -> list[tuple[int, str]]:
    """The declarations in a type's body, without its methods."""
    methods = [child.span for child in symbol.children]
    found = [(line.start(), line.group()) for line in _FIELD.finditer(text, body.start, body.end)]
    return [each for each in found if not any(span.start <= each[0] < span.end for span in methods)]


def _python_import(found: re.Match[str]) -> Import:
    if found["whole"]:
        return Import(found["whole"])
    return Import(found["module"], _names(found["names"]))


def _names(listed: str) -> frozenset[str]:
    return frozenset(_NAME.findall(_ALIAS.sub("", listed.partition("#")[0]))) - {"type"}


def _python_files(wanted: Import, folder: PurePosixPath) -> Iterator[tuple[PurePosixPath, Import]]:
    dots = len(wanted.module) - len(wanted.module.lstrip("."))
    steps = _NAME.findall(wanted.module)
    bases = [folder, *folder.parents]
    for base in bases[dots - 1 : dots] if dots else bases:
        target = base.joinpath(*steps)
        if steps:
            yield target.with_suffix(".py"), wanted
        yield target / "__init__.py", wanted
        for name in sorted(wanted.names):
            yield target / f"{name}.py", Import(wanted.module)


def _relative_files(wanted: Import, folder: PurePosixPath) -> Iterator[tuple[PurePosixPath, Import]]:
    target = _resolve(folder, wanted.module)
    yield target, wanted
    base = str(target.with_suffix("")) if target.suffix == ".js" else str(target)
    for ending in _SCRIPT_ENDINGS:
        yield PurePosixPath(base + ending), wanted


def _resolve(folder: PurePosixPath, module: str) -> PurePosixPath:
    """``module`` relative to ``folder``, with ``.`` and ``..`` resolved."""
    steps: list[str] = []
    for step in (*folder.parts, *module.split("/")):
        if step == "..":
            steps = steps[:-1] if len(steps) > 1 else steps
        elif step not in (".", ""):
            steps.append(step)
    return PurePosixPath(*steps)
