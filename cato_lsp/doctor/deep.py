"""Starts the engine on a model in a process of its own and completes a few tokens."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import time

import anyio

from cato_lsp.config import EngineSettings, Settings
from cato_lsp.doctor.finding import Finding, fail, ok
from cato_lsp.engine.api import Call, EngineError
from cato_lsp.engine.launch import Launch
from cato_lsp.engine.model_folder import inspect_model_folder
from cato_lsp.engine.thread import EngineThread
from cato_lsp.models.catalog import resolve_model
from cato_lsp.scheduling.promise import Promise, ServiceClass, TaskKind

PROMPT = "def add(a, b):\n    return"
TOKENS = 16
LIMIT = 600.0
"""Seconds that loading and completing may take."""


def check_engine(settings: Settings) -> Finding:
    """Run this module in a child process, so that a crash in native code is a finding too."""
    request = json.dumps([settings.model, settings.engine.model_dump()])
    command = [sys.executable, "-m", "cato_lsp.doctor.deep", request]
    try:
        result = subprocess.run(command, capture_output=True, timeout=LIMIT, check=False, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        return fail("engine", f"not ready after {LIMIT:.0f} s", "Try a smaller model.")
    try:
        answer: dict[str, str] = json.loads(result.stdout)
    except ValueError:
        lines = result.stderr.decode(errors="replace").strip().splitlines() or ["it said nothing"]
        return fail("engine", f"ended with code {result.returncode}: {lines[-1]}", "Report this with the log.")
    if "error" in answer:
        return fail("engine", answer["error"], answer["remedy"])
    return ok("engine", answer["detail"])


async def _complete(launch: Launch) -> str:
    from tokenizers import Tokenizer

    inspect_model_folder(launch.model)
    prompt = Tokenizer.from_file(str(launch.model / "tokenizer.json")).encode(PROMPT).ids
    begin = time.monotonic()
    engine = EngineThread(launch)
    await engine.start()
    ready = time.monotonic()
    promise = Promise(TaskKind.COMPLETION, ServiceClass.TTFT, ready, math.inf, client="doctor")
    tokens, first = 0, math.nan
    async with engine.submit(Call(tuple(prompt), promise, max_tokens=TOKENS)) as stream:
        async for delta in stream:
            if math.isnan(first):
                first = time.monotonic()
            tokens += delta.tokens
    end = time.monotonic()
    engine.stop()
    await engine.wait_closed()
    return (
        f"ready in {ready - begin:.1f} s; first token after {1000 * (first - ready):.0f} ms, "
        f"{tokens} tokens in {1000 * (end - ready):.0f} ms"
    )


def _main(request: str) -> None:
    setting, engine = json.loads(request)
    try:
        launch = Launch(resolve_model(setting).path, EngineSettings.model_validate(engine))
        answer = {"detail": anyio.run(_complete, launch)}
    except EngineError as error:
        answer = {"error": str(error), "remedy": error.remedy}
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    _main(sys.argv[1])
