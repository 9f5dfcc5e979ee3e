"""Measures the way from the editor to the engine: `.venv/bin/python scripts/bench_lsp.py [--json FILE]`.

Client and server are two processes; both read the machine's monotonic clock. Times depend on the machine and
on what else it does, so they are benchmarks and not tests.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import statistics
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lsprotocol import types
from pygls.exceptions import JsonRpcRequestCancelled, JsonRpcServerError
from pygls.lsp.client import BaseLanguageClient
from rich.console import Console
from rich.table import Table
from stall_watch import ping

SOURCE = Path(sysconfig.get_paths()["stdlib"]) / "argparse.py"
URI = "file:///argparse.py"
STARTS = 5
CANCELS = 40
LARGE = 400_000
"""Characters of the file with which the event loop's delay is measured."""
REST = 3.0
"""Seconds for which it is measured at rest before."""
LONGEST_TRANSLATION = 600.0


class Client(BaseLanguageClient):
    """An editor with one document."""

    def __init__(self) -> None:
        super().__init__("bench", "1")
        self.ready = asyncio.Event()
        self.on_message: Callable[[], None] = lambda: None
        """Is told of messages: a translation that is refused or done shows one, or a document."""

        @self.feature(types.WINDOW_SHOW_MESSAGE)
        def _(_message: types.ShowMessageParams) -> None:
            self.on_message()

        @self.feature("cato/didChangeStatus")
        def _(status: Any) -> None:
            if status.message.startswith("Ready"):
                self.ready.set()

    async def begin(self, *command: str, pass_fds: tuple[int, ...] = ()) -> tuple[float, float]:
        """Start a server; return the seconds until it answers at all, and those that ``initialize`` then takes."""
        born = time.monotonic()
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        command = command or ("-m", "cato_lsp", "--standalone")
        await self.start_io(sys.executable, *command, env=environment, pass_fds=pass_fds)
        try:
            await self.protocol.send_request_async("cato/status", None)
        except JsonRpcServerError:
            up = time.monotonic()
        params = types.InitializeParams(capabilities=types.ClientCapabilities(), process_id=os.getpid())
        await self.initialize_async(params)
        return up - born, time.monotonic() - up

    async def end(self) -> float:
        """Leave; return the seconds until the process has ended."""
        await self.shutdown_async(None)
        said = time.monotonic()
        self.exit(None)
        server = self._server
        assert server is not None
        await server.wait()
        took = time.monotonic() - said
        await self.stop()
        return took

    async def vanish(self) -> float:
        """Close the pipe without a word; return the seconds until the process has ended."""
        server = self._server
        assert server is not None
        assert server.stdin is not None
        gone = time.monotonic()
        server.stdin.close()
        await server.wait()
        took = time.monotonic() - gone
        await self.stop()
        return took

    async def complete(self, line: int, character: int, cancel_after: float | None = None) -> None:
        """Ask for a completion, and perhaps cancel it."""
        number = f"{time.monotonic_ns()}"
        answer = self.protocol.send_request_async(
            types.TEXT_DOCUMENT_INLINE_COMPLETION,
            types.InlineCompletionParams(
                text_document=types.TextDocumentIdentifier(URI),
                position=types.Position(line, character),
                context=types.InlineCompletionContext(types.InlineCompletionTriggerKind.Invoked),
            ),
            msg_id=number,
        )
        try:
            if cancel_after is not None:
                await asyncio.sleep(cancel_after)
                self.cancel_request(types.CancelParams(number))
            await answer
        except JsonRpcRequestCancelled:
            pass

    async def last_task(self) -> Any:
        """What the server recorded last."""
        return (await self.protocol.send_request_async("cato/status", None)).tasks[-1]


async def measure() -> dict[str, list[float]]:
    """All samples, in ms or in steps."""
    starts: list[tuple[float, float, float]] = []
    for _ in range(STARTS):
        client = Client()
        starts.append((*await client.begin(), await client.end()))
    names = ("process start to first answer, ms", "initialize, ms", "exit to end of process, ms")
    samples = {name: [start[n] * 1000 for start in starts] for n, name in enumerate(names)}
    client = Client()
    await client.begin()
    client.initialized(types.InitializedParams())
    text = SOURCE.read_text(encoding="utf-8")
    client.text_document_did_open(types.DidOpenTextDocumentParams(types.TextDocumentItem(URI, "python", 1, text)))
    await client.ready.wait()
    samples |= await typing(client, text.split("\n"))
    samples["cancel to abort, steps"] = await cancels(client, text.split("\n"))
    samples["end of stdin to end of process, engine ready, ms"] = [await client.vanish() * 1000]
    return samples | await stalls()


