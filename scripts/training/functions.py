"""Task examples out of functions: summary, body from docstring, Python to JavaScript."""

from __future__ import annotations

import ast
import json
import re
import textwrap
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random

from training.corpus import SourceFile
from training.javascript import node_accepts, to_javascript
from training.js_expressions import UnsupportedError
from training.samples import CHARS_PER_TOKEN, Encoder, SampleSource

_SENTENCE = re.compile(r"\A[A-Z][^\n]{14,118}?\.(?=\s|\Z)")
_LONGEST = 1600


@dataclass(frozen=True, slots=True)
class Example:
    """One task with its answer. ``kind`` is ``summarize``, ``generate`` or ``translate``."""

    kind: str
    prompt: str
    answer: str


class TaskSamples:
    """Mixes task examples into another source: a share ``share`` of the samples, kinds in equal parts."""

    def __init__(self, examples: Iterable[Example], rest: SampleSource, encode: Encoder, share: float) -> None:
        self._rest, self._encode, self._share = rest, encode, share
        by_kind: dict[str, list[Example]] = {}
        for example in examples:
            by_kind.setdefault(example.kind, []).append(example)
        self._by_kind = list(by_kind.values())

    def sample(self, rng: Random, budget: int) -> list[int]:
        """A task example if one is drawn that fits in ``budget`` tokens, else one of the other source."""
        if rng.random() < self._share:
            kind = rng.choice(self._by_kind)
            for _ in range(4):
                example = rng.choice(kind)
                if len(example.prompt) + len(example.answer) < budget * CHARS_PER_TOKEN:
                    ids = encode_example(example, self._encode)
                    if len(ids) <= budget:
                        return ids
        return self._rest.sample(rng, budget)


def encode_example(example: Example, encode: Encoder) -> list[int]:
    """``<|kind|>prompt<|answer|>answer<|endoftext|>``; a translation's prompt starts with its language."""
    start, answer = encode.special[f"<|{example.kind}|>"], encode.special["<|answer|>"]
    return [start, *encode(example.prompt), answer, *encode(example.answer), encode.end]


def load_examples(files: Iterable[SourceFile], cache: Path) -> list[Example]:
    """The examples of ``files``, read from the file ``cache`` when it exists."""
    if not cache.exists():
        examples = list(build_examples(files))
        cache.write_text("".join(json.dumps(asdict(e)) + "\n" for e in examples), encoding="utf-8")
    return [Example(**json.loads(line)) for line in cache.read_text(encoding="utf-8").splitlines()]


def build_examples(files: Iterable[SourceFile]) -> Iterator[Example]:
    """Every example that the functions of ``files`` give; translations only if Node's parser accepts them."""
    translations: list[Example] = []
    for file in files:
        for function in functions_of(file.text):
            yield from _documented(file.text, function)
            translation = _translated(file.text, function)
            if translation:
                translations.append(translation)
    accepted = node_accepts([e.answer for e in translations])
    yield from (e for e, good in zip(translations, accepted, strict=True) if good)


def functions_of(text: str) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Functions of a file, methods included, whose body is more than one trivial statement."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            if body and not isinstance(body[0], ast.Pass | ast.Raise) and not _is_ellipsis(body[0]):
                yield node


def first_sentence(documentation: str) -> str | None:
    """The first sentence of a docstring on one line, if it reads as one."""
    paragraph = " ".join(documentation.strip().split("\n\n")[0].split())
    match = _SENTENCE.match(paragraph)
    return match.group() if match and not re.search(r"[:`|>]{2}|https?:", match.group()) else None


def source_lines(text: str, first: int, last: int) -> str:
    """Lines ``first`` to ``last``, counted from one, without the last line end."""
    return "\n".join(text.splitlines()[first - 1 : last])


def without_docstring(text: str, function: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    """Source of a function, dedented, its docstring left out."""
    last = function.end_lineno or function.lineno
    if not ast.get_docstring(function):
        return textwrap.dedent(source_lines(text, function.lineno, last))
    documentation = function.body[0]
    head = source_lines(text, function.lineno, documentation.lineno - 1)
    rest = source_lines(text, (documentation.end_lineno or 0) + 1, last).lstrip("\n")
    return textwrap.dedent(f"{head}\n{rest}")


def _documented(text: str, function: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[Example]:
    documentation = ast.get_docstring(function)
    last = function.end_lineno or function.lineno
    if not documentation or function.body[0].lineno == function.lineno:
        return
    sentence = first_sentence(documentation)
    if sentence is None:
        return
    bare = without_docstring(text, function)
    if len(bare) < _LONGEST:
        yield Example("summarize", bare, sentence)
    documented_to = function.body[0].end_lineno or 0
    body = source_lines(text, documented_to + 1, last).strip("\n")
    head = source_lines(text, function.lineno, documented_to) + "\n"
    if body and len(head) + len(body) < _LONGEST:
        if len(documentation) > 400:
            indent = " " * function.body[0].col_offset
            signature = source_lines(text, function.lineno, function.body[0].lineno - 1)
            head = f'{signature}\n{indent}"""{sentence}"""\n'
        yield Example("generate", head, body)


def _translated(text: str, function: ast.FunctionDef | ast.AsyncFunctionDef) -> Example | None:
    try:
        answer = to_javascript(function)
    except UnsupportedError:
        return None
    source = textwrap.dedent(source_lines(text, function.lineno, function.end_lineno or function.lineno))
    if len(source) > _LONGEST or answer.count("\n") < 2:
        return None
    return Example("translate", f"javascript\n{source}", answer)


def _is_ellipsis(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
