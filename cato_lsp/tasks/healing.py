"""Token healing: lets a model continue a word that the cursor cuts.

A tokenizer splits ``self._buf`` into other tokens than the same letters in ``self._buffer``. A prompt that ends in a
cut word shows the model a token sequence that is rare in its training data. A healed prompt ends before the word, and
the answer must begin with its typed letters, in any tokens (the idea is from ``guidance``). A typed blank belongs to
the next token and is treated in the same way.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass

from cato_lsp.tasks.tokenizer import Tokenizer

LONGEST = 64
"""Longer cut words are not healed."""

Spellings = tuple[dict[int, int], ...]
"""For each count of characters already written: the tokens that may follow, and the count after each."""


@dataclass(frozen=True, slots=True)
class CutWord:
    """The end of a line, which the answer must begin with."""

    text: str
    """The text that the prompt leaves out; empty for a blank, which every prompt leaves out."""
    ids: list[int]
    """The tokens of the text on its own."""
    spellings: Spellings
    """All token sequences for the text, or the blank. The last token may extend beyond it."""


class Healer:
    """Finds the cut words of lines, for one model."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._vocabulary = sorted((text, number) for number, text in tokenizer.token_texts().items())
        self._blank = CutWord("", [], self._spellings(" "))

    def heal(self, line: str) -> CutWord | None:
        """The cut word at the end of a line, ``None`` if it has only one token sequence."""
        if not line[-1:].strip():
            return self._blank if line[-1:] == " " and line[-2:-1].strip() else None
        text = line[self._tokenizer.last_piece(line) :]
        if len(text) > LONGEST or not text:
            return None
        ids, spellings = self._tokenizer.encode(text), self._spellings(text)
        if all(len(tokens) == 1 for tokens in spellings) or not _holds(spellings, ids):
            return None
        return CutWord(text, ids, spellings)

    def _spellings(self, text: str) -> Spellings:
        spellings: list[dict[int, int]] = []
        for start in range(len(text) - 1, -1, -1):
            rest = text[start:]
            whole = dict.fromkeys(self._starting_with(rest), len(text))
            parts = {
                number: start + length
                for length in range(1, len(rest))
                if spellings[-length]
                for number in self._spelled(rest[:length])
            }
            spellings.append(parts | whole)
        return tuple(reversed(spellings))

    def _starting_with(self, text: str) -> list[int]:
        first = bisect_left(self._vocabulary, (text, -1))
        # No character sorts after the last code point.
        after = bisect_left(self._vocabulary, (text + chr(0x10FFFF), -1), lo=first)
        return [number for _, number in self._vocabulary[first:after]]

    def _spelled(self, text: str) -> list[int]:
        first = bisect_left(self._vocabulary, (text, -1))
        after = bisect_left(self._vocabulary, (text + "\0", -1), lo=first)
        return [number for _, number in self._vocabulary[first:after]]


def _holds(spellings: Spellings, ids: list[int]) -> bool:
    """Whether ``ids`` is one of the spellings."""
    written = 0
    for number in ids:
        if written == len(spellings) or number not in spellings[written]:
            return False
        written = spellings[written][number]
    return written == len(spellings)
