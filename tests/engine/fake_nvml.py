"""NVML without a GPU, to see who is asked for what."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest

from cato_lsp.engine import gpu


class NvmlError(Exception):
    pass


class FakeNvml(SimpleNamespace):
    """Two GPUs."""

    NVMLError = NvmlError

    def __init__(self, *, fails: bool = False, total: int = 80) -> None:
        super().__init__(asked=[], open=0, fails=fails, total=total)

    def nvmlInit(self) -> None:  # noqa: N802
        self.open += 1

    def nvmlShutdown(self) -> None:  # noqa: N802
        self.open -= 1

    def nvmlSystemGetDriverVersion(self) -> str:  # noqa: N802
        return "580.1"

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802
        return 2

    def nvmlDeviceGetHandleByIndex(self, index: int) -> str:  # noqa: N802
        self.asked.append(index)
        if index > 1:
            raise NvmlError("no such GPU")
        return f"gpu-{index}"

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> str:  # noqa: N802
        self.asked.append(uuid)
        return uuid

    def nvmlDeviceGetName(self, device: str) -> str:  # noqa: N802
        return f"name of {device}"

    def nvmlDeviceGetMemoryInfo(self, _device: str) -> Any:  # noqa: N802
        if self.fails:
            raise NvmlError("lost")
        return SimpleNamespace(used=30, total=self.total)

    def nvmlDeviceGetUtilizationRates(self, _device: str) -> Any:  # noqa: N802
        return SimpleNamespace(gpu=75)

    def nvmlDeviceGetPowerUsage(self, _device: str) -> int:  # noqa: N802
        raise NvmlError("no sensor")


def gpu_build(monkeypatch: pytest.MonkeyPatch, nvml: FakeNvml, visible: str) -> None:
    monkeypatch.setattr(gpu, "vllm_distribution", lambda: ("vllm", "0.26.0"))
    monkeypatch.setitem(sys.modules, "pynvml", nvml)  # type: ignore[arg-type]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
