"""The real process over stdin and stdout, driven by a stock pygls client or by bare pipes."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
from lsprotocol import types
from pygls.exceptions import JsonRpcRequestCancelled
from pygls.lsp.client import BaseLanguageClient

from tests.lsp.wire import fixture_text, frame, notification, request

COMMAND = (sys.executable, "-m", "cato_lsp", "--standalone")
CONSOLE_SCRIPT = (str(Path(sys.executable).with_name("cato-lsp")), "--standalone")
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[2])}
OPTIONS = {"engine": {"threads": 1, "kvCacheGb": 0.25}, "completion": {"answerMs": 20000}}
INITIALIZE = request(1, "initialize", {"processId": None, "rootUri": None, "capabilities": {}})


class Client(BaseLanguageClient):
    """pygls's own client; it keeps what the server tells."""

    def __init__(self) -> None:
        super().__init__("tests", "1")
        self.ready = anyio.Event()
        self.progress: list[str] = []

        @self.feature("cato/didChangeStatus")
        def _(status: Any) -> None:
            if status.message.startswith("Ready"):
                self.ready.set()

        @self.feature(types.WINDOW_WORK_DONE_PROGRESS_CREATE)
        def _(_params: Any) -> None:
            return None

        @self.feature(types.PROGRESS)
        def _(params: types.ProgressParams) -> None:
            self.progress.append(params.value["kind"])


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[Client]:
    """A client whose server has loaded the bundled model, in a workspace with a file named like one of Python's."""
    (tmp_path / "numbers.py").write_text("raise ImportError('a person wrote this')\n")
    client = Client()
    await client.start_io(*CONSOLE_SCRIPT, env=ENVIRONMENT, cwd=tmp_path)
    window = types.WindowClientCapabilities(work_done_progress=True)
    await client.initialize_async(
        types.InitializeParams(
            capabilities=types.ClientCapabilities(window=window),
            process_id=os.getpid(),
            initialization_options=OPTIONS,
        )
    )
    client.initialized(types.InitializedParams())
    with anyio.fail_after(120):
        await client.ready.wait()
    yield client
    if not client.stopped:
        await client.shutdown_async(None)
        client.exit(None)
    with anyio.fail_after(30):
        await client.stop()


@pytest.mark.anyio
async def test_a_stock_client_completes_at_twenty_places_and_cancels_half_copilot_lsp_23(client: Client) -> None:
    text = fixture_text("argparse.py")
    uri = "file:///argparse.py"
    client.text_document_did_open(types.DidOpenTextDocumentParams(types.TextDocumentItem(uri, "python", 1, text)))
    lines = text.split("\n")
    places = random.Random(0).sample([n for n, line in enumerate(lines) if len(line) > 30], 20)
    answered: dict[int, object] = {}

    async def ask(number: int, line: int) -> None:
        future = client.protocol.send_request_async(
            types.TEXT_DOCUMENT_INLINE_COMPLETION,
            types.InlineCompletionParams(
                text_document=types.TextDocumentIdentifier(uri),
                position=types.Position(line, len(lines[line]) * 3 // 4),
                context=types.InlineCompletionContext(types.InlineCompletionTriggerKind.Invoked),
            ),
            msg_id=f"place-{number}",
        )
        try:
            result = await future
        except JsonRpcRequestCancelled:
            result = "cancelled"
        assert number not in answered
        answered[number] = result

    for number, line in enumerate(places):
        async with anyio.create_task_group() as group:
            group.start_soon(ask, number, line)
            if number % 2:
                await anyio.sleep(0.02 * (number % 5))
                client.cancel_request(types.CancelParams(id=f"place-{number}"))

    assert sorted(answered) == list(range(20))
    assert all(isinstance(answered[number], types.InlineCompletionList) for number in range(0, 20, 2))
    status = await client.protocol.send_request_async("cato/status", None)
    assert status.stats.tokens_wasted == 0
    assert status.live == 0
    for task in status.tasks:
        assert task.usage.tokens_after_cancel == 0
        assert task.usage.abort_latency_steps in (None, 0, 1)
    assert [task.outcome for task in status.tasks].count("cancelled") >= 1
    assert client.progress[0] == "begin"
    assert client.progress[-1] == "end"


def start() -> subprocess.Popen[bytes]:
    return subprocess.Popen(COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=ENVIRONMENT)


def talk(server: subprocess.Popen[bytes], *messages: dict[str, Any]) -> None:
    assert server.stdin is not None
    server.stdin.write(b"".join(frame(message) for message in messages))
    server.stdin.flush()


def read(server: subprocess.Popen[bytes]) -> bytes:
    """One message."""
    assert server.stdout is not None
    length = int(server.stdout.readline().split(b":")[1])
    while server.stdout.readline().strip():
        pass
    return server.stdout.read(length)


def say_goodbye(server: subprocess.Popen[bytes]) -> None:
    talk(server, request(2, "shutdown"), notification("exit"))


def close_stdin(server: subprocess.Popen[bytes]) -> None:
    assert server.stdin is not None
    server.stdin.close()


@pytest.mark.parametrize(("leave", "code"), [(say_goodbye, 0), (close_stdin, 1)])
def test_goodbye_and_the_end_of_stdin_end_the_process_while_the_engine_loads(
    leave: Callable[[subprocess.Popen[bytes]], None], code: int
) -> None:
    with start() as server:
        talk(server, INITIALIZE, notification("initialized", {}))
        assert b"inlineCompletionProvider" in read(server)
        leave(server)
        assert server.wait(timeout=30) == code


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="needs Linux")
def test_the_server_ends_when_its_client_is_killed_even_if_the_pipe_stays_open_copilot_lua_667(
    tmp_path: Path,
) -> None:
    output = tmp_path / "out"
    # The client's child, like an editor's terminal, inherits the pipe to the server and outlives the client.
    script = f"""
        import os, subprocess, sys, time
        server = subprocess.Popen({list(COMMAND)!r}, stdin=subprocess.PIPE, stdout=open({str(output)!r}, "wb"))
        keeper = subprocess.Popen(["sleep", "60"], pass_fds=(server.stdin.fileno(),))
        body = (b'{{"jsonrpc":"2.0","id":1,"method":"initialize","params":'
                b'{{"processId":%d,"rootUri":null,"capabilities":{{}}}}}}' % os.getpid())
        server.stdin.write(b"Content-Length: %d\\r\\n\\r\\n%s" % (len(body), body))
        server.stdin.flush()
        print(server.pid, keeper.pid, flush=True)
        time.sleep(600)
    """
    client = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)], stdout=subprocess.PIPE, env=ENVIRONMENT, text=True
    )
    assert client.stdout is not None
    server, keeper = map(int, client.stdout.readline().split())
    watched = os.pidfd_open(server)
    try:
        while not (output.exists() and b"capabilities" in output.read_bytes()):
            os.sched_yield()
        client.kill()
        client.wait()
        import select

        assert select.select([watched], [], [], 30)[0], "the server outlived its client"
    finally:
        os.close(watched)
        os.kill(keeper, signal.SIGKILL)


