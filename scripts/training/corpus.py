"""The corpus: permissively licensed Python on the machine after set-up, cleaned and split by package."""

from __future__ import annotations

import ast
import gzip
import json
import re
import sysconfig
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from training.licences import Package, permissive_packages

HELD_OUT = frozenset(
    re.findall(
        r"\w+",
        "rich click requests jinja2 websockets pygls psutil urllib3 lark dateutil httpx httpcore httpx2 httpcore2",
    )
)
"""Packages that no training sample comes from, by import name; vendored copies are left out."""

_VENDORED = re.compile(r"/(_?vendor(ed)?|extern|_click|site-packages|third_party|idlelib|lib2to3|pip)/")
_GENERATED = re.compile(
    r"(auto-?matically generated|auto-?generated|do not edit|generated (by|from)|stainless)", re.IGNORECASE
)
_BIG_TEST_SUITES = re.compile(r"/(sympy|numba|numpy|networkx|mpmath|test|torch|matplotlib)/.*tests?/|/test/")
_LEADING_COMMENT = re.compile(r"\A(?:\s*#[^\n]*\n)+")
_MAX_FILE = 200_000
_LINE_THAT_COUNTS = 30
_COPIED_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One Python file: the package it belongs to, its path below ``site-packages``, and its text."""

    package: str
    path: str
    text: str


@dataclass(frozen=True, slots=True)
class Corpus:
    """Both sides of the split."""

    train: list[SourceFile]
    held_out: list[SourceFile]


def load_corpus(site: Path, cache: Path) -> Corpus:
    """The corpus of ``site``; read from ``cache`` when a former run left it there."""
    train, held_out = cache / "train.jsonl.gz", cache / "held_out.jsonl.gz"
    if not train.exists():
        cache.mkdir(parents=True, exist_ok=True)
        corpus = build_corpus(site)
        _write(held_out, corpus.held_out)
        _write(train, corpus.train)
    return Corpus(list(_read(train)), list(_read(held_out)))


def held_out_files(site: Path) -> list[SourceFile]:
    """The held-out side alone, which takes seconds."""
    seen: set[int] = set()
    return [f for p in permissive_packages(site) if p.name in HELD_OUT for f in _fresh_files(p, seen)]


def build_corpus(site: Path) -> Corpus:
    """Read, clean, deduplicate and split. Held-out files go first, so that copies of them are dropped."""
    held_out = held_out_files(site)
    seen = {line for file in held_out for line in _lines_that_count(file.text)}
    packages = [*permissive_packages(site), standard_library()]
    train = [f for p in packages if p.name not in HELD_OUT for f in _fresh_files(p, seen)]
    return Corpus(train, held_out)


def standard_library() -> Package:
    """The standard library of the running interpreter as one package."""
    paths = sysconfig.get_paths()
    version = sysconfig.get_python_version()
    return Package("stdlib", "Python standard library", version, "PSF-2.0", Path(paths["stdlib"]))


def licence_table(site: Path, corpus: Corpus) -> str:
    """A Markdown table of the distributions in the corpus: version, licence, side of the split and size."""
    sizes = Counter[str]()
    for file in (*corpus.train, *corpus.held_out):
        sizes[file.package] += len(file.text.encode())
    rows: dict[tuple[str, str, str, str], int] = {}
    for package in (*permissive_packages(site), standard_library()):
        side = "held out" if package.name in HELD_OUT else "training"
        key = (package.distribution, package.version, package.licence, side)
        rows[key] = rows.get(key, 0) + sizes[package.name]
    lines = ["| distribution | version | licence | side | kB |", "|---|---|---|---|---|"]
    for (name, version, licence, side), size in sorted(rows.items(), key=lambda row: -row[1]):
        if size:
            lines.append(f"| {name} | {version} | {licence} | {side} | {size // 1000:,} |")
    return "\n".join(lines)


def _fresh_files(package: Package, seen: set[int]) -> Iterator[SourceFile]:
    """The usable files of a package, less those whose lines mostly stood in files that came before."""
    files = [package.root] if package.root.is_file() else sorted(package.root.rglob("*.py"))
    for file in files:
        below = str(file.relative_to(package.root.parent))
        if _VENDORED.search(f"/{below}") or _BIG_TEST_SUITES.search(f"/{below}"):
            continue
        text = _clean(file)
        if text is None:
            continue
        lines = _lines_that_count(text)
        copied = len(lines & seen) > _COPIED_SHARE * len(lines)
        seen |= lines
        if lines and not copied:
            yield SourceFile(package.name, below, text)


def _lines_that_count(text: str) -> set[int]:
    """Hashes of the lines that are long enough to tell a copy."""
    return {hash(line) for line in map(str.strip, text.splitlines()) if len(line) >= _LINE_THAT_COUNTS}


def _clean(file: Path) -> str | None:
    """The text less its licence header, or ``None`` if it is generated, data, broken or empty."""
    try:
        if file.stat().st_size > _MAX_FILE:
            return None
        text = file.read_text(encoding="utf-8").replace("\r\n", "\n")
    except (UnicodeDecodeError, OSError):
        return None
    if _GENERATED.search(text[:600]) or len(text) < 200 or "\0" in text:
        return None
    lines = text.splitlines()
    if len(text) / len(lines) > 80 or max(map(len, lines)) > 600:
        return None
    header = _LEADING_COMMENT.match(text)
    if header and re.search(r"licen[cs]e|copyright", header.group(), re.IGNORECASE):
        text = text[header.end() :].lstrip("\n")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return None
    return text


def _write(path: Path, files: list[SourceFile]) -> None:
    with gzip.open(path, "wt", encoding="utf-8") as out:
        out.writelines(json.dumps(asdict(file)) + "\n" for file in files)


def _read(path: Path) -> Iterator[SourceFile]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            yield SourceFile(**json.loads(line))
