"""``cato.toml`` takes effect when it is saved. If it is saved with errors, its last valid version stays in effect."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cato_lsp.config import load_settings
from cato_lsp.lsp.methods import did_change_watched_files
from cato_lsp.lsp.settings_files import SettingsFiles
from tests.lsp.wire import Wire

GOOD = "[completion]\nmax_lines = 3\n"
WRONG = {
    "not TOML": "[completion\nmax_lines = 3\n",
    "a wrong value": '[completion]\nmax_lines = "many"\ncandidates = 2\n',
    "an unknown key": "[completion]\nmax_line = 4\n",
}


def max_lines(files: SettingsFiles, path: Path) -> tuple[int, list[str]]:
    """The setting as it holds now, and what is said of the file."""
    layers, problems = files.read([path])
    settings, more = load_settings(layers)
    return settings.completion.max_lines, [str(problem) for problem in [*problems, *more]]


@pytest.mark.parametrize("text", WRONG.values(), ids=WRONG)
def test_the_last_valid_version_of_a_file_saved_with_errors_stays_in_effect_with_a_message_of_one_line(
    tmp_path: Path, text: str
) -> None:
    files, path = SettingsFiles(), tmp_path / "cato.toml"
    path.write_text(GOOD)
    assert max_lines(files, path) == (3, [])
    path.write_text(text)
    assert files.changed([path])
    lines, (said,) = max_lines(files, path)
    assert lines == 3
    assert said.startswith(f"{path}: ")
    assert said.endswith("; the last valid version of this file stays in effect")
    assert "\n" not in said
    assert not files.changed([path])
    path.write_text(GOOD.replace("3", "5"))
    assert max_lines(files, path) == (5, [])


def test_a_file_that_comes_and_goes(tmp_path: Path) -> None:
    files, path = SettingsFiles(), tmp_path / "cato.toml"
    assert max_lines(files, path) == (12, [])
    assert not files.changed([path])
    path.write_text(GOOD)
    assert files.changed([path])
    assert max_lines(files, path) == (3, [])
    path.unlink()
    assert files.changed([path])
    assert max_lines(files, path) == (12, [])


def test_what_was_wrong_from_the_start_does_not_keep_later_changes_out(tmp_path: Path) -> None:
    files, path = SettingsFiles(), tmp_path / "cato.toml"
    path.write_text(f"{GOOD}typo = 1\n")
    lines, (said,) = max_lines(files, path)
    assert (lines, "typo" in said) == (3, True)
    path.write_text(f"{GOOD.replace('3', '4')}typo = 1\n")
    assert max_lines(files, path)[0] == 4


async def opened(wire: Wire, root: Path, **capabilities: Any) -> None:
    """A session of a workspace, as soon as its settings hold."""
    params = {"processId": None, "rootUri": root.as_uri(), "capabilities": capabilities}
    await wire.call("initialize", params)
    wire.notify("initialized", {})
    await status(wire, "Ready")


async def status(wire: Wire, beginning: str) -> None:
    while not (await wire.told("cato/didChangeStatus"))["params"]["message"].startswith(beginning):
        pass


@pytest.mark.anyio
async def test_a_file_that_the_client_watches_takes_effect_when_it_is_saved(wire: Wire, tmp_path: Path) -> None:
    await opened(wire, tmp_path, workspace={"didChangeWatchedFiles": {"dynamicRegistration": True}})
    (registration,) = (await wire.told("client/registerCapability"))["params"]["registrations"]
    assert registration["method"] == "workspace/didChangeWatchedFiles"
    assert registration["registerOptions"]["watchers"][0]["globPattern"] == "**/cato.toml"
    path = tmp_path / "cato.toml"

    def save(text: str) -> None:
        path.write_text(text)
        wire.notify("workspace/didChangeWatchedFiles", {"changes": [{"uri": path.as_uri(), "type": 2}]})

    save("completion.enabled = false\n")
    await status(wire, "Completion is switched off")
    for _ in range(2):  # a mistake that is made again is named again
        save("completion.enabled = \n")
        said = (await wire.told("window/showMessage"))["params"]["message"]
        assert said.count("\n") == 0
        assert "the last valid version of this file stays in effect" in said
        assert (await wire.complete(0, 0))["items"] == []
        save("completion.enabled = true\n")
        await status(wire, "Ready")
        save("completion.enabled = false\n")
        await status(wire, "Completion is switched off")


@pytest.mark.anyio
async def test_files_are_looked_at_where_the_client_does_not_watch_them(
    wire: Wire, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(did_change_watched_files, "POLL", 0.01)
    home = tmp_path / "home"
    (home / "cato-lsp").mkdir(parents=True)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home))
    await opened(wire, tmp_path)
    for path in (tmp_path / "cato.toml", home / "cato-lsp" / "cato.toml"):
        path.write_text("completion.enabled = false\n")
        await status(wire, "Completion is switched off")
        path.unlink()
        await status(wire, "Ready")
