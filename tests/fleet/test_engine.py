"""Calls over replicas that come, fail and go. The replicas are scripted: a test decides what they answer, and when."""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio
import anyio.lowlevel
import pytest

from cato_lsp.engine.api import Call, CallRejectedError, Delta, EngineError, EngineStats, EngineUnavailableError
from cato_lsp.engine.stream import ThreadCallStream
from cato_lsp.fleet.books import Capacity
from cato_lsp.fleet.engine import FleetEngine
from cato_lsp.fleet.scaling import Scaler
from cato_lsp.gateway.limits import Limit, LimitError
from cato_lsp.scheduling.cost import StepCosts
from cato_lsp.scheduling.slo import ServiceClass, Slo, TaskKind
from tests.fleet.calls import COSTS

pytestmark = pytest.mark.asyncio
ROOM = Capacity(8, 1000)
MUCH_ROOM = Capacity(256, 10_000)


class Replica:
    """Answers what the test pushes."""

    def __init__(self) -> None:
        self.streams: list[ThreadCallStream] = []
        self.cancelled: list[str] = []
        self.hints: list[str] = []
        self.came = anyio.Event()

    def submit(self, call: Call) -> ThreadCallStream:
        stream = ThreadCallStream(str(len(self.streams)), call, lambda stream: self.cancelled.append(stream.call_id))
        self.streams.append(stream)
        self.came.set()
        return stream

    def hint(self, client: str, until: float) -> None:
        self.hints.append(client)

    def stats(self) -> EngineStats:
        return EngineStats(steps=1, kv_cache_usage=0.5)

    def cost(self) -> StepCosts:
        return COSTS

    async def call(self) -> ThreadCallStream:
        """The last call that it was sent, once there is one."""
        await self.came.wait()
        return self.streams[-1]


def a_call(deadline: float = math.inf, max_tokens: int = 10) -> Call:
    slo = Slo(TaskKind.SUMMARIZATION, ServiceClass.E2E, 0.0, deadline, "ann")
    return Call((1, 2, 3), slo, max_tokens)


def words(*ids: int, end: bool = False) -> Delta:
    return Delta("".join(f"{i} " for i in ids), len(ids), "stop" if end else None, token_ids=ids)


