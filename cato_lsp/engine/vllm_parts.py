"""The private parts of vLLM's scheduler that `CatoMixin` relies on."""

from __future__ import annotations

from vllm.v1.core.sched.scheduler import Scheduler
from vllm.v1.request import Request

_CLASS_PARTS = (
    "schedule",
    "update_from_output",
    "add_request",
    "_free_request",
    "_preempt_request",
    "_mamba_block_aligned_split",
)
_INSTANCE_PARTS = (
    "running",
    "waiting",
    "requests",
    "kv_cache_manager",
    "max_num_scheduled_tokens",
    "max_num_running_reqs",
    "need_mamba_block_aligned_split",
    "block_size",
)
_REQUEST_PARTS = ("num_computed_tokens", "num_output_placeholders", "spec_token_ids", "block_hashes")


class UnsupportedVllmError(RuntimeError):
    """This vLLM's scheduler lacks a part that `CatoScheduler` relies on."""


def check_parts(scheduler: Scheduler) -> None:
    """Check a scheduler at start-up, before it serves anything.

    Raises:
        UnsupportedVllmError: a part is missing.
    """
    missing = [name for name in _INSTANCE_PARTS if not hasattr(scheduler, name)]
    missing += [name for name in _CLASS_PARTS if not hasattr(Scheduler, name)]
    probe = Request.__init__.__code__.co_names
    missing += [f"Request.{name}" for name in _REQUEST_PARTS if name not in probe and not hasattr(Request, name)]
    if not hasattr(scheduler.kv_cache_manager, "coordinator"):
        missing.append("kv_cache_manager.coordinator")
    if missing:
        from vllm import __version__

        raise UnsupportedVllmError(
            f"vLLM {__version__} has a scheduler that cato-lsp does not know: it lacks {', '.join(missing)}. "
            "Versions 0.26.0 and 0.32.0 work."
        )
