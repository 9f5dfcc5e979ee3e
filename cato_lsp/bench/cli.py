"""The commands `simulate` and `bench`. Imports nothing heavy until a command runs."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.progress import TaskID

    from cato_lsp.bench.hardware import HardwareProfile
    from cato_lsp.bench.result import Run
    from cato_lsp.bench.simulate import Progress
    from cato_lsp.bench.workload import Workload

app = typer.Typer(help="Measure scheduling policies.", no_args_is_help=True)

WORKLOAD = "poisson, greedy, trace:FILE (Azure form), editors:N, or replay:FILE"
DEFAULT_POLICIES = "baselines,cato"

WorkloadOption = Annotated[str, typer.Option("--workload", "-w", help=WORKLOAD)]
PoliciesOption = Annotated[
    str,
    typer.Option(
        "--policies",
        "-p",
        help="Comma-separated names, or `baselines`. `cato:use=1.5` changes a number of the policy.",
    ),
]
RateOption = Annotated[str, typer.Option("--rate", help="Load, as a factor; several, comma-separated, for a sweep.")]
SlaOption = Annotated[float, typer.Option("--sla-scale", help="Factor on all deadlines.")]
SeedOption = Annotated[int, typer.Option("--seed", help="Seed of the workload's random numbers.")]
DurationOption = Annotated[float, typer.Option("--duration", help="Seconds during which calls arrive.")]
JsonOption = Annotated[Path | None, typer.Option("--json", help="Write all figures here.")]
ReportOption = Annotated[Path | None, typer.Option("--report", help="Write an HTML report with plots here.")]
SaveOption = Annotated[Path | None, typer.Option("--save", help="Write the workload here, for replay:FILE.")]


@app.command()
def simulate(
    workload: WorkloadOption = "poisson",
    policies: PoliciesOption = DEFAULT_POLICIES,
    rate: RateOption = "1.0",
    sla_scale: SlaOption = 1.0,
    seed: SeedOption = 0,
    duration: DurationOption = 120.0,
    profile: Annotated[
        str, typer.Option("--profile", help="Hardware profile: a shipped name, or a TOML file.")
    ] = "h200-qwen2.5-coder-7b",
    weights: Annotated[
        str, typer.Option("--weights", help="Weights of kinds other than 1, e.g. `summarization=5`.")
    ] = "",
    capacity: Annotated[
        float | None,
        typer.Option("--capacity", help="Find the highest rate at which this share of all deadlines is met, e.g. 0.9."),
    ] = None,
    replicas: Annotated[int, typer.Option("--replicas", min=1, help="Engines of a fleet that serves the load.")] = 1,
    router: Annotated[
        str, typer.Option("--router", help="With replicas: comma-separated names, e.g. `deadline,power-of-two`.")
    ] = "deadline",
    json_file: JsonOption = None,
    report: ReportOption = None,
    save: SaveOption = None,
) -> None:
    """Play a workload in virtual time: vLLM's real scheduler, on a simulated machine or a fleet of them."""
    from cato_lsp.bench.hardware import load_profile
    from cato_lsp.bench.policies import parse_policies
    from cato_lsp.bench.simulate import summarize

    try:
        names = parse_policies(policies)
        hardware = load_profile(profile)
        fleet = _Fleet(replicas, _routers(router, names)) if replicas > 1 else None
        if capacity is not None:
            load_at = partial(
                _make_workload, workload, sla_scale=sla_scale, seed=seed, duration=duration, save=None, weights=weights
            )
            _print_capacity(names, capacity, load_at, hardware, fleet)
            return
        rates = [float(part) for part in rate.split(",")]
        loads = [_make_workload(workload, r, sla_scale, seed, duration, save, weights) for r in rates]
    except (ValueError, OSError) as error:
        raise typer.BadParameter(str(error)) from error
    points: list[dict[str, Any]] = []
    runs: list[Run] = []
    for load, factor in zip(loads, rates, strict=True):
        played = _play(load, names, hardware, f"{load.name} x{factor:g}", fleet)
        runs = runs or played
        figures = summarize(load, names, played, hardware)
        points.append({"rate": factor, "policies": figures})
        on = hardware.name if fleet is None else f"{fleet.replicas} x {hardware.name}"
        _print_table(f"{load.name}, rate {factor:g}, {on}", figures)
    head = {
        "replicas": replicas,
        "workload": workload,
        "rate": rates[0],
        "sla_scale": sla_scale,
        "seed": seed,
        "duration_s": loads[0].duration,
        "profile": hardware.name,
        "profile_source": hardware.source,
    }
    _write(head, points, runs, json_file, report)


