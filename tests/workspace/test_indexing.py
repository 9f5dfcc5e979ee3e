"""What of a folder is indexed, and that the index follows the files."""

from __future__ import annotations

from pathlib import Path

import pytest

from cato_lsp.tasks.exclusion import Exclusion
from cato_lsp.workspace.files import admitted, code_files, read_code
from cato_lsp.workspace.folder import FolderIndex
from cato_lsp.workspace.indexer import FolderKey, Indexer


def encode(text: str) -> list[int]:
    return [ord(character) for character in text]


def write(root: Path, **texts: str) -> None:
    for name, text in texts.items():
        path = root / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def names(root: Path, exclusion: Exclusion | None = None) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in code_files(root, exclusion or Exclusion()))


def test_code_is_indexed_and_nothing_else(tmp_path: Path) -> None:
    write(
        tmp_path, a_dot_py="x", sub__b_dot_ts="x", image_dot_png="x", node_modules__c_dot_js="x", _dot_git__d_dot_py="x"
    )
    assert names(tmp_path) == ["a.py", "sub/b.ts"]


def test_gitignore_is_applied_as_by_git(tmp_path: Path) -> None:
    write(
        tmp_path,
        build__a_dot_py="x",
        sub__build__b_dot_py="x",
        sub__kept_dot_py="x",
        sub__other_dot_py="x",
        c_dot_py="x",
    )
    (tmp_path / ".gitignore").write_text("/build/\n*.py\n!c.py\n", encoding="utf-8")
    (tmp_path / "sub" / ".gitignore").write_text("!kept.py\n", encoding="utf-8")
    assert names(tmp_path) == ["c.py", "sub/kept.py"]


def test_secrets_exclusions_large_files_and_links_are_left_out(tmp_path: Path) -> None:
    write(tmp_path, secrets_dot_py="x", private__a_dot_py="x", large_dot_py="x" * 200_001, b_dot_py="x")
    (tmp_path / "link.py").symlink_to(tmp_path / "b.py")
    assert names(tmp_path, Exclusion((), ("**/private/**",))) == ["b.py"]
    (tmp_path / "key.py").write_text("KEY = '''-----BEGIN RSA PRIVATE KEY-----'''", encoding="utf-8")
    assert read_code(tmp_path / "key.py", Exclusion()) == ""


def test_a_changed_file_is_admitted_where_it_would_be_found(tmp_path: Path) -> None:
    root = tmp_path / "root"
    write(root, a_dot_py="x", sub__b_dot_ts="x", sub__c_dot_py="x", build__d_dot_py="x", image_dot_png="x")
    write(root, node_modules__e_dot_js="x", _dot_git__f_dot_py="x", secrets_dot_py="x", large_dot_py="x" * 200_001)
    write(root, private__g_dot_py="x")
    write(tmp_path, outside__h_dot_py="x")
    (root / ".gitignore").write_text("build/\n", encoding="utf-8")
    (root / "sub" / ".gitignore").write_text("c.py\n", encoding="utf-8")
    (root / "link.py").symlink_to(root / "a.py")
    (root / "linked").symlink_to(tmp_path / "outside")
    exclusion = Exclusion((), ("**/private/**",))
    everything = [*root.rglob("*"), root / "linked" / "h.py", root / ".." / "outside" / "h.py", root / "gone.py"]
    assert (
        admitted(root, everything, exclusion) == set(code_files(root, exclusion)) == {root / "a.py", root / "sub/b.ts"}
    )


def test_the_number_of_indexed_files_is_limited(tmp_path: Path) -> None:
    write(tmp_path, **{f"a{number}_dot_py": "x" for number in range(5)})
    assert len(list(code_files(tmp_path, Exclusion(), most=3))) == 3


def test_a_changed_file_takes_the_place_of_the_old_one() -> None:
    index = FolderIndex()
    index.build([("a", "abcdef"), ("b", "abcdeg")], encode)
    assert sorted(chr(token) for token, _ in index.followers(encode("abcde"))) == ["f", "g"]
    index.change({"a": "abcdeh", "c": "abcdei"}.items(), encode)
    assert sorted(chr(token) for token, _ in index.followers(encode("abcde"))) == ["g", "h", "i"]
    index.change({"b": ""}.items(), encode)
    assert sorted(chr(token) for token, _ in index.followers(encode("abcde"))) == ["h", "i"]


