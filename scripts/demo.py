"""Drives the real server over stdio as an editor would, and shows what a person would see.

Run it as `scripts/demo`, which sets everything up first. `--model PATH` takes another model folder.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import sysconfig
import time
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from random import Random
from typing import Any

from demo_editor import Asked, Editor
from evaluation.places import code_lines
from lsprotocol import types
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.panel import Panel
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text
from training.corpus import HELD_OUT

import cato_lsp

LONG_FILE = Path(sysconfig.get_paths()["stdlib"]) / "textwrap.py"
ROOT = Path(cato_lsp.__file__).resolve().parents[1]
FILE = ROOT / "cato_lsp" / "engine" / "model_folder.py"
PLACES, SEED = 4, 13
"""How many lines are typed, and the seed that draws them: files of packages that the bundled model has not seen."""
SKETCH = """\n\ndef is_valid(name: str) -> bool:
    \"\"\"Return whether the name is valid.\"\"\"
"""
PROBES = ("    size = file.", "    for name in header", "    if not ", "    with file.open(", "    end = max(")
MOST_TYPED = 18
"""Characters typed of a line, at most."""
KEYS = 3
"""Characters typed between two requests."""
KEYSTROKE = 0.06
"""Seconds between two keys; a quick typist's pace."""

console = Console(highlight=False)


async def main() -> int:
    """Run the demo; return an exit code."""
    parser = argparse.ArgumentParser(prog="scripts/demo", description=__doc__)
    parser.add_argument("--model", help="a Hugging Face model folder instead of the bundled model")
    model: str | None = parser.parse_args().model

    console.print(
        Panel.fit(
            "[bold]cato-lsp[/]  the coding assistant that never makes you wait\n"
            "[dim]A real server with a real engine, driven as an editor drives it. Nothing is recorded or made up.[/]"
        )
    )
    editor = Editor(FILE)
    start = time.perf_counter()
    took = await editor.begin(model)
    console.print(f"The server answers after {took * 1000:.0f} ms; you can type while the engine loads.")
    with console.status("Loading vLLM…") as spinner:
        while not editor.ready.is_set():
            spinner.update(editor.status or "Starting…")
            await asyncio.sleep(0.1)
    if editor.failed:
        console.print(f"[red]{editor.status}[/]")
        return 1
    console.print(f"[green]{editor.status}[/] after {time.perf_counter() - start:.1f} s.")

    chapter(
        "1  Complete",
        f"{PLACES} lines are typed, drawn at random (seed {SEED}) from packages that the bundled model has not seen. "
        "[bold]Typed[/] | [italic cyan]suggested[/]:",
    )
    for place in drawn_places():
        await type_along(editor, place)
    editor.open(FILE, FILE.read_text(encoding="utf-8"))
    console.print("Then a request is cancelled after 15 ms, because the person went on: its computing stops, too.")
    line = next(n for n, each in enumerate(editor.lines) if each.startswith("def _check_safetensors"))
    editor.insert(line, 0, "def read_header(file: Path) -> \n\n\n")
    await editor.ask(line, len(editor.lines[line]), cancel_after=0.015)

    report(editor, await editor.protocol.send_request_async("cato/status", None))
    await assists(editor)
    await mixed_load(editor)
    await editor.shutdown_async(None)
    editor.exit(None)
    await editor.stop()
    console.print(
        "\nNext: [bold].venv/bin/cato-lsp doctor[/] looks at this machine, docs/editors.md sets up your editor, and "
        "[bold]model[/] in cato.toml takes a larger model than the small one in the package."
    )
    return 0


def chapter(title: str, text: str) -> None:
    """Begin a part of the demo."""
    console.print()
    console.rule(f"[bold]{title}[/]", align="left")
    console.print(text + "\n")


def verdict(took: float, deadline: float) -> str:
    """A time in words and whether it was in time; both are seconds."""
    mark = "[green]met[/]" if took <= deadline else "[red]missed[/]"
    return f"{seconds(took)}, deadline {seconds(deadline)}: {mark}"


def seconds(time: float) -> str:
    """A time as people say it."""
    return f"{time * 1000:.0f} ms" if time < 1 else f"{time:.1f} s"


@dataclass(frozen=True)
class Line:
    """A line of a file, which is typed again."""

    path: Path
    text: str
    """Of the whole file."""
    number: int


def drawn_places() -> list[Line]:
    """Lines of code in held-out packages, by a fixed seed and not by how they turn out."""
    rng = Random(SEED)
    roots = [spec.origin for name in sorted(HELD_OUT) if (spec := find_spec(name)) is not None and spec.origin]
    files = [file for root in roots for file in sorted(Path(root).parent.glob("*.py"))]
    drawn: list[Line] = []
    while len(drawn) < PLACES:
        path = rng.choice(files)
        text = path.read_text(encoding="utf-8")
        numbers = [n for n in sorted(code_lines(text)) if len(text.split("\n")[n].strip()) >= 20]
        if numbers:
            drawn.append(Line(path, text, rng.choice(numbers)))
    return drawn


