"""Task examples out of functions: summary, body from docstring, Python to JavaScript."""

from __future__ import annotations

import ast
import json
import re
import textwrap
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random

from training.corpus import SourceFile
from training.javascript import node_accepts, to_javascript
from training.js_expressions import UnsupportedError
from training.renaming import names_of, renamed
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
    """Samples of the examples of one task; where none fits, a sample of another source."""

    def __init__(self, examples: Iterable[Example], kind: str, rest: SampleSource, encode: Encoder) -> None:
        self._examples = [example for example in examples if example.kind == kind]
        self._rest, self._encode = rest, encode

    def sample(self, rng: Random, budget: int) -> list[int]:
        """An example of at most ``budget`` tokens, if one of four that are drawn fits."""
        for _ in range(4):
            example = rng.choice(self._examples)
            if len(example.prompt) + len(example.answer) < budget * CHARS_PER_TOKEN:
                ids = encode_example(example, self._encode)
                if len(ids) <= budget:
                    return ids
        return self._rest.sample(rng, budget)


def encode_example(example: Example, encode: Encoder) -> list[int]:
    """``<|kind|>prompt<|answer|>answer<|endoftext|>``; a translation's prompt starts with its language."""
    start, answer = encode.special[f"<|{example.kind}|>"], encode.special["<|answer|>"]
    return [start, *encode(example.prompt), answer, *encode(example.answer), encode.end]


def load_examples(files: Iterable[SourceFile], more: Iterable[SourceFile], cache: Path) -> list[Example]:
    """The examples of ``files``, read from the file ``cache`` when it exists.

    :param more: files that give translations, as they are and with other names.
    """
    if not cache.exists():
        examples = [example for example in build_examples(files) if example.kind != "translate"]
        examples += build_translations(more)
        cache.write_text("".join(json.dumps(asdict(e)) + "\n" for e in examples), encoding="utf-8")
    return [Example(**json.loads(line)) for line in cache.read_text(encoding="utf-8").splitlines()]


def build_examples(files: Iterable[SourceFile]) -> Iterator[Example]:
    """Every example that the functions of ``files`` give; translations only if Node's parser accepts them."""
    translations: list[Example] = []
    for file in files:
        for function in functions_of(file.text):
            yield from _documented(file.text, function)
            translation = _translated(_source(file.text, function))
            if translation:
                translations.append(translation)
    yield from _accepted(translations)


def build_translations(files: Iterable[SourceFile]) -> list[Example]:
    """Every different translation of the functions of ``files``, and one more of each with names of other functions."""
    sources = {_source(file.text, function): None for file in files for function in functions_of(file.text)}
    plain = {source: made for source in sources if (made := _translated(source))}
    names = sorted({name for source in plain for name in names_of(source)})
    rng = Random(0)
    changed = (renamed(source, names, rng) for source in plain)
    others = [_translated(source) for source in changed if source not in plain]
    return _accepted([*plain.values(), *filter(None, others)])


def _accepted(translations: Sequence[Example]) -> list[Example]:
    accepted = node_accepts([example.answer for example in translations])
    return [example for example, good in zip(translations, accepted, strict=True) if good]


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


def _source(text: str, function: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    return textwrap.dedent(source_lines(text, function.lineno, function.end_lineno or function.lineno))


def _translated(source: str) -> Example | None:
    if len(source) > _LONGEST:
        return None
    try:
        match ast.parse(source).body:
            case [ast.FunctionDef() | ast.AsyncFunctionDef() as function]:
                answer = to_javascript(function)
            case _:
                return None
    except (UnsupportedError, SyntaxError):
        return None
    return Example("translate", f"javascript\n{source}", answer) if answer.count("\n") >= 2 else None


def _is_ellipsis(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
