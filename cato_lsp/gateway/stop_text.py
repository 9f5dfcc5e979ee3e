"""Ends an answer at a stop text, even if the text is split between deltas."""

from __future__ import annotations

from collections.abc import Sequence


class StopText:
    """Forwards an answer until it contains one of the stop texts.

    :param stops: the texts, not empty.
    :param skip: blanks at the end of the prompt. They are removed from the start of the answer if it repeats them.
    """

    def __init__(self, stops: Sequence[str], skip: str = "") -> None:
        self._stops = stops
        self._held = ""
        self._skip = skip
        self._longest = max(map(len, stops), default=0)
        self.stopped = False

    def feed(self, text: str, *, last: bool = False) -> str:
        """Add the next part of the answer; return the text that can be sent now.

        :param last: nothing follows.
        """
        while self._skip and text:
            if text[0] != self._skip[0]:
                self._skip = ""
            else:
                text, self._skip = text[1:], self._skip[1:]
        self._held += text
        found = [place for stop in self._stops if (place := self._held.find(stop)) >= 0]
        if found:
            self.stopped = True
            shown, self._held = self._held[: min(found)], ""
            return shown
        # Hold back text that may be the beginning of a stop text.
        kept = 0 if last else next((n for n in range(self._longest - 1, 0, -1) if self._may_go_on(n)), 0)
        border = len(self._held) - kept
        shown, self._held = self._held[:border], self._held[border:]
        return shown

    def _may_go_on(self, count: int) -> bool:
        tail = self._held[-count:] if len(self._held) >= count else None
        return tail is not None and any(stop.startswith(tail) for stop in self._stops)
