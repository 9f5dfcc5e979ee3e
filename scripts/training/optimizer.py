"""Muon for the hidden matrices, AdamW for the rest."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from concurrent.futures import Executor
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from training.model import CausalLM, compute_dtype


class Muon(Optimizer):
    """Momentum whose update is orthogonalised by Newton–Schulz iterations (Keller Jordan et al., 2024).

    Matrices of one shape are orthogonalised together as a batch; batches of several shapes at once, by ``pool``.
    """

    def __init__(
        self, params: Iterable[nn.Parameter], lr: float, pool: Executor, momentum: float = 0.95, decay: float = 0.02
    ) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "decay": decay})
        self._pool = pool

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # noqa: ARG002  # pyright: ignore[reportIncompatibleMethodOverride]
        """Update every matrix that has a gradient."""
        for group in self.param_groups:
            by_shape: dict[torch.Size, list[nn.Parameter]] = defaultdict(list)
            for param in group["params"]:
                if param.grad is not None:
                    by_shape[param.shape].append(param)
            largest_first = sorted(by_shape.values(), key=lambda params: -sum(p.numel() for p in params))
            list(self._pool.map(partial(self._update, group), largest_first))

    @torch.no_grad()
    def _update(self, group: dict[str, Any], params: list[nn.Parameter]) -> None:
        updates = orthogonalise(torch.stack([self._momentum(p, group["momentum"]) for p in params]))
        rows, columns = params[0].shape
        scale = max(1.0, rows / columns) ** 0.5
        for param, update in zip(params, updates, strict=True):
            param.mul_(1 - group["lr"] * group["decay"])
            param.add_(update.to(param.dtype), alpha=-group["lr"] * scale)

    def _momentum(self, param: nn.Parameter, momentum: float) -> Tensor:
        state: dict[str, Any] = self.state[param]
        if "buffer" not in state:
            state["buffer"] = torch.zeros_like(param)
        assert param.grad is not None
        state["buffer"].lerp_(param.grad, 1 - momentum)
        return param.grad.lerp(state["buffer"], momentum)


def orthogonalise(matrices: Tensor, steps: int = 5) -> Tensor:
    """Nearest (semi-)orthogonal matrices of ``[batch, rows, columns]``, about."""
    a, b, c = 3.4445, -4.7750, 2.0315
    x = matrices.to(compute_dtype(matrices.device))
    tall = x.shape[-2] > x.shape[-1]
    if tall:
        x = x.mT
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(steps):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.mT if tall else x


def make_optimizers(model: CausalLM, muon_lr: float, adam_lr: float, pool: Executor) -> list[Optimizer]:
    """The two optimizers, each group with its peak rate in ``peak``."""
    matrices = [p for p in model.layers.parameters() if p.ndim == 2]
    vectors = [p for p in model.parameters() if p.ndim == 1]
    adam = torch.optim.AdamW(
        [
            {"params": [model.embed_tokens], "lr": adam_lr, "weight_decay": 0.01},
            {"params": vectors, "lr": adam_lr, "weight_decay": 0.0},
        ],
        betas=(0.9, 0.95),
        eps=1e-9,
        fused=True,
    )
    optimizers: list[Optimizer] = [Muon(matrices, muon_lr, pool), adam]
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["peak"] = group["lr"]
    return optimizers
