"""The documented ways to train the default model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from training.model import ModelShape
from training.trainer import Plan, Stage


@dataclass(frozen=True, slots=True)
class Route:
    """A model shape and a plan that suit a machine."""

    shape: ModelShape
    plan: Plan
    shares: Mapping[str, float] = field(default_factory=lambda: {"python": 1.0})
    """Share of the samples in each language."""
    tasks: Mapping[str, float] = field(
        default_factory=lambda: dict.fromkeys(("summarize", "generate", "translate"), 0.05)
    )
    """Share of the samples in Python that are examples of each task."""


LANGUAGE_SHARES = {
    "python": 0.55,
    "typescript": 0.13,
    "javascript": 0.08,
    "go": 0.07,
    "rust": 0.06,
    "java": 0.05,
    "c": 0.03,
    "cpp": 0.03,
}
_SMALL = ModelShape(hidden_size=256, intermediate_size=704, num_hidden_layers=6)
"""6.5M parameters, 13 MB."""

ROUTES = {
    # What two cores can teach in an hour and a half.
    "cpu": Route(_SMALL, Plan(minutes=90.0)),
    # Goes on from a model of the route before (--start): rows of the length it meets in use, a lower peak rate.
    "cpu-more": Route(
        _SMALL,
        Plan(
            minutes=110.0,
            stages=(Stage(0.0, 512, 8), Stage(0.6, 1024, 4), Stage(0.85, 2048, 2)),
            muon_lr=0.014,
            adam_lr=2.8e-3,
            warmup_steps=100,
            decay_share=0.6,
            seed=20261,
        ),
    ),
    # Goes on from the bundled model (--start) with seven more languages and code of other files before holes.
    "cpu-languages": Route(
        _SMALL,
        Plan(
            minutes=75.0,
            stages=(Stage(0.0, 1024, 2),),
            muon_lr=0.005,
            adam_lr=1e-3,
            warmup_steps=10,
            decay_share=0.9,
            seed=20262,
            eval_every=400,
            save_every_s=150.0,
        ),
        shares=LANGUAGE_SHARES,
    ),
    # Goes on from the bundled model (--start) with mostly tasks, translation above all.
    "cpu-tasks": Route(
        _SMALL,
        Plan(
            minutes=95.0,
            stages=(Stage(0.0, 1024, 4),),
            muon_lr=0.008,
            adam_lr=1.6e-3,
            warmup_steps=30,
            decay_share=0.9,
            seed=20263,
            save_every_s=300.0,
        ),
        tasks={"summarize": 0.05, "generate": 0.15, "translate": 0.45},
    ),
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
