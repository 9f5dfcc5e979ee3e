"""The default model in plain PyTorch: a Llama with tied embeddings, small enough to train on two CPU cores.

The arithmetic is that of ``transformers.LlamaForCausalLM`` (a test compares the two), so :mod:`export` only
has to rename weights. Weights are kept in float32; the forward pass runs on a copy in the compute type, which
is the cheap way to mixed precision on a CPU with bfloat16 units: no casts at every operation as in autocast.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from training.loss import tied_cross_entropy

_QUERY_BLOCK = 256


@dataclass(frozen=True, slots=True)
class ModelShape:
    """Hyper-parameters of the network, named as in a Hugging Face ``config.json``."""

    vocab_size: int = 8192
    hidden_size: int = 256
    intermediate_size: int = 704
    num_hidden_layers: int = 8
    num_attention_heads: int = 4
    num_key_value_heads: int = 2
    head_dim: int = 64
    rms_norm_eps: float = 1e-5
    rope_theta: float = 50_000.0
    max_position_embeddings: int = 4096


def compute_dtype(device: torch.device) -> torch.dtype:
    """The fastest type for matrix products: bfloat16 where the processor has units for it, else float32.

    A CPU without them takes twice as long in bfloat16 as in float32.
    """
    has_units = device.type != "cpu" or torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()
    return torch.bfloat16 if has_units else torch.float32


class Block(nn.Module):
    """One pre-norm transformer layer: grouped-query attention with rotary positions, then SwiGLU."""

    def __init__(self, shape: ModelShape) -> None:
        super().__init__()
        hidden, head = shape.hidden_size, shape.head_dim
        self.shape = shape
        self.input_layernorm = nn.Parameter(torch.ones(hidden))
        self.post_attention_layernorm = nn.Parameter(torch.ones(hidden))
        self.q_proj = _matrix(shape.num_attention_heads * head, hidden)
        self.k_proj = _matrix(shape.num_key_value_heads * head, hidden)
        self.v_proj = _matrix(shape.num_key_value_heads * head, hidden)
        self.o_proj = _matrix(hidden, shape.num_attention_heads * head)
        self.gate_proj = _matrix(shape.intermediate_size, hidden)
        self.up_proj = _matrix(shape.intermediate_size, hidden)
        self.down_proj = _matrix(hidden, shape.intermediate_size)
        with torch.no_grad():
            depth = (2 * shape.num_hidden_layers) ** -0.5
            self.o_proj.mul_(depth)
            self.down_proj.mul_(depth)


class CausalLM(nn.Module):
    """Token ids in, mean cross-entropy (nats per token) or logits out."""

    def __init__(self, shape: ModelShape) -> None:
        super().__init__()
        self.shape = shape
        self.embed_tokens = nn.Parameter(torch.randn(shape.vocab_size, shape.hidden_size) * 0.02)
        self.layers = nn.ModuleList(Block(shape) for _ in range(shape.num_hidden_layers))
        self.norm = nn.Parameter(torch.ones(shape.hidden_size))

    def hidden(self, ids: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Final normalised states ``[batch, length, hidden]`` and the output embedding, both in ``dtype``."""
        embedding = self.embed_tokens.to(dtype)
        cos, sin = rotary_tables(ids.shape[1], self.shape, dtype, ids.device)
        states = F.embedding(ids, embedding)
        for layer in self.layers:
            assert isinstance(layer, Block)
            weights = {name: weight.to(dtype) for name, weight in layer.named_parameters()}
            states = block_forward(states, weights, cos, sin, self.shape)
        return rms_norm(states, self.norm.to(dtype), self.shape.rms_norm_eps), embedding

    def loss(self, ids: Tensor, targets: Tensor, dtype: torch.dtype, weights: Tensor | None = None) -> Tensor:
        """Mean cross-entropy of ``targets``, weighted; all three of the same shape."""
        states, embedding = self.hidden(ids, dtype)
        shares = torch.ones(ids.shape, device=ids.device) if weights is None else weights
        return tied_cross_entropy(states.flatten(0, 1), embedding, targets.flatten(), shares.flatten())

    def logits(self, ids: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
        """Logits ``[batch, length, vocabulary]``."""
        states, embedding = self.hidden(ids, dtype)
        return states @ embedding.T


def block_forward(x: Tensor, w: Mapping[str, Tensor], cos: Tensor, sin: Tensor, shape: ModelShape) -> Tensor:
    """One layer on ``[batch, length, hidden]``; a function of tensors so that it can be compiled once."""
    batch, length, _ = x.shape
    groups = shape.num_attention_heads // shape.num_key_value_heads
    normed = rms_norm(x, w["input_layernorm"], shape.rms_norm_eps)
    q = F.linear(normed, w["q_proj"]).view(batch, length, shape.num_attention_heads, shape.head_dim)
    k = F.linear(normed, w["k_proj"]).view(batch, length, shape.num_key_value_heads, shape.head_dim)
    v = F.linear(normed, w["v_proj"]).view(batch, length, shape.num_key_value_heads, shape.head_dim)
    q, k = rotate(q, cos, sin), rotate(k, cos, sin)
    if groups > 1:
        k, v = k.repeat_interleave(groups, dim=2), v.repeat_interleave(groups, dim=2)
    mixed = attend(q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2))
    x = x + F.linear(mixed.transpose(1, 2).reshape(batch, length, -1), w["o_proj"])
    normed = rms_norm(x, w["post_attention_layernorm"], shape.rms_norm_eps)
    gated = F.silu(F.linear(normed, w["gate_proj"])) * F.linear(normed, w["up_proj"])
    return x + F.linear(gated, w["down_proj"])


