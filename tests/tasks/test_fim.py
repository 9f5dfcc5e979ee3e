"""Fill-in-the-middle prompts: budget, order, and what stays the same while a person types."""

from __future__ import annotations

from itertools import pairwise, takewhile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cato_lsp.tasks import window
from cato_lsp.tasks.context import Chunk, FileContext
from cato_lsp.tasks.families import CODELLAMA, CODESTRAL, FAMILIES, PLAIN, QWEN_CODER
from cato_lsp.tasks.fim import FimPrompt, FimPromptBuilder
from cato_lsp.tasks.fim_family import FimFamily, Order
from cato_lsp.tasks.tokenizer import Tokenizer

pieces = st.sampled_from(
    [
        "x",
        "def f(a):",
        "\n",
        "\r\n",
        "    ",
        "\t",
        "return 1",
        "漢字",
        "🙂",
        " ",
        "\n\n",
        "if a:",
        "()",
        "é",
        '"""',
    ]
)
documents = st.lists(pieces, max_size=80).map("".join)
families = st.sampled_from(FAMILIES)


def builder_of(
    family_tokenizers: dict[str, Tokenizer], family: FimFamily, budget: int
) -> tuple[FimPromptBuilder, Tokenizer]:
    tokenizer = family_tokenizers[family.name]
    return FimPromptBuilder(tokenizer, family, budget + frame(tokenizer, family)), tokenizer


def frame(tokenizer: Tokenizer, family: FimFamily) -> int:
    """Tokens of the chat turn around a prompt."""
    return len(tokenizer.encode_template(family.begin)) + len(tokenizer.encode_template(family.end))


@settings(max_examples=150, deadline=None)
@given(family=families, text=documents, at=st.floats(0, 1), budget=st.integers(32, 200))
def test_a_prompt_never_exceeds_its_budget_and_its_parts_are_the_text_around_the_cursor(
    family_tokenizers: dict[str, Tokenizer], family: FimFamily, text: str, at: float, budget: int
) -> None:
    builder, tokenizer = builder_of(family_tokenizers, family, budget)
    offset = int(at * len(text))
    prompt = builder.build(text, offset)
    assert len(prompt.ids) <= budget + frame(tokenizer, family)
    before = text[:offset].replace("\r\n", "\n")
    assert before.rstrip(" \t").endswith((prompt.before + prompt.line).rstrip(" \t"))
    assert text[offset:].replace("\r\n", "\n").startswith(prompt.after)
    for part in (prompt.before, prompt.line, prompt.after):
        assert tokenizer.decode(tokenizer.encode(part)) == part


@settings(max_examples=150, deadline=None)
@given(
    family=families,
    head=documents,
    line=st.text("abc=( .", max_size=20),
    typed=st.text("abcde=()", min_size=1, max_size=6),
    tail=documents,
    budget=st.sampled_from([48, 96, 400]),
)
def test_typing_on_a_line_keeps_every_prompt_token_up_to_that_line(
    family_tokenizers: dict[str, Tokenizer],
    family: FimFamily,
    head: str,
    line: str,
    typed: str,
    tail: str,
    budget: int,
) -> None:
    builder, tokenizer = builder_of(family_tokenizers, family, budget)
    start = f"{head}\n"
    prompts: list[FimPrompt] = []
    for length in range(len(typed) + 1):
        before = start + line + typed[:length]
        prompts.append(builder.build(before + "\n" + tail, len(before)))
    for earlier, later in pairwise(prompts):
        if later.before != earlier.before:
            continue  # the head of a line longer than an eighth of the budget has moved, in one jump
        shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(earlier.ids, later.ids, strict=False)))
        behind = 0 if family.order is Order.PSM else bool(family.middle) + len(tokenizer.encode_template(family.end))
        assert shared >= len(earlier.ids) - len(tokenizer.encode(earlier.line)) - behind
        assert earlier.after == later.after


