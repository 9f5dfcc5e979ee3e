"""Forces answers to begin with a given text, by a logits processor for vLLM's first model runner (on CPUs).

Until the prefix is written, every token that does not continue it is excluded. The V2 runner on GPUs has another
interface, and speculative decoding allows no processors; there, `spelled_out` puts the prefix into the prompt.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

import torch
from vllm import SamplingParams
from vllm.v1.sample.logits_processor import BatchUpdate, LogitsProcessor
from vllm.v1.sample.logits_processor.builtin import process_dict_updates

from cato_lsp.engine.api import Call, ForcedPrefix

if TYPE_CHECKING:
    from vllm.config import VllmConfig

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


class ForcedPrefixProcessor(LogitsProcessor):
    """Knows the rows of the batch whose answers are not past their beginning yet."""

    def __init__(self, vllm_config: VllmConfig, device: torch.device, is_pin_memory: bool) -> None:  # noqa: ARG002
        self._rows: dict[int, _Row] = {}

    def is_argmax_invariant(self) -> bool:
        """False: the most likely token may be excluded."""
        return False

    def update_state(self, batch_update: BatchUpdate | None) -> None:
        """Follow the requests as they are added, removed and moved between rows."""
        process_dict_updates(self._rows, batch_update, _row)

    def apply(self, logits: torch.Tensor) -> torch.Tensor:
        """Make impossible what does not go on with a beginning."""
        for number, row in list(self._rows.items()):
            if (allowed := row.allowed()) is None:
                del self._rows[number]
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


def _row(params: SamplingParams, _prompt: list[int] | None, output: list[int]) -> _Row | None:
    arguments = cast("Mapping[str, object]", params.extra_args or {})
    forced_prefix = arguments.get(EXTRA_ARGUMENT)
    return _Row(forced_prefix.spellings, output) if isinstance(forced_prefix, ForcedPrefix) else None