def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Causal attention on ``[batch, heads, length, head_dim]``.

    On a CPU the scores are written out, block of queries by block: so the matrix units do most of the work,
    which the backward pass of PyTorch's flash kernel does not give them.
    """
    if q.device.type != "cpu":
        return F.scaled_dot_product_attention(q, k, v, is_causal=True)
    q = q * q.shape[3] ** -0.5
    parts: list[Tensor] = []
    for start in range(0, q.shape[2], _QUERY_BLOCK):
        block = q[:, :, start : start + _QUERY_BLOCK]
        end = start + block.shape[2]
        scores = block @ k[:, :, :end].transpose(2, 3)
        future = torch.ones(block.shape[2], end, dtype=torch.bool, device=q.device).triu(start + 1)
        scores = scores.float().masked_fill(future, -torch.inf).softmax(-1).to(q.dtype)
        parts.append(scores @ v[:, :, :end])
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=2)


def rms_norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    """Root-mean-square normalisation with the statistics in float32 (Zhang and Sennrich, 2019)."""
    wide = x.float()
    return (wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + eps)).to(x.dtype) * weight


def rotary_tables(length: int, shape: ModelShape, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    """Cosines and sines ``[length, 1, head_dim / 2]`` of rotary positions (Su et al., 2021)."""
    half = torch.arange(0, shape.head_dim, 2, dtype=torch.float32, device=device) / shape.head_dim
    angles = torch.outer(torch.arange(length, dtype=torch.float32, device=device), shape.rope_theta**-half)
    return angles.cos()[:, None, :].to(dtype), angles.sin()[:, None, :].to(dtype)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Apply rotary positions to ``[batch, length, heads, head_dim]`` in the half-split layout of Llama."""
    first, second = x.chunk(2, dim=-1)
    return torch.cat((first * cos - second * sin, second * cos + first * sin), dim=-1)


def _matrix(rows: int, columns: int) -> nn.Parameter:
    return nn.Parameter(torch.randn(rows, columns) * columns**-0.5)


def compile_pieces() -> None:
    """Fuse the element-wise parts of a layer with ``torch.compile``; all layers share the compiled code."""
    global block_forward  # noqa: PLW0603
    block_forward = torch.compile(block_forward, dynamic=False)