def test_the_middle_token_comes_before_the_line_typed_so_far(cato_tokenizer: Tokenizer) -> None:
    builder = FimPromptBuilder(cato_tokenizer, FAMILIES[0], 200)
    text = "def f(a):\n    return a + \n\nprint(f(1))\n"
    prompt = builder.build(text, text.index("+ ") + 2)
    prefix, suffix, middle = (cato_tokenizer.token_id(f"<|fim_{name}|>") for name in ("prefix", "suffix", "middle"))
    assert prompt.ids == [
        prefix,
        *cato_tokenizer.encode("def f(a):\n"),
        suffix,
        *cato_tokenizer.encode("\n\nprint(f(1))\n"),
        middle,
        *cato_tokenizer.encode("    return a +"),
    ]


def test_a_family_with_file_separators_gets_the_name(cato_tokenizer: Tokenizer) -> None:
    ids = FimPromptBuilder(cato_tokenizer, FAMILIES[0], 200).build("a", 1, path="b.py").ids
    header = [cato_tokenizer.token_id("<|file_sep|>"), *cato_tokenizer.encode("b.py\n")]
    assert ids[: len(header) + 1] == [*header, cato_tokenizer.token_id("<|fim_prefix|>")]


def test_a_blank_line_is_left_to_the_model_to_indent(cato_tokenizer: Tokenizer) -> None:
    builder = FimPromptBuilder(cato_tokenizer, FAMILIES[0], 200)
    prompt = builder.build("if a:\n        ", 14)
    assert (prompt.before, prompt.line) == ("if a:\n", "")
    assert prompt.ids[-1] == cato_tokenizer.token_id("<|fim_middle|>")


def test_text_that_spells_a_control_token_never_becomes_one(family_tokenizers: dict[str, Tokenizer]) -> None:
    for family in FAMILIES:
        tokenizer = family_tokenizers[family.name]
        control = {tokenizer.token_id(token) for token in family.control}
        attack = "".join(family.control) + "<|endoftext|><|im_start|> </s> "
        text = f"a = '{attack}'\n{attack}b\n# {attack}"
        ids = FimPromptBuilder(tokenizer, family, 1000).build(text, text.index("b")).ids
        framed = family.begin + family.end
        expected = len(family.required) + bool(family.bos) + sum(framed.count(token) for token in family.control)
        assert sum(number in control for number in ids) == expected, family.name
        assert tokenizer.decode(tokenizer.encode(text)).replace("▁", " ") == text.replace("▁", " ")


def test_code_llama_gets_its_implied_blank_before_the_prefix_only(
    family_tokenizers: dict[str, Tokenizer],
) -> None:
    tokenizer = family_tokenizers["codellama"]
    text = "re\nre\nre"
    ids = FimPromptBuilder(tokenizer, CODELLAMA, 100).build(text, 5).ids
    blank_re, re, feed = (tokenizer.token_id(token) for token in ("▁re", "re", "<0x0A>"))
    bos, pre, suf, mid = (tokenizer.token_id(token) for token in ("<s>", "▁<PRE>", "▁<SUF>", "▁<MID>"))
    assert ids == [bos, pre, blank_re, feed, suf, feed, re, mid, re]


def test_codestral_reads_the_suffix_first_and_has_no_middle_token(
    family_tokenizers: dict[str, Tokenizer],
) -> None:
    tokenizer = family_tokenizers["codestral"]
    text = "re\nre\nre"
    ids = FimPromptBuilder(tokenizer, CODESTRAL, 100).build(text, 5).ids
    blank_re, re, feed = (tokenizer.token_id(token) for token in ("▁re", "re", "<0x0A>"))
    bos, pre, suf = (tokenizer.token_id(token) for token in ("<s>", "[PREFIX]", "[SUFFIX]"))
    assert ids == [bos, suf, feed, re, pre, blank_re, feed, re]


def test_without_fim_tokens_the_prompt_is_the_text_before_the_cursor(cato_tokenizer: Tokenizer) -> None:
    prompt = FimPromptBuilder(cato_tokenizer, PLAIN, 100).build("a = 1\nb = 2\n", 9)
    assert cato_tokenizer.decode(prompt.ids) == "a = 1\nb ="
    assert prompt.after == ""


