#!/usr/bin/env python3
"""40 simulated laptops on one CPU engine, for minutes, with everything that goes wrong in a team.

    PYTHONPATH=. python scripts/soak_team.py [--minutes 10] [--json FILE]

38 laptops type recorded sessions over TLS; five of them are killed at random moments. After a quarter of the time one
user asks for as much as the limits allow, and one sends garbage from the beginning. The server is stopped and started
again in the middle. Prints a table, and fails if a request has not ended exactly once, a call is left running, a token
was computed after a cancel, or the server's memory still grows at the end.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import trustme
from prometheus_client.parser import text_string_to_metric_families
from soak_laptop import DEADLINE

from cato_lsp.gateway.keys import KeyFile
from cato_lsp.orchestrator.summary import percentile

TYPISTS, VICTIMS, PER_PROCESS = 33, 5, 7
GROWTH = 15.0
"""MB that the server may grow in the last quarter. Before, it touches its KV cache block by block."""
ENGINE = "[engine]\nthreads = 1\nkv_cache_gb = 0.25\n"


@dataclass(slots=True)
class Life:
    """The server from one start to the next."""

    memory: list[float] = field(default_factory=list[float])
    """Resident MB, every few seconds."""
    wasted: float = 0.0
    """Tokens computed after a cancel."""
    left_running: int = 0
    tokens: Counter[str] = field(default_factory=Counter[str])
    """By user."""

    @property
    def grown(self) -> float:
        """MB from the last quarter's beginning to its end, as medians of an eighth of it."""
        quarter = self.memory[-len(self.memory) // 4 :]
        count = max(1, len(quarter) // 8)
        early, late = quarter[:count], quarter[-count:]
        return (percentile(late, 50) or 0.0) - (percentile(early, 50) or 0.0)


class Server:
    """The server's process."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        authority = trustme.CA()
        issued = authority.issue_cert("127.0.0.1")
        self.trust = folder / "authority.pem"
        authority.cert_pem.write_to_path(self.trust)
        issued.cert_chain_pems[0].write_to_path(folder / "cert.pem")
        issued.private_key_pem.write_to_path(folder / "key.pem")
        config = folder / "config" / "cato-lsp"
        config.mkdir(parents=True)
        (config / "cato.toml").write_text(ENGINE)
        keys = KeyFile(config / "server-keys.json")
        names = [*(f"typist-{n}" for n in range(TYPISTS)), *(f"victim-{n}" for n in range(VICTIMS))]
        self.keys = {name: keys.add(name) for name in (*names, "greedy", "garbage", "operator")}
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self.lives: list[Life] = []
        self._process: subprocess.Popen[bytes]

    def start(self) -> None:
        """Start it, and wait until it serves."""
        self.lives.append(Life())
        command = [sys.executable, "-m", "cato_lsp", "serve", "--port", str(self.port), "--model", "bundled"]
        command += ["--tls-cert", str(self._folder / "cert.pem"), "--tls-key", str(self._folder / "key.pem")]
        environment = os.environ | {"XDG_CONFIG_HOME": str(self._folder / "config"), "OMP_NUM_THREADS": "1"}
        with (self._folder / "serve.log").open("ab") as log:
            self._process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stderr=log)
        while self._get("/health") is None:
            assert self._process.poll() is None, (self._folder / "serve.log").read_text()
            time.sleep(0.2)

    def sample(self) -> None:
        """Note the memory, and what the server has counted so far."""
        life = self.lives[-1]
        life.memory.append(psutil.Process(self._process.pid).memory_info().rss / 1e6)
        if (text := self._get("/metrics")) is not None:
            for family in text_string_to_metric_families(text):
                for sample in family.samples:
                    if sample.name == "cato_tokens_wasted_total":
                        life.wasted = sample.value
                    elif sample.name == "cato_user_tokens_total":
                        life.tokens[sample.labels["user"]] = int(sample.value)

    def stop(self) -> None:
        """Stop it as systemd does, and wait."""
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(60)

    def settle(self) -> None:
        """Wait a little until nothing runs any more; note what is left."""
        end = time.monotonic() + 15
        while (left := self._running()) and time.monotonic() < end:
            time.sleep(0.2)
        self.lives[-1].left_running = left

    def _running(self) -> int:
        seen = json.loads(self._get("/overview") or "{}")
        return seen.get("running", 0) + seen.get("stats", {}).get("calls_waiting", 0) + seen.get("connections", 0)

    def _get(self, path: str) -> str | None:
        headers = {"Authorization": f"Bearer {self.keys['operator']}"}
        request = urllib.request.Request(f"https://127.0.0.1:{self.port}{path}", headers=headers)
        try:
            context = ssl.create_default_context(cafile=str(self.trust))
            with urllib.request.urlopen(request, timeout=30, context=context) as answer:
                return answer.read().decode()
        except OSError:
            return None


class Laptops:
    """A process of `soak_laptop.py`."""

    def __init__(self, server: Server, folder: Path, work: str, names: list[str]) -> None:
        self._log = folder / f"{work}-{names[0]}.log"
        keys = {name: server.keys[name] for name in names}
        task = {"url": f"wss://127.0.0.1:{server.port}", "keys": keys, "work": work, "cache": str(folder / "cache")}
        environment = {name: value for name, value in os.environ.items() if name != "CATO_KEY"}
        environment["SSL_CERT_FILE"] = str(server.trust)
        script = Path(__file__).with_name("soak_laptop.py")
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, str(script), json.dumps(task)],
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
            )

    def end(self) -> dict[str, Any]:
        """End it; return what became of its requests."""
        output, _ = self.process.communicate(timeout=120)
        assert output, self._log.read_text()[-4000:]
        return json.loads(output)


def main() -> None:
    """Run and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--json", type=Path, help="also write all figures to this file")
    options = parser.parse_args()
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as name:
        figures = soak(Path(name), 60 * options.minutes)
    print(f"Load average at the start {load:.1f}, {os.cpu_count()} cores, {options.minutes:g} minutes.\n")
    print("\n".join(f"- {name}: {value}" for name, value in figures.items()))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1), encoding="utf-8")
    if figures["failures"]:
        sys.exit(1)


