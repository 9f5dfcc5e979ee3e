"""Where an answer of ``/infill`` ends, besides what the engine decides."""

from __future__ import annotations

import re
from collections.abc import Callable

from cato_lsp.gateway.stop_text import StopText

_LINES = re.compile(r"[^\n]*\n|[^\n]+")
_MARGIN = re.compile(r"[ \t]*")


class InfillEnd:
    """Ends an answer at a stop text, before a line that is indented less, or when its time is over.

    :param stops: finds the stop texts.
    :param indent: least number of blanks at the start of each line after the first. Empty lines may have none.
    :param seconds: time from the first token after which an answer of at least one whole line ends; 0: no limit.
    :param clock: a monotonic clock in seconds.
    """

    def __init__(self, stops: StopText, indent: int, seconds: float, clock: Callable[[], float]) -> None:
        self.stopped = False
        """Whether the end was found."""
        self._stops = stops
        self._indent = indent
        self._seconds = seconds
        self._clock = clock
        self._begun: float | None = None
        self._has_line = False
        self._starts_line = False
        self._margin = ""
        """Blanks at the start of the last line, held back until it goes on."""

    @property
    def at_stop_text(self) -> bool:
        """Whether a stop text ended the answer."""
        return self._stops.stopped

    def feed(self, text: str, *, last: bool = False) -> str:
        """Add the next part of the answer; return the text that can be sent now."""
        now = self._clock()
        self._begun = now if self._begun is None else self._begun
        text, self._margin = self._margin + self._stops.feed(text, last=last), ""
        self.stopped = self._stops.stopped
        shown = "".join(self._indented(text, last=last or self.stopped))
        if self._seconds and self._has_line and now - self._begun > self._seconds:
            self.stopped = True
        return shown

    def _indented(self, text: str, *, last: bool) -> list[str]:
        """The lines up to one that is indented less."""
        lines: list[str] = []
        for line in _LINES.findall(text):
            if self._starts_line:
                margin = _MARGIN.match(line)
                assert margin is not None
                if margin[0] == line and not last:
                    self._margin = line
                    break
                if line.strip() and len(margin[0]) < self._indent:
                    self.stopped = True
                    break
            lines.append(line)
            self._starts_line = line.endswith("\n")
            self._has_line = self._has_line or self._starts_line
        return lines
