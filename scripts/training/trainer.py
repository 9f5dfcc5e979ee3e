"""The training loop: packed rows, warm-up, plateau and decay, checkpoints that a later run resumes from."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from typing import Any

import torch
from torch import Tensor

from training import loss, model
from training.model import CausalLM, ModelShape, compute_dtype
from training.optimizer import make_optimizers
from training.samples import Markers, SampleSource

_SLICES = 4
"""Parts of a batch on a CPU."""
_GPU_SLICE_TOKENS = 65_536
"""Tokens whose activations are held at once on a GPU."""


@dataclass(frozen=True, slots=True)
class Stage:
    """Rows of ``length`` tokens, ``rows`` at a step, from the share ``begin`` of the run on."""

    begin: float
    length: int
    rows: int


@dataclass(frozen=True, slots=True)
class Plan:
    """How long to train and how. The run ends after ``minutes`` of training or ``tokens``, as set."""

    minutes: float | None = None
    tokens: int | None = None
    stages: tuple[Stage, ...] = (
        Stage(0.0, 256, 16),
        Stage(0.42, 512, 8),
        Stage(0.76, 1536, 4),
    )
    muon_lr: float = 0.02
    adam_lr: float = 4e-3
    warmup_steps: int = 150
    decay_share: float = 0.4
    answer_weight: float = 4.0
    """Weight in the loss of a token of an answer, one of the context counting 1."""
    workers: int = 0
    seed: int = 20260
    eval_every: int = 200
    save_every_s: float = 180.0


@dataclass(slots=True)
class Progress:
    """What has been done so far; stored in the checkpoint."""

    step: int = 0
    tokens: int = 0
    seconds: float = 0.0

    def share(self, plan: Plan) -> float:
        """Share of the run that is done, 0 to 1."""
        shares = [1.0]
        if plan.minutes:
            shares.append(self.seconds / 60 / plan.minutes)
        if plan.tokens:
            shares.append(self.tokens / plan.tokens)
        return min(1.0, max(shares[1:], default=1.0))


def learning_rate_factor(step: int, share: float, plan: Plan) -> float:
    """Warm-up, plateau, then linear decay to zero (WSD; Hu et al., 2024)."""
    warmup = min(1.0, (step + 1) / plan.warmup_steps)
    return warmup * min(1.0, (1.0 - share) / plan.decay_share)


def packed_batch(source: SampleSource, seed: int, step: int, stage: Stage) -> Tensor:
    """Token ids ``[rows, length + 1]``: a row starts with a sample and is filled up with more."""
    rows: list[list[int]] = []
    for row in range(stage.rows):
        rng = Random(f"{seed}/{step}/{row}")
        ids: list[int] = []
        while len(ids) <= stage.length:
            ids += source.sample(rng, stage.length + 1 - len(ids))
        rows.append(ids[: stage.length + 1])
    return torch.tensor(rows)


def answer_weights(ids: Tensor, markers: Markers, weight: float) -> Tensor:
    """Loss weights of the tokens that follow ``ids``: ``weight`` inside of answers, their end included, else 1."""
    position = torch.arange(ids.shape[1], device=ids.device)
    opened = torch.isin(ids, torch.tensor(markers.openers, device=ids.device))
    since = torch.where(opened, position, -1).cummax(1).values
    closed = torch.where(ids == markers.end, position, -1).cummax(1).values
    return torch.where(since > closed, weight, 1.0)


class Trainer:
    """Trains one model in one folder; ``log.jsonl`` and ``checkpoint.pt`` are kept there."""

    def __init__(
        self,
        shape: ModelShape,
        plan: Plan,
        source: SampleSource,
        held_out: Mapping[str, Tensor],
        folder: Path,
        *,
        markers: Markers | None = None,
        threads: int = 2,
    ) -> None:
        self.markers = markers or Markers()
        torch.set_num_threads(1)
        torch.manual_seed(plan.seed)
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.dtype = compute_dtype(self.device)
        self.plan, self.source, self.folder = plan, source, folder
        self.held_out = {name: rows.to(self.device) for name, rows in held_out.items()}
        self.model = CausalLM(shape).to(self.device)
        self._pool = ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,))
        self.optimizers = make_optimizers(self.model, plan.muon_lr, plan.adam_lr, self._pool)
        self.progress = Progress()
        self._shapes: set[torch.Size] = set()
        self._stopping = False
        folder.mkdir(parents=True, exist_ok=True)
        self.checkpoint = folder / "checkpoint.pt"
        if self.checkpoint.exists():
            self._resume()

    def run(self, on_save: Callable[[CausalLM], None], say: Callable[[str], None], *, compiled: bool = True) -> None:
        """Train to the end of the plan. ``on_save`` sees the model at every checkpoint."""
        if compiled:
            loss.compile_pieces()
            model.compile_pieces()
        saved = time.monotonic()
        for ids in self._batches():
            began = time.monotonic()
            share = self.progress.share(self.plan)
            value = self._step(ids, learning_rate_factor(self.progress.step, share, self.plan))
            self.progress.step += 1
            self.progress.tokens += ids[:, 1:].numel()
            # A step of minutes is a machine asleep or a compilation, not training.
            self.progress.seconds += min(time.monotonic() - began, 60.0)
            if self.progress.step % 20 == 0:
                self._log(value, ids, time.monotonic() - began, say)
            over = self._stopping or self.progress.share(self.plan) >= 1.0
            if over or time.monotonic() - saved > self.plan.save_every_s:
                self._save()
                on_save(self.model)
                saved = time.monotonic()
            if over:
                return

    def stop(self) -> None:
        """End the run after the step at hand, with a checkpoint."""
        self._stopping = True

    @torch.no_grad()
    def held_out_loss(self, name: str) -> float:
        """Mean cross-entropy in nats per token on the held-out rows of that name."""
        rows = self.held_out[name].split(4)
        losses = [self.model.loss(r[:, :-1], r[:, 1:], self.dtype).item() * len(r) for r in rows]
        return sum(losses) / len(self.held_out[name])

    def _batches(self) -> Iterator[Tensor]:
        dataset = _Batches(self.source, self.plan, self.progress)
        if not self.plan.workers:
            yield from dataset
            return
        workers = self.plan.workers
        loader = torch.utils.data.DataLoader(dataset, batch_size=None, num_workers=workers, prefetch_factor=8)
        yield from loader

    def _step(self, ids: Tensor, factor: float) -> float:
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = group["peak"] * factor
        value = self._backward(ids)
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        for optimizer in self.optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        return value

    def _backward(self, ids: Tensor) -> float:
        """Add the gradients of a batch and return its loss.

        On a CPU each worker thread takes slices of the batch as it gets free and computes on one core. When
        other work holds a core the rest goes on at full speed; a parallel region would wait for the slowest.
        """
        ids = ids.to(self.device, non_blocking=True)
        if self.device.type != "cpu":
            slices = ids.split(max(1, _GPU_SLICE_TOKENS // ids.shape[1]))
            return sum(self._backward_slice(part, len(part) / len(ids)) for part in slices)
        slices = ids.split(max(1, len(ids) // _SLICES))
        share = len(slices[0]) / len(ids)
        if ids.shape not in self._shapes:
            self._shapes.add(ids.shape)
            first, *slices = slices
            return self._backward_slice(first, share) + sum(
                self._pool.map(lambda s: self._backward_slice(s, share), slices)
            )
        return sum(self._pool.map(lambda s: self._backward_slice(s, share), slices))

    def _backward_slice(self, ids: Tensor, share: float) -> float:
        weights = answer_weights(ids[:, :-1], self.markers, self.plan.answer_weight)
        value = self.model.loss(ids[:, :-1], ids[:, 1:], self.dtype, weights) * share
        value.backward()
        return value.item()

    def _log(self, value: float, ids: Tensor, seconds: float, say: Callable[[str], None]) -> None:
        done, plan = self.progress, self.plan
        record: dict[str, Any] = {
            **asdict(done),
            "loss": round(value, 4),
            "length": ids.shape[1] - 1,
            "tokens_per_s": round(ids[:, 1:].numel() / seconds),
        }
        if done.step % plan.eval_every == 0:
            record["held_out_nats"] = {name: round(self.held_out_loss(name), 4) for name in self.held_out}
        share = done.share(plan)
        left = done.seconds * (1 - share) / share if share else math.inf
        with (self.folder / "log.jsonl").open("a", encoding="utf-8") as log:
            log.write(json.dumps(record) + "\n")
        say(f"{share:6.1%}  {left / 60:5.1f} min left  {json.dumps(record)}")

    def _save(self) -> None:
        state = {
            "model": self.model.state_dict(),
            "optimizers": [o.state_dict() for o in self.optimizers],
            "progress": asdict(self.progress),
        }
        partial = self.checkpoint.with_suffix(".part")
        torch.save(state, partial)
        partial.replace(self.checkpoint)

    def _resume(self) -> None:
        state = torch.load(self.checkpoint, map_location=self.device, weights_only=True)
        self.model.load_state_dict(state["model"])
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        self.progress = Progress(**state["progress"])


class _Batches(torch.utils.data.IterableDataset[Tensor]):
    """The endless sequence of batches from the present step on; the workers of a loader take turns."""

    def __init__(self, source: SampleSource, plan: Plan, progress: Progress) -> None:
        self._source, self._plan, self._progress = source, plan, progress

    def __iter__(self) -> Iterator[Tensor]:
        worker = torch.utils.data.get_worker_info()
        first, every = (worker.id, worker.num_workers) if worker else (0, 1)
        step, tokens = self._progress.step + first, self._progress.tokens
        while True:
            # A worker has a frozen copy of the progress, so there the share is counted in tokens of its own.
            share = (tokens / self._plan.tokens) if worker and self._plan.tokens else self._progress.share(self._plan)
            stage = [s for s in self._plan.stages if s.begin <= share][-1]
            yield packed_batch(self._source, self._plan.seed, step, stage)
            step += every
            tokens += every * stage.length * stage.rows
