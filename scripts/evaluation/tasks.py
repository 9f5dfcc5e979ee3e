"""How good docstrings, bodies and translations are: as the model wrote them, and as the product offers them."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from statistics import fmean
from textwrap import dedent, indent

import anyio
from training.functions import Example
from training.javascript import node_accepts

from cato_lsp.orchestrator.record import TaskRecord
from cato_lsp.orchestrator.task_calls import TaskCalls
from cato_lsp.scheduling.slo import ServiceClass, Slo, TaskKind
from cato_lsp.tasks.calls import CannotDoError
from cato_lsp.tasks.edit import Edit
from cato_lsp.tasks.generation import Generation, generation_target
from cato_lsp.tasks.prompts import Prompter, generate, summarize, translate
from cato_lsp.tasks.snapshot import Snapshot
from cato_lsp.tasks.task import Task, TaskResult
from cato_lsp.tasks.translation import Translation
from evaluation.concurrency import each
from evaluation.measures import is_one_sentence, mentions_identifier, parses
from evaluation.product import ProductModel
from evaluation.report import Figures


async def measure_docstrings(model: ProductModel, examples: Sequence[Example]) -> Figures:
    """Shares of docstrings that are one sentence, that end, and that speak of the function."""
    answers = await each(examples, lambda e: model.answer(summarize(e.prompt, "python"), 64))
    pairs = list(zip(answers, examples, strict=True))
    return {
        "docstring: one sentence": fmean(is_one_sentence(text) for text, _ in answers),
        "docstring: ends by itself": fmean(ended for _, ended in answers),
        "docstring: mentions an identifier": fmean(mentions_identifier(a[0], e.prompt) for a, e in pairs),
    }


async def measure_bodies(model: ProductModel, examples: Sequence[Example]) -> Figures:
    """Shares of bodies, written from signature and docstring, that parse; and those that the product calls verified."""
    answers = await each(examples, lambda e: model.answer(generate(e.prompt, "python"), 512))
    wholes = [f"def function():\n{indent(dedent(text), '    ')}" for text, _ in answers]
    results = await each(examples, lambda e: _offered(model, lambda prompter: _body(e, prompter)))
    files = [
        result.content.apply(dedent(example.prompt))
        for result, example in zip(results, examples, strict=True)
        if result is not None and isinstance(result.content, Edit)
    ]
    return {
        "body: ends by itself": fmean(ended for _, ended in answers),
        "body: parses": fmean(map(parses, wholes)),
        **_offers("body", results, [parses(file) for file in files]),
    }


async def measure_translations(model: ProductModel, examples: Sequence[Example]) -> Figures:
    """Shares of translations to JavaScript that Node accepts and that are the converter's own; and of the product's."""
    sources = [e.prompt.removeprefix("javascript\n") for e in examples]
    answers = await each(sources, lambda s: model.answer(translate(s, "python", "javascript"), 600))
    results = await each(sources, lambda s: _offered(model, lambda prompter: _translation(s, prompter)))
    texts = [str(r.content) for r in results if r]
    offered = [str(r.content) if r else "" for r in results]
    return {
        "Python → JavaScript: Node parses it": fmean(node_accepts([text for text, _ in answers])),
        "Python → JavaScript: exact": fmean(a[0].strip() == e.answer for a, e in zip(answers, examples, strict=True)),
        **_offers("Python → JavaScript", results, node_accepts(texts)),
        "Python → JavaScript, offered: exact": fmean(
            text.strip() == e.answer for text, e in zip(offered, examples, strict=True)
        ),
    }


def _offers(name: str, results: Sequence[TaskResult | None], good: Sequence[bool]) -> Figures:
    """Shares of all examples: offered as done, parses; and of those offered as done, parses."""
    offered = [result for result in results if result is not None]
    done = [parse for result, parse in zip(offered, good, strict=True) if not result.unverified]
    return {
        f"{name}, offered: parses": sum(good) / len(results),
        f"{name}, offered: as done": len(done) / len(results),
        f"{name}, offered as done: parses": fmean(done) if done else 0.0,
    }


async def _offered(model: ProductModel, prepare: Callable[[Prompter], Task]) -> TaskResult | None:
    """The result of a task without a deadline."""
    try:
        task = await anyio.to_thread.run_sync(prepare, model.prompter)
    except CannotDoError:
        return None
    slo = Slo(TaskKind.TRANSLATION, ServiceClass.E2E, time.monotonic(), math.inf, "evaluation")
    calls = TaskCalls(
        model.engine, slo, TaskRecord(slo.kind, slo.client, slo.deadline), time.monotonic, task.estimate()
    )
    return await task.run(calls)


def _body(example: Example, prompter: Prompter) -> Task:
    text = dedent(example.prompt)
    snapshot = Snapshot("file:///example.py", "python", 1, text)
    target = generation_target(snapshot, len(text.rstrip()))
    if target is None:
        raise CannotDoError("no head is recognized")
    return Generation(snapshot, target, prompter)


def _translation(source: str, prompter: Prompter) -> Task:
    return Translation(Snapshot("file:///example.py", "python", 1, source), 0, len(source), "javascript", prompter)
