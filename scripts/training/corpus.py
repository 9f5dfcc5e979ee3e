"""The corpus: permissively licensed code, cleaned, deduplicated and split by package, for each language.

Python comes from the distributions that are installed on the machine, other languages from the packages of
:mod:`training.sources`.
"""

from __future__ import annotations

import gzip
import json
import re
import sysconfig
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from training.cleaning import MAX_FILE, SUFFIXES, clean, is_skipped
from training.licences import Package, is_permissive, permissive_packages
from training.registries import Archive, download
from training.sources import LANGUAGES, SOURCES

HELD_OUT = frozenset(
    re.findall(
        r"\w+",
        "rich click requests jinja2 websockets pygls psutil urllib3 lark dateutil httpx httpcore httpx2 httpcore2",
    )
)
"""Python packages that no training sample comes from, by import name; :mod:`training.sources` names the others."""
TUNING = frozenset(
    re.findall(
        r"\w+",
        "virtualenv opencensus keyring jeepney pyasn1 more_itertools distlib importlib_metadata smart_open wrapt",
    )
)
"""Python packages that choices are tuned on; neither trained on nor in any other measurement."""

_LINE_THAT_COUNTS = 30
_COPIED_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file: the package it belongs to, its path from the package's folder on, and its text."""

    package: str
    path: str
    text: str
    language: str = "python"


@dataclass(frozen=True, slots=True)
class Corpus:
    """Both sides of the split."""

    train: list[SourceFile]
    held_out: list[SourceFile]


def load_corpus(site: Path, cache: Path, language: str = "python") -> Corpus:
    """The corpus of one language; read from ``cache`` when a former run left it there.

    :param site: the ``site-packages`` folder whose distributions are the Python corpus.
    :param cache: also where the packages of other languages are downloaded to.
    """
    train, held_out = cache / f"train-{language}.jsonl.gz", cache / f"held_out-{language}.jsonl.gz"
    if not train.exists():
        cache.mkdir(parents=True, exist_ok=True)
        corpus = build_corpus(site) if language == "python" else _split(_archives(language, cache))
        _write(held_out, corpus.held_out)
        _write(train, corpus.train)
    return Corpus(list(_read(train)), list(_read(held_out)))


def held_out_files(site: Path) -> list[SourceFile]:
    """The held-out side of Python alone, which takes seconds."""
    return files_of_packages(site, HELD_OUT)


def files_of_packages(site: Path, names: Collection[str]) -> list[SourceFile]:
    """The files of some Python packages, by import name."""
    seen: set[int] = set()
    return [f for p in permissive_packages(site) if p.name in names for f in _fresh_files(p, seen)]


def held_out_of(language: str, cache: Path) -> list[SourceFile]:
    """The held-out side of another language than Python; downloads its few packages if ``cache`` lacks them."""
    return files_of_archives(language, cache, {source.name for source in SOURCES if source.held_out})


def files_of_archives(language: str, cache: Path, names: Collection[str]) -> list[SourceFile]:
    """The files of some packages of another language than Python; downloads those that ``cache`` lacks."""
    seen: set[int] = set()
    archives = download((s for s in SOURCES if s.language == language and s.name in names), cache / "packages")
    return [file for archive in archives for file in _fresh_archive(archive, seen)]


def build_corpus(site: Path) -> Corpus:
    """Read, clean, deduplicate and split Python. Held-out files go first, so that copies of them are dropped."""
    held_out = held_out_files(site)
    seen = {line for file in held_out for line in _lines_that_count(file.text)}
    packages = [*permissive_packages(site), standard_library()]
    train = [f for p in packages if p.name not in HELD_OUT | TUNING for f in _fresh_files(p, seen)]
    return Corpus(train, held_out)


def standard_library() -> Package:
    """The standard library of the running interpreter as one package."""
    paths = sysconfig.get_paths()
    version = sysconfig.get_python_version()
    return Package("stdlib", "Python standard library", version, "PSF-2.0", Path(paths["stdlib"]))


