"""Emacs in batch mode with eglot, which knows no inline completion but has code actions."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

from tests.e2e.editors import EDITORS, clean_environment, need, server_script

EMACS = EDITORS / "emacs" / "emacs"
SOURCE = "def add(first, second):\n    return first + second\n"


def test_a_code_action_of_eglot_changes_nothing_but_the_docstring(tmp_path: Path) -> None:
    need(EMACS)
    file = tmp_path / "sums.py"
    file.write_text(SOURCE)
    script = Path(__file__).with_name("code_actions.el")
    done = subprocess.run(
        [EMACS, "-Q", "--batch", "-l", script, server_script(tmp_path), file],
        env=clean_environment(tmp_path),
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert "Cato: Document add" in answer["titles"]
    assert set(answer["outcomes"]) <= {"answered", "empty"}
    assert re.sub(r'    """.*?"""\n', "", answer["text"], flags=re.DOTALL) == SOURCE
    assert (answer["text"] != SOURCE) == ("answered" in answer["outcomes"])
