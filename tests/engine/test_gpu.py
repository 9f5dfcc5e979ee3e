"""Who asks NVML for what: the doctor for all GPUs, the choice of a model for the one that vLLM uses."""

from __future__ import annotations

import pytest

from cato_lsp.doctor import hardware
from cato_lsp.engine.gpu import GpuError, open_gpus
from cato_lsp.models.machine import this_machine
from tests.engine.fake_nvml import FakeNvml, gpu_build


def test_the_doctor_lists_all_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    nvml = FakeNvml(total=80 << 30)
    gpu_build(monkeypatch, nvml, "1")
    assert hardware.gpus() == [f"name of gpu-{index}, 80 GiB, driver 580.1" for index in (0, 1)]
    assert nvml.open == 0


def test_a_model_is_chosen_for_the_gpu_that_vllm_uses(monkeypatch: pytest.MonkeyPatch) -> None:
    nvml = FakeNvml()
    gpu_build(monkeypatch, nvml, "1,0")
    assert this_machine().gpu_bytes == 80
    assert nvml.asked == [1]
    assert nvml.open == 0


@pytest.mark.parametrize("visible", ["0", "7"])
def test_a_gpu_that_does_not_answer_is_none(monkeypatch: pytest.MonkeyPatch, visible: str) -> None:
    nvml = FakeNvml(fails=True)
    gpu_build(monkeypatch, nvml, visible)
    assert this_machine().gpu_bytes is None
    assert hardware.gpus() == "lost"
    with pytest.raises(GpuError), open_gpus() as gpus:
        gpus.of_vllm().memory()
    assert nvml.open == 0