def test_whatever_prints_to_stdout_does_not_reach_the_protocol() -> None:
    program = (
        "import sys, os\n"
        "from cato_lsp.lsp import features, server\n"
        "register = server.register_features\n"
        "def noisy(session):\n"
        "    print('printed by a library'); os.write(1, b'written by C')\n"
        "    register(session)\n"
        "server.register_features = noisy\n"
        "os._exit(server.run_stdio())\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=ENVIRONMENT,
    ) as server:
        out, error = server.communicate(frame(INITIALIZE) + frame(request(2, "shutdown")) + frame(notification("exit")))
    assert b"printed" not in out
    assert b"written" not in out
    assert out.startswith(b"Content-Length")
    assert b"written by C" in error


def test_a_script_can_be_piped_from_a_file_into_a_file(tmp_path: Path) -> None:
    script, output = tmp_path / "in", tmp_path / "out"
    script.write_bytes(frame(INITIALIZE) + frame(request(2, "shutdown")) + frame(notification("exit")))
    with script.open("rb") as stdin, output.open("wb") as stdout:
        run = subprocess.run(COMMAND, stdin=stdin, stdout=stdout, env=ENVIRONMENT, timeout=60, check=False)
    assert run.returncode == 0
    assert b"inlineCompletionProvider" in output.read_bytes()


@pytest.mark.parametrize("options", [[], ["--standalone"]])
def test_an_input_that_the_event_loop_cannot_watch_ends_the_process(options: list[str], tmp_path: Path) -> None:
    environment = {**ENVIRONMENT, "XDG_RUNTIME_DIR": str(tmp_path), "XDG_STATE_HOME": str(tmp_path)}
    command = (sys.executable, "-m", "cato_lsp", *options)
    run = subprocess.run(
        command, stdin=subprocess.DEVNULL, env=environment, capture_output=True, timeout=60, check=False
    )
    assert run.returncode == 1
    assert b"Traceback" not in run.stderr
    subprocess.run([sys.executable, "-m", "cato_lsp", "stop"], env=environment, timeout=60, check=False)


def test_initialize_is_answered_without_importing_torch_or_vllm() -> None:
    program = """
        import asyncio, json, sys
        import cato_lsp.lsp.server
        assert not {"torch", "vllm", "transformers"} & set(sys.modules), "imported with the server"
        from cato_lsp.lsp.backend import Backend
        from cato_lsp.lsp.server import listen

        async def main():
            server = await listen(Backend(), "127.0.0.1", 0)
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "initialize",
                               "params": {"processId": None, "rootUri": None, "capabilities": {}}}).encode()
            writer.write(b"Content-Length: %d\\r\\n\\r\\n%s" % (len(body), body))
            answer = await reader.readuntil(b"capabilities")
            print(sorted({"torch", "vllm", "transformers"} & set(sys.modules)))

        asyncio.run(main())
    """
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
        timeout=60,
        check=False,
    )
    assert run.stdout.strip() == "[]", run.stderr
