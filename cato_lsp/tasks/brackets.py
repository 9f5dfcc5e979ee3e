"""Scans code for brackets and quotes that stay open, or that close one opened before."""

from __future__ import annotations

from dataclasses import dataclass, field

OPENERS = "([{"
CLOSERS = ")]}"
CLOSER_OF = dict(zip(OPENERS, CLOSERS, strict=True))
OPENER_OF = dict(zip(CLOSERS, OPENERS, strict=True))


@dataclass(slots=True)
class BracketScan:
    """A scan of text in pieces. Strings end with their line; comments are not recognized."""

    quotes: str = "\"'"
    quote: str = ""
    """The quote of the string the scan is in, empty outside of strings."""
    open: list[str] = field(default_factory=list[str])
    """Closers that are missing, the innermost last."""
    unmatched: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])
    """Offset and character of each closer (or closing quote) whose opener lies before the scanned text."""
    offset: int = 0
    """Characters scanned so far."""
    _escaped: bool = False
    _own_quote: bool = False

    def feed(self, text: str) -> None:
        """Scan more text."""
        for character in text:
            self._step(character)
            self.offset += 1

    def _step(self, character: str) -> None:
        if self._escaped:
            self._escaped = False
        elif character == "\\":
            self._escaped = True
        elif self.quote:
            self._step_in_string(character)
        elif character in self.quotes:
            self.quote, self._own_quote = character, True
        elif character in OPENERS:
            self.open.append(CLOSER_OF[character])
        elif character in CLOSERS:
            if self.open and self.open[-1] == character:
                self.open.pop()
            else:
                self.unmatched.append((self.offset, character))

    def _step_in_string(self, character: str) -> None:
        if character == self.quote:
            if not self._own_quote:
                self.unmatched.append((self.offset, character))
            self.quote = ""
        elif character == "\n":
            self.quote = ""


def scan(text: str, *, quotes: str = "\"'", quote: str = "") -> BracketScan:
    """Scan ``text``, which begins inside of a string if ``quote`` is given."""
    state = BracketScan(quotes=quotes, quote=quote)
    state.feed(text)
    return state
