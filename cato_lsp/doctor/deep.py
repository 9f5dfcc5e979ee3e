"""Starts the engine in a separate process, completes a few tokens, and measures which deadlines can be met."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import anyio
import psutil

from cato_lsp.config import EngineSettings, Settings
from cato_lsp.doctor.finding import Finding, fail, ok, warn
from cato_lsp.doctor.hardware import usable_cpus
from cato_lsp.engine.api import Call, EngineError
from cato_lsp.engine.launch import Launch
from cato_lsp.engine.model_folder import inspect_model_folder
from cato_lsp.engine.thread import EngineThread
from cato_lsp.models.catalog import resolve_model
from cato_lsp.orchestrator.call_times import CallTimes
from cato_lsp.orchestrator.deadlines import alone_ms, relaxed
from cato_lsp.scheduling.cost import StepCosts
from cato_lsp.scheduling.slo import ServiceClass, Slo, TaskKind

PROMPT = "def add(a, b):\n    return"
TOKENS = 16
LIMIT = 600.0
"""Time limit for loading and completing, in seconds."""
_DEADLINES = {
    "completion_ttft_ms": "the first token of a completion, from a full prompt,",
    "generation_ttft_ms": "the first token of generated code, from a full prompt,",
    "summarization_e2e_ms": "a summary of two sentences",
    "translation_e2e_ms": "the shortest translation",
    "summarization_token_ms": "a summary, for each token of the input,",
    "translation_token_ms": "a translation, for each token of the input,",
}


def check_engine(settings: Settings) -> list[Finding]:
    """Start the engine, complete a line, and judge which deadlines this machine can meet."""
    answer = _ask_child(settings)
    if isinstance(answer, Finding):
        return [answer]
    return [ok("engine", answer["detail"]), *_check_quiet(), *judge(settings, StepCosts(**answer["costs"]))]


def check_completion(settings: Settings) -> Finding:
    """Start the engine and complete a line."""
    answer = _ask_child(settings)
    return answer if isinstance(answer, Finding) else ok("engine", answer["detail"])


def _ask_child(settings: Settings) -> dict[str, Any] | Finding:
    """Run this module in a child process, so that a crash in native code becomes a finding."""
    request = json.dumps([settings.model, settings.engine.model_dump()])
    command = [sys.executable, "-m", "cato_lsp.doctor.deep", request]
    try:
        result = subprocess.run(command, capture_output=True, timeout=LIMIT, check=False, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        return fail("engine", f"not ready after {LIMIT:.0f} s", "Try a smaller model.")
    try:
        answer = json.loads(result.stdout)
    except ValueError:
        lines = result.stderr.decode(errors="replace").strip().splitlines() or ["without output"]
        return fail("engine", f"ended with code {result.returncode}: {lines[-1]}", "Report this with the log.")
    return fail("engine", answer["error"], answer["remedy"]) if "error" in answer else answer


def _check_quiet() -> Iterator[Finding]:
    """Whether other programs keep the CPUs busy, which makes the measurements unreliable."""
    load, cpus = psutil.getloadavg()[0], usable_cpus()
    if load > cpus + 1:  # the measurement itself is one
        detail = f"the machine is busy (load {load:.0f} on {cpus} CPUs), so these measurements are unreliable"
        yield warn("deadline", detail, "Measure again when the machine is idle.")


def judge(settings: Settings, costs: StepCosts) -> list[Finding]:
    """Check whether each deadline can be met by a single request, and suggest settings if not.

    :param costs: step costs, as learned by an engine without other work.
    """
    hold, findings = relaxed(settings, costs).sla, list[Finding]()
    for name, alone in alone_ms(costs, settings.completion.prompt_tokens).items():
        set_to = getattr(settings.sla, name)
        if alone <= set_to:
            continue
        better = _rounded(2 * alone)
        if name in settings.sla.model_fields_set:
            deadline = f"`sla.{name}` is {_ms(set_to)}"
            remedy = f"Set `sla.{name} = {better}`, remove the setting, or choose a smaller model."
        else:
            deadline = f"the default deadline is {_ms(set_to)}, relaxed to {_ms(getattr(hold, name))} on this machine"
            remedy = f"Choose a smaller model, or set `sla.{name}` to a time that you accept."
        findings.append(
            warn("deadline", f"{_DEADLINES[name]} takes {_ms(alone)} even without other work; {deadline}", remedy)
        )
    return findings or [ok("deadline", f"all can be met on this machine: {_speed(costs)}")]


def _speed(costs: StepCosts) -> str:
    answer = CallTimes(costs).next_token(0)
    return f"{1 / costs.per_token:.0f} prompt tokens and {1 / answer:.0f} answer tokens a second, without other work"


def _ms(milliseconds: float) -> str:
    if milliseconds < 10:
        return f"{milliseconds:.2g} ms"
    return f"{milliseconds:.0f} ms" if milliseconds < 10_000 else f"{milliseconds / 1000:.0f} s"


def _rounded(milliseconds: float) -> int:
    """Round up to two significant digits."""
    step = 10 ** max(0, math.floor(math.log10(milliseconds)) - 1)
    return math.ceil(milliseconds / step) * step


async def _complete(launch: Launch) -> dict[str, Any]:
    from tokenizers import Tokenizer

    inspect_model_folder(launch.model)
    prompt = Tokenizer.from_file(str(launch.model / "tokenizer.json")).encode(PROMPT).ids
    begin = time.monotonic()
    engine = EngineThread(launch)
    await engine.start()
    ready = time.monotonic()
    slo = Slo(TaskKind.COMPLETION, ServiceClass.TTFT, ready, math.inf, client="doctor")
    text, tokens, first = "", 0, math.nan
    async with engine.submit(Call(tuple(prompt), slo, max_tokens=TOKENS)) as stream:
        async for delta in stream:
            if math.isnan(first):
                first = time.monotonic()
            tokens += delta.tokens
            text += delta.text
    end = time.monotonic()
    costs = engine.cost()
    engine.stop()
    await engine.wait_closed()
    line = (PROMPT.splitlines()[-1] + text).strip().partition("\n")[0]
    detail = (
        f"ready in {ready - begin:.1f} s; first token after {1000 * (first - ready):.0f} ms, "
        f"{tokens} tokens in {1000 * (end - ready):.0f} ms; completed `{line}`"
    )
    return {"detail": detail, "costs": asdict(costs)}


def _main(request: str) -> None:
    setting, engine = json.loads(request)
    try:
        choice = resolve_model(setting)
        launch = Launch(choice.path, EngineSettings.model_validate(engine), choice.name)
        answer = anyio.run(_complete, launch)
    except EngineError as error:
        answer = {"error": str(error), "remedy": error.remedy}
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    _main(sys.argv[1])
