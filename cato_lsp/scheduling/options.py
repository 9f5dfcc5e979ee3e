"""The numbers that tune our policy. `docs/benchmarks.md` shows what half and twice of each one does."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CatoOptions:
    """How `CatoPolicy` weighs what it cannot know. The policy is stated in `cato_lsp.scheduling.cato`."""

    urgent_step: float = 0.34
    """Longest step while calls are late, as a part of the usual TTFT. Less: more fixed costs; more: longer waits."""
    use: float = 4.0
    """Shortest step with prefill, as a multiple of its decodes alone: at most 1/4 of it is fixed costs. Down to half of
    that while no first token is due and E2E prompts have time."""
    overload: float = 10.0
    """E2E answers set the pace once the late calls need this many TTFTs of machine time."""
    task_penalty: float = 30.0
    """By how many seconds an E2E call stands back for each second of `Slo.task_work`, and of late work."""
    long_answer: float = 0.8
    """E2E answers are taken to be as long as this quantile of those of their kind."""
    quiet: float = 5.0
    """Seconds without a call whose first token is due, after which a step may take a whole TTFT."""
    patience: float = 30.0
    """Seconds after which the oldest call gets `reserve` tokens of every step."""
    reserve: int = 32
    """Tokens; also the least prefill that a step carries."""
    usual: int = 32
    """Calls of a kind over which its usual TTFT is averaged; one call moves it by at most 1/32."""
