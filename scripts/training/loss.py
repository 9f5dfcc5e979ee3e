"""Cross-entropy against a tied output embedding without holding ``[tokens, vocabulary]`` in memory."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

CHUNK = 1024


def _normaliser(logits: Tensor) -> Tensor:
    """Log of the sum of exponentials in float32."""
    return logits.float().logsumexp(-1, keepdim=True)


def _gradient(logits: Tensor, norm: Tensor, scale: Tensor) -> Tensor:
    """``softmax(logits) * scale`` in the type of ``logits``."""
    return ((logits.float() - norm).exp() * scale).to(logits.dtype)


class _TiedCrossEntropy(torch.autograd.Function):
    """Loss and both gradients chunk by chunk in the forward pass (after Liger's fused loss)."""

    @staticmethod
    def forward(ctx: Any, states: Tensor, embedding: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
        share = weights / weights.sum()
        grad_states = torch.empty_like(states)
        grad_embedding = torch.zeros(embedding.shape, dtype=torch.float32, device=embedding.device)
        total = torch.zeros((), dtype=torch.float32, device=states.device)
        for start in range(0, states.shape[0], CHUNK):
            part = slice(start, start + CHUNK)
            goal, weight = targets[part, None], share[part, None]
            logits = states[part] @ embedding.T
            norm = _normaliser(logits)
            total += ((norm - logits.gather(1, goal)) * weight).sum()
            grad = _gradient(logits, norm, weight)
            grad.scatter_add_(1, goal, -weight.to(grad.dtype))
            grad_states[part] = grad @ embedding
            grad_embedding += (grad.T @ states[part]).float()
        ctx.save_for_backward(grad_states, grad_embedding.to(embedding.dtype))
        return total

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor, Tensor, None, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        grad_states, grad_embedding = ctx.saved_tensors
        return grad_states * grad_output, grad_embedding * grad_output, None, None


def compile_pieces() -> None:
    """Fuse the element-wise parts with ``torch.compile``."""
    global _normaliser, _gradient
    _normaliser, _gradient = (
        torch.compile(_normaliser, dynamic=False),
        torch.compile(_gradient, dynamic=False),
    )


def tied_cross_entropy(states: Tensor, embedding: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """Mean cross-entropy in nats, weighted, of ``targets[n]`` under logits ``states[n, :] @ embedding.T``."""
    return _TiedCrossEntropy.apply(states, embedding, targets, weights)  # pyright: ignore[reportReturnType]
