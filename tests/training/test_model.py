from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from training.export import export_model, read_average, read_weights, save_snapshot
from training.loss import tied_cross_entropy
from training.model import CausalLM, ModelShape, compute_dtype
from training.optimizer import Muon, orthogonalise
from training.samples import Markers
from training.tokenizer import train_tokenizer
from training.trainer import Plan, Stage, Trainer, answer_weights, learning_rate_factor

TINY = ModelShape(
    vocab_size=300, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=2,
    num_key_value_heads=1, head_dim=32,
)  # fmt: skip


class CountingSource:
    """Samples that count upwards, so that a tiny model can learn them."""

    def sample(self, rng: Random, budget: int) -> list[int]:
        start = rng.randrange(100)
        return [start + i for i in range(min(budget, 50))]


def test_the_exported_folder_gives_the_same_logits_in_transformers(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    model = CausalLM(TINY)
    for weight in model.parameters():
        weight.data = weight.data.bfloat16().float()
    export_model(model, train_tokenizer(["def f(): pass"], 300), tmp_path)
    loaded = transformers.AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32)
    ids = torch.randint(0, 300, (2, 300))
    with torch.no_grad():
        torch.testing.assert_close(model.logits(ids), loaded(ids).logits, atol=2e-4, rtol=2e-3)


