"""What our logits processors have in common: they act on the rows of the calls that carry an extra argument."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Generic, TypeVar, cast

from vllm import SamplingParams
from vllm.v1.sample.logits_processor import BatchUpdate, LogitsProcessor
from vllm.v1.sample.logits_processor.builtin import process_dict_updates

if TYPE_CHECKING:
    import torch
    from vllm.config import VllmConfig

Row = TypeVar("Row")


class RowProcessor(LogitsProcessor, Generic[Row]):
    """Base of processors for vLLM's first model runner. A subclass sets `argument` and defines `make_row`."""

    argument: str
    """Key in `SamplingParams.extra_args`."""

    def __init__(self, vllm_config: VllmConfig, device: torch.device, is_pin_memory: bool) -> None:  # noqa: ARG002
        self.rows: dict[int, Row] = {}
        """By the number of the row in the batch."""

    @abstractmethod
    def make_row(self, value: object, output: list[int]) -> Row | None:
        """Return what is kept of a call, ``None`` if it is of no concern.

        :param value: the call's extra argument; ``None`` if it has none.
        :param output: tokens of its answer; vLLM appends to it.
        """

    def is_argmax_invariant(self) -> bool:
        """False: the most likely token may change."""
        return False

    def update_state(self, batch_update: BatchUpdate | None) -> None:
        """Follow the requests as they are added, removed and moved between rows."""
        process_dict_updates(self.rows, batch_update, self._row)

    def _row(self, params: SamplingParams, _prompt: list[int] | None, output: list[int]) -> Row | None:
        arguments = cast("Mapping[str, object]", params.extra_args or {})
        return self.make_row(arguments.get(self.argument), output)
