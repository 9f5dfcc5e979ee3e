"""Counts of completions offered, shown and accepted, from the editor's reports. They stay on this machine."""

from __future__ import annotations

import itertools
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

_REMEMBERED = 256
KEPT_AFTER = 30.0
"""Seconds after acceptance at which the rest of a completion in the document is measured."""

_numbers = itertools.count(1)


@dataclass(slots=True)
class _Offer:
    text: str
    uri: str
    shown: bool = False
    accepted: int = 0
    """Accepted characters."""
    judge_at: float | None = None


@dataclass(slots=True)
class AcceptCounters:
    """Counts of one session. A completion counts once, however often the editor reports it."""

    offered: int = 0
    shown: int = 0
    accepted: int = 0
    """Completions accepted, in whole or in part."""
    accepted_characters: int = 0
    judged_characters: int = 0
    """Accepted characters that were searched for again later."""
    kept_characters: int = 0
    """Accepted characters whose line was still in the document then."""
    clock: Callable[[], float] = time.monotonic
    _offers: OrderedDict[int, _Offer] = field(default_factory=OrderedDict[int, _Offer])

    def offer(self, text: str, uri: str = "") -> int:
        """Register a completion that is sent to the editor. Returns the number that reports refer to."""
        number = next(_numbers)
        self._offers[number] = _Offer(text, uri)
        self.offered += 1
        if len(self._offers) > _REMEMBERED:
            self._offers.popitem(last=False)
        return number

    def show(self, number: int) -> None:
        """The editor has shown the completion."""
        offer = self._offers.get(number)
        if offer is not None and not offer.shown:
            offer.shown = True
            self.shown += 1

    def accept(self, number: int, characters: int | None = None) -> None:
        """The user accepted its first ``characters``, or all of it. An accepted completion was also shown."""
        offer = self._offers.get(number)
        if offer is None:
            return
        self.show(number)
        length = len(offer.text) if characters is None else max(0, min(characters, len(offer.text)))
        if length > offer.accepted:
            self.accepted += not offer.accepted
            self.accepted_characters += length - offer.accepted
            offer.accepted = length
            offer.judge_at = self.clock() + KEPT_AFTER

    def look(self, uri: str, text: str) -> None:
        """Measure how much of the completions accepted a while ago is still in the document."""
        now = self.clock()
        for offer in self._offers.values():
            if offer.uri == uri and offer.judge_at is not None and offer.judge_at <= now:
                lines = [line.strip() for line in offer.text[: offer.accepted].split("\n")]
                self.judged_characters += sum(map(len, lines))
                self.kept_characters += sum(len(line) for line in lines if line in text)
                offer.judge_at = None
