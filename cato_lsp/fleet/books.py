"""What the gateway knows of its replicas: the calls that it has sent, and what the replicas' answers tell."""

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import dataclass

from cato_lsp.fleet.prefixes import BLOCK, SentPrefixes
from cato_lsp.scheduling.cost import StepCosts
from cato_lsp.scheduling.lengths import AnswerLengths
from cato_lsp.scheduling.slo import Slo

LOAD_SECONDS = 10.0
"""Over how many seconds the load of a replica is averaged."""


@dataclass(frozen=True, slots=True)
class NewCall:
    """A call to be routed."""

    id: str
    slo: Slo
    prompt: int
    """Tokens of the prompt."""
    blocks: tuple[Hashable, ...] = ()
    """Hashes of its whole blocks; see `block_hashes`."""


@dataclass(slots=True, eq=False)
class OpenCall:
    """A call that a replica has been sent and that has not ended."""

    call: NewCall
    sent: float
    unread: int
    """Tokens of the prompt that the replica has to compute; 0 once the first token has come."""
    generated: int = 0

    @property
    def length(self) -> int:
        """Tokens of the prompt and of the answer so far."""
        return self.call.prompt + self.generated


@dataclass(frozen=True, slots=True)
class Capacity:
    """What one replica can hold."""

    slots: int
    """Calls that run at the same time."""
    kv_blocks: int
    """Blocks of `BLOCK` tokens in its KV cache."""


class ReplicaBook:
    """One replica, as the gateway sees it. Times are seconds on the gateway's clock.

    A book is delayed: the replica has computed more than the gateway has heard of. Each delta carries the replica's
    learned costs, so a replica that becomes slow is found by its own figures.
    """

    def __init__(self, name: str, capacity: Capacity, costs: StepCosts | None = None) -> None:
        self.name = name
        self.capacity = capacity
        self.costs = costs or StepCosts()
        self.calls: dict[str, OpenCall] = {}
        self.prefixes = SentPrefixes(capacity.kv_blocks)
        self.lengths = AnswerLengths()
        self._heard = -math.inf
        self._was_silent = False
        """Whether it was silent when its last call was taken from it, and has not been heard of since."""
        self._load, self._load_at = 0.0, -math.inf

    def uncached(self, call: NewCall) -> int:
        """Prompt tokens that the replica would have to compute. The last token is always computed."""
        return max(1, call.prompt - BLOCK * self.prefixes.matched(call.blocks))

    def sent(self, call: NewCall, now: float) -> None:
        """The call has been sent to this replica."""
        if not (self.calls or self._was_silent):
            self._heard = now
        # Where a machine is slow because others use it, its steps have become longer, not its tokens.
        self._load = self.load(now) + self.work(call) + self.costs.fixed
        self._load_at = now
        self.calls[call.id] = OpenCall(call, now, self.uncached(call))
        self.prefixes.add(call.blocks)

    def heard(self, call_id: str, tokens: int, now: float, costs: StepCosts) -> None:
        """A delta of ``tokens`` tokens has come, and with it what the replica knows of its speed."""
        self._heard, self._was_silent = now, False
        self.costs = costs
        call = self.calls.get(call_id)
        if call is not None:
            call.unread = 0
            call.generated += tokens

    def pong(self) -> None:
        """A ping was answered. That tells something of a replica without calls only: its engine may hang."""
        self._was_silent = self._was_silent and bool(self.calls)

    def ended(self, call_id: str, now: float, *, finished: bool) -> OpenCall | None:
        """The call has left: `finished` by the model, or else cancelled or lost. Returns its entry."""
        self._was_silent = self.is_silent(now)
        call = self.calls.pop(call_id, None)
        if call is not None and finished and call.generated:
            self.lengths.add(call.call.slo.kind, call.generated)
        return call

    def age(self, now: float) -> float:
        """Seconds since the replica was last heard of, while it has or had something to answer; else 0."""
        return now - self._heard if self.calls or self._was_silent else 0.0

    def is_silent(self, now: float) -> bool:
        """Whether nothing has come for longer than a step takes that reads all prompts."""
        age, longest = self.age(now), 2 * self.costs.recent_step
        return age > longest and age > longest + self.backlog()

    def fits(self, call: NewCall) -> bool:
        """Whether the call finds a slot and KV blocks."""
        held = sum(-(-each.length // BLOCK) for each in self.calls.values())
        return len(self.calls) < self.capacity.slots and held + -(-call.prompt // BLOCK) <= self.capacity.kv_blocks

    def prefill(self, call: NewCall) -> float:
        """Predicted seconds of the replica's time for the call's prompt."""
        return self.costs.per_token * self.uncached(call) + self.costs.per_context * call.prompt

    def work(self, call: NewCall) -> float:
        """Predicted seconds of the replica's time that the call takes: its prompt and its answer."""
        costs, tokens = self.costs, self.lengths.remaining(call.slo.kind, 0)
        each = costs.per_token + costs.per_sequence + costs.per_context * (call.prompt + tokens / 2)
        return self.prefill(call) + tokens * each

    def backlog(self) -> float:
        """Predicted seconds of the replica's time for the prompts that it has not read."""
        unread, context = 0, 0
        for each in self.calls.values():
            if each.unread:
                unread += each.unread
                context += each.call.prompt
        return self.costs.per_token * unread + self.costs.per_context * context

    def load(self, now: float) -> float:
        """Seconds of work that the replica has been sent lately: each counts less as time passes."""
        return self._load * math.exp((self._load_at - now) / LOAD_SECONDS) if self._load else 0.0