def test_only_what_is_out_of_date_is_passed_over() -> None:
    index = FolderIndex()
    index.build([(name, f"abcde{name}") for name in "uvwxyz"], encode)
    index.change({"v": "", "w": "", "z": "abcdef"}.items(), encode)
    assert sorted(chr(token) for token, _ in index.followers(encode("abcde"))) == ["f", "u", "x", "y"]


def test_many_changes_are_put_together_with_the_rest() -> None:
    index = FolderIndex()
    index.build([("a", "abcdef"), ("b", "abcdeg")], encode)
    index.change({"a": "abcdeh" + "z" * 300_000}.items(), encode)
    assert sorted(chr(token) for token, _ in index.followers(encode("abcde"))) == ["g", "h"]
    assert index.files == {"a", "b"}


def test_an_index_stops_at_its_largest_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cato_lsp.workspace.folder.MOST_BYTES", 100)
    index = FolderIndex()
    index.build([("a", "abcdef"), ("b", "abcdef")], encode)
    assert index.files == {"a"}


def test_a_folder_is_indexed_on_the_thread_and_follows_changes(tmp_path: Path) -> None:
    write(tmp_path, a_dot_py="abcdef")
    indexer = Indexer(lambda _model: encode, pause=0)
    key = FolderKey(tmp_path, Path("model"), Exclusion())
    index = indexer.open(key, "me")
    assert indexer.flushed().wait(60)
    assert [chr(token) for token, _ in index.followers(encode("abcde"))] == ["f"]
    indexer.change(key, str(tmp_path / "a.py"), "abcdeg")
    assert indexer.flushed().wait(60)
    assert [chr(token) for token, _ in index.followers(encode("abcde"))] == ["g"]


def test_files_that_other_programs_change_are_read_again(tmp_path: Path) -> None:
    write(tmp_path, a_dot_py="abcdef")
    indexer = Indexer(lambda _model: encode, pause=0)
    key = FolderKey(tmp_path, Path("model"), Exclusion())
    index = indexer.open(key, "me")
    assert indexer.flushed().wait(60)

    def known(name: str) -> list[str]:
        indexer.change(key, str(tmp_path / name), None)
        assert indexer.flushed().wait(60)
        return sorted(chr(token) for token, _ in index.followers(encode("abcde")))

    write(tmp_path, a_dot_py="abcdeg", b_dot_py="abcdeh", secrets_dot_py="abcdei")
    assert known("a.py") == ["g"]
    assert known("b.py") == ["g", "h"]
    assert known("secrets.py") == ["g", "h"]
    (tmp_path / "a.py").unlink()
    assert known("a.py") == ["h"]
    (tmp_path / ".gitignore").write_text("b.py", encoding="utf-8")
    assert known("b.py") == []


def test_an_index_that_grows_by_changes_stops_at_its_largest_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cato_lsp.workspace.folder.MOST_BYTES", 3_500_000)
    index = FolderIndex()
    index.build([("a", "abcdef" * 10_000)], encode)
    index.change({f"new{number}": "abcdeh" * 10_000 for number in range(10)}.items(), encode)
    assert 0 < index.size <= 3_500_000


def test_a_folder_is_forgotten_with_its_last_client_and_shared_only_with_equal_exclusions(tmp_path: Path) -> None:
    indexer = Indexer(lambda _model: encode, pause=0)
    key = FolderKey(tmp_path, Path("model"), Exclusion())
    index = indexer.open(key, "me")
    assert indexer.open(key, "you") is index
    assert indexer.open(FolderKey(tmp_path, Path("model"), Exclusion((), ("*.py",))), "you") is not index
    indexer.close("me")
    assert indexer.open(key, "you") is index
    indexer.close("you")
    assert indexer.open(key, "you") is not index


def test_a_file_that_cannot_be_indexed_does_not_end_the_thread(tmp_path: Path) -> None:
    write(tmp_path, a_dot_py="abcdef")

    def fail(_model: Path) -> list[int]:
        raise ValueError("no tokenizer")

    indexer = Indexer(fail, pause=0)  # type: ignore[arg-type]
    indexer.open(FolderKey(tmp_path, Path("model"), Exclusion()), "me")
    assert indexer.flushed().wait(60)
    assert indexer.flushed().wait(60)
