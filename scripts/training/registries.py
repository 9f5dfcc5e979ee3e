"""Source archives of packages: downloading them with npm and apt-get, their licence, and the files in them."""

from __future__ import annotations

import fnmatch
import io
import json
import re
import subprocess
import tarfile
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from training.cleaning import MAX_FILE
from training.licences import is_permissive
from training.sources import Registry, Source

_AT_ONCE = 4
_VERSION = re.compile(r"[-_]v?\d[^/]*\Z")
_BUILD_ROOT = re.compile(r"\Ausr/share/(?:cargo/registry|gocode/src/(?:github\.com/[^/]+|[^/]+\.[^/]+))/")
"""Where binary packages of Debian keep crates and Go packages."""
_FIELD = re.compile(r"^([A-Za-z-]+):[ \t]*(.*)\n((?:[ \t].*\n)*)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Archive:
    """The downloaded source of one package."""

    source: Source
    version: str
    licence: str
    """As the package states it; empty if it does not."""
    path: Path
    licences: tuple[tuple[str, str], ...] = ()
    """Debian: patterns of paths, each with the licence of the files that match; the last match counts."""

    def permits(self, path: str) -> bool:
        """Whether the file at ``path``, relative to the package's root, has a permissive licence."""
        stated = [licence for pattern, licence in self.licences if fnmatch.fnmatchcase(path, pattern)]
        return is_permissive(stated[-1] if stated else self.licence)

    def files(self, suffixes: tuple[str, ...]) -> Iterator[tuple[str, bytes]]:
        """Path and content of each small file with one of ``suffixes`` and a permissive licence, sorted by path.

        A path begins with the package's name.
        """
        found: list[tuple[str, bytes]] = []
        with _opened(self.path) as archive:
            for member in archive:
                root, _, below = _BUILD_ROOT.sub("", member.name.removeprefix("./")).partition("/")
                wanted = member.isfile() and member.size <= MAX_FILE and below.endswith(suffixes)
                if not wanted or not below.startswith(self._below) or not self.permits(below):
                    continue
                content = archive.extractfile(member)
                if content is not None:
                    found.append((f"{self._name(root)}/{below}", content.read()))
        yield from sorted(found)

    @property
    def _below(self) -> str:
        return f"{self.source.folder}/" if self.source.folder else ""

    def _name(self, root: str) -> str:
        if self.source.registry is Registry.NPM:
            return self.source.name.rpartition("/")[2]
        return _VERSION.sub("", root)


def download(sources: Iterable[Source], folder: Path) -> list[Archive]:
    """The archives of ``sources``, of which those that ``folder`` lacks are downloaded first.

    :raises subprocess.CalledProcessError: if a registry does not have a package.
    """
    wanted = list(sources)
    missing = [source for source in wanted if not _place(source, folder).exists()]
    if any(source.registry is Registry.DEBIAN and not _is_binary(source) for source in missing):
        _update_source_lists(folder)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        list(pool.map(lambda source: _download(source, folder), missing))
    return [_open(source, _place(source, folder)) for source in wanted]


def _is_binary(source: Source) -> bool:
    return source.registry is Registry.DEBIAN and source.name.endswith("-dev")


def _place(source: Source, folder: Path) -> Path:
    name = source.name.replace("/", "+") + (f"@{source.version}" if source.version else "")
    return folder / source.registry.name.lower() / name


def _download(source: Source, folder: Path) -> None:
    place = _place(source, folder)
    partial = place.with_name(f"{place.name}.part")
    partial.mkdir(parents=True, exist_ok=True)
    if source.registry is Registry.NPM:
        command = ["npm", "pack", "--silent", "--ignore-scripts", f"{source.name}@{source.version}"]
    elif _is_binary(source):
        command = ["apt-get", "--quiet", "download", source.name]
    else:
        command = ["apt-get", *_apt_options(folder), "--quiet", "source", "--download-only", source.name]
    subprocess.run(command, cwd=partial, check=True, capture_output=True)
    partial.rename(place)


def _apt_options(folder: Path) -> list[str]:
    state = (folder / "apt").resolve()
    values = {
        "Dir::Etc::sourcelist": state / "sources.list",
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::State::lists": state / "lists",
        "Dir::Cache": state / "cache",
        "APT::Get::Only-Source": "true",
    }
    return [argument for name, value in values.items() for argument in ("-o", f"{name}={value}")]


def _update_source_lists(folder: Path) -> None:
    """Read the lists of source packages of the archives that this machine installs Debian packages from."""
    state = folder / "apt"
    for below in ("lists/partial", "cache/archives/partial"):
        (state / below).mkdir(parents=True, exist_ok=True)
    form = "$(LABEL)|deb-src $(REPO_URI) $(RELEASE) $(COMPONENT)"
    command = ["apt-get", "indextargets", "--format", form, "Created-By: Packages"]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    entries = sorted({line.removeprefix("Debian|") for line in lines if line.startswith("Debian|")})
    (state / "sources.list").write_text("\n".join(entries) + "\n", encoding="utf-8")
    subprocess.run(["apt-get", *_apt_options(folder), "--quiet", "update"], check=True, capture_output=True)


def _open(source: Source, place: Path) -> Archive:
    if source.registry is Registry.NPM:
        (path,) = place.glob("*.tgz")
        manifest = json.loads(_text_of(path, "package.json") or "{}")
        return Archive(source, source.version, str(manifest.get("license", "")), path)
    if _is_binary(source):
        (path,) = place.glob("*.deb")
        version = path.name.split("_")[1]
        statement = _text_of(path, f"share/doc/{source.name}/copyright")
    else:
        (path,) = (p for p in place.glob("*.orig.tar.*") if not p.name.endswith(".asc"))
        version = path.name.partition("_")[2].partition(".orig.tar")[0]
        packaging = next(iter(place.glob("*.debian.tar.*")), None)
        statement = _text_of(packaging, "copyright") if packaging else None
    licences = debian_licences(statement or "")
    whole = [licence for pattern, licence in licences if pattern == "*"]
    return Archive(source, version, whole[0] if whole else "", path, licences)


def _opened(path: Path) -> tarfile.TarFile:
    if path.suffix != ".deb":
        return tarfile.open(path)
    content = subprocess.run(["dpkg-deb", "--fsys-tarfile", path], check=True, capture_output=True).stdout
    return tarfile.open(fileobj=io.BytesIO(content))


def debian_licences(statement: str) -> tuple[tuple[str, str], ...]:
    """Patterns of paths with their licence, in order, from a machine-readable ``debian/copyright``."""
    licences: list[tuple[str, str]] = []
    for paragraph in re.split(r"\n[ \t]*\n", statement.replace("\r\n", "\n")):
        fields = {name.lower(): (first, rest) for name, first, rest in _FIELD.findall(paragraph + "\n")}
        if "files" in fields and "license" in fields:
            licence = fields["license"][0].strip()
            licences += ((pattern, licence) for pattern in " ".join(fields["files"]).split())
    return tuple(licences)


def _text_of(path: Path, name: str) -> str | None:
    """Text of the file at ``name`` in the top folder of an archive."""
    with _opened(path) as archive:
        for member in archive:
            if member.isfile() and member.name.removeprefix("./").partition("/")[2] == name:
                content = archive.extractfile(member)
                return content.read().decode(errors="replace") if content else None
    return None
