from __future__ import annotations

import pytest

from cato_lsp.engine.telemetry import MachineSampler, sample_every


def test_a_sample_has_what_every_machine_has() -> None:
    with MachineSampler(lambda: 0.25) as sampler:
        sample = sampler.sample()
    assert sample.kv_cache_usage == 0.25
    assert sample.memory_bytes > 1_000_000
    assert 0.0 <= sample.cpu_utilization <= 1.0


def test_without_a_gpu_its_figures_are_absent() -> None:
    with MachineSampler() as sampler:
        if sampler.has_gpu:
            pytest.skip("this machine has a GPU")
        assert sampler.sample().gpu_utilization is None


@pytest.mark.anyio
async def test_samples_come_one_after_another() -> None:
    with MachineSampler() as sampler:
        times: list[float] = []
        async for sample in sample_every(0.0, sampler):
            times.append(sample.time)
            if len(times) == 3:
                break
    assert times == sorted(times)
