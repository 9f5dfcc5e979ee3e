"""Generate: the body of a function from its signature and documentation, or code from a comment."""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass, replace
from functools import partial

from cato_lsp.scheduling.slo import TaskKind
from cato_lsp.tasks.calls import Answer, CallEstimate, Calls, CannotDoError, ModelCall, alternatives, call_for
from cato_lsp.tasks.edit import Edit
from cato_lsp.tasks.indentation import Indentation, detect_indentation, leading_blanks
from cato_lsp.tasks.languages import DocumentLanguage, language_of
from cato_lsp.tasks.prompts import Prompter, code_of, generate
from cato_lsp.tasks.repetition import is_stuck, without_repetition
from cato_lsp.tasks.snapshot import Snapshot
from cato_lsp.tasks.symbols import Outline, Symbol, SymbolKind, outline_of, syntax_errors
from cato_lsp.tasks.syntax import has_errors_within
from cato_lsp.tasks.task import TaskRequest, TaskResult

EXPECTED_TOKENS = 120
MOST_TOKENS = 512
_CONTEXT_SHARE = 3
"""The code above may use a third of the context."""

_STUB = re.compile(
    r"(?:pass|\.\.\.|raise NotImplementedError(?:\(.*\))?|return|throw new [\w.]+\(.*\);?|"
    r"(?:todo|unimplemented)!\(.*\);?|panic\(.*\)|return (?:None|null|nil|0);?)?\Z",
    re.DOTALL,
)
_HEADS = re.compile(
    r"\s*(?:(?:export|default|pub|public|private|protected|static|async|abstract|unsafe)\s+)*(?:def|class|func|fn|function)\b"
)


@dataclass(frozen=True, slots=True)
class GenerationTarget:
    """The place of generated code: ``[start, end)`` is replaced by ``before`` + code + ``after``."""

    head: str
    """The source of the code: signature and documentation, or a comment. Ends in a line feed."""
    start: int
    end: int
    before: str
    after: str
    margin: str
    """Blanks that every line of the code begins with."""
    level: str
    """Blanks of one level of indentation."""


def generation_target(snapshot: Snapshot, offset: int) -> GenerationTarget | None:
    """The target for a cursor at ``offset``; ``None`` if no signature or comment is there."""
    outline = outline_of(snapshot.text, snapshot.language)
    language = language_of(snapshot.language)
    default = Indentation(tabs=language.tabs, width=language.indent_width)
    style = detect_indentation(snapshot.text.splitlines(), default, language.opens_block)
    level = style.render(style.width)
    line_start, line_end = snapshot.line_start(offset), snapshot.line_end(offset)
    symbol = outline.enclosing(line_start + len(leading_blanks(snapshot.text[line_start:line_end])), line_start)
    if symbol is not None and symbol.kind is SymbolKind.FUNCTION and symbol.body is not None:
        return _stub(outline, symbol, level)
    return (
        _stub_above(outline, line_start, line_end, level)
        or _open_head(snapshot, offset, language, level)
        or _comment(snapshot, offset, language)
    )


