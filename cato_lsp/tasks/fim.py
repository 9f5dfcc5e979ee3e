"""Fill-in-the-middle prompts within a token budget, in an order that lets typing reuse the prefix cache.

In the PSM order (prefix, suffix, middle) a typed character would change the *middle* of the prompt, and everything
after it would have to be computed again. For those families the gap is moved back to the start of the current line: the
prompt ends in the middle token and the line as typed so far, which the model continues. Typing only appends to the
prompt. In the SPM order (suffix, prefix, middle; Codestral) the line is at the end anyway.

Blanks at the end of the line are left out, since a model reads ``x =`` and writes ``" 1"`` as one token. Postprocessing
adjusts the answer's leading blanks.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from cato_lsp.tasks.context import FileContext
from cato_lsp.tasks.fim_family import FimFamily, Order
from cato_lsp.tasks.healing import CutWord, Healer
from cato_lsp.tasks.tokenizer import Tokenizer
from cato_lsp.tasks.window import MAX_CHARACTERS_PER_TOKEN, end_after, plain, start_before

BLANKS = " \t"
NO_CONTEXT = FileContext()
_LINE_SHARE = 8
"""One eighth of the budget is reserved for the current line, so that the windows do not move as it grows."""
_LEFTOVER_STEPS = 16
_TAIL, _TAIL_LINES = 16, 4
_CONTEXT_SHARE = 4
"""A quarter of the budget is for other files, if the model can use them."""


@dataclass(frozen=True, slots=True)
class FimPrompt:
    """A prompt and the text of its parts. Line endings are line feeds."""

    ids: list[int]
    before: str
    """Text above the current line (and the start of the line, if the line is very long)."""
    line: str
    """The current line up to the cursor, without blanks at its end. The answer continues it."""
    after: str
    """Text from the cursor on."""
    cut: CutWord | None = None
    """The cut word that the answer must begin with; not part of ``ids``."""
    tail: list[int] = field(default_factory=list[int])
    """The tokens right before the answer, as a file that reads on has them."""
    document: list[int] = field(default_factory=list[int])
    """The document's tokens in the prompt, with -1 at the gap."""