def soak(folder: Path, seconds: float) -> dict[str, Any]:
    """Run everything; return the figures."""
    server = Server(folder)
    server.start()
    typists = [f"typist-{n}" for n in range(TYPISTS)]
    groups = [Laptops(server, folder, "type", typists[n : n + PER_PROCESS]) for n in range(0, TYPISTS, PER_PROCESS)]
    victims = [Laptops(server, folder, "type", [f"victim-{n}"]) for n in range(VICTIMS)]
    groups.append(Laptops(server, folder, "garbage", ["garbage"]))
    began = time.monotonic()
    chance = random.Random(3)
    kills = sorted(began + seconds * chance.uniform(0.1, 0.9) for _ in victims)
    greedy_at, restart_at = began + seconds / 4, began + seconds / 2
    restarted = (0.0, 0.0)
    greedy = None
    while (now := time.monotonic()) < began + seconds:
        if kills and now > kills[0]:
            kills.pop(0)
            victims[len(kills)].process.kill()
        if greedy is None and now > greedy_at:
            greedy_at, greedy = now, Laptops(server, folder, "greedy", ["greedy"])
        if not restarted[1] and now > restart_at:
            server.sample()
            server.stop()
            server.start()
            restarted = now, time.monotonic()
        server.sample()
        time.sleep(2)
    ended = [each.end() for each in (*groups, *([greedy] if greedy else []))]
    for victim in victims:
        victim.process.kill()
        victim.process.communicate()
    server.settle()
    server.sample()
    server.stop()
    reports = {name: report for each in ended for name, report in each.items()}
    return figures_of(server, reports, greedy_at, restarted)


