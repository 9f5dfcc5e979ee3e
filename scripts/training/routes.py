"""The two documented ways to train the default model."""

from __future__ import annotations

from dataclasses import dataclass

from training.model import ModelShape
from training.trainer import Plan, Stage


@dataclass(frozen=True, slots=True)
class Route:
    """A model shape and a plan that suit a machine."""

    shape: ModelShape
    plan: Plan


ROUTES = {
    # 6.4M parameters, 13 MB: what two cores can teach in an hour and a half.
    "cpu": Route(ModelShape(hidden_size=256, intermediate_size=704, num_hidden_layers=6), Plan(minutes=90.0)),
    # 14.0M parameters, 28 MB: the most that fits in 30 MB with the tokenizer. Not measured yet.
    "gpu": Route(
        ModelShape(
            hidden_size=320,
            intermediate_size=896,
            num_hidden_layers=9,
            num_attention_heads=5,
            num_key_value_heads=5,
        ),
        Plan(
            tokens=600_000_000,
            stages=(Stage(0.0, 512, 256), Stage(0.6, 1024, 128), Stage(0.9, 2048, 64)),
            warmup_steps=200,
            workers=14,
        ),
    ),
}
