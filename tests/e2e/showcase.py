"""Pictures of the real editors for the documentation, light and dark, and a recording of VS Code.

python -m tests.e2e.showcase docs/                all of them
python -m tests.e2e.showcase docs/ recording      only some: neovim, vscode, recording
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from tests.e2e.editors import eventually
from tests.e2e.neovim import Neovim
from tests.e2e.neovim_screen import Screen
from tests.e2e.vscode import ENGINE, Code, Window
from tests.e2e.wire import Wire

THEMES = {"light": "Light Modern", "dark": "Dark Modern"}
LOOK: dict[str, object] = {"remote.autoForwardPorts": False}
"""No notifications about ports of other programs."""
LONGEST_PAUSE = 1500
"""Milliseconds that a frame of the recording stands at most; what takes longer is cut."""
SAMPLE = '''def first(items, otherwise=None):
    """Return the first item of a list."""
    if not items:
        return otherwise
    return items[0]


def last(items, otherwise=None):
    """Return the last item of a list."""
'''
"""What is typed on."""
REST = "\n        return otherwise\n    return items[-1]"
"""What is typed after the suggestion ``if not items:``."""
LONG_ENOUGH = 8
"""Characters of a suggestion that makes a picture; a shorter one is taken where there is no other."""


@contextmanager
def _vscode(theme: str) -> Iterator[tuple[Code, Path, Wire]]:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        with Code.recorded(folder, {**ENGINE, **LOOK, "workbench.colorTheme": THEMES[theme]}) as code:
            yield code, folder, Wire(folder / "wire")


def _suggestion(window: Window, wire: Wire, path: Path) -> None:
    try:
        window.suggestion(wire, path, lambda rest: len(rest.split("\n")[0]) >= LONG_ENOUGH)
    except AssertionError:
        window.suggestion(wire, path)


def vscode_pictures(target: Path) -> None:
    """A suggestion, a translation, and the status view."""
    with _vscode("light") as (code, folder, wire):
        window = code.window(folder / "workspace")
        window.wait_until_ready()
        window.press("Control+B")
        for name in THEMES:
            if name == "dark":
                window.command("Preferences: Toggle between Light/Dark")
                eventually("the theme holds", lambda: window.texts(".monaco-workbench.vs-dark"))
            path = window.open(f"{name}.py", SAMPLE)
            _suggestion(window, wire, path)
            window.screenshot(target / f"vscode-suggestion-{name}.png")
            window.press("Tab")
            window.type(REST)
            window.press("Escape")
            window.command("Cato: Translate to")
            eventually("languages are offered", lambda: "javascript" in "".join(window.texts(".quick-input-list-row")))
            window.type("javascript")
            window.press("Enter")
            eventually("the translation fills", lambda: "function last" in "".join(window.texts(".view-line")))
            eventually("the translation is done", lambda: not window.texts(".notification-list-item .monaco-button"))
            window.screenshot(target / f"vscode-translate-{name}.png")
            window.close_other_groups()
            window.command("Cato: Show Status")
            eventually("the table is drawn", lambda: "Translate" in "".join(window.frame_texts("#kinds")))
            window.command("View: Maximize Editor Group")
            window.command("Notifications: Clear All")
            time.sleep(1)  # until the box for commands has faded
            window.screenshot(target / f"vscode-status-{name}.png")
            window.close_other_groups()
            window.save(path)


def vscode_recording(target: Path) -> None:
    """Typing, an accepted suggestion, a translation that fills: at its real speed, but for long pauses."""
    with _vscode("dark") as (code, folder, wire):
        window = code.window(folder / "workspace", size=(960, 540))
        window.wait_until_ready()
        window.press("Control+B")
        path = window.open("ends.py", SAMPLE)
        window.record(folder / "frames")
        _suggestion_at_leisure(window, wire, path)
        window.type(REST, 40)
        window.press("Escape")
        window.command("Cato: Translate to")
        eventually("languages are offered", lambda: "javascript" in "".join(window.texts(".quick-input-list-row")))
        window.type("javascript", 60)
        window.press("Enter")
        eventually("the translation fills", lambda: "function last" in "".join(window.texts(".view-line")))
        eventually("the translation is done", lambda: not window.texts(".notification-list-item .monaco-button"))
        time.sleep(1)
        _write_animation(window.frames(), target / "vscode.gif")


def _suggestion_at_leisure(window: Window, wire: Wire, path: Path) -> None:
    window.suggestion(wire, path, delay=70)
    time.sleep(1)
    window.press("Tab")
    time.sleep(0.7)


def _write_animation(frames: list[tuple[float, Path]], target: Path) -> None:
    """A GIF of frames, each with the second at which it was painted."""
    ends = [*(moment for moment, _ in frames[1:]), frames[-1][0] + LONGEST_PAUSE / 1000]
    durations = [
        min(LONGEST_PAUSE, max(20, round(1000 * (end - start)))) for (start, _), end in zip(frames, ends, strict=True)
    ]
    palette = Image.open(frames[-1][1]).convert("RGB").quantize(128)
    images = [Image.open(path).convert("RGB").quantize(palette=palette, dither=Image.Dither.NONE) for _, path in frames]
    images[0].save(target, save_all=True, append_images=images[1:], duration=durations, loop=0, optimize=True)


def neovim_pictures(target: Path) -> None:
    """A suggestion, drawn cell by cell from what Neovim has on its screen."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        with Neovim.with_plugin(folder) as neovim:
            path = folder / "ends.py"
            path.write_text(SAMPLE)
            neovim.open(path)
            neovim.wait_until_ready()
            neovim.keys(
                ":set termguicolors number noruler laststatus=2<CR>"
                ":set statusline=\\ %t%m%=%{v:lua.require'cato'.statusline()}\\ <CR>"
            )
            for name in THEMES:
                neovim.keys(f"<Esc>:set background={name}<CR>Go")
                try:
                    neovim.suggestion(lambda ghost: len(ghost.split("\n")[0]) >= LONG_ENOUGH)
                except AssertionError:
                    neovim.suggestion()
                _draw(neovim.screen(84, 20), target / f"neovim-suggestion-{name}.png")
                neovim.keys("<C-]><Esc>:earlier 1f<CR>")