def licence_table(site: Path, cache: Path) -> str:
    """A Markdown table of what the corpus is made of: version, licence, side of the split and size of each package."""
    sizes = Counter[tuple[str, str]]()
    for language in LANGUAGES:
        corpus = load_corpus(site, cache, language)
        for file in (*corpus.train, *corpus.held_out):
            sizes[language, file.package] += len(file.text.encode())
    rows = Counter[tuple[str, str, str, str, str]]()
    for package in (*permissive_packages(site), standard_library()):
        key = ("python", package.distribution, package.version, package.licence, _side(package.name in HELD_OUT))
        rows[key] += sizes["python", package.name]
    for archive in download(SOURCES, cache / "packages"):
        source = archive.source
        key = (source.language, source.name, archive.version, archive.licence, _side(source.held_out))
        rows[key] += sizes[source.language, source.name]
    lines = ["| language | package | version | licence | side | kB |", "|---|---|---|---|---|---|"]
    for (language, *cells), size in sorted(rows.items(), key=lambda row: (LANGUAGES.index(row[0][0]), -row[1])):
        if size:
            lines.append(f"| {' | '.join((language, *cells))} | {size // 1000:,} |")
    return "\n".join(lines)


def _side(held_out: bool) -> str:
    return "held out" if held_out else "training"


def _archives(language: str, cache: Path) -> list[Archive]:
    return download((source for source in SOURCES if source.language == language), cache / "packages")


def _split(archives: Iterable[Archive]) -> Corpus:
    """The corpus of one language; held-out packages go first, so that copies of their files are dropped."""
    seen: set[int] = set()
    corpus = Corpus([], [])
    for archive in sorted(archives, key=lambda archive: not archive.source.held_out):
        (corpus.held_out if archive.source.held_out else corpus.train).extend(_fresh_archive(archive, seen))
    return corpus


def _fresh_files(package: Package, seen: set[int]) -> Iterator[SourceFile]:
    """The usable files of an installed Python package."""
    files = [package.root] if package.root.is_file() else sorted(package.root.rglob("*.py"))
    contents = ((str(f.relative_to(package.root.parent)), f) for f in files if f.stat().st_size <= MAX_FILE)
    wanted = ((path, f.read_bytes()) for path, f in contents if not is_skipped(path, "python"))
    return _fresh(package.name, "python", wanted, seen)


def _fresh_archive(archive: Archive, seen: set[int]) -> Iterator[SourceFile]:
    """The usable files of a downloaded package; none if the licence it states is no permissive one."""
    source = archive.source
    if not is_permissive(archive.licence):
        return iter(())
    files = archive.files(SUFFIXES[source.language])
    wanted = ((path, content) for path, content in files if not is_skipped(path, source.language))
    return _fresh(source.name, source.language, wanted, seen)


def _fresh(package: str, language: str, files: Iterable[tuple[str, bytes]], seen: set[int]) -> Iterator[SourceFile]:
    """The usable files of a package without those whose lines mostly stood in files that came before."""
    for path, content in files:
        text = clean(content, language)
        if text is None:
            continue
        lines = _lines_that_count(text)
        copied = len(lines & seen) > _COPIED_SHARE * len(lines)
        seen |= lines
        if lines and not copied:
            yield SourceFile(package, path, text, language)


def _lines_that_count(text: str) -> set[int]:
    """Hashes of the lines that are long enough to tell a copy."""
    return {hash(line) for line in map(str.strip, text.splitlines()) if len(line) >= _LINE_THAT_COUNTS}


def _write(path: Path, files: list[SourceFile]) -> None:
    with gzip.open(path, "wt", encoding="utf-8") as out:
        out.writelines(json.dumps(asdict(file)) + "\n" for file in files)


def _read(path: Path) -> Iterator[SourceFile]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            yield SourceFile(**json.loads(line))
