"""Forces answers to begin with a given text, by a logits processor for vLLM's first model runner (on CPUs).

Until the prefix is written, every token that does not continue it is excluded. The V2 runner on GPUs has another
interface, and speculative decoding allows no processors; there, `spelled_out` puts the prefix into the prompt.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch

from cato_lsp.engine.api import Call, ForcedPrefix
from cato_lsp.engine.row_processor import RowProcessor

EXTRA_ARGUMENT = "cato_forced_prefix"
"""Key of the spellings in `SamplingParams.extra_args`."""
_MISSING_CHARACTER = 2.0
"""Nats that a token loses for each character of the prefix that it leaves to later tokens.

The probability of ``r`` is that of all words in r, the one of ``return`` that of one word. Without a penalty short
tokens win, and words come in pieces that are rare in the training data. 2 and 4 were equal on tuning places, 0 and 1
worse (docs/default-model.md).
"""


@dataclass(slots=True)
class _Row:
    """The progress of one answer. vLLM itself appends to ``output``."""

    spellings: tuple[Mapping[int, int], ...]
    output: list[int]
    read: int = 0
    written: int = 0

    def allowed(self) -> Mapping[int, int] | None:
        """The tokens that may come next, with the characters written after each; ``None`` once all are written."""
        while self.read < len(self.output) and self.written < len(self.spellings):
            self.written = self.spellings[self.written][self.output[self.read]]
            self.read += 1
        return self.spellings[self.written] if self.written < len(self.spellings) else None

    @property
    def missing(self) -> int:
        """Characters of the prefix that are not written."""
        return len(self.spellings) - self.written


class ForcedPrefixProcessor(RowProcessor[_Row]):
    """Knows the rows of the batch whose answers are not past their beginning yet."""

    argument = EXTRA_ARGUMENT

    def make_row(self, value: object, output: list[int]) -> _Row | None:
        """The spellings of a call that has a forced prefix."""
        return _Row(value.spellings, output) if isinstance(value, ForcedPrefix) else None

    def apply(self, logits: torch.Tensor) -> torch.Tensor:
        """Make impossible what does not go on with a beginning."""
        for number, row in list(self.rows.items()):
            if (allowed := row.allowed()) is None:
                del self.rows[number]
                continue
            tokens = torch.tensor(list(allowed))
            kept = logits[number, tokens]
            if row.missing > 1:  # otherwise each token writes all of it
                kept -= _MISSING_CHARACTER * (len(row.spellings) - torch.tensor(list(allowed.values())))
            logits[number] = -torch.inf
            logits[number, tokens] = kept
        return logits


def spelled_out(call: Call) -> Call:
    """The same call, with the hidden part of the forced prefix at the end of the prompt."""
    if call.forced_prefix is None:
        return call
    return replace(call, prompt_ids=(*call.prompt_ids, *call.forced_prefix.hidden_ids), forced_prefix=None)