def _draw(screen: Screen, target: Path) -> None:
    """Draw the cells of a terminal."""
    folder = Path("/usr/share/fonts/truetype/dejavu")
    fonts = {
        bold: ImageFont.truetype(str(folder / f"DejaVuSansMono{'-Bold' if bold else ''}.ttf"), 18)
        for bold in (False, True)
    }
    width, height, margin = 11, 23, 16
    size = (2 * margin + width * len(screen.rows[0]), 2 * margin + height * len(screen.rows))
    picture = Image.new("RGB", size, _rgb(screen.background))
    draw = ImageDraw.Draw(picture)
    for row, cells in enumerate(screen.rows):
        for column, (text, number) in enumerate(cells):
            look = screen.highlights[number]
            ink, paper = look.get("foreground", screen.foreground), look.get("background", screen.background)
            if look.get("reverse"):
                ink, paper = paper, ink
            place = (margin + width * column, margin + height * row)
            draw.rectangle((*place, place[0] + width - 1, place[1] + height - 1), fill=_rgb(paper))
            draw.text(place, text, fill=_rgb(ink), font=fonts[bool(look.get("bold"))])
    picture.save(target)


def _rgb(color: int) -> tuple[int, int, int]:
    return (color >> 16 & 255, color >> 8 & 255, color & 255)


SHOTS: dict[str, Callable[[Path], None]] = {
    "neovim": neovim_pictures,
    "vscode": vscode_pictures,
    "recording": vscode_recording,
}


def main(target: Path, *names: str) -> None:
    """Make all pictures again, or those that are named."""
    for name in names or SHOTS:
        start = time.monotonic()
        SHOTS[name](target)
        print(f"{name}: {time.monotonic() - start:.0f} s", flush=True)  # noqa: T201


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
