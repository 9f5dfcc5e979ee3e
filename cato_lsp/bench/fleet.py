"""The simulator of a fleet: virtual engines behind gateways, on one virtual clock.

Gateways use the production router and books (`cato_lsp.fleet`). What they know is late: a message takes a hop each way,
and books change when it is sent or received. The time between laptop and gateway is left out.
"""

from __future__ import annotations

import itertools
import math
import zlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from heapq import heappop, heappush
from typing import Any

from cato_lsp.bench.autoscale import Autoscaler
from cato_lsp.bench.executor import FILLER_TOKEN
from cato_lsp.bench.fleet_plan import FleetPlan, slowed
from cato_lsp.bench.hardware import HardwareProfile
from cato_lsp.bench.player import Player
from cato_lsp.bench.policies import PolicySpec
from cato_lsp.bench.result import Run, TimelineStep
from cato_lsp.bench.virtual_engine import VirtualEngine
from cato_lsp.bench.workload import Workload
from cato_lsp.fleet.admission import refuses
from cato_lsp.fleet.books import Capacity, NewCall, ReplicaBook
from cato_lsp.fleet.hedging import HEDGE_EVERY, in_danger, second_replica
from cato_lsp.fleet.link import PING_EVERY
from cato_lsp.fleet.prefixes import BLOCK, block_hashes
from cato_lsp.fleet.router import DeadlineRouter, Router
from cato_lsp.scheduling.cost import StepCosts
from cato_lsp.scheduling.slo import Slo

SCALE_EVERY = 1.0
"""Seconds between two decisions on the number of replicas."""


@dataclass(slots=True, eq=False)
class _Replica:
    name: str
    engine: VirtualEngine
    capacity: Capacity
    last: TimelineStep | None = None
    died: float = math.inf
    started: float = 0.0
    leaves: bool = False
    """It takes no new calls, and ends with those that it has."""
    ended: float = math.inf
    """When it died or had left."""


@dataclass(slots=True, eq=False)
class _Gateway:
    router: Router
    books: dict[str, ReplicaBook] = field(default_factory=dict[str, ReplicaBook])


@dataclass(slots=True, eq=False)
class _OpenCall:
    position: int
    slo: Slo
    prompt: list[int]
    answer: int
    gateway: _Gateway
    delivered: int = 0
    replica: _Replica | None = None
    """None: no replica is up."""
    second: _Replica | None = None
    """Where it was sent as well."""


