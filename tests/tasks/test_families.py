"""Which FIM format a model folder is taken to have."""

from __future__ import annotations

import pytest

from cato_lsp.tasks.families import FAMILIES, FimFamily, FimUnsupportedError, detect_family


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_each_family_is_known_by_its_tokens_type_and_name(family: FimFamily) -> None:
    model_type = next(iter(family.model_types), "llama")
    name = family.names[0] if family.names else ""
    assert detect_family({*family.control, *family.telling}, model_type=model_type, name=name) is family


def test_qwen_keeps_its_format_under_any_folder_name() -> None:
    tokens = {
        "<|fim_prefix|>",
        "<|fim_suffix|>",
        "<|fim_middle|>",
        "<|fim_pad|>",
        "<|repo_name|>",
        "<|file_sep|>",
    }
    assert detect_family(tokens, model_type="qwen2", name="my-tuned-model").name == "qwen-coder"


def test_ours_is_not_taken_for_qwen_though_its_network_is() -> None:
    tokens = {"<|endoftext|>", "<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>", "<|file_sep|>"}
    assert detect_family(tokens, model_type="qwen2", name="default").name == "cato"


def test_a_model_without_fim_tokens_is_refused_with_what_was_looked_for() -> None:
    with pytest.raises(FimUnsupportedError) as refusal:
        detect_family({"hello", "<s>"}, model_type="gpt2", name="gpt2-small")
    message = str(refusal.value)
    for expected in ("gpt2-small", "gpt2", "<|fim_prefix|>", "▁<PRE>", "[SUFFIX]", "<｜fim▁hole｜>"):
        assert expected in message
