"""Which FIM format a model is taken to have, and what its prompts look like, each with the source of the format."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tokenizers import AddedToken
from tokenizers import Tokenizer as FastTokenizer
from tokenizers.processors import TemplateProcessing

from cato_lsp.tasks.context import Chunk, FileContext
from cato_lsp.tasks.families import CODEGEEX_4, FAMILIES, MELLUM, SEED_CODER
from cato_lsp.tasks.family_detection import FimUnsupportedError, recognise_family
from cato_lsp.tasks.fim import FimPromptBuilder
from cato_lsp.tasks.fim_family import FimFamily
from cato_lsp.tasks.model_format import read_model_format
from cato_lsp.tasks.tokenizer import Tokenizer

Train = Callable[[list[str]], FastTokenizer]

STARCODER_TOKENS = ("<fim_prefix>", "<fim_middle>", "<fim_suffix>", "<fim_pad>", "<filename>", "<gh_stars>")
QWEN_TOKENS = (
    "<|fim_prefix|>",
    "<|fim_suffix|>",
    "<|fim_middle|>",
    "<|fim_pad|>",
    "<|repo_name|>",
    "<|file_sep|>",
    "<|im_start|>",
    "<|im_end|>",
)
GRANITE_4_TOKENS = (
    "<|fim_prefix|>",
    "<|fim_suffix|>",
    "<|fim_middle|>",
    "<|fim_pad|>",
    "<|filename|>",
    "<|reponame|>",
)
SEED_TOKENS = ("<[fim-suffix]>", "<[fim-prefix]>", "<[fim-middle]>")
CODE_TOKENS = ("<|code_prefix|>", "<|code_suffix|>", "<|code_middle|>", "<|user|>", "<|assistant|>")
TEKKEN_TOKENS = ("<s>", "</s>", "[PREFIX]", "[MIDDLE]", "[SUFFIX]", "<SPECIAL_20>", "<SPECIAL_100>")

# Each format with where it is written down; the text before the cursor is "x = 1\ny =".
GOLDEN = [
    pytest.param(  # model card of JetBrains/Mellum-4b-base, "Fill in the middle with additional files as context"
        STARCODER_TOKENS,
        "llama",
        "Mellum-4b-base",
        "mellum",
        "<filename>b.py\nb = 2\n<filename>a.py\n<fim_suffix>\nz = 3\n<fim_prefix>x = 1\ny =<fim_middle>",
        id="Mellum",
    ),
    pytest.param(  # the same card's format; `mellum` is its model_type in vLLM 0.32
        STARCODER_TOKENS,
        "mellum",
        "snapshot",
        "mellum",
        "<filename>b.py\nb = 2\n<filename>a.py\n<fim_suffix>\nz = 3\n<fim_prefix>x = 1\ny =<fim_middle>",
        id="Mellum2",
    ),
    pytest.param(  # Seed-Coder, arXiv:2506.03524, section 3.1: suffix, prefix, middle
        SEED_TOKENS,
        "llama",
        "Seed-Coder-8B-Base",
        "seed-coder",
        "<[fim-suffix]>\nz = 3\n<[fim-prefix]>x = 1\ny =<[fim-middle]>",
        id="Seed-Coder",
    ),
    pytest.param(  # Zed, crates/edit_prediction/src/fim.rs, format_fim_prompt: Glm
        CODE_TOKENS,
        "glm4_moe",
        "GLM-4.5-Air",
        "glm-4",
        "<|code_prefix|>x = 1\n<|code_suffix|>\nz = 3\n<|code_middle|>y =",
        id="GLM-4",
    ),
    pytest.param(  # CodeGeeX4 README, "infilling"; other files as in Continue's AutocompleteTemplate.ts
        CODE_TOKENS,
        "chatglm",
        "codegeex4-all-9b",
        "codegeex-4",
        "<|user|>\n###REFERENCE:\n###PATH:b.py\nb = 2\n###PATH:a.py\n###LANGUAGE:Python\n###MODE:BLOCK\n"
        "<|code_suffix|>\nz = 3\n<|code_prefix|>x = 1\ny =<|code_middle|><|assistant|>\n",
        id="CodeGeeX4",
    ),
    pytest.param(  # Granite 4 vocabulary; repositories as StarCoder's data format, arXiv:2305.06161, table 2
        GRANITE_4_TOKENS,
        "granitemoehybrid",
        "granite-4.0-h-small",
        "granite-4",
        "<|reponame|>project<|filename|>b.py\nb = 2\n<|filename|>a.py\n"
        "<|fim_prefix|>x = 1\n<|fim_suffix|>\nz = 3\n<|fim_middle|>y =",
        id="Granite 4",
    ),
    pytest.param(  # Qwen3-Coder README, "Fill in the middle with Qwen3-Coder"; the typed line begins the answer
        QWEN_TOKENS,
        "qwen3_moe",
        "Qwen3-Coder-30B-A3B-Instruct",
        "qwen3-coder-instruct",
        "<|im_start|>system\nYou are a code completion assistant.<|im_end|>\n<|im_start|>user\n"
        "<|repo_name|>project\n<|file_sep|>b.py\nb = 2\n<|file_sep|>a.py\n"
        "<|fim_prefix|>x = 1\n<|fim_suffix|>\nz = 3\n<|fim_middle|><|im_end|>\n<|im_start|>assistant\ny =",
        id="Qwen3-Coder Instruct",
    ),
    pytest.param(  # Qwen2.5-Coder technical report, arXiv:2409.12186, figure 4
        QWEN_TOKENS,
        "qwen3_next",
        "Qwen3-Coder-Next-Base",
        "qwen-coder",
        "<|repo_name|>project\n<|file_sep|>b.py\nb = 2\n<|file_sep|>a.py\n"
        "<|fim_prefix|>x = 1\n<|fim_suffix|>\nz = 3\n<|fim_middle|>y =",
        id="Qwen3-Coder base",
    ),
]


@pytest.mark.parametrize(("tokens", "model_type", "name", "family", "expected"), GOLDEN)
def test_each_model_gets_its_familys_prompt(
    byte_level: Train,
    tokens: tuple[str, ...],
    model_type: str,
    name: str,
    family: str,
    expected: str,
) -> None:
    tokenizer = with_tokens(byte_level([]), tokens)
    recognised = recognise_family(tokenizer.vocabulary, model_type=model_type, name=name).family
    assert recognised.name == family
    context = FileContext((Chunk("file:///b.py", "b.py", "b = 2"),), "project")
    builder = FimPromptBuilder(tokenizer, recognised, 1000, 400)
    prompt = builder.build("x = 1\ny = \nz = 3\n", 10, path="a.py", language="Python", context=context)
    spelled = {number: token for token in tokens if (number := tokenizer.token_id(token)) is not None}
    text = "".join(spelled.get(number) or tokenizer.decode([number]) for number in prompt.ids)
    assert text == expected


def with_tokens(fast: FastTokenizer, tokens: tuple[str, ...]) -> Tokenizer:
    copy = FastTokenizer.from_str(fast.to_str())
    copy.add_tokens([AddedToken(token, normalized=False, special=False) for token in tokens])
    return Tokenizer(copy.to_str())


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_each_family_is_known_by_its_tokens_type_and_name(family: FimFamily) -> None:
    model_type = next(iter(family.model_types), "llama")
    name = {"qwen3-coder-instruct": "qwen3-coder-30b", "granite-4": "granite-4.0-micro"}.get(family.name, family.name)
    assert recognise_family({*family.control, *family.telling}, model_type=model_type, name=name).family is family


def test_qwen_keeps_its_format_under_any_folder_name() -> None:
    assert recognise_family(QWEN_TOKENS, model_type="qwen2", name="my-tuned-model").family.name == "qwen-coder"


def test_ours_is_not_taken_for_qwen_though_its_network_is() -> None:
    tokens = {"<|endoftext|>", "<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>", "<|file_sep|>"}
    assert recognise_family(tokens, model_type="qwen2", name="default").family.name == "cato"


def test_granite_4_is_not_taken_for_qwen_under_any_folder_name() -> None:
    assert recognise_family(GRANITE_4_TOKENS, model_type="granitemoehybrid", name="x").family.name == "granite-4"


@pytest.mark.parametrize("name", ["Mistral-Nemo-Base-2407", "Devstral-Small-2507", "Ministral-8B"])
def test_a_tekken_vocabulary_alone_means_no_fim(name: str) -> None:
    # mistral-common: every Tekken tokenizer reserves [PREFIX], [MIDDLE] and [SUFFIX].
    with pytest.raises(FimUnsupportedError, match="reserves them for other models"):
        recognise_family(TEKKEN_TOKENS, model_type="mistral", name=name)


def test_a_tekken_model_that_is_named_codestral_fills_in() -> None:
    recognised = recognise_family(TEKKEN_TOKENS, model_type="mistral", name="Codestral-25.08")
    assert recognised.family.name == "codestral"


@pytest.mark.parametrize("name", ["zeta-2", "models--zed-industries--zeta-2.1"])
def test_zeta_stays_plain_though_it_has_the_tokens_of_seed_coder(name: str) -> None:
    # Zed's zeta_prompt crate: Zeta 2 writes edits of a region, not the middle.
    with pytest.raises(FimUnsupportedError, match="no longer fills in the middle"):
        recognise_family(SEED_TOKENS, model_type="llama", name=name)


def test_a_model_without_fim_tokens_is_refused_with_what_was_looked_for() -> None:
    with pytest.raises(FimUnsupportedError) as refusal:
        recognise_family({"hello", "<s>"}, model_type="gpt2", name="gpt2-small")
    message = str(refusal.value)
    for expected in ("gpt2-small", "gpt2", "<|fim_prefix|>", "▁<PRE>", "[SUFFIX]", "<｜fim▁hole｜>"):
        assert expected in message


def test_a_detected_format_is_reported_with_the_reason() -> None:
    told = str(recognise_family(STARCODER_TOKENS, model_type="llama", name="Mellum-4b-base"))
    assert told.startswith("mellum (suffix-prefix-middle), recognised by its tokens <fim_prefix>")
    assert told.endswith("its name ('mellum')")


def test_a_model_in_a_hugging_face_cache_is_known_by_the_name_of_its_repository(
    byte_level: Train, tmp_path: Path
) -> None:
    folder = tmp_path / "models--JetBrains--Mellum-4b-base" / "snapshots" / "0123abcd"
    folder.mkdir(parents=True)
    fast = byte_level(list(STARCODER_TOKENS))
    (folder / "tokenizer.json").write_text(fast.to_str(), encoding="utf-8")
    (folder / "config.json").write_text(json.dumps({"model_type": "llama"}), encoding="utf-8")
    form = read_model_format(folder)
    assert form.family.name == "mellum"
    assert "its name ('mellum')" in form.recognised


@pytest.mark.parametrize(("family", "begins"), [(SEED_CODER, True), (MELLUM, False)], ids=["Seed-Coder", "Mellum"])
def test_where_the_family_was_trained_so_a_sequence_begins_with_what_the_tokenizer_itself_puts_there(
    byte_level: Train, family: FimFamily, begins: bool
) -> None:
    fast = FastTokenizer.from_str(with_text(byte_level([]), family))
    fast.add_special_tokens(["<[begin▁of▁sentence]>"])
    number = fast.token_to_id("<[begin▁of▁sentence]>")
    fast.post_processor = TemplateProcessing(
        single="<[begin▁of▁sentence]> $A", special_tokens=[("<[begin▁of▁sentence]>", number)]
    )
    ids = FimPromptBuilder(Tokenizer(fast.to_str()), family, 100).build("a = ", 4).ids
    assert ids[: begins + 1] == [number, fast.token_to_id(family.suffix)][not begins :]


def with_text(fast: FastTokenizer, family: FimFamily) -> str:
    copy = FastTokenizer.from_str(fast.to_str())
    copy.add_tokens([AddedToken(token, normalized=False, special=False) for token in family.control])
    return copy.to_str()


def test_text_that_spells_the_frame_of_a_chat_turn_stays_text(byte_level: Train) -> None:
    tokenizer = with_tokens(byte_level([]), CODE_TOKENS)
    ids = FimPromptBuilder(tokenizer, CODEGEEX_4, 400).build("a = '<|assistant|>'\n", 4, path="a.py").ids
    assert ids.count(tokenizer.token_id("<|assistant|>")) == 1