@app.command()
def bench(
    workload: WorkloadOption = "contention",
    policies: PoliciesOption = "fcfs,priority,edf,cato",
    rate: Annotated[float, typer.Option("--rate", help="Load, as a factor.")] = 1.0,
    sla_scale: SlaOption = 1.0,
    seed: SeedOption = 0,
    duration: Annotated[float, typer.Option("--duration", help="Seconds during which calls arrive.")] = 30.0,
    model: Annotated[str, typer.Option("--model", help="Model folder; default: the bundled one.")] = "",
    load_format: Annotated[str, typer.Option("--load-format", help="`dummy`: random weights.")] = "auto",
    length_scale: Annotated[float, typer.Option("--length-scale", help="Factor on prompts and answers.")] = 1.0,
    max_tokens: Annotated[int, typer.Option("--max-tokens", help="Most tokens per step.")] = 512,
    max_slots: Annotated[int, typer.Option("--max-slots", help="Most calls that run at once.")] = 64,
    max_model_len: Annotated[int, typer.Option("--max-model-len", help="Context window.")] = 4096,
    async_scheduling: Annotated[bool, typer.Option(help="Plan a step while another runs (GPU).")] = False,
    warmup: Annotated[float, typer.Option("--warmup", help="Seconds played first and not counted.")] = 5.0,
    json_file: JsonOption = None,
    report: ReportOption = None,
    save: SaveOption = None,
    fit: Annotated[Path | None, typer.Option("--fit", help="Only fit a hardware profile; write it here.")] = None,
) -> None:
    """Play a workload in real time on a live engine, open loop, one engine per policy.

    The workload `contention` plays completions alone, then the same completions with more background work than
    the machine can do.
    """
    from cato_lsp.bench.live import LiveOptions, run_live
    from cato_lsp.bench.metrics import run_summary
    from cato_lsp.bench.policies import parse_policies

    try:
        names = parse_policies(policies)
        loads = _live_loads(workload, rate, sla_scale, seed, duration, save)
    except (ValueError, OSError) as error:
        raise typer.BadParameter(str(error)) from error
    options = LiveOptions(
        model=model,
        load_format=load_format,
        length_scale=length_scale,
        max_tokens=max_tokens,
        max_slots=max_slots,
        max_model_len=max_model_len,
        async_scheduling=async_scheduling,
        warmup=warmup,
    )
    if fit is not None:
        from cato_lsp.bench.fit import fit_profile

        fit.write_text(fit_profile(fit.stem, "cato-lsp bench --fit", options).toml())
        return
    by_load = run_live(loads, names, options)
    points: list[dict[str, Any]] = []
    for load, runs in zip(loads, by_load, strict=True):
        figures = {run.policy: run_summary(run) for run in runs}
        points.append({"load": load.name, "rate": rate, "policies": figures})
        _print_table(f"{load.name}, rate {rate:g}, live", figures)
    if len(points) == 2:
        _print_contention(points[0]["policies"], points[1]["policies"])
    head = {"workload": workload, "rate": rate, "sla_scale": sla_scale, "seed": seed, "live": True}
    _write(head, points, by_load[0], json_file, report)


@dataclass(frozen=True, slots=True)
class _Fleet:
    """The fleet that `--replicas` and `--router` ask for."""

    replicas: int
    routers: list[str]

    def play(
        self, load: Workload, names: list[str], hardware: HardwareProfile, progress: Progress | None = None
    ) -> list[Run]:
        """Play the load under each policy with each router."""
        from cato_lsp.bench.fleet_plan import FleetPlan
        from cato_lsp.bench.simulate import simulate_fleet

        return simulate_fleet(load, names, self.routers, FleetPlan(self.replicas), hardware, progress)


