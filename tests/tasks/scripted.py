"""A model that says what a test wants, behind the interface through which tasks ask."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from cato_lsp.tasks.calls import Answer, CallEstimate, Calls, ModelCall, OnText
from cato_lsp.tasks.edit import Edit
from cato_lsp.tasks.snapshot import Snapshot
from cato_lsp.tasks.task import TaskResult


class ScriptedCalls(Calls):
    """Answers with what ``answer`` gives for a call's prompt, as text; records prompts and previews."""

    def __init__(
        self, decode: Callable[[Sequence[int]], str], answer: Callable[[str], str], *, time: bool = True
    ) -> None:
        self._decode = decode
        self._answer = answer
        self._time = time
        self.prompts: list[str] = []
        self.most: list[int] = []
        """The most tokens that each call may give."""
        self.then: list[int] = []
        self.shown: list[str] = []

    async def call(
        self, call: ModelCall, *, then: Sequence[CallEstimate] = (), on_text: OnText | None = None
    ) -> Answer:
        self.prompts.append(self._decode(call.prompt.ids))
        self.most.append(call.max_tokens)
        self.then.append(len(then))
        text = self._answer(self.prompts[-1])
        for end in range(1, len(text) + 1):
            if on_text is not None and on_text(text[:end]):
                return Answer(text[:end], complete=False)
        return Answer(text, complete=True)

    async def map(
        self,
        calls: Sequence[ModelCall],
        *,
        then: Sequence[CallEstimate] = (),
        on_text: Callable[[int, str], bool] | None = None,
    ) -> list[Answer]:
        answers: list[Answer] = []
        for number, call in enumerate(calls):
            watch = None if on_text is None else lambda text, number=number: on_text(number, text)
            answers.append(await self.call(call, then=then, on_text=watch))
        return answers

    def has_time_for(self, extra: CallEstimate) -> bool:
        return self._time

    def show(self, text: str) -> None:
        self.shown.append(text)


def at(marked: str, language: str = "python", newline: str = "\n") -> tuple[Snapshot, int]:
    """A snapshot and the offset of the ``‸`` in a text."""
    text = marked.replace("\n", newline)
    return Snapshot("file:///a", language, 1, text.replace("‸", "")), text.index("‸")


def edit_of(result: TaskResult | None) -> Edit:
    assert result is not None
    assert isinstance(result.content, Edit)
    return result.content