class Generation:
    """Writes the code of one target, with one call. The result is an edit.

    :raises CannotDoError: if signature and documentation are too long for the model.
    """

    note = ""

    def __init__(self, snapshot: Snapshot, target: GenerationTarget, prompter: Prompter) -> None:
        self._snapshot = snapshot
        self._target = target
        self._prompter = prompter
        self._call = self._prepare()

    @classmethod
    def request(cls, snapshot: Snapshot, target: GenerationTarget) -> TaskRequest:
        """The request for this task."""
        return TaskRequest(TaskKind.GENERATION, snapshot.uri, target.start, partial(cls, snapshot, target))

    def estimate(self) -> list[CallEstimate]:
        """See `Task.estimate`."""
        return [self._call.estimate]

    async def run(self, calls: Calls) -> TaskResult | None:
        """See `Task.run`."""

        def on_text(text: str) -> bool:
            calls.show(self._shaped(text))
            return is_stuck(text)

        first = await calls.compute(self._result, await calls.call(self._call, on_text=on_text))
        if (first is not None and not first.unverified) or not calls.has_time_for(self._call.estimate):
            return first
        answers = await calls.map(alternatives(self._call), on_text=lambda _number, text: is_stuck(text))
        results = [await calls.compute(self._result, answer) for answer in answers]
        return next((result for result in results if result is not None and not result.unverified), first)

    def _result(self, answer: Answer) -> TaskResult | None:
        lines = without_repetition(self._shaped(answer.text)).split("\n")
        if not answer.complete:
            lines = lines[:-1]
        return self._sound(lines, answer.complete)

    def _prepare(self) -> ModelCall:
        budget = self._prompter.context_tokens // _CONTEXT_SHARE
        context = "" if self._prompter.one_function_only else self._code_above(budget)
        prompt = self._prompter.prompt(generate(self._target.head, self._snapshot.language, context))
        call = call_for(prompt, self._prompter.context_tokens, EXPECTED_TOKENS, MOST_TOKENS) if prompt else None
        if call is None:
            raise CannotDoError("The signature and its documentation are too long for the model.")
        return call

    def _sound(self, lines: list[str], complete: bool) -> TaskResult | None:
        """The longest first part that parses in place; all of it, unverified, if none does.

        :param complete: whether the model ended the answer; if not, no part of it is called verified.
        """
        whole = lines
        while any(line.strip() for line in lines):
            edit = self._edit(lines)
            if self._parses(edit):
                return TaskResult(edit, unverified=not complete)
            lines = lines[:-1]
        return TaskResult(self._edit(whole), unverified=True) if any(line.strip() for line in whole) else None

    def _parses(self, edit: Edit) -> bool:
        """Whether the document has no syntax errors after the edit, or had some before and none within the edit."""
        text, language = self._snapshot.text, self._snapshot.language
        if not syntax_errors(edit.apply(text), language):
            return True
        if not syntax_errors(text, language):
            return False
        return not has_errors_within(language, text[: edit.start], edit.text, text[edit.end :])

    def _edit(self, lines: list[str]) -> Edit:
        target = self._target
        code = f"{target.before}{chr(10).join(lines).rstrip()}{target.after}"
        return Edit(target.start, target.end, code.replace("\n", self._snapshot.newline))

    def _shaped(self, answer: str) -> str:
        code = _without_head(code_of(answer), self._target.head, self._snapshot.language)
        return reindented(code, self._target.margin, self._target.level)

    def _code_above(self, budget: int) -> str:
        above = self._snapshot.text[: self._target.start].replace("\r\n", "\n").removesuffix(self._target.head)
        lines = above.split("\n")[-80:]
        while lines and self._prompter.count("\n".join(lines)) > budget:
            lines = lines[len(lines) // 4 + 1 :]
        return "\n".join(lines).strip("\n")


def reindented(code: str, margin: str, level: str) -> str:
    """``code`` with every line indented by ``margin``, however the model has indented it.

    A model that continues a line omits the indentation of the first line. Then the other lines determine it.
    """
    lines = code.replace("\t", level if "\t" not in level else "\t").split("\n")
    first, rest = lines[0], textwrap.dedent("\n".join(lines[1:]))
    deepest_common = len(leading_blanks("\n".join(lines[1:]).lstrip("\n"))) if rest.strip() else 0
    if not leading_blanks(first) and deepest_common:
        begins_deeper = rest.lstrip("\n") and not leading_blanks(rest.lstrip("\n"))
        if first.rstrip().endswith((":", "{", "(", "[")) and begins_deeper:
            rest = textwrap.indent(rest, level)
        dedented = f"{first}\n{rest}"
    else:
        dedented = textwrap.dedent(code)
    return "\n".join(f"{margin}{line}" if line.strip() else "" for line in dedented.split("\n"))


def _stub_above(outline: Outline, line_start: int, line_end: int, level: str) -> GenerationTarget | None:
    """The stub above an empty line with the indentation of its body: where the user continues to write."""
    text = outline.text
    indent = text[line_start:line_end]
    end = len(text[:line_start].rstrip())
    symbol = outline.enclosing(text.rfind("\n", 0, end) + 1, end)
    if indent.strip() or symbol is None or symbol.kind is not SymbolKind.FUNCTION or symbol.body is None:
        return None
    head = text.rfind("\n", 0, symbol.head) + 1
    target = _stub(outline, symbol, level) if len(indent) > len(leading_blanks(text[head:])) else None
    return target if target is None or text[target.end : line_end].strip() else replace(target, end=line_end)


def _stub(outline: Outline, symbol: Symbol, level: str) -> GenerationTarget | None:
    """The body of a function that does nothing yet."""
    assert symbol.body is not None
    text, (start, end) = outline.text, symbol.body
    line = text.rfind("\n", 0, symbol.head) + 1
    margin = leading_blanks(text[line:]) + level
    top = symbol.head
    if language_of(outline.language).indented_blocks:
        if symbol.doc is not None:
            start = symbol.doc.end
        if not _STUB.match(_without_comments(text[start:end], outline.language)):
            return None
        start = _end_of_code(text, start)
        end = max(start, _end_of_code(text, end))
        after = ""
    else:
        start, end = start + 1, end - 1
        has_braces = text[start - 1 : start] == "{" and start <= end and text[end : end + 1] == "}"
        if not has_braces or not _STUB.match(_without_comments(text[start:end], outline.language)):
            return None
        after = f"\n{leading_blanks(text[line:])}"
        top = symbol.doc.start if symbol.doc is not None else symbol.head
    top = text.rfind("\n", 0, top) + 1
    comments = [each for each in text[start:end].split("\n") if language_of(outline.language).is_comment(each)]
    kept = [each.rstrip() for each in comments]
    head = "\n".join([text[top:start].rstrip(), *kept]).replace("\r\n", "\n")
    return GenerationTarget(f"{head}\n", start, end, "\n".join(["", *kept, ""]), after, margin, level)


def _without_comments(body: str, language: str) -> str:
    known = language_of(language)
    return "\n".join(line for line in body.splitlines() if not known.is_comment(line)).strip()


def _open_head(snapshot: Snapshot, offset: int, language: DocumentLanguage, level: str) -> GenerationTarget | None:
    """A function head without a body, on the cursor's line or the last non-empty line above it."""
    text = snapshot.text
    end = _end_of_code(text, snapshot.line_end(offset))
    line_start = snapshot.line_start(end)
    if not language.opens_block(text[line_start:end]) or text[end - 1] in "([":
        return None
    top = line_start
    for _ in range(10):
        if _HEADS.match(text[top:end]):
            below = text[end:].lstrip("\r\n")
            margin = leading_blanks(text[top:end]) + level
            if below.strip() and len(leading_blanks(below)) >= len(margin):
                return None
            after = "" if text[end - 1] != "{" else f"\n{leading_blanks(text[top:end])}}}"
            head = text[top:end].replace("\r\n", "\n")
            return GenerationTarget(f"{head}\n", end, end, "\n", after, margin, level)
        if top == 0:
            break
        top = text.rfind("\n", 0, top - 1) + 1
    return None


def _comment(snapshot: Snapshot, offset: int, language: DocumentLanguage) -> GenerationTarget | None:
    """The comment on the cursor's line or right above it, if nothing follows it."""
    text = snapshot.text
    end = _end_of_code(text, snapshot.line_end(offset))
    if "\n\n" in text[end : snapshot.line_start(offset)].replace("\r\n", "\n"):
        return None
    top = line_start = snapshot.line_start(end)
    if not language.is_comment(text[line_start:end]):
        return None
    below = text[end:].replace("\r\n", "\n").removeprefix("\n").partition("\n")[0]
    if below.strip():
        return None
    while top > 0 and language.is_comment(text[snapshot.line_start(top - 1) : top]):
        top = snapshot.line_start(top - 1)
    margin = leading_blanks(text[line_start:end])
    return GenerationTarget(text[top:end].replace("\r\n", "\n") + "\n", end, end, "\n", "", margin, "")


def _end_of_code(text: str, end: int) -> int:
    return len(text[:end].rstrip())


def _without_head(code: str, head: str, language: str) -> str:
    """The code without a signature that the model has repeated."""
    signature = next((line.strip() for line in head.split("\n") if _HEADS.match(line)), "")
    first = code.lstrip("\n").partition("\n")[0].strip()
    if not signature or first != signature:
        return code
    outline = Outline(textwrap.dedent(code), language)
    if not outline.top or outline.top[0].body is None:
        return code
    (start, end), doc = outline.top[0].body, outline.top[0].doc
    if language_of(language).indented_blocks:
        line = outline.text.rfind("\n", 0, start) + 1
        return outline.text[line if doc is None else doc.end : end].strip("\n")
    return outline.text[start + 1 : end - 1].strip("\n").rstrip()