def _routers(names: str, policies: list[str]) -> list[str]:
    """Parse the names of routers, and make sure that a fleet can be played with each.

    Raises:
        ValueError: it cannot.
    """
    from cato_lsp.bench.policies import CLAIRVOYANT
    from cato_lsp.bench.routers import ROUTERS, parse_routers

    if CLAIRVOYANT in policies:
        raise ValueError(f"{CLAIRVOYANT} is a bound for one replica")
    found = parse_routers(names)
    for name in found:
        ROUTERS[name]()
    return found


def _live_loads(
    spec: str, rate: float, sla_scale: float, seed: int, duration: float, save: Path | None
) -> list[Workload]:
    from cato_lsp.bench.contention import contention

    if spec == "contention":
        return list(contention(rate=rate, sla_scale=sla_scale, seed=seed, duration=duration))
    return [_make_workload(spec, rate, sla_scale, seed, duration, save)]


def _make_workload(
    spec: str, rate: float, sla_scale: float, seed: int, duration: float, save: Path | None, weights: str = ""
) -> Workload:
    from cato_lsp.bench.specs import make_workload, parse_weights

    load = make_workload(spec, rate=rate, sla_scale=sla_scale, seed=seed, duration=duration)
    load = replace(load, weights=parse_weights(weights))
    if save is not None:
        load.save(save)
    return load


def _play(load: Workload, names: list[str], hardware: HardwareProfile, title: str, fleet: _Fleet | None) -> list[Run]:
    from rich.console import Console
    from rich.progress import Progress as Bars

    from cato_lsp.bench.simulate import simulate as play

    with Bars(console=Console(stderr=True), transient=True) as bar:
        tasks: dict[str, TaskID] = {}

        def tell(name: str, seconds: float) -> None:
            if name not in tasks:
                tasks[name] = bar.add_task(f"{title} {name}", total=load.duration)
            bar.update(tasks[name], completed=seconds)

        return play(load, names, hardware, tell) if fleet is None else fleet.play(load, names, hardware, tell)


def _print_table(title: str, figures: dict[str, dict[str, Any]]) -> None:
    from rich.console import Console

    from cato_lsp.bench.report import print_summary

    print_summary(Console(), title, figures)


def _print_capacity(
    names: list[str],
    share: float,
    load_at: Callable[[float], Workload],
    hardware: HardwareProfile,
    fleet: _Fleet | None,
) -> None:
    from cato_lsp.bench.capacity import attainment, highest_rate
    from cato_lsp.bench.simulate import simulate as play

    def attained(name: str, router: str | None, rate: float) -> float:
        if fleet is None or router is None:
            (run,) = play(load_at(rate), [name], hardware)
        else:
            (run,) = replace(fleet, routers=[router]).play(load_at(rate * fleet.replicas), [name], hardware)
        return attainment(run)

    for name, router in product(names, [None] if fleet is None else fleet.routers):
        rate = highest_rate(partial(attained, name, router), share) * (1 if fleet is None else fleet.replicas)
        label = name if router is None else f"{name}/{router}"
        typer.echo(f"{label}: {share:.0%} of all deadlines are met up to rate {rate:.2f}")


def _print_contention(alone: dict[str, Any], saturated: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    first = next(iter(alone))
    names = ("policy", "compl. TTFT P95 alone", "with background", "ratio", "background tokens/s", f"of {first}'s")
    table = Table(*names, title="contention", show_edge=False)
    most = saturated[first]["background_tokens_per_s"]
    for name, figures in saturated.items():
        before, after = (each["kinds"]["completion"]["ttft_p95"] for each in (alone[name], figures))
        background = figures["background_tokens_per_s"]
        cells = (
            f"{before:.4f}",
            f"{after:.4f}",
            f"{after / before:.2f}",
            f"{background:.0f}",
            f"{background / most:.2f}",
        )
        table.add_row(name, *cells)
    Console().print(table)


def _write(
    head: dict[str, Any],
    points: list[dict[str, Any]],
    runs: list[Run],
    json_file: Path | None,
    report: Path | None,
) -> None:
    document: dict[str, Any] = {**head, "policies": points[0]["policies"]}
    if len(points) > 1:
        document["sweep"] = points
    if json_file is not None:
        json_file.write_text(json.dumps(document, indent=2) + "\n")
    if report is not None:
        from cato_lsp.bench.report import html_report

        report.write_text(html_report(document, points, runs))