class FimPromptBuilder:
    """Builds the prompts of one model.

    :param tokenizer: the model's tokenizer.
    :param family: the model's FIM format, or :data:`cato_lsp.tasks.families.PLAIN`.
    :param prompt_tokens: most tokens of a prompt: the context length less the answer.
    :param context_tokens: most of them for other files, at most half; ``None``: a quarter, if the model has learned to
        use them.
    :param healer: the tokenizer's, if one is at hand: it takes a while to make for a large vocabulary.
    :raises ValueError: if a control token of the family is missing from the vocabulary or the budget holds
        no text.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        family: FimFamily,
        prompt_tokens: int,
        context_tokens: int | None = None,
        *,
        healer: Healer | None = None,
    ) -> None:
        self._tokenizer = tokenizer
        self._family = family
        self._ids = {token: self._require(token) for token in (*family.required, family.bos) if token}
        begin = [self._ids[family.bos]] if family.bos else tokenizer.begin_ids if family.tokenizer_begins else []
        self._begin = [*begin, *tokenizer.encode_template(family.begin, begins=not begin)]
        self._end = tokenizer.encode_template(family.end, begins=False)
        if context_tokens is None:
            context_tokens = prompt_tokens // _CONTEXT_SHARE if family.learned_files else 0
        self._context_tokens = min(context_tokens, prompt_tokens // 2)
        least = 32 + len(self._begin) - len(begin) + len(self._end)
        if prompt_tokens < least:
            raise ValueError(f"a prompt of {prompt_tokens} tokens holds no useful text; at least {least} are needed")
        self._prompt_tokens = prompt_tokens
        # The line stands at the end of the prompt in one order only.
        self._healer = healer or Healer(tokenizer) if family.heals and family.order is Order.PSM else None

    @property
    def reads_other_files(self) -> bool:
        """Whether the budget and the format allow other files."""
        return self._context_tokens > 0 and bool(self._separator(self._family.file_separator))

    def build(
        self, text: str, offset: int, *, path: str = "", language: str = "", context: FileContext = NO_CONTEXT
    ) -> FimPrompt:
        """The prompt for a gap at ``offset``. Cost is bounded by the budget, not by the length of ``text``.

        :param path: the file's name, told to families that know file separators.
        :param language: the file's language as people write it, told to families that ask for it.
        :param context: what of other files goes before it, for those families.
        """
        header, named = self._header(path, language, context)
        frame = len(self._family.required) + len(self._begin) + len(self._end)
        room = self._prompt_tokens - frame - len(header) - len(named)
        line_start = text.rfind("\n", 0, offset) + 1
        line_room = room // _LINE_SHARE
        line_cut = self._line_cut(text, line_start, offset, line_room)
        start, end = self._windows(text, line_cut, offset, room - line_room)
        before = plain(text[start:line_cut])
        line = text[line_cut:offset].rstrip(BLANKS)
        after = plain(text[offset:end])
        cut = self._healer.heal(text[line_cut:offset]) if self._healer else None
        kept = line.removesuffix(cut.text) if cut else line
        ids = self._assemble(header, named, before, kept, after)
        encode = self._tokenizer.encode
        document = [*encode(before, continues=False), -1, *encode(after)]
        return FimPrompt(ids, before, line, after, cut, self._tail(before, kept), document)

    def _tail(self, before: str, line: str) -> list[int]:
        """The last tokens of the text before the answer, encoded from the start of a line."""
        start = len(before)
        for _ in range(_TAIL_LINES):
            start = before.rfind("\n", 0, max(0, start - 1)) + 1 if start else 0
        return self._tokenizer.encode(before[start:] + line)[-_TAIL:]

    def _assemble(self, header: list[int], named: list[int], before: str, line: str, after: str) -> list[int]:
        family, ids, encode = self._family, self._ids, self._tokenizer.encode
        begin, end = self._begin, self._end
        if family.order is Order.PLAIN:
            return [*begin, *header, *encode(before, continues=False), *encode(line, continues=bool(before))]
        prefix = [ids[family.prefix], *named, *encode(before, continues=bool(named))]
        suffix = [ids[family.suffix], *encode(after)]
        if family.order is Order.SPM:
            middle = [ids[family.middle]] if family.middle else []
            continued = encode(line, continues=bool(before or named))
            return [*begin, *header, *suffix, *prefix, *continued, *middle, *end]
        return [*begin, *header, *prefix, *suffix, ids[family.middle], *end, *encode(line)]

    def _windows(self, text: str, cut: int, offset: int, room: int) -> tuple[int, int]:
        """Where the windows before and after the cursor start and end: three quarters and one quarter of
        ``room``.

        What one side cannot use goes to the other, in coarse steps so that the border seldom moves.
        """
        if self._family.order is Order.PLAIN:
            return start_before(self._tokenizer, text, cut, room), offset
        step = max(1, room // _LEFTOVER_STEPS)
        after_room = room // 4
        end = end_after(self._tokenizer, text, offset, after_room)
        before_room = room - after_room
        if end == len(text):
            before_room += (after_room - self._count(text[offset:end])) // step * step
        start = start_before(self._tokenizer, text, cut, before_room)
        if start == 0 and end < len(text):
            after_room += (before_room - self._count(text[:cut], continues=False)) // step * step
            end = end_after(self._tokenizer, text, offset, after_room)
        return start, end

    def _line_cut(self, text: str, line_start: int, offset: int, room: int) -> int:
        """Start of the part of the line that stays at the end of the prompt. It moves in steps on very long lines."""
        cut = line_start
        excess = offset - line_start - room * MAX_CHARACTERS_PER_TOKEN
        if excess > 0:
            cut += -(-excess // room) * room
        while cut < offset and self._count(text[cut:offset].rstrip(BLANKS), continues=False) > room:
            cut = min(cut + room, offset)
        return cut

    def _count(self, text: str, *, continues: bool = True) -> int:
        return len(self._tokenizer.encode(plain(text), continues=continues))

    def _header(self, path: str, language: str, context: FileContext) -> tuple[list[int], list[int]]:
        """The parts before the FIM part and behind the prefix token: other files, and the document's name."""
        family = self._family
        separator = self._separator(family.own_separator or family.file_separator)
        if not separator or not path:
            return [], []
        others = self._other_files(context)
        if not others and not family.names_file:
            return [], []
        name = self._tokenizer.encode(path + family.own_end.format(language=language))
        if len(name) >= self._prompt_tokens // _LINE_SHARE:
            return [], []
        if family.files_in_prefix:
            return [], [*others, *separator, *name]
        if others and family.path_in_prefix:
            return [*others, *separator], name
        return [*others, *separator, *name], []

    def _other_files(self, context: FileContext) -> list[int]:
        """The repository's name and the other files, as far as they fit: the most telling, in the order given."""
        family, encode, left = self._family, self._tokenizer.encode, self._context_tokens
        separator = self._separator(family.file_separator)
        repository = self._tokenizer.token_id(family.repository)
        begin = [repository, *encode(context.repository + family.repository_end)] if repository is not None else []
        left -= len(begin)
        files: list[list[int]] = []
        for chunk in reversed(context.chunks):
            ids = [*separator, *encode(f"{chunk.path}\n{chunk.text}{family.file_end}")]
            if len(ids) <= left:
                files.append(ids)
                left -= len(ids)
        return [*begin, *(number for ids in reversed(files) for number in ids)] if files else []

    def _separator(self, spelling: str) -> list[int]:
        """A separator of files: one token, or text. Empty for a token that the vocabulary lacks."""
        number = self._tokenizer.token_id(spelling)
        if number is not None:
            return [number]
        return [] if spelling in self._family.control else self._tokenizer.encode(spelling)

    def _require(self, token: str) -> int:
        number = self._tokenizer.token_id(token)
        if number is None:
            raise ValueError(f"the vocabulary lacks {token!r}, which the format {self._family.name!r} needs")
        return number
