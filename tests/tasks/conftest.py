"""Small tokenizers trained or put together on the spot: no model is needed to test prompts."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tokenizers import AddedToken, decoders, models, normalizers, pre_tokenizers, trainers
from tokenizers import Tokenizer as FastTokenizer

from cato_lsp.tasks.families import FAMILIES, FimFamily
from cato_lsp.tasks.prompts import CatoPrompter, PlainPrompter
from cato_lsp.tasks.tokenizer import Tokenizer

CATO_TOKENS = ["<|endoftext|>", "<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>", "<|file_sep|>"]

CORPUS = [Path(__file__).read_text(encoding="utf-8"), Path(json.__file__).read_text(encoding="utf-8")]


def train_byte_level(special: list[str], vocabulary: int = 700) -> FastTokenizer:
    """A byte-level BPE in the style of GPT-2, with the tokens given as special tokens."""
    fast = FastTokenizer(models.BPE())
    fast.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    fast.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary + len(special),
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    fast.train_from_iterator(CORPUS, trainer)
    return fast


def sentence_piece_like(special: list[str]) -> FastTokenizer:
    """A BPE with byte fall-back that puts a blank before every text, in the style of Llama 2."""
    pieces = ["<unk>", *(f"<0x{byte:02X}>" for byte in range(256)), "▁", *map(chr, range(33, 127))]
    vocabulary = {piece: number for number, piece in enumerate([*pieces, "re", "▁re"])}
    fast = FastTokenizer(
        models.BPE(
            vocab=vocabulary,
            merges=[("r", "e"), ("▁", "re")],
            unk_token="<unk>",
            fuse_unk=True,
            byte_fallback=True,
        )
    )
    fast.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    fast.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    fast.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in special])
    return fast


@pytest.fixture(scope="session")
def byte_level() -> Callable[[list[str]], FastTokenizer]:
    """Trains a byte-level BPE that has the given special tokens."""
    return train_byte_level


@pytest.fixture(scope="session")
def cato_tokenizer() -> Tokenizer:
    return Tokenizer(train_byte_level(CATO_TOKENS).to_str())


@pytest.fixture(scope="session")
def family_tokenizers() -> dict[str, Tokenizer]:
    """A tokenizer per family that holds this family's control tokens."""
    plain = train_byte_level([])
    made: dict[str, Tokenizer] = {}
    for family in FAMILIES:
        if family.bos == "<s>":
            fast = sentence_piece_like(list(tokens_of(family)))
        else:
            fast = FastTokenizer.from_str(plain.to_str())
            # As several published vocabularies do, list the FIM tokens as added but not as special tokens.
            fast.add_tokens([AddedToken(token, normalized=False, special=False) for token in tokens_of(family)])
        made[family.name] = Tokenizer(fast.to_str())
    return made


@pytest.fixture(scope="session")
def tokenizer(byte_level: object) -> Tokenizer:
    tokens = ["<|endoftext|>", "<|summarize|>", "<|generate|>", "<|translate|>", "<|answer|>"]
    return Tokenizer(byte_level(tokens).to_str())  # type: ignore[operator]


@pytest.fixture(scope="session")
def plain(tokenizer: Tokenizer) -> PlainPrompter:
    return PlainPrompter(tokenizer, 4096)


@pytest.fixture(scope="session")
def cato(tokenizer: Tokenizer) -> CatoPrompter:
    return CatoPrompter(tokenizer, 4096)


def tokens_of(family: FimFamily) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*family.control, *family.telling)))
