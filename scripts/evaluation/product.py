"""A model folder served as in the product: its engine, its prompt builder, its stop rules and shaping."""

from __future__ import annotations

import math
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from cato_lsp.config import CompletionSettings, EngineSettings
from cato_lsp.engine.api import Call
from cato_lsp.engine.launch import Launch
from cato_lsp.engine.thread import EngineThread
from cato_lsp.orchestrator.answer_stream import completion_call
from cato_lsp.orchestrator.prompters import Prompters
from cato_lsp.scheduling.slo import ServiceClass, Slo, TaskKind
from cato_lsp.tasks.completion import CompletionPrompter, CompletionRequest
from cato_lsp.tasks.context import FileContext
from cato_lsp.tasks.fim import NO_CONTEXT
from cato_lsp.tasks.prompts import Ask, CatoPrompter
from cato_lsp.tasks.snapshot import Snapshot
from cato_lsp.tasks.tokenizer import Tokenizer
from evaluation.places import Place


class ProductModel:
    """Answers of one loaded model."""

    def __init__(self, engine: EngineThread, prompter: CompletionPrompter, tokenizer: Tokenizer) -> None:
        self.engine = engine
        self.prompter = CatoPrompter(tokenizer, engine.context_length)
        """Builds the prompts of code actions in the format of our own family."""
        self._completions = prompter
        self._tokenizer = tokenizer

    async def complete(self, place: Place, scores: list[float] | None = None, context: FileContext = NO_CONTEXT) -> str:
        """The file with the completion accepted at a place; unchanged if there was nothing to show.

        :param scores: is given the log-probability of each token that was read.
        :param context: what the model is told of other files.
        """
        snapshot = Snapshot(f"file:///{place.path}", "python", 1, place.text)
        plan = self._completions.plan(CompletionRequest(snapshot, place.offset, invoked=True), context)
        if plan is None:
            return place.text
        text, complete = plan.stream(), False
        call = replace(completion_call(plan, _slo(TaskKind.COMPLETION)), scored=scores is not None)
        async with self.engine.submit(call) as deltas:
            async for delta in deltas:
                if scores is not None:
                    scores.append(delta.log_probability)
                complete = text.feed(delta.text) or delta.finish_reason == "stop"
                if complete:
                    break
        shown = text.result(cut=not complete)
        return place.text if shown is None else shown.apply(place.text)

    async def answer(self, ask: Ask, most_tokens: int) -> tuple[str, bool]:
        """The answer to a code action in the format of our own family, and whether the model ended it itself."""
        prompt = self.prompter.prompt(ask)
        if prompt is None:
            raise ValueError("the model is not of our own family")
        call = Call(prompt.ids, _slo(TaskKind.SUMMARIZATION), most_tokens, prompt.stop_token_ids)
        parts: list[str] = []
        ended = False
        async with self.engine.submit(call) as deltas:
            async for delta in deltas:
                parts.append(delta.text)
                ended = delta.finish_reason == "stop"
        return "".join(parts), ended

    async def continue_text(
        self, text: str, prompt_tokens: int, answer_tokens: int, *, scored: bool = False
    ) -> tuple[int, float]:
        """Continue the first ``prompt_tokens`` of a text; the number of tokens written and the seconds it took."""
        ids = self._tokenizer.encode(text)[:prompt_tokens]
        began = time.monotonic()
        written = 0
        call = Call(tuple(ids), _slo(TaskKind.COMPLETION), answer_tokens, scored=scored)
        async with self.engine.submit(call) as deltas:
            async for delta in deltas:
                written += delta.tokens
        return written, time.monotonic() - began


@asynccontextmanager
async def served(folder: Path, context_tokens: int | None = None) -> AsyncIterator[ProductModel]:
    """Load the model of ``folder`` and serve it until the context is left.

    :param context_tokens: the setting ``completion.context_tokens``.
    """
    engine = EngineThread(Launch(folder, EngineSettings()))
    await engine.start()
    try:
        settings = CompletionSettings(context_tokens=context_tokens)
        prompter = await Prompters().completion(engine.folder, settings, engine.context_length)
        yield ProductModel(engine, prompter, Tokenizer.from_folder(folder))
    finally:
        engine.stop()
        await engine.wait_closed()


def _slo(kind: TaskKind) -> Slo:
    return Slo(kind, ServiceClass.E2E, time.monotonic(), math.inf, "evaluation")
