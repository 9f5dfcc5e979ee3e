"""Which files are worth learning from, and what is removed from them, by language."""

from __future__ import annotations

import re

from evaluation.measures import parses

SUFFIXES: dict[str, tuple[str, ...]] = {
    "python": (".py",),
    "typescript": (".ts", ".tsx", ".mts"),
    "javascript": (".js", ".mjs", ".cjs", ".jsx"),
    "go": (".go",),
    "rust": (".rs",),
    "java": (".java",),
    "c": (".c", ".h"),
    "cpp": (".cc", ".cpp", ".cxx", ".hh", ".hpp", ".h"),
}
"""File names of each language."""
MAX_FILE = 200_000
"""Bytes of the largest file that is read."""

_VENDORED = re.compile(
    r"/(_?vendor(ed)?|extern(al)?|_click|site-packages|third_?party|node_modules|idlelib|lib2to3|pip)/"
)
_BUILT = re.compile(
    r"\.d\.[cm]?ts\Z|\.min\.|\.pb\.|/(dist|cjs|_cjs|_esm|_types|esm|umd|bundles?|full)/|_generated\.|/zz_"
)
_PYTHON_TESTS = re.compile(r"/(sympy|numba|numpy|networkx|mpmath|test|torch|matplotlib)/.*tests?/|/test/")
_TEST_DATA = re.compile(r"/(testdata|fixtures?|test-data|locales?|corpus|fuzz)/")
_GENERATED = re.compile(
    r"(auto-?matically generated|auto-?generated|do not edit|generated (by|from)|stainless)", re.IGNORECASE
)
_COPYLEFT = re.compile(r"General Public License|Mozilla Public License|\bA?L?GPL", re.IGNORECASE)
_LICENCE = re.compile(r"licen[cs]e|copyright", re.IGNORECASE)
_HASH_HEADER = re.compile(r"\A(?:\s*#[^\n]*\n)+")
_SLASH_HEADER = re.compile(r"\A\s*(?:/\*.*?\*/|(?:[ \t]*//[^\n]*\n)+)", re.DOTALL)


def is_skipped(path: str, language: str) -> bool:
    """Whether a file is left out because of its path: copies of other projects, build output, test data."""
    place = f"/{path}"
    if _VENDORED.search(place):
        return True
    if language == "python":
        return bool(_PYTHON_TESTS.search(place))
    return bool(_BUILT.search(place) or _TEST_DATA.search(place))


def clean(content: bytes, language: str) -> str | None:
    """The text without its licence header; ``None`` if it is generated, data, copyleft, broken or almost empty."""
    try:
        text = content.decode("utf-8").replace("\r\n", "\n")
    except UnicodeDecodeError:
        return None
    if _GENERATED.search(text[:600]) or len(text) < 200 or "\0" in text:
        return None
    lines = text.splitlines()
    if len(text) / len(lines) > 80 or max(map(len, lines)) > 600:
        return None
    if language == "python":
        return _without_header(text, _HASH_HEADER) if parses(text) else None
    if _COPYLEFT.search(text[:3000]):
        return None
    # A licence and a comment about the file often follow each other.
    return _without_header(_without_header(text, _SLASH_HEADER), _SLASH_HEADER)


def _without_header(text: str, pattern: re.Pattern[str]) -> str:
    header = pattern.match(text)
    if header and _LICENCE.search(header.group()):
        return text[header.end() :].lstrip("\n")
    return text
