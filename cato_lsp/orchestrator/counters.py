"""What became of the completions that were shown: local counters, from what the editor tells."""

from __future__ import annotations

import itertools
from collections import OrderedDict
from dataclasses import dataclass, field

_REMEMBERED = 256

_numbers = itertools.count(1)


@dataclass(slots=True)
class _Offer:
    length: int
    shown: bool = False
    accepted: int = 0
    """Characters of it that were accepted."""


@dataclass(slots=True)
class AcceptCounters:
    """Counts of one session. An item counts once however often the editor reports it."""

    offered: int = 0
    shown: int = 0
    accepted: int = 0
    """Completions accepted, whole or in part."""
    accepted_characters: int = 0
    _offers: OrderedDict[int, _Offer] = field(default_factory=OrderedDict[int, _Offer])

    def offer(self, text: str) -> int:
        """Remember a completion that goes to the editor; the number it is reported by."""
        number = next(_numbers)
        self._offers[number] = _Offer(len(text))
        self.offered += 1
        if len(self._offers) > _REMEMBERED:
            self._offers.popitem(last=False)
        return number

    def show(self, number: int) -> None:
        """The editor has shown it."""
        offer = self._offers.get(number)
        if offer is not None and not offer.shown:
            offer.shown = True
            self.shown += 1

    def accept(self, number: int, characters: int | None = None) -> None:
        """It was accepted: its first ``characters``, or all of it. It has been shown, then."""
        offer = self._offers.get(number)
        if offer is None:
            return
        self.show(number)
        length = offer.length if characters is None else max(0, min(characters, offer.length))
        if length > offer.accepted:
            self.accepted += not offer.accepted
            self.accepted_characters += length - offer.accepted
            offer.accepted = length