@pytest.mark.parametrize("reach", [1, 5], ids=["limited by characters", "limited by tokens"])
def test_the_start_of_the_window_moves_in_jumps_while_lines_are_added(
    cato_tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch, reach: int
) -> None:
    monkeypatch.setattr(window, "MAX_CHARACTERS_PER_TOKEN", reach)
    builder = FimPromptBuilder(cato_tokenizer, FAMILIES[0], 300)
    text = "".join(f"value_{number} = compute({number})\n" for number in range(200))
    starts: list[int] = []
    for number in range(40):
        text += f"    other_{number} = {number}\n"
        prompt = builder.build(text + "\nend = 1\n", len(text))
        starts.append(text.rindex(prompt.before))
    assert starts == sorted(starts)
    assert len(set(starts)) <= 6
    assert len(set(starts)) > 1


def test_budget_unused_on_one_side_goes_to_the_other(cato_tokenizer: Tokenizer) -> None:
    builder = FimPromptBuilder(cato_tokenizer, FAMILIES[0], 320)
    text = "".join(f"value_{number} = compute({number})\n" for number in range(200))
    counts: dict[str, int] = {}
    for name, offset in {"start": 0, "middle": len(text) // 2, "end": len(text)}.items():
        prompt = builder.build(text, text.find("\n", offset - 1) + 1 if offset else 0)
        counts[name] = len(prompt.ids)
    assert all(count > 320 * 0.6 for count in counts.values()), counts


@pytest.mark.parametrize("family", [each for each in FAMILIES if each.begin], ids=lambda each: each.name)
def test_the_chat_turn_around_a_prompt_is_part_of_its_budget(
    family_tokenizers: dict[str, Tokenizer], family: FimFamily
) -> None:
    text = "a\n" * 1000
    for budget in range(200, 240):
        prompt = FimPromptBuilder(family_tokenizers[family.name], family, budget).build(text, 1000)
        assert len(prompt.ids) <= budget


def test_other_files_get_a_quarter_of_a_prompt_unless_set(family_tokenizers: dict[str, Tokenizer]) -> None:
    tokenizer = family_tokenizers[QWEN_CODER.name]
    files = FileContext(tuple(Chunk(f"file:///{n}.py", f"{n}.py", "b = 2") for n in range(100)))
    ids = FimPromptBuilder(tokenizer, QWEN_CODER, 400).build("a = 1\n", 6, path="a.py", context=files).ids
    others = ids.index(tokenizer.token_id(QWEN_CODER.prefix))
    assert 80 < others - len(tokenizer.encode("a.py\n")) - 1 <= 100


def test_a_missing_control_token_is_named(cato_tokenizer: Tokenizer) -> None:
    with pytest.raises(ValueError, match="▁<PRE>"):
        FimPromptBuilder(cato_tokenizer, CODELLAMA, 100)


def test_a_huge_line_costs_no_more_than_the_budget(cato_tokenizer: Tokenizer) -> None:
    builder = FimPromptBuilder(cato_tokenizer, FAMILIES[0], 200)
    text = "var a=[" + "1234," * 200_000 + "];"
    prompt = builder.build(text, len(text) - 2)
    assert len(prompt.ids) <= 200
    assert prompt.line
    assert text.endswith(prompt.before + prompt.line + prompt.after)


@pytest.mark.benchmark(group="prompt")
def test_prompt_in_a_document_of_100_000_lines(benchmark, cato_tokenizer: Tokenizer) -> None:
    builder = FimPromptBuilder(cato_tokenizer, FAMILIES[0], 2048)
    text = "".join(f"    value_{number} = compute(other_{number})\n" for number in range(100_000))
    offset = text.index("value_50000 ") + 8
    counter = iter(range(10**9))

    def type_one_character() -> FimPrompt:
        typed = text[:offset] + str(next(counter)) + text[offset:]
        return builder.build(typed, offset + 1)

    benchmark(type_one_character)