def figures_of(
    server: Server, reports: dict[str, dict[str, Any]], greedy_at: float, restarted: tuple[float, float]
) -> dict[str, Any]:
    """What is printed; ``failures`` is empty if all is well."""
    garbage = reports.pop("garbage", {})
    assert not garbage.get("asked"), "it sends no requests"
    outcomes = sum((Counter(each["outcomes"]) for each in reports.values()), Counter[str]())
    asked = sum(each["asked"] for each in reports.values())
    unusual = [text for each in reports.values() for text in each["unusual"]]
    after_cancel = sum(each["after_cancel"] for each in reports.values()) + sum(life.wasted for life in server.lives)
    typists = {name: each for name, each in reports.items() if name != "greedy"}
    failures = list(unusual)
    if asked != outcomes.total():
        failures.append(f"{asked} requests, {outcomes.total()} ends")
    if after_cancel:
        failures.append(f"{after_cancel:.0f} tokens after a cancel")
    for life in server.lives:
        if life.left_running:
            failures.append(f"{life.left_running} calls or connections left")
    if (grown := server.lives[-1].grown) > GROWTH:
        failures.append(f"the server has grown by {grown:.0f} MB in the last quarter")
    before, beside = (quiet_times(typists, greedy_at, restarted, greedy=greedy) for greedy in (False, True))
    return {
        "requests": asked,
        "ended": dict(outcomes),
        "resubmitted after the restart": sum(each["resubmitted"] for each in reports.values()),
        "tokens after a cancel": int(after_cancel),
        "left running at the end": [life.left_running for life in server.lives],
        "server's memory, MB, in the middle and at the end of each life": [
            f"{life.memory[len(life.memory) // 2]:.0f} to {life.memory[-1]:.0f}" for life in server.lives
        ],
        "memory, MB": [[round(each) for each in life.memory[::5]] for life in server.lives],
        "first token of typists, before the greedy user": before,
        "first token of typists, beside the greedy user": beside,
        "greedy user's share of the tokens of the second life": shares(server.lives[-1].tokens),
        "tokens of typists in the second life": spread(server.lives[-1].tokens),
        "failures": failures,
    }


def quiet_times(
    typists: dict[str, dict[str, Any]], greedy_at: float, restarted: tuple[float, float], *, greedy: bool
) -> str:
    """First tokens of a phase, without the time of the restart; and the typist who waits longest, as a median."""
    by_user = {
        name: [
            seconds
            for made, seconds in report["first"]
            if (made > greedy_at) is greedy and not restarted[0] - 5 < made < restarted[1] + 10
        ]
        for name, report in typists.items()
    }
    made = sum(map(len, by_user.values()))
    answered = {name: [each for each in values if each is not None] for name, values in by_user.items()}
    all_ = [seconds for values in answered.values() for seconds in values]
    middles = sorted(percentile(values, 50) or 0.0 for values in answered.values() if len(values) > 5)
    if not middles:
        return "none"
    middle, late = percentile(all_, 50) or 0.0, percentile(all_, 95) or 0.0
    in_time = sum(each <= DEADLINE for each in all_) / made
    return (
        f"{made} requests, {in_time:.0%} answered within {1000 * DEADLINE:.0f} ms; "
        f"P50 {1000 * middle:.0f} ms, P95 {1000 * late:.0f} ms; "
        f"medians of users {1000 * middles[0]:.0f} to {1000 * middles[-1]:.0f} ms"
    )


def shares(tokens: Counter[str]) -> str:
    """The greedy user's part."""
    return f"{tokens['greedy'] / max(1, tokens.total()):.1%} of {tokens.total()}, one of {len(tokens)} users"


def spread(tokens: Counter[str]) -> str:
    """Least, middle and most of the typists."""
    values = sorted(count for name, count in tokens.items() if name.startswith("typist"))
    return f"{values[0]} to {values[-1]}, median {values[len(values) // 2]}" if values else "none"


if __name__ == "__main__":
    main()
