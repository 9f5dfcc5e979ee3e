"""What is never shown to the model."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cato_lsp.tasks.exclusion import Exclusion

NOTHING = Exclusion()


@pytest.mark.parametrize(
    "path",
    [
        "/p/.env",
        "/p/.env.local",
        "/p/prod.env",
        "/p/server.PEM",
        "/home/x/.ssh/config",
        "/home/x/.ssh/id_rsa",
        "/p/id_ed25519.pub",
        "/p/credentials.json",
        "/home/x/.aws/credentials",
        "/home/x/.aws/sso/cache/token",
        "/p/secrets.yaml",
        "/home/x/.netrc",
        "/home/x/.kube/config",
        "/p/%2Eenv",
    ],
)
def test_secrets_are_excluded_without_any_setting(path: str) -> None:
    assert NOTHING.forbids_reading(f"file://{path}")
    assert NOTHING.forbids_completion(f"file://{path}", "python")


@pytest.mark.parametrize(
    "path", ["/p/environment.py", "/p/key.py", "/p/env.py", "/p/monkey.go", "/p/credentials_test/a.c"]
)
def test_ordinary_files_are_not_excluded(path: str) -> None:
    assert not NOTHING.forbids_reading(f"file://{path}")


def test_a_link_to_a_secret_is_a_secret(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("KEY=1")
    (tmp_path / "notes.txt").symlink_to(tmp_path / ".env")
    assert NOTHING.forbids_reading((tmp_path / "notes.txt").as_uri())


def test_a_private_key_in_any_file_is_a_secret() -> None:
    text = "# deploy\n-----BEGIN OPENSSH PRIVATE KEY-----\nabc\n"
    assert NOTHING.forbids_reading("file:///p/notes.md", text)
    assert not NOTHING.forbids_reading("file:///p/notes.md", "how to make a private key")


@pytest.mark.parametrize("before", [0, 4096, 400_000])
def test_a_private_key_is_found_wherever_it_stands(before: int) -> None:
    key = "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\n-----END RSA PRIVATE KEY-----\n"
    assert NOTHING.forbids_reading("file:///p/notes.md", "x" * before + "\n" + key)
    assert NOTHING.forbids_completion("file:///p/notes.md", "markdown", "x" * before + "\n" + key)


def test_a_text_with_very_many_mentions_of_private_keys_is_a_secret() -> None:
    assert not NOTHING.forbids_reading("file:///p/notes.md", "PRIVATE KEY " * 100)
    assert NOTHING.forbids_reading("file:///p/notes.md", "PRIVATE KEY " * 400)


@pytest.mark.parametrize("uri", ["file://[broken/a.py", "file:///a\0b.py", "file:///%ff%fe.py"])
def test_in_doubt_a_document_is_excluded(uri: str) -> None:
    assert NOTHING.forbids_reading(uri)


def test_an_unsaved_document_is_judged_by_its_name() -> None:
    assert not NOTHING.forbids_reading("untitled:Untitled-1")
    assert NOTHING.forbids_reading("untitled:.env")


def test_a_switched_off_language_gets_no_completions_but_may_be_read() -> None:
    exclusion = Exclusion(languages=("Markdown",))
    assert exclusion.forbids_completion("file:///a.md", "markdown")
    assert not exclusion.forbids_reading("file:///a.md")


@pytest.mark.parametrize(
    ("glob", "inside", "outside"),
    [
        ("**/secrets/**", "/p/secrets/a/b.py", "/p/secretsx/a.py"),
        ("*.min.js", "/p/q/a.min.js", "/p/a.min.json"),
        ("vendor/*.c", "/p/vendor/a.c", "/p/vendor/x/a.c"),
        ("/opt/*/a.py", "/opt/x/a.py", "/p/opt/x/a.py"),
        ("*.{key,crt}", "/p/a.crt", "/p/a.crtx"),
        ("[!a]*.py", "/p/b.py", "/p/a.py"),
        ("te?t.py", "/p/test.py", "/p/te/t.py"),
    ],
)
def test_globs_match_as_in_editors(glob: str, inside: str, outside: str) -> None:
    exclusion = Exclusion(globs=(glob,))
    assert exclusion.forbids_reading(f"file://{inside}")
    assert not exclusion.forbids_reading(f"file://{outside}")


@given(glob=st.text(min_size=1, max_size=20), uri=st.text(max_size=40))
def test_no_glob_and_no_uri_raise(glob: str, uri: str) -> None:
    assert isinstance(Exclusion(globs=(glob,)).forbids_reading(uri), bool)
