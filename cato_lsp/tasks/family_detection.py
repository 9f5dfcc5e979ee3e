"""Which FIM format a model has: decided by the control tokens of its vocabulary, its ``model_type`` and its name.

Several families share a spelling, and some vocabularies hold FIM tokens that their models never learned. Of those that
fit, the most specific wins: a family that the name says, then the longest part of the name, then the ``model_type``,
then tokens that only one family has.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from cato_lsp.tasks.families import FAMILIES
from cato_lsp.tasks.fim_family import FimFamily

_LOST_FIM = re.compile(r"\bzeta")
"""Models that hold the FIM tokens of their base model and were fine-tuned to write edits instead."""


class FimUnsupportedError(ValueError):
    """The model cannot fill in the middle; the message says why."""


@dataclass(frozen=True, slots=True)
class Recognition:
    """A model's family and what it was recognised by."""

    family: FimFamily
    reasons: tuple[str, ...]

    def __str__(self) -> str:
        """For people, on one line."""
        return f"{self.family.name} ({self.family.order}), recognised by {', '.join(self.reasons)}"


def recognise_family(vocabulary: Collection[str], *, model_type: str = "", name: str = "") -> Recognition:
    """The family of a model.

    :param vocabulary: every token of the model, added tokens included.
    :param model_type: ``model_type`` of the model's ``config.json``.
    :param name: name of the model or of its folder.
    :raises FimUnsupportedError: if no family's tokens are there, or the model was not trained on them.
    """
    fits = [_Fit.of(family, vocabulary, model_type, name.lower()) for family in FAMILIES]
    spelled = [fit for fit in fits if fit.tokens]
    usable = [fit for fit in spelled if fit.usable]
    described = f"the model {name or 'given'}" + (f" (model_type {model_type!r})" if model_type else "")
    if not spelled:
        looked_for = "; ".join(f"{family.name}: {' '.join(family.required)}" for family in FAMILIES)
        raise FimUnsupportedError(f"{described} has no fill-in-the-middle tokens; looked for {looked_for}")
    if _LOST_FIM.search(name.lower()):
        raise FimUnsupportedError(f"{described} was fine-tuned to write edits and no longer fills in the middle")
    if not usable:
        tokens = " ".join(spelled[0].family.required)
        raise FimUnsupportedError(
            f"{described} has the tokens {tokens}, but its vocabulary reserves them for other models"
        )
    best = max(usable, key=lambda fit: fit.rank)
    return Recognition(best.family, best.reasons)


@dataclass(frozen=True, slots=True)
class _Fit:
    """How well a family fits a model."""

    family: FimFamily
    tokens: bool
    """The vocabulary holds all that the format needs."""
    named: str
    """The part of the name that says the family."""
    typed: str
    """The ``model_type``, if the family is published under it."""
    telling: tuple[str, ...]
    reserved: bool

    @classmethod
    def of(cls, family: FimFamily, vocabulary: Collection[str], model_type: str, name: str) -> _Fit:
        found = (match.group() for pattern in family.names if (match := re.search(pattern, name)))
        return cls(
            family,
            all(token in vocabulary for token in family.required),
            max(found, key=len, default=""),
            model_type if model_type in family.model_types else "",
            tuple(token for token in family.telling if token in vocabulary),
            any(token in vocabulary for token in family.reserved_by),
        )

    @property
    def usable(self) -> bool:
        return bool(self.named) or not (self.reserved or self.family.by_name)

    @property
    def rank(self) -> tuple[bool, int, bool, bool]:
        """Compared in order; the tokens that should tell the family and are missing speak against it first."""
        has_telling = bool(self.telling)
        return has_telling or not self.family.telling, len(self.named), bool(self.typed), has_telling

    @property
    def reasons(self) -> tuple[str, ...]:
        reasons = [f"its tokens {' '.join(self.family.required)}"]
        if self.telling:
            reasons.append(f"the tokens {' '.join(self.telling)}")
        if self.named:
            reasons.append(f"its name ({self.named!r})")
        if self.typed:
            reasons.append(f"its model_type ({self.typed!r})")
        return tuple(reasons)