async def stalls() -> dict[str, list[float]]:
    """How late the server's event loop is, in ms: at rest, and while a large file is opened, edited and translated."""
    pings, writing = os.pipe()
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "delays.json"
        client = Client()
        command = (str(Path(__file__).with_name("stall_watch.py")), str(pings), str(report))
        await client.begin(*command, pass_fds=(pings,))
        os.close(pings)
        client.initialized(types.InitializedParams())
        await client.ready.wait()
        pinging = asyncio.create_task(ping(writing))
        await asyncio.sleep(REST)
        began = time.monotonic()
        await large_file(client)
        ended = time.monotonic()
        pinging.cancel()
        await asyncio.wait([pinging])
        for _ in range(2):  # the second answer comes from a turn of the loop in which the pipe's end was read
            await client.protocol.send_request_async("cato/status", None)
        await client.end()
        delays = json.loads(report.read_text(encoding="utf-8"))
    return {
        "event loop's delay at rest, ms": [delay * 1000 for sent, delay in delays if sent < began],
        "event loop's delay with a large file, ms": [delay * 1000 for sent, delay in delays if began <= sent < ended],
    }


async def large_file(client: Client) -> None:
    """Open a file of 400,000 characters, type in it, ask for code actions, and translate it."""
    text = SOURCE.read_text(encoding="utf-8")
    text = (text * (LARGE // len(text) + 1))[:LARGE]
    client.text_document_did_open(types.DidOpenTextDocumentParams(types.TextDocumentItem(URI, "python", 1, text)))
    lines = text.split("\n")
    await typing(client, lines)
    identifier = types.TextDocumentIdentifier(URI)
    for line in random.Random(3).sample(range(100, len(lines)), 12):
        at = types.Position(line, 0)
        await client.text_document_code_action_async(
            types.CodeActionParams(identifier, types.Range(at, at), types.CodeActionContext([]))
        )
    ended = asyncio.Event()
    client.on_message = ended.set
    command = types.ExecuteCommandParams("cato.translate", [{"uri": URI, "language": "javascript"}])
    await client.workspace_execute_command_async(command)
    await asyncio.wait_for(ended.wait(), LONGEST_TRANSLATION)


async def typing(client: Client, lines: list[str]) -> dict[str, list[float]]:
    """Type into twelve lines, a key at a time."""
    keys = "self.value = "
    to_engine: list[float] = []
    ttft: list[float] = []
    version = 1
    for line in random.Random(1).sample(range(100, len(lines)), 12):
        for character, key in enumerate(keys):
            version += 1
            at = types.Position(line, character)
            change = types.TextDocumentContentChangePartial(range=types.Range(at, at), text=key)
            typed = time.monotonic()
            client.text_document_did_change(
                types.DidChangeTextDocumentParams(types.VersionedTextDocumentIdentifier(version, URI), [change])
            )
            await client.complete(line, character + 1)
            task = await client.last_task()
            if task.usage.added is not None and task.ttft is not None:
                to_engine.append((task.usage.added - typed) * 1000)
                ttft.append(task.ttft * 1000)
    return {"didChange to add_request, ms": to_engine, "request to first token (TTFT), ms": ttft}


async def cancels(client: Client, lines: list[str]) -> list[float]:
    """Cancel at random moments, during prefill and during decode."""
    dice = random.Random(2)
    steps: list[float] = []
    for line in dice.sample(range(100, len(lines)), CANCELS):
        await client.complete(line, 0, cancel_after=dice.uniform(0.0, 0.15))
        await asyncio.sleep(0.05)
        usage = (await client.last_task()).usage
        if usage.abort_latency_steps is not None:
            steps.append(usage.abort_latency_steps)
            assert usage.tokens_after_cancel == 0
    return steps


def main() -> None:
    """Measure and show."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stalls", action="store_true", help="measure the event loop's delays only")
    parser.add_argument("--json", type=Path, help="write all samples to this file")
    arguments = parser.parse_args()
    samples = asyncio.run(stalls() if arguments.stalls else measure())
    title = f"LSP to engine, {os.cpu_count()} cores, bundled model"
    table = Table("what", "n", "p50", "p95", "p99", "max", title=title)
    for name, values in samples.items():
        cuts = statistics.quantiles(values if len(values) > 1 else values * 2, n=100, method="inclusive")
        shown = (cuts[49], cuts[94], cuts[98], max(values))
        table.add_row(name, str(len(values)), *(f"{value:.1f}" for value in shown))
    Console().print(table)
    if arguments.json:
        arguments.json.write_text(json.dumps(samples, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