def test_the_chunked_loss_and_its_gradients_are_those_of_cross_entropy() -> None:
    torch.manual_seed(0)
    states = torch.randn(2500, 16, requires_grad=True)
    embedding = torch.randn(40, 16, requires_grad=True)
    targets = torch.randint(0, 40, (2500,))
    weights = torch.rand(2500)
    each = F.cross_entropy(states @ embedding.T, targets, reduction="none")
    expected = (each * weights).sum() / weights.sum()
    value = tied_cross_entropy(states, embedding, targets, weights)
    torch.testing.assert_close(value, expected)
    wanted = torch.autograd.grad(expected, (states, embedding))
    torch.testing.assert_close(torch.autograd.grad(value, (states, embedding)), wanted, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("shape", [(3, 24, 8), (2, 48, 16), (2, 16, 48)])
def test_an_orthogonalised_update_has_singular_values_near_one(shape: tuple[int, int, int]) -> None:
    torch.manual_seed(0)
    values = torch.linalg.svdvals(orthogonalise(torch.randn(shape)).float())
    assert values.min() > 0.3
    assert values.max() < 1.4


def test_the_rate_rises_stays_and_falls_to_zero() -> None:
    plan = Plan(tokens=1, warmup_steps=10, decay_share=0.5)
    rates = [learning_rate_factor(step, step / 100, plan) for step in range(101)]
    assert rates[0] < rates[5] < rates[10] == rates[49] == 1.0
    assert rates[99] < rates[75] < 1.0
    assert rates[100] == 0.0


def test_answers_and_their_end_weigh_more_than_the_context() -> None:
    opener, end = 7, 9
    ids = torch.tensor([[1, opener, 2, 3, end, 4, opener, 5]])
    weights = answer_weights(ids, Markers((opener,), end), 4.0)
    # What follows each token: the opener's first answer token, up to the end token itself.
    assert weights.tolist() == [[1, 4, 4, 4, 1, 1, 4, 4]]


def trainer(folder: Path, tokens: int, workers: int = 0) -> Trainer:
    stages = (Stage(0.0, 32, 4),)
    plan = Plan(tokens=tokens, stages=stages, warmup_steps=5, decay_share=0.01, save_every_s=0.0, workers=workers)
    return Trainer(TINY, plan, CountingSource(), {"python": torch.zeros(4, 33, dtype=torch.long)}, folder, threads=1)


def run(trainer: Trainer) -> None:
    trainer.run(on_save=lambda model: None, say=lambda line: None, compiled=False)


def test_a_resumed_run_ends_where_an_unbroken_one_does(tmp_path: Path) -> None:
    whole, broken = trainer(tmp_path / "whole", 20 * 128), trainer(tmp_path / "parts", 20 * 128)
    run(whole)

    def interrupt(model: CausalLM) -> None:
        if broken.progress.step == 9:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        broken.run(on_save=interrupt, say=lambda line: None, compiled=False)
    resumed = trainer(tmp_path / "parts", 20 * 128)
    assert resumed.progress.step == 9
    run(resumed)
    assert resumed.progress.step == whole.progress.step == 20
    for one, other in zip(whole.model.parameters(), resumed.model.parameters(), strict=True):
        torch.testing.assert_close(one, other, atol=1e-3, rtol=1e-2)


def test_batches_of_several_worker_processes_are_those_of_one(tmp_path: Path) -> None:
    alone, many = trainer(tmp_path / "alone", 9 * 128), trainer(tmp_path / "many", 9 * 128, workers=2)
    run(alone)
    run(many)
    assert many.progress.step == alone.progress.step == 9
    for one, other in zip(alone.model.parameters(), many.model.parameters(), strict=True):
        torch.testing.assert_close(one, other, atol=1e-3, rtol=1e-2)


def test_training_lowers_the_loss(tmp_path: Path) -> None:
    learner = trainer(tmp_path, 60 * 128)
    ids = torch.stack([torch.arange(33) + i for i in range(8)])
    learner.held_out = {"python": ids}
    before = learner.held_out_loss("python")
    run(learner)
    assert learner.held_out_loss("python") < 0.6 * before


def test_training_continues_from_an_exported_model(tmp_path: Path) -> None:
    first = trainer(tmp_path / "first", 60 * 128)
    first.held_out = {"python": torch.stack([torch.arange(33) + i for i in range(8)])}
    run(first)
    export_model(first.model, train_tokenizer(["def f(): pass"], 300), tmp_path / "model")
    second = trainer(tmp_path / "second", 20 * 128)
    second.held_out = first.held_out
    read_weights(second.model, tmp_path / "model")
    learnt = second.held_out_loss("python")
    assert learnt == pytest.approx(first.held_out_loss("python"), rel=0.02)
    run(second)
    assert second.held_out_loss("python") < learnt


def test_reading_gives_back_what_was_exported_to_the_bit(tmp_path: Path) -> None:
    model, other = CausalLM(TINY), CausalLM(TINY)
    export_model(model, train_tokenizer(["def f(): pass"], 300), tmp_path)
    read_weights(other, tmp_path)
    for name, weight in model.state_dict().items():
        assert torch.equal(other.state_dict()[name], weight.bfloat16().float()), name


def test_a_model_of_another_shape_is_refused(tmp_path: Path) -> None:
    export_model(CausalLM(TINY), train_tokenizer(["def f(): pass"], 300), tmp_path)
    with pytest.raises(RuntimeError, match="size mismatch"):
        read_weights(CausalLM(replace(TINY, intermediate_size=64)), tmp_path)
    with pytest.raises(KeyError):
        read_weights(CausalLM(replace(TINY, num_hidden_layers=3)), tmp_path)


def test_muon_updates_the_same_whoever_computes_it() -> None:
    results: list[list[torch.Tensor]] = []
    for threads in (1, 3):
        torch.manual_seed(0)
        matrices = [torch.nn.Parameter(torch.randn(shape)) for shape in ((8, 4), (4, 8), (8, 4))]
        with ThreadPoolExecutor(threads) as pool:
            optimizer = Muon(matrices, 0.1, pool)
            for _ in range(3):
                for matrix in matrices:
                    matrix.grad = matrix.detach().sin()
                optimizer.step()
        results.append(matrices)
    for one, other in zip(*results, strict=True):
        assert torch.equal(one, other)


def test_the_average_is_the_mean_of_the_last_snapshots(tmp_path: Path) -> None:
    models = [CausalLM(TINY) for _ in range(3)]
    for step, model in enumerate(models):
        for weight in model.parameters():
            weight.data.fill_(float(2**step))
        save_snapshot(model, step, tmp_path)
    read_average(models[0], tmp_path, 2)
    assert all(bool((weight == 3).all()) for weight in models[0].parameters())


@pytest.mark.parametrize("units", [False, True])
def test_a_cpu_computes_in_bfloat16_only_if_it_has_units_for_it(monkeypatch: pytest.MonkeyPatch, units: bool) -> None:
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: units)
    assert compute_dtype(torch.device("cpu")) is (torch.bfloat16 if units else torch.float32)
