"""The first impression works."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

DEMO = Path(__file__).parents[1] / "scripts" / "demo.py"


def test_the_demo_runs_through_and_counts_no_token_after_a_cancel() -> None:
    # An engine in this process, started by another test, has set it; the demo imports from its own folder.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONSAFEPATH"}
    run = subprocess.run(
        [sys.executable, DEMO], env=environment, capture_output=True, text=True, timeout=280, check=False
    )
    assert run.returncode == 0, run.stderr
    said = " ".join(run.stdout.split())
    assert "deadlines met" in said
    assert "0 of them after a cancel" in said
    for command in ("cato.generate", "cato.summarize", "cato.translate"):
        assert command in said
    assert "cancelled" in said
    assert "Typed | suggested" in said
    assert run.stdout.count("the line as it stands in the file") == 4
