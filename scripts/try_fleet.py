#!/usr/bin/env python3
"""Try a fleet on a real Ray cluster of three nodes on this machine, with engines on the CPU.

    PYTHONPATH=. python scripts/try_fleet.py scaling|upgrade|kill|stall|gateway|slow ...

Each trial deploys a fleet with `serve deploy`, does to it what its name says while calls arrive, and prints what came
of them. A trial takes one to four minutes and some 3 GB of memory.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio
import psutil
from fleet_trials.cluster import Cluster, wait
from fleet_trials.load import Laptops, laptops, summary

from cato_lsp.scheduling.slo import ServiceClass

ENGINE = {"threads": 1, "kv_cache_gb": 0.25}
UNLIMITED = {"calls": 10_000, "tokens": 10_000_000, "rate": 1000.0}
"""One user stands for a whole team."""


class Trial:
    """One cluster, its laptops, and what is printed."""

    def __init__(self, cluster: Cluster, people: Laptops) -> None:
        self.cluster, self.people = cluster, people
        self.start = time.monotonic()

    def say(self, text: str) -> None:
        """Print, with the seconds since the start of the trial."""
        print(f"{time.monotonic() - self.start:6.1f} s  {text}", flush=True)

    async def until(self, state: Callable[[], bool], seconds: float = 400.0) -> float:
        """Wait for a state of the cluster while calls go on."""
        return await anyio.to_thread.run_sync(lambda: wait(state, seconds), abandon_on_cancel=True)

    async def busiest(self) -> tuple[str, int]:
        """The engine that runs most calls, once one runs any, and how many."""
        while True:
            seen = self.cluster.replicas()
            running = {name: each["stats"]["calls_running"] for name, each in seen.items()}
            if any(running.values()):
                return max(running.items(), key=lambda each: each[1])
            await anyio.sleep(0.05)

    async def under_load(self, during: Callable[[], Awaitable[None]], rate: float, long: float = 0.0) -> None:
        """Send ``rate`` short and ``long`` long calls a second while something happens; then wait for all answers.

        Short: a prompt of 300 tokens whose first token is due in 0.3 s. Long: an answer of 400 tokens, due in 60 s.
        """
        async with anyio.create_task_group() as group:
            if rate:
                group.start_soon(self.people.at_rate, rate, ServiceClass.TTFT, 300, 8, 0.3)
            if long:
                group.start_soon(self.people.at_rate, long, ServiceClass.E2E, 100, 400, 60.0)
            await during()
            self.people.closed = True
        self.people.closed = False

    def report(self) -> None:
        """Print what came of the calls."""
        moved, refused = (
            self.cluster.counter("cato_moved_calls_total"),
            self.cluster.counter("cato_refused_calls_total"),
        )
        self.say(summary(self.people.sent))
        self.say(
            f"moved to another engine: {moved}; laptops resubmitted: {self.people.resubmitted}; refused: {refused}"
        )

    async def disturbed(self, by: Callable[[], Awaitable[None]], long: float) -> None:
        """Send 3 short and ``long`` long calls a second while something happens; compare with undisturbed answers."""
        await self.under_load(by, rate=3.0, long=long)
        self.report()
        await self.compare()

    async def compare(self) -> None:
        """Ask for all answers again, undisturbed."""
        finished, different = await self.people.differing()
        self.say(f"asked again undisturbed: {finished - different} of {finished} answers are the same, token by token")


async def scaling(trial: Trial) -> None:
    """One engine, more load than it can serve, then little load."""
    up = lambda: len(trial.cluster.replicas())  # noqa: E731

    async def grow() -> None:
        took = await trial.until(lambda: up() == 2)
        trial.say(f"a second engine takes calls {took:.0f} s after the load came: {summary(trial.people.sent)}")
        trial.people.sent.clear()
        await anyio.sleep(20)
        trial.say(f"with two engines, in 20 s: {summary(trial.people.sent)}")
        trial.people.sent.clear()

    async def shrink() -> None:
        took = await trial.until(lambda: up() == 1)
        trial.say(f"one engine again after {took:.0f} s of little load: {summary(trial.people.sent)}")
        trial.people.sent.clear()
        await anyio.sleep(10)

    await trial.under_load(grow, rate=20.0)
    await trial.under_load(shrink, rate=1.0)
    trial.report()


async def upgrade(trial: Trial) -> None:
    """`serve deploy` with a changed config while answers are being written."""
    before = set(trial.cluster.replicas())
    gateway = [each.pid for each in trial.cluster.listeners(trial.cluster.port)]

    async def deploy() -> None:
        await anyio.sleep(5)
        changed = ENGINE | {"kv_cache_gb": 0.3}
        await anyio.to_thread.run_sync(lambda: trial.cluster.deploy(replicas=2, engine=changed, limits=UNLIMITED))
        trial.say("serve deploy has returned")
        took = await trial.until(
            lambda: (
                len(now := set(trial.cluster.replicas())) == 2
                and not now & before
                and not any(psutil.pid_exists(each) for each in gateway)
            )
        )
        trial.say(f"both engines and the gateway are new after {took:.0f} s")
        await anyio.sleep(5)

    await trial.disturbed(deploy, long=0.3)


async def kill(trial: Trial) -> None:
    """`kill -9` of an engine while answers are being written."""
    before = set(trial.cluster.replicas())

    async def die() -> None:
        await anyio.sleep(10)
        name, running = await trial.busiest()
        trial.cluster.process_of(name).kill()
        trial.say(f"an engine was killed, which ran {running} calls")
        took = await trial.until(lambda: len(now := trial.cluster.replicas()) == 2 and set(now) != before)
        trial.say(f"another one has taken its place after {took:.0f} s")
        await anyio.sleep(5)

    await trial.disturbed(die, long=0.3)


async def stall(trial: Trial) -> None:
    """An engine is suspended for 2 s, five times, with 10 short calls a second."""
    processes = [trial.cluster.process_of(name) for name in sorted(trial.cluster.replicas())]

    async def suspend() -> None:
        for number in range(5):
            await anyio.sleep(4)
            process = processes[number % len(processes)]
            process.suspend()
            try:
                await anyio.sleep(2)
            finally:
                process.resume()
        await anyio.sleep(2)

    await trial.under_load(suspend, rate=10.0, long=0.1)
    trial.report()
    trial.say(f"sent to a second engine: {trial.cluster.counter('cato_hedged_calls_total')}")
    await trial.compare()


async def gateway(trial: Trial) -> None:
    """`kill -9` of one of two gateways."""

    async def die() -> None:
        await anyio.sleep(10)
        first, *_ = trial.cluster.listeners(trial.cluster.port)
        lost = sum(c.status == "ESTABLISHED" and c.laddr.port == trial.cluster.port for c in first.net_connections())
        first.kill()
        trial.say(f"a gateway with {lost} of {len(trial.people.engines)} laptops was killed")
        took = await trial.until(lambda: len(trial.cluster.listeners(trial.cluster.port)) == 2)
        trial.say(f"another one has taken its place after {took:.0f} s")
        await anyio.sleep(5)

    await trial.disturbed(die, long=1.0)


async def slow(trial: Trial) -> None:
    """One engine gets half of the time."""
    names = sorted(trial.cluster.replicas())
    process = trial.cluster.process_of(names[0])

    def tokens() -> list[int]:
        seen = trial.cluster.replicas()
        return [seen[name]["stats"]["tokens_computed"] for name in names]

    async def watch() -> None:
        await anyio.sleep(10)
        for halved in (False, True):
            stop = threading.Event()
            if halved:
                # Three levels halve its share of a busy machine, where it would wait for most of the time anyway.
                process.nice(process.nice() + 3)
                threading.Thread(target=halve, args=(process, stop), daemon=True).start()
                await anyio.sleep(10)
            trial.people.sent.clear()
            start = tokens()
            await anyio.sleep(30)
            done = [after - before for after, before in zip(tokens(), start, strict=True)]
            seen = trial.cluster.replicas()
            steps = " and ".join(f"{1000 * seen[name]['step_seconds']:.0f}" for name in names)
            stop.set()
            share = done[0] / sum(done)
            trial.say(
                f"{'halved' if halved else 'equal'}: it computes {share:.0%} of {sum(done)} tokens in 30 s, "
                f"steps take {steps} ms: {summary(trial.people.sent)}"
            )

    await trial.under_load(watch, rate=40.0)
    trial.report()


def halve(process: psutil.Process, stop: threading.Event) -> None:
    """Let a process run every other 5 ms."""
    while not stop.is_set():
        os.kill(process.pid, signal.SIGSTOP)
        time.sleep(0.005)
        os.kill(process.pid, signal.SIGCONT)
        time.sleep(0.005)


TRIALS = {
    "scaling": (scaling, {"replicas": 1, "max_replicas": 2, "spare": 0}),
    "upgrade": (upgrade, {"replicas": 2}),
    "kill": (kill, {"replicas": 2}),
    "stall": (stall, {"replicas": 2}),
    "gateway": (gateway, {"replicas": 2, "gateways": 2}),
    "slow": (slow, {"replicas": 2}),
}


def main() -> None:
    """Run trials."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("trial", nargs="+", choices=TRIALS)
    for name in parser.parse_args().trial:
        anyio.run(run, name)


async def run(name: str) -> None:
    """Run one trial on a cluster of its own."""
    trial, settings = TRIALS[name]
    folder = Path(tempfile.mkdtemp(prefix="cato-"))
    # An upgrade needs room for the new engine beside the old ones.
    cluster = Cluster(folder, nodes=3 if name == "upgrade" else 2)
    os.environ["CATO_KEY"] = cluster.key
    print(f"\n== {name}: {trial.__doc__}", flush=True)
    try:
        cluster.start()
        cluster.deploy(engine=ENGINE, limits=UNLIMITED, **settings)
        took = await anyio.to_thread.run_sync(lambda: wait(lambda: len(cluster.replicas()) == settings["replicas"]))
        print(f"{took:6.1f} s  the fleet is up", flush=True)
        async with laptops(cluster.url, folder) as people:
            await trial(Trial(cluster, people))
    except BaseException:
        print(f"Logs are in {folder}")
        raise
    else:
        shutil.rmtree(folder, ignore_errors=True)
    finally:
        cluster.stop()


if __name__ == "__main__":
    main()