async def type_along(editor: Editor, place: Line) -> None:
    """Type the first half of a line, a few keys at a time, asking as an editor does."""
    lines = place.text.split("\n")
    content = lines[place.number].strip()
    indent = lines[place.number][: len(lines[place.number]) - len(lines[place.number].lstrip())]
    lines[place.number] = indent
    editor.open(place.path, "\n".join(lines))
    console.print(f"[bold]{place.path.parent.name}/{place.path.name}:{place.number + 1}[/]")
    character = len(indent)
    for at in range(0, min(MOST_TYPED, len(content) // 2), KEYS):
        keys = content[at : at + KEYS]
        editor.insert(place.number, character, keys)
        character += len(keys)
        await asyncio.sleep(KEYSTROKE * len(keys))
        asked = await editor.ask(place.number, character)
        console.print(seen(asked))
    console.print(f"  the line as it stands in the file: {content}\n", style="dim", markup=False)


def seen(asked: Asked) -> Text:
    """A line as a person sees it; where there are no colours a bar stands between what is typed and suggested."""
    if not asked.ghost:
        return Text(asked.line, style="bold") + Text("  (nothing to suggest)", style="dim")
    bar = "" if console.is_terminal and not console.no_color else " | "
    return Text(asked.line + bar, style="bold") + Text(asked.ghost.replace("\n", "\n" + " " * 4), "italic cyan")


async def assists(editor: Editor) -> None:
    """Generate a body, write a docstring, translate a function: each with its own deadline."""
    chapter(
        "2  Generate, summarize, translate",
        "Code actions in any editor. Each has one deadline for all its model calls.",
    )
    start = len(editor.lines) - 1
    editor.insert(start, 0, SKETCH)
    body = start + SKETCH.count("\n")
    function = next(n for n, each in enumerate(editor.lines) if each.startswith("def _read_json"))
    end = function + next(n for n, each in enumerate(editor.lines[function:]) if not each)
    for command, what, where, more in (
        ("cato.generate", "the body of is_valid, from its docstring", (body - 1, body - 1), {}),
        ("cato.summarize", "a docstring for _read_json", (function, end), {}),
        ("cato.translate", "_read_json in JavaScript", (function, end), {"language": "javascript"}),
    ):
        await editor.start(command, *where, **more)
        await asyncio.wait_for(editor.assisted.wait(), 120)
        task = (await editor.protocol.send_request_async("cato/status", None)).tasks[-1]
        on_first = task.kind == "generation" and task.ttft is not None
        took = task.ttft if on_first else task.e2e
        console.print(f"[bold]{command}[/]: {what}")
        calls = f"{task.calls} {'call' if task.calls == 1 else 'calls'}, {task.answer_tokens} tokens"
        console.print(
            f"  {'first token' if on_first else 'whole answer'} after {verdict(took, task.deadline)} ({calls})"
        )
        language = more.get("language", "python")
        code = "\n".join(f"    {line}" for line in editor.result.strip("\n").split("\n"))
        console.print(Syntax(code, language, background_color="default", word_wrap=True))


async def mixed_load(editor: Editor) -> None:
    """Complete with nothing else running, then while a translation of a whole file runs."""
    text = LONG_FILE.read_text(encoding="utf-8")
    lines = text.count("\n")
    chapter("3  All at once", f"Completions go first while all of {LONG_FILE.name} ({lines} lines) is translated.")
    anchor = next(n for n, each in enumerate(editor.lines) if each.startswith("def _check_safetensors"))

    async def some(running: bool) -> list[Any]:
        tasks: list[Any] = []
        for probe in PROBES:
            line = anchor + 1
            editor.insert(line, 0, probe + "\n")
            await editor.ask(line, len(probe))
            task = (await editor.protocol.send_request_async("cato/status", None)).tasks[-1]
            if task.kind == "completion" and task.ttft is not None and running != editor.assisted.is_set():
                tasks.append(task)
        return tasks

    editor.assisted.set()
    alone = await some(running=False)
    document = types.TextDocumentItem(LONG_FILE.as_uri(), "python", 1, text)
    editor.text_document_did_open(types.DidOpenTextDocumentParams(document))
    await editor.start("cato.translate", 0, lines, uri=LONG_FILE.as_uri(), language="javascript")
    during = await some(running=True)
    await asyncio.wait_for(editor.assisted.wait(), 180)
    tasks = (await editor.protocol.send_request_async("cato/status", None)).tasks
    translation = next(task for task in reversed(tasks) if task.kind == "translation")
    for name, some_tasks in (("alone", alone), ("during the translation", during)):
        if some_tasks:
            median = statistics.median(task.ttft for task in some_tasks)
            met = sum(bool(task.met) for task in some_tasks)
            console.print(
                f"  {name:<24} first token after {seconds(median)} (median); "
                f"{met} of {len(some_tasks)} within the deadline of {seconds(some_tasks[-1].deadline)}"
            )
    told = verdict(translation.e2e, translation.deadline)
    console.print(f"  {'the translation':<24} {told} ({translation.calls} calls, {translation.answer_tokens} tokens)")


def report(editor: Editor, status: Any) -> None:
    """The table of all requests, and what the engine counted."""
    deadline = status.tasks[0].deadline * 1000
    table = Table(
        title=f"As recorded: ms to the first token (deadline {deadline:.0f}) and in total; tokens",
        title_justify="left",
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    table.add_column("typed so far", no_wrap=True, max_width=16)
    table.add_column("outcome", no_wrap=True)
    for name in ("first", "total", "met", "prompt", "cached", "computed"):
        table.add_column(name, justify="right", no_wrap=True)
    marks = {True: "[green]yes[/]", False: "[red]no[/]", None: "–"}
    for asked, task in zip(editor.asked, status.tasks, strict=False):
        table.add_row(
            Text(asked.line.strip()),
            task.outcome if task.source == "model" else f"from {task.source}",
            "–" if task.ttft is None else f"{task.ttft * 1000:.0f}",
            f"{task.e2e * 1000:.0f}",
            marks[task.met],
            str(task.prompt_tokens),
            str(task.cached_tokens),
            str(task.usage.tokens_computed),
        )
    console.print(table)
    judged = [task for task in status.tasks if task.met is not None]
    met = sum(task.met for task in judged)
    console.print(
        f"{met} of {len(judged)} deadlines met. The engine ran {status.stats.steps} steps and computed "
        f"{status.stats.tokens_computed} tokens, {status.stats.tokens_wasted} of them after a cancel."
    )


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