class Clock:
    """Stands still unless the test moves it."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@asynccontextmanager
async def running_fleet(scaler: Scaler | None = None, clock: Clock | None = None) -> AsyncGenerator[FleetEngine]:
    made = FleetEngine(clock=clock or Clock(), scaler=scaler)
    async with anyio.create_task_group() as group:
        group.start_soon(made.run)
        await anyio.lowlevel.checkpoint()
        yield made
        group.cancel_scope.cancel()


async def read(stream: ThreadCallStream, into: list[int]) -> None:
    async with stream:
        async for delta in stream:
            into.extend(delta.token_ids)


async def test_a_call_goes_on_elsewhere_without_a_lost_or_repeated_token() -> None:
    async with running_fleet() as fleet:
        dying, other = Replica(), Replica()
        fleet.add("dying", dying, ROOM)
        got: list[int] = []
        async with anyio.create_task_group() as group:
            stream = fleet.submit(a_call())
            group.start_soon(read, stream, got)
            (await dying.call()).push(words(7, 8))
            while not got:
                await anyio.lowlevel.checkpoint()
            fleet.add("other", other, ROOM)
            (await dying.call()).push(EngineUnavailableError("killed"))
            moved = await other.call()
            assert moved.call.prompt_ids == (1, 2, 3, 7, 8)
            assert moved.call.max_tokens == 8
            moved.push(words(9, end=True))
        assert got == [7, 8, 9]
        assert fleet.replicas == ("other",)
        assert fleet.moved == 1


async def test_a_call_that_one_replica_rejects_is_not_sent_to_others() -> None:
    async with running_fleet() as fleet:
        one, two = Replica(), Replica()
        fleet.add("one", one, ROOM)
        fleet.add("two", two, ROOM)
        stream = fleet.submit(a_call())
        (await one.call()).push(CallRejectedError("too long"))
        with pytest.raises(CallRejectedError):
            await read(stream, [])
        assert not two.streams
        assert fleet.replicas == ("one", "two")


async def test_leaving_a_call_cancels_it_on_its_replica() -> None:
    async with running_fleet() as fleet:
        replica = Replica()
        fleet.add("one", replica, ROOM)
        async with fleet.submit(a_call()):
            await replica.call()
        while not replica.cancelled:
            await anyio.lowlevel.checkpoint()
        assert replica.cancelled == ["0"]
        assert fleet.cost() == COSTS


async def test_a_call_waits_for_a_replica_and_fails_if_its_deadline_has_passed() -> None:
    async with running_fleet() as fleet:
        with pytest.raises(EngineUnavailableError, match="No engine"):
            await read(fleet.submit(a_call(deadline=-1.0)), [])
        replica, got = Replica(), list[int]()
        async with anyio.create_task_group() as group:
            group.start_soon(read, fleet.submit(a_call(deadline=5.0)), got)
            await anyio.lowlevel.checkpoint()
            fleet.add("late", replica, ROOM)
            (await replica.call()).push(words(4, end=True))
        assert got == [4]


async def test_all_replicas_lost_one_after_the_other_end_the_call_with_an_error() -> None:
    async with running_fleet() as fleet:
        replicas = [Replica(), Replica()]
        for number, replica in enumerate(replicas):
            fleet.add(str(number), replica, ROOM)
        failed: list[EngineError] = []

        async def expect_failure() -> None:
            try:
                await read(fleet.submit(a_call(deadline=0.01)), [])
            except EngineError as error:
                failed.append(error)

        async with anyio.create_task_group() as group:
            group.start_soon(expect_failure)
            for replica in replicas:
                (await replica.call()).push(EngineUnavailableError("killed"))
        assert len(failed) == 1
        assert fleet.replicas == ()


async def test_hints_go_to_the_home_of_a_client_and_counters_add_up() -> None:
    async with running_fleet() as fleet:
        one, two = Replica(), Replica()
        fleet.add("one", one, ROOM)
        fleet.add("two", two, ROOM)
        fleet.hint("ann", 1.0)
        async with fleet.submit(a_call()):
            await one.call()
            fleet.hint("ann", 1.0)
        assert (one.hints, two.hints) == (["ann"], [])
        assert fleet.stats().steps == 2
        assert fleet.stats().kv_cache_usage == 0.5


def a_completion(prompt: int, deadline: float, number: int = 0) -> Call:
    slo = Slo(TaskKind.COMPLETION, ServiceClass.TTFT, 0.0, deadline, "ann")
    return Call(tuple(range(number, number + prompt)), slo, 10)


async def test_a_call_far_too_late_is_refused() -> None:
    async with running_fleet() as fleet:
        replica = Replica()
        fleet.add("one", replica, MUCH_ROOM)
        before = [fleet.submit(a_completion(1000, 0.35, number)) for number in range(12)]
        while len(replica.streams) < len(before):
            await anyio.lowlevel.checkpoint()
        with pytest.raises(LimitError, match=r"12 calls are ahead, with 0.\d s of prompts on each") as refused:
            await read(fleet.submit(a_completion(8000, 0.01)), [])
        assert refused.value.limit is Limit.QUEUE
        assert len(replica.streams) == 12


async def test_a_call_whose_replica_was_lost_is_not_refused() -> None:
    async with running_fleet(Scaler(1, 4)) as fleet:
        dying, other = Replica(), Replica()
        fleet.add("dying", dying, MUCH_ROOM)
        got: list[int] = []
        async with anyio.create_task_group() as group:
            group.start_soon(read, fleet.submit(a_completion(4000, 0.05)), got)
            (await dying.call()).push(words(7))
            while not got:
                await anyio.lowlevel.checkpoint()
            fleet.add("other", other, MUCH_ROOM)
            for number in range(40):
                fleet.submit(a_completion(4000, 1.0, number))
            while len(dying.streams) + len(other.streams) < 41:
                await anyio.lowlevel.checkpoint()
            assert fleet.wanted() > 2
            with pytest.raises(LimitError):
                await read(fleet.submit(a_completion(4000, 0.05, 500)), [])
            dying.streams[0].push(EngineUnavailableError("killed"))
            while len(moved := [each for each in other.streams if len(each.call.prompt_ids) > 4000]) == 0:
                await anyio.lowlevel.checkpoint()
            moved[0].push(words(8, end=True))
        assert got == [7, 8]


def two_replicas(fleet: FleetEngine) -> tuple[Replica, Replica]:
    """Two that are up; the first gets the first call."""
    silent, other = Replica(), Replica()
    fleet.add("silent", silent, ROOM)
    fleet.add("other", other, ROOM)
    return silent, other


async def test_calls_go_elsewhere_until_a_silent_replica_answers_a_ping() -> None:
    clock = Clock()
    async with running_fleet(clock=clock) as fleet, anyio.create_task_group() as group:
        silent, other = two_replicas(fleet)

        async def answered_elsewhere(number: int) -> list[int]:
            """The call is answered by the other replica."""
            got: list[int] = []
            group.start_soon(read, fleet.submit(a_completion(100, 0.2)), got)
            while len(other.streams) <= number:
                await anyio.lowlevel.checkpoint()
            other.streams[number].push(words(7, end=True))
            while not got:
                await anyio.lowlevel.checkpoint()
            return got

        group.start_soon(answered_elsewhere, 0)
        await silent.call()
        clock.now = 0.12
        while not silent.cancelled:
            await anyio.lowlevel.checkpoint()
        assert await answered_elsewhere(1) == [7]
        assert (fleet.hedged, len(silent.streams)) == (1, 1)
        fleet.pong("silent")
        fleet.pong("unknown")
        group.start_soon(read, fleet.submit(a_completion(100, clock.now + 0.2)), [])
        while len(silent.streams) < 2:
            await anyio.lowlevel.checkpoint()
        silent.streams[1].push(words(8, end=True))


@pytest.mark.parametrize("first", ["home", "other"])
async def test_of_a_call_on_a_silent_replica_and_its_copy_the_first_to_deliver_goes_on_alone(first: str) -> None:
    clock = Clock()
    async with running_fleet(clock=clock) as fleet:
        replicas = {"home": Replica(), "other": Replica()}
        for name, replica in replicas.items():
            fleet.add(name, replica, ROOM)
        got: list[int] = []
        async with anyio.create_task_group() as group:
            group.start_soon(read, fleet.submit(a_completion(100, 0.2)), got)
            home = await replicas["home"].call()
            clock.now = 0.12
            copy = await replicas["other"].call()
            assert copy.call == home.call
            winner, loser = (home, copy) if first == "home" else (copy, home)
            winner.push(words(7))
            while not replicas["other" if first == "home" else "home"].cancelled:
                await anyio.lowlevel.checkpoint()
            loser.push(words(70, end=True))
            winner.push(words(8, end=True))
        assert got == [7, 8]
        assert (fleet.hedged, fleet.moved) == (1, 0)
        assert fleet.replicas == ("home", "other")


async def test_the_copy_of_an_answer_goes_on_from_the_tokens_that_were_delivered() -> None:
    clock = Clock()
    async with running_fleet(clock=clock) as fleet:
        silent, other = two_replicas(fleet)
        got: list[int] = []
        async with anyio.create_task_group() as group:
            group.start_soon(read, fleet.submit(a_call(deadline=6.0)), got)
            (await silent.call()).push(words(7))
            while not got:
                await anyio.lowlevel.checkpoint()
            clock.now = 2.9
            copy = await other.call()
            assert (copy.call.prompt_ids, copy.call.max_tokens) == ((1, 2, 3, 7), 9)
            # The silent one is found to be lost: nothing is left to do.
            (await silent.call()).push(EngineUnavailableError("silent for 4 s"))
            while fleet.replicas != ("other",):
                await anyio.lowlevel.checkpoint()
            copy.push(words(8, end=True))
        assert got == [7, 8]
        assert (fleet.hedged, fleet.moved) == (1, 0)


async def test_both_copies_fail_and_the_call_goes_on_at_a_third_replica() -> None:
    clock = Clock()
    async with running_fleet(clock=clock) as fleet:
        silent, other, third = Replica(), Replica(), Replica()
        fleet.add("silent", silent, ROOM)
        fleet.add("other", other, ROOM)
        got: list[int] = []
        async with anyio.create_task_group() as group:
            group.start_soon(read, fleet.submit(a_completion(100, 0.2)), got)
            await silent.call()
            clock.now = 0.12
            copy = await other.call()
            fleet.add("third", third, ROOM)
            copy.push(EngineUnavailableError("killed"))
            while fleet.replicas != ("silent", "third"):
                await anyio.lowlevel.checkpoint()
            (await silent.call()).push(EngineUnavailableError("silent for 4 s"))
            (await third.call()).push(words(7, end=True))
        assert got == [7]
        assert fleet.moved == 1


async def test_a_copy_that_delivers_and_fails_at_once_ends_no_call() -> None:
    clock = Clock()
    async with running_fleet(clock=clock) as fleet:
        silent, other = two_replicas(fleet)
        got: list[int] = []
        async with anyio.create_task_group() as group:
            group.start_soon(read, fleet.submit(a_completion(100, 0.2)), got)
            await silent.call()
            clock.now = 0.12
            copy = await other.call()
            copy.push(words(7))
            copy.push(EngineUnavailableError("killed"))
            while len(silent.streams) < 2:
                await anyio.lowlevel.checkpoint()
            assert silent.streams[1].call.prompt_ids[-1] == 7
            silent.streams[1].push(words(8, end=True))
        assert got == [7, 8]
        assert silent.cancelled == ["0"]


async def test_leaving_a_call_cancels_both_copies() -> None:
    clock = Clock()
    async with running_fleet(clock=clock) as fleet:
        silent, other = two_replicas(fleet)
        async with fleet.submit(a_completion(100, 0.2)):
            await silent.call()
            clock.now = 0.12
            await other.call()
        while not (silent.cancelled and other.cancelled):
            await anyio.lowlevel.checkpoint()