class FleetTwin(Player):
    """A fleet under one policy and one router, played once.

    :param make_router: makes the router of a gateway.
    :param autoscaler: changes the number of replicas; it is asked by the first gateway.
    """

    def __init__(
        self,
        workload: Workload,
        policy: PolicySpec,
        profile: HardwareProfile,
        plan: FleetPlan,
        make_router: Callable[[], Router],
        autoscaler: Autoscaler | None = None,
    ) -> None:
        super().__init__(workload)
        self.plan = plan
        self.steps: list[TimelineStep] = []
        self.sent: Counter[str] = Counter()
        """Calls by the name of the replica that they were sent to."""
        self.moved = 0
        """Calls that went on elsewhere because their replica died."""
        self.hedged = 0
        """Calls that were sent to a second replica."""
        self.refused = 0
        """Calls that were not admitted; they are never answered."""
        self._policy, self._profile, self._autoscaler = policy, profile, autoscaler
        self._target = plan.replicas
        self._gateways = [_Gateway(make_router()) for _ in range(plan.gateways)]
        self._open: dict[int, _OpenCall] = {}
        self._homeless: list[_OpenCall] = []
        """Calls that came while no replica was up."""
        self._events: list[tuple[float, int, Callable[[float], None]]] = []
        self._numbers = itertools.count()
        self._working: set[_Replica] = set()
        self._engines: list[_Replica] = [self._load(number) for number in range(plan.replicas)]
        self._now = 0.0

    def play(self, progress: Callable[[float], None] | None = None) -> Run:
        """Play the workload to the end. `progress` is called from time to time with the virtual time."""
        for number, replica in enumerate(self._engines):
            if number in self.plan.joins:
                self._at(self.plan.joins[number], partial(self._join, replica))
            else:
                self._join(replica, 0.0)
        for number, time in self.plan.deaths.items():
            self._at(time, partial(self._die, self._engines[number]))
        if self._autoscaler is not None:
            self._at(0.0, partial(self._scale, self._autoscaler))
        self._next_arrival(0)
        self._at(HEDGE_EVERY, partial(self._hedge, pinged=0.0))
        while True:
            first = min(self._working, key=lambda replica: (replica.engine.clock.now, replica.name), default=None)
            if self._events and (first is None or self._events[0][0] <= first.engine.clock.now):
                self._now, _, event = heappop(self._events)
                event(self._now)
            elif first is not None:
                self._step(first)
                if progress is not None and len(self.steps) % 1024 == 0:
                    progress(min(first.engine.clock.now, self.workload.duration))
            else:
                break
        for replica in self._engines:
            replica.engine.stop()
        return Run(
            policy=self._policy.name,
            duration=self.workload.duration,
            makespan=max(self._now, *(replica.engine.clock.now for replica in self._engines)),
            busy=sum(step.end - step.start for step in self.steps) / self.plan.replicas,
            results=self.results,
            steps=self.steps,
            policy_errors=sum(replica.engine.policy_errors for replica in self._engines),
        )

    @property
    def replica_seconds(self) -> float:
        """Seconds that all replicas together were held while calls arrived, from the start of loading on."""
        return sum(min(replica.ended, self.workload.duration) - replica.started for replica in self._engines)

    @property
    def costs(self) -> StepCosts:
        """See `Player.costs`."""
        return self._engines[0].engine.costs

    def submit(self, position: int, prompt: list[int], answer: int, slo: Slo) -> None:
        """See `Player.submit`."""
        gateway = self._gateways[zlib.crc32(slo.client.encode()) % len(self._gateways)]
        call = self._open[position] = _OpenCall(position, slo, prompt, answer, gateway)
        self._route(call, slo.arrival)

    def abort(self, position: int, time: float) -> None:
        """See `Player.abort`."""
        call = self._open.pop(position)
        for replica in (call.replica, call.second):
            if replica is not None:
                if replica.last is not None and replica.last.end > time:
                    self.results[position].wasted += replica.last.tokens.get(position, 0)
                self._drop(call, replica, time)

    def _drop(self, call: _OpenCall, replica: _Replica, now: float) -> None:
        """Cancel a call on a replica."""
        name = str(call.position)
        book = call.gateway.books.get(replica.name)
        if book is not None:
            book.ended(name, now, finished=False)
        self._at(now + self.plan.hop, partial(self._aborted, replica, name))

    def _at(self, time: float, event: Callable[[float], None]) -> None:
        heappush(self._events, (time, next(self._numbers), event))

    def _next_arrival(self, index: int) -> None:
        if index < len(self.workload.calls):
            self._at(self.workload.calls[index].time, partial(self._arrival, index))

    def _arrival(self, index: int, _now: float) -> None:
        self.arrive(index)
        self._next_arrival(index + 1)

    def _load(self, number: int) -> _Replica:
        profile = slowed(self._profile, self.plan.slow.get(number, 1.0))

        def executed(start: float, end: float, tokens: dict[str, int]) -> None:
            self._executed(replica, start, end, tokens)

        engine = VirtualEngine(self.workload.shares_prefixes, self._policy, profile, executed)
        engine.warm_up()
        replica = _Replica(f"replica-{number}", engine, Capacity(profile.max_slots, profile.kv_tokens // BLOCK))
        return replica

    def _join(self, replica: _Replica, now: float) -> None:
        if replica.leaves:
            return
        replica.engine.clock.now = now
        for gateway in self._gateways:
            gateway.books[replica.name] = ReplicaBook(replica.name, replica.capacity, replica.engine.costs)
        homeless, self._homeless = self._homeless, []
        for call in homeless:
            self._route(call, now)

    def _scale(self, autoscaler: Autoscaler, now: float) -> None:
        """Start and give up replicas; of those that are up, the newest first, and before them those still loading."""
        self._target = autoscaler.target(list(self._gateways[0].books.values()), self._target, now)
        kept = [replica for replica in self._engines if not replica.leaves and replica.ended > now]
        for replica in kept[self._target :]:
            self._leave(replica, now)
        for number in range(len(self._engines), len(self._engines) + self._target - len(kept)):
            replica = self._load(number)
            replica.started = now
            self._engines.append(replica)
            self._at(now + self.plan.load_seconds, partial(self._join, replica))
        if now + SCALE_EVERY < self.workload.duration:
            self._at(now + SCALE_EVERY, partial(self._scale, autoscaler))

    def _leave(self, replica: _Replica, now: float) -> None:
        replica.leaves = True
        self._forget(replica)
        if not replica.engine.busy:
            replica.ended = now

    def _forget(self, replica: _Replica) -> None:
        for gateway in self._gateways:
            if gateway.books.pop(replica.name, None) is not None:
                gateway.router.removed(replica.name)

    def _idle(self, replica: _Replica, now: float) -> None:
        """A replica has nothing to compute."""
        self._working.discard(replica)
        if replica.leaves:
            replica.ended = now

    def _die(self, replica: _Replica, now: float) -> None:
        replica.died = replica.ended = now
        self._working.discard(replica)
        self._at(now + self.plan.found_dead, partial(self._found_dead, replica))

    def _found_dead(self, replica: _Replica, now: float) -> None:
        self._forget(replica)
        for call in self._open.values():
            if call.second is replica:
                call.second = None
            elif call.replica is replica:
                self.moved += 1
                if call.second is not None:
                    call.replica, call.second = call.second, None
                else:
                    self._route(call, now, moved=True)

    def _hedge(self, now: float, pinged: float) -> None:
        """Send calls in danger to a second replica, as `FleetEngine` does; other routers than ours send none.

        :param pinged: when the replicas were pinged.
        """
        due = now >= pinged + PING_EVERY
        silent = {replica.name for replica in self._engines if replica.died <= now}
        for gateway in self._gateways:
            if not isinstance(gateway.router, DeadlineRouter):
                return
            books = list(gateway.books.values())
            for book in books:
                if due and book.name not in silent:
                    book.pong()
            for home in books:
                for each in list(in_danger(home, now)):
                    call = self._open.get(int(each.call.id))
                    if call is None or call.second is not None:
                        continue
                    new, prompt = self._rest(call)
                    book = second_replica(new, home, books, now)
                    if book is not None:
                        self.hedged += 1
                        call.second = self._send(call, new, prompt, book, now)
        if self._events or self._working:
            self._at(now + HEDGE_EVERY, partial(self._hedge, pinged=now if due else pinged))

    def _route(self, call: _OpenCall, now: float, *, moved: bool = False) -> None:
        """Send what is left of a call to a replica, as `FleetEngine` does; other routers than ours refuse none."""
        if self._open.get(call.position) is not call:
            return  # cancelled while no replica was up
        router, books = call.gateway.router, list(call.gateway.books.values())
        call.replica = None
        if not books:
            self._homeless.append(call)
            return
        new, prompt = self._rest(call)
        book = router.choose(new, books, now)
        if self._autoscaler is not None and not moved:
            self._autoscaler.routed(new, book, books, now)
        if not moved and isinstance(router, DeadlineRouter) and refuses(new, book, books, now):
            self.refused += 1
            del self._open[call.position]
        else:
            call.replica = self._send(call, new, prompt, book, now)

    def _rest(self, call: _OpenCall) -> tuple[NewCall, list[int]]:
        """What is left of a call, and its prompt."""
        prompt = call.prompt + [FILLER_TOKEN] * call.delivered
        blocks = block_hashes(prompt) if self.workload.shares_prefixes else _own_blocks(call.position, len(prompt))
        return NewCall(str(call.position), call.slo, len(prompt), blocks), prompt

    def _send(self, call: _OpenCall, new: NewCall, prompt: list[int], book: ReplicaBook, now: float) -> _Replica:
        book.sent(new, now)
        self.sent[book.name] += 1
        replica = next(each for each in self._engines if each.name == book.name)
        slo = replace(
            call.slo, deadline=call.slo.deadline - self.plan.hop
        )  # the way back, as `remote.calls.from_wire` does
        added = partial(self._added, replica, str(call.position), prompt, call.answer - call.delivered, slo)
        self._at(now + self.plan.hop, added)
        return replica

    def _added(self, replica: _Replica, name: str, prompt: list[int], answer: int, slo: Slo, now: float) -> None:
        if replica.died < now:
            return
        if replica not in self._working:
            replica.engine.clock.now = max(replica.engine.clock.now, now)
            self._working.add(replica)
        replica.engine.add(name, prompt, answer, slo)

    def _aborted(self, replica: _Replica, name: str, now: float) -> None:
        if replica.died < now:
            return
        replica.engine.abort(name)
        if not replica.engine.busy:
            self._idle(replica, now)

    def _step(self, replica: _Replica) -> None:
        engine = replica.engine
        outputs = engine.step()
        end = engine.clock.now
        if outputs:
            self._at(end + self.plan.hop, partial(self._heard, replica, end, outputs, engine.costs))
        if not engine.busy:
            self._idle(replica, end)

    def _heard(self, replica: _Replica, end: float, outputs: list[Any], costs: StepCosts, now: float) -> None:
        """The deltas of a step that ended at ``end`` come to the gateways, unless the replica died during the step."""
        if replica.died < end:
            return
        for output in outputs:
            position = int(output.request_id)
            call = self._open.get(position)
            if call is None or replica not in (call.replica, call.second):
                continue
            if call.second is not None:
                other = call.replica if replica is call.second else call.second
                call.replica, call.second = replica, None
                if other is not None:
                    self._drop(call, other, now)
            result, tokens = self.results[position], len(output.new_token_ids)
            book = call.gateway.books.get(replica.name)
            if book is not None:
                book.heard(output.request_id, tokens, now, costs)
            if not result.generated:
                result.first = now
            result.generated += tokens
            call.delivered += tokens
            if output.finish_reason is not None:
                result.last = now
                if book is not None:
                    book.ended(output.request_id, now, finished=True)
                del self._open[position]

    def _executed(self, replica: _Replica, start: float, end: float, tokens: dict[str, int]) -> None:
        by_position: dict[int, int] = {}
        for name, count in tokens.items():
            position = int(name)
            by_position[position] = count
            result = self.results[position]
            result.computed += count
            if result.cancelled <= start:
                result.wasted += count
        replica.last = TimelineStep(start, end, by_position)
        self.steps.append(replica.last)


def _own_blocks(position: int, prompt: int) -> tuple[tuple[int, int], ...]:
    """The blocks of a prompt that shares none with others."""
    return tuple((position, block) for block in range(prompt // BLOCK))
