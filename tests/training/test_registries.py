import io
import json
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest
from training.corpus import _split, held_out_of, load_corpus
from training.registries import Archive, debian_licences, download
from training.sources import LANGUAGES, SOURCES, Registry, Source

COPYRIGHT = """Upstream-Name: thing

Files: *
Copyright: 2020 Somebody
License: Expat

Files: src/weak.c
 extra/*
Copyright: 2021 Somebody else
License: LGPL-2.1+
 This library is free software.

License: Expat
 Permission is hereby granted.
"""
FUNCTION = """export function {0}Adds(first: number, second: number): number {{
  const totalOf{0} = first + second;
  return totalOf{0} * {1};
}}

export function {0}Joins(wordsOf{0}: string[], separator: string): string {{
  return [...wordsOf{0}].sort().join(separator);
}}
"""


def tar(path: Path, files: dict[str, str]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))
    return path


def npm(folder: Path, name: str, files: dict[str, str], *, licence: str = "MIT", held_out: bool = False) -> Archive:
    """A package as if it had been downloaded before."""
    source = Source("typescript", Registry.NPM, name, "1.0.0", "src", held_out)
    manifest = {"package/package.json": json.dumps({"name": name, "license": licence})}
    tar(folder / "npm" / f"{name}@1.0.0" / "package.tgz", manifest | files)
    (archive,) = download([source], folder)
    return archive


def test_each_debian_file_has_the_licence_of_the_last_paragraph_that_names_it() -> None:
    assert debian_licences(COPYRIGHT) == (("*", "Expat"), ("src/weak.c", "LGPL-2.1+"), ("extra/*", "LGPL-2.1+"))


def test_files_under_another_licence_than_the_package_are_left_out(tmp_path: Path) -> None:
    place = tmp_path / "debian" / "thing"
    tar(place / "thing_1.2.orig.tar.gz", {f"thing-1.2/{n}": "int x;\n" for n in ("src/a.c", "src/weak.c", "extra/b.c")})
    tar(place / "thing_1.2-1.debian.tar.gz", {"debian/copyright": COPYRIGHT})
    (archive,) = download([Source("c", Registry.DEBIAN, "thing")], tmp_path)
    assert (archive.version, archive.licence) == ("1.2", "Expat")
    assert [path for path, _ in archive.files((".c",))] == ["thing/src/a.c"]


@pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="needs dpkg-deb, which Debian's systems have")
def test_a_binary_package_with_source_is_read_like_a_source_package(tmp_path: Path) -> None:
    tree, place = tmp_path / "tree", tmp_path / "debian" / "librust-thing-dev"
    texts = {
        "DEBIAN/control": "Package: librust-thing-dev\nVersion: 1.2-1\nArchitecture: all\n"
        "Maintainer: A <a@example.org>\nDescription: thing\n",
        "usr/share/doc/librust-thing-dev/copyright": COPYRIGHT,
        "usr/share/cargo/registry/thing-1.2/src/lib.rs": "fn a() {}\n",
        "usr/share/cargo/registry/thing-1.2/extra/weak.rs": "fn b() {}\n",
    }
    for name, text in texts.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(text, encoding="utf-8")
    place.mkdir(parents=True)
    package = place / "librust-thing-dev_1.2-1_all.deb"
    subprocess.run(["dpkg-deb", "--root-owner-group", "--build", tree, package], check=True, capture_output=True)
    (archive,) = download([Source("rust", Registry.DEBIAN, "librust-thing-dev")], tmp_path)
    assert (archive.version, archive.licence) == ("1.2-1", "Expat")
    assert list(archive.files((".rs",))) == [("thing/src/lib.rs", b"fn a() {}\n")]


def test_only_the_folder_with_the_written_code_is_read(tmp_path: Path) -> None:
    files = {"package/src/a.ts": "let a = 1\n", "package/dist/b.ts": "let b = 1\n", "package/src/c.js": "let c = 1\n"}
    archive = npm(tmp_path, "one", files)
    assert list(archive.files((".ts",))) == [("one/src/a.ts", b"let a = 1\n")]


def test_copies_of_held_out_files_and_packages_without_permissive_licence_are_not_trained_on(tmp_path: Path) -> None:
    own, copied, other = (FUNCTION.format(name, 3) for name in ("own", "copied", "other"))
    archives = [
        npm(tmp_path, "copier", {"package/src/own.ts": own, "package/src/stolen.ts": copied}),
        npm(tmp_path, "closed", {"package/src/other.ts": other}, licence="GPL-3.0-only"),
        npm(tmp_path, "kept", {"package/src/first.ts": copied}, held_out=True),
    ]
    corpus = _split(archives)
    assert [file.path for file in corpus.train] == ["copier/src/own.ts"]
    assert [(file.path, file.language) for file in corpus.held_out] == [("kept/src/first.ts", "typescript")]


def test_generated_types_and_copyleft_files_are_left_out_and_headers_removed(tmp_path: Path) -> None:
    header = "/*\n * Copyright 2020 Somebody\n */\n// About boxes.\n"
    files = {
        "package/src/box.ts": header + FUNCTION.format("box", 2),
        "package/src/box.d.ts": FUNCTION.format("types", 2),
        "package/src/free.ts": "// GNU General Public License\n" + FUNCTION.format("free", 2),
        "package/src/made.ts": "// Code generated by a tool.\n" + FUNCTION.format("made", 2),
    }
    (file,) = _split([npm(tmp_path, "boxes", files)]).train
    assert file.text.startswith("// About boxes.\nexport function")


def test_the_corpus_and_its_held_out_side_alone_agree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packages = tmp_path / "packages"
    archives = [
        npm(packages, "kept", {"package/src/kept.ts": FUNCTION.format("kept", 4)}, held_out=True),
        npm(packages, "read", {"package/src/read.ts": FUNCTION.format("read", 5)}),
    ]
    monkeypatch.setattr("training.corpus.SOURCES", tuple(archive.source for archive in archives))
    corpus = load_corpus(tmp_path, tmp_path, "typescript")
    assert [file.package for file in corpus.train] == ["read"]
    assert corpus.held_out == held_out_of("typescript", tmp_path)


def test_every_language_has_packages_on_both_sides_and_none_on_two() -> None:
    for language in LANGUAGES[1:]:
        sides = {
            held_out: {s.name for s in SOURCES if s.language == language and s.held_out is held_out}
            for held_out in (True, False)
        }
        assert len(sides[True]) >= 3
        assert len(sides[False]) >= 15
        assert not sides[True] & sides[False]
