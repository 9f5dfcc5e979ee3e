"""Emacs in batch mode: eglot, which has code actions but no inline completion, and lsp-mode, which has both."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

from tests.e2e.editors import EDITORS, LINE_STARTS, clean_environment, code_blocks, need

EMACS = EDITORS / "emacs" / "emacs"
SOURCE = "def add(first, second):\n    return first + second\n"


def run(script: str, init: str, folder: Path, *arguments: str) -> dict[str, Any]:
    """Run a script of ours after this init file, on a file whose text is the source; what it prints."""
    need(EMACS)
    (folder / "cato.toml").write_text('model = "bundled"\n[engine]\nthreads = 1\nkv_cache_gb = 0.25\n')
    (folder / "init.el").write_text(init)
    (folder / "sums.py").write_text(SOURCE)
    done = subprocess.run(
        [EMACS, "-Q", "--batch", "-l", "init.el", "-l", Path(__file__).with_name(script), "sums.py", *arguments],
        env=clean_environment(folder),
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def has_documented(answer: dict[str, Any]) -> None:
    """Nothing but a docstring has come into the text."""
    assert "Cato: Document add" in answer["titles"]
    assert set(answer["outcomes"]) <= {"answered", "empty"}
    assert re.sub(r'    """.*?"""\n', "", answer["text"], flags=re.DOTALL) == SOURCE
    assert (answer["text"] != SOURCE) == ("answered" in answer["outcomes"])


def test_a_code_action_of_eglot_changes_nothing_but_the_docstring(checkout: Path, tmp_path: Path) -> None:
    (init,) = code_blocks("docs/editors.md", "elisp", "eglot", checkout)
    has_documented(run("eglot.el", init, tmp_path))


def test_lsp_mode_carries_out_a_code_action_and_takes_a_suggestion(checkout: Path, tmp_path: Path) -> None:
    (init,) = code_blocks("docs/editors.md", "elisp", "lsp-mode", checkout)
    answer = run("lsp_mode.el", init, tmp_path, *LINE_STARTS)
    has_documented(answer)
    assert answer["accepted"].startswith(answer["typed"])
    assert len(answer["accepted"]) > len(answer["typed"])
