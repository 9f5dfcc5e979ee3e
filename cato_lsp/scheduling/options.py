"""The switches and numbers of our policy."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CatoOptions:
    """Mechanisms, each of which can be switched off to see what it gives, and their numbers.

    Lengths of steps are parts of the *tightest TTFT*: the tightest first-token deadline seen lately (0.2 s for
    completions). So the same numbers suit any machine and any promises.
    """

    feasibility: bool = True
    """Keep the greatest set that can be on time; else serve strictly by deadline."""
    adaptive_step: bool = True
    """Size each step by who waits; else a step may be as full as the engine allows."""
    second_chance: bool = True
    """Answer soon who is only a little late; else the late wait for E2E work."""
    e2e_starts: bool = True
    """Do E2E prompts by the time when they must be done; else after all first tokens."""
    pace: bool = True
    """Keep steps short enough for the answers whose last token is due."""
    share: bool = True
    """Under overload keep a part of each step for E2E prompts."""
    whole_prompts: bool = True
    """On a calm machine let one step take a whole long prompt."""
    fairness: bool = True
    """Weigh clients by the service they have had."""
    aim: bool = True
    """Aim well before the deadline where there is ample time; who cannot be given that is given all of it."""

    urgent_step: float = 0.34
    """Longest step that serves a kept first token: whoever arrives meanwhile waits for its end."""
    fill_step: float = 0.075
    """Such a step is filled up with other work to this length."""
    chance_step: float = 0.2
    """Longest step for those who are a little late."""
    calm_step: float = 0.125
    """Longest step for other prefill while somebody urgent may arrive."""
    least_step: float = 0.05
    """Shortest one; in between, `backlog_share` of the backlog."""
    overhead: float = 0.15
    """Neither of these two is longer than its fixed cost divided by this: where steps cost little they are short ..."""
    fill_overhead: float = 0.3
    """... and so is what a step for a first token is filled up to."""
    idle_step: float = 1.0
    """Longest step when nobody urgent has come for `quiet` seconds and nobody types."""
    whole_step: float = 0.95
    backlog_share: float = 0.1
    lateness: float = 1.55
    """Up to this many times the promised time counts as a little late."""
    long_answer: float = 0.8
    """Planned work is started in time for an answer as long as this quantile of its kind."""
    generous_aim: float = 0.28
    """Promises with ample time are aimed at after this part of what is left of it."""
    safety: float = 0.005
    """Promises are taken to be due this part of the tightest TTFT early: no prediction is exact."""
    calm: float = 0.6
    """The machine is calm while prefill waits in less than this part of the time (of the last 20 s)."""
    overload: float = 10.0
    """Overload: the late need more than this many allowances of machine time."""
    pace_horizon: float = 3.0
    """Seconds before its deadline in which an answer's pace matters; under overload it always does."""
    pace_floor: float = 0.26
    """No step that serves first tokens is made shorter than this for the pace of answers ..."""
    overload_pace_floor: float = 0.13
    """... nor, under overload, than this."""
    e2e_share: float = 0.15
    e2e_rate: float = 0.15
    """Under overload, the speed at which E2E prompts progress, as a part of the machine's."""
    quiet: float = 5.0
    """Seconds."""
    patience: float = 30.0
    """Seconds after which a request may not be passed over any longer ..."""
    reserve: int = 32
    """... and the oldest such gets this many tokens in every step."""
    fair_tokens: float = 50_000.0
    """A client that has had more than this many tokens beyond another weighs so many times more."""
