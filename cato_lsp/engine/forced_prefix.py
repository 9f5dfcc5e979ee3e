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


@dataclass(slots=True)
class _Row:
    """The progress of one answer. vLLM itself appends to ``output``."""

    spellings: tuple[Mapping[int, int], ...]
    output: list[int]
    read: int = 0
    written: int = 0

    def allowed(self) -> list[int] | None:
        """The tokens that may come next, ``None`` once the prefix is written."""
        while self.read < len(self.output) and self.written < len(self.spellings):
            self.written = self.spellings[self.written][self.output[self.read]]
            self.read += 1
        return list(self.spellings[self.written]) if self.written < len(self.spellings) else None


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
            kept = logits[number, allowed].clone()
            logits[number] = -torch.inf
            logits[number, allowed] = kept
        return logits


def spelled_out(call: Call) -> Call:
    """The same call, with the hidden part of the forced prefix at the end of the prompt."""
    if call.forced_prefix is None:
        return call
    return replace(call, prompt_ids=(*call.prompt_ids, *call.forced_prefix.hidden_ids), forced_prefix=None)
