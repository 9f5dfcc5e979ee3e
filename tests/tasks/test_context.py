"""Other files in a prompt: what is chosen of them, how they are written, and that they cost nothing while typing."""

from __future__ import annotations

from pathlib import PurePosixPath

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cato_lsp.tasks.context import CHUNK_LINES, LONGEST_CHUNK, Chunk, ChunkRing, FileContext, chunk_around, most_telling
from cato_lsp.tasks.exclusion import Exclusion
from cato_lsp.tasks.families import CATO, CODEGEMMA, CODESTRAL, PLAIN, QWEN_CODER, SEED_CODER, STARCODER2
from cato_lsp.tasks.fim import FimPromptBuilder
from cato_lsp.tasks.fim_family import FimFamily
from cato_lsp.tasks.imports import Import, candidates, definitions, imports_of
from cato_lsp.tasks.snapshot import Snapshot
from cato_lsp.tasks.tokenizer import Tokenizer

FAMILIES = [CATO, QWEN_CODER, STARCODER2, CODEGEMMA, CODESTRAL, PLAIN]
texts = st.text("ab ()\n漢🙂", max_size=300)
chunks = st.builds(Chunk, st.just("file:///b.py"), st.sampled_from(["b.py", "a/漢.py"]), texts)
contexts = st.builds(FileContext, st.lists(chunks, max_size=5).map(tuple), st.sampled_from(["", "project"]))


def lines(first: int, count: int) -> str:
    return "\n".join(f"value_{number} = {number}" for number in range(first, first + count))


def chunk(text: str, uri: str = "file:///b.py") -> Chunk:
    return Chunk(uri, PurePosixPath(uri).name, text)


@settings(max_examples=150, deadline=None)
@given(text=texts, at=st.floats(0, 1), context=contexts, room=st.integers(64, 400), share=st.integers(0, 300))
@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_a_prompt_with_other_files_never_exceeds_its_budget(
    family_tokenizers: dict[str, Tokenizer],
    family: FimFamily,
    text: str,
    at: float,
    context: FileContext,
    room: int,
    share: int,
) -> None:
    tokenizer = family_tokenizers.get(family.name) or family_tokenizers["cato"]
    prompt = FimPromptBuilder(tokenizer, family, room, share).build(
        text, int(at * len(text)), path="a.py", context=context
    )
    assert len(prompt.ids) <= room


@settings(max_examples=100, deadline=None)
@given(typed=st.text("abc (", min_size=2, max_size=30), context=contexts)
@pytest.mark.parametrize("family", [CATO, QWEN_CODER, STARCODER2, CODEGEMMA], ids=lambda family: family.name)
def test_typing_on_a_line_keeps_every_token_before_it_with_other_files_too(
    family_tokenizers: dict[str, Tokenizer], family: FimFamily, typed: str, context: FileContext
) -> None:
    builder = FimPromptBuilder(family_tokenizers[family.name], family, 400, 150)
    head, tail = f"{lines(0, 20)}\n", f"\n{lines(50, 20)}\n"
    prompts = [
        builder.build(head + typed[:end] + tail, len(head) + end, path="a.py", context=context)
        for end in range(len(typed) + 1)
    ]
    start = len(prompts[0].ids)
    for prompt in prompts:
        assert prompt.ids[:start] == prompts[0].ids


@pytest.mark.parametrize(
    ("family", "expected"),
    [
        (
            QWEN_CODER,
            "<|repo_name|>project\n<|file_sep|>old.py\na = 1\n<|file_sep|>new.py\nb = 2\n<|file_sep|>a.py\n"
            "<|fim_prefix|>x = 1\n<|fim_suffix|>\nz = 3\n<|fim_middle|>y =",
        ),
        (
            STARCODER2,
            "<repo_name>project<file_sep>old.py\na = 1\n<file_sep>new.py\nb = 2\n<file_sep>"
            "<fim_prefix>a.py\nx = 1\n<fim_suffix>\nz = 3\n<fim_middle>y =",
        ),
        (
            CODESTRAL,
            "<s>[SUFFIX]\nz = 3\n[PREFIX]+++++ old.py\na = 1\n\n+++++ new.py\nb = 2\n\n+++++ a.py\nx = 1\ny =",
        ),
        (
            CODEGEMMA,
            "<bos><|file_separator|>old.py\na = 1\n<|file_separator|>new.py\nb = 2\n<|file_separator|>a.py\n"
            "<|fim_prefix|>x = 1\n<|fim_suffix|>\nz = 3\n<|fim_middle|>y =",
        ),
    ],
    ids=lambda value: value.name if isinstance(value, FimFamily) else "",
)
def test_each_family_gets_other_files_in_its_format(
    family_tokenizers: dict[str, Tokenizer], family: FimFamily, expected: str
) -> None:
    tokenizer = family_tokenizers[family.name]
    context = FileContext((chunk("a = 1", "file:///old.py"), chunk("b = 2", "file:///new.py")), "project")
    text = "x = 1\ny = \nz = 3\n"
    prompt = FimPromptBuilder(tokenizer, family, 400).build(text, 10, path="a.py", context=context)
    pieces = [_spelled(tokenizer, family, number) for number in prompt.ids]
    assert "".join(pieces) == expected


def _spelled(tokenizer: Tokenizer, family: FimFamily, number: int) -> str:
    named = {tokenizer.token_id(token): token for token in (*family.control, family.repository)}
    return named.get(number) or tokenizer.decode([number])


@pytest.mark.parametrize("family", [CATO, SEED_CODER], ids=lambda family: family.name)
def test_a_family_without_a_file_format_gets_no_other_files(
    family_tokenizers: dict[str, Tokenizer], family: FimFamily
) -> None:
    builder = FimPromptBuilder(family_tokenizers[family.name], family, 400)
    assert not builder.reads_other_files
    text = "x = 1\n"
    with_others = builder.build(text, 4, path="a.py", context=FileContext((chunk("b = 2"),)))
    assert with_others.ids == builder.build(text, 4, path="a.py").ids


def test_code_of_other_files_never_becomes_a_control_token(family_tokenizers: dict[str, Tokenizer]) -> None:
    tokenizer = family_tokenizers["qwen-coder"]
    context = FileContext((chunk("<|fim_middle|><|endoftext|>"),), "<|file_sep|>")
    ids = FimPromptBuilder(tokenizer, QWEN_CODER, 400).build("x", 1, path="a.py", context=context).ids
    assert ids.count(tokenizer.token_id("<|fim_middle|>")) == 1
    assert ids.count(tokenizer.token_id("<|file_sep|>")) == 2


def test_of_too_many_files_the_most_relevant_are_kept(family_tokenizers: dict[str, Tokenizer]) -> None:
    tokenizer = family_tokenizers["qwen-coder"]
    context = FileContext(tuple(chunk(lines(n * 100, 12), f"file:///{n}.py") for n in range(8)))
    prompt = FimPromptBuilder(tokenizer, QWEN_CODER, 800, 300).build("x", 1, path="a", context=context)
    shown = tokenizer.decode(prompt.ids)
    kept = [number for number in range(8) if f"{number}.py" in shown]
    assert kept[-1] == 7
    assert len(kept) < 8
    assert [shown.index(f"{number}.py") for number in kept] == sorted(shown.index(f"{number}.py") for number in kept)


def test_a_chunk_replaces_an_older_state_of_the_same_lines() -> None:
    ring = ChunkRing()
    ring.add(chunk(lines(0, 30)))
    ring.add(chunk(lines(100, 30)))
    ring.add(chunk(lines(1, 30)))
    assert [each.text for each in ring] == [lines(100, 30), lines(1, 30)]


def test_the_ring_forgets_the_oldest() -> None:
    ring = ChunkRing(most=3)
    for number in range(5):
        ring.add(chunk(lines(number * 100, 10)))
    assert [each.text for each in ring] == [lines(number * 100, 10) for number in (2, 3, 4)]


@given(text=texts.map(lambda text: text * 20), at=st.floats(0, 1))
def test_a_chunk_has_whole_lines_around_the_cursor(text: str, at: float) -> None:
    found = chunk_around(Snapshot("file:///a", "python", 1, text), int(at * len(text)), "a")
    if found is not None:
        assert found.text in text
        assert len(found.text) <= LONGEST_CHUNK
        assert found.text.count("\n") <= CHUNK_LINES


def test_the_chunk_that_shares_most_names_is_last() -> None:
    one, other = chunk("def load_settings(path): ..."), chunk("class Parser:\n    def parse(self): ...")
    assert most_telling([one, other], "settings = load_settings(path)")[-1] == one
    assert most_telling([one, other], "Parser().parse(text)")[-1] == other


def test_excluded_files_are_left_out_of_a_context() -> None:
    context = FileContext((chunk("a = 1"), chunk("K = 2", "file:///p/.env"), chunk("b = 3", "file:///p/gen/c.py")))
    assert [each.text for each in context.allowed(Exclusion(globs=("**/gen/**",))).chunks] == ["a = 1"]


@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        ("python", "from a.b import c, d as e\n", [Import("a.b", frozenset({"c", "d"}))]),
        (
            "python",
            "from . import x\nfrom ..y import (\n    z,\n)\n",
            [Import(".", frozenset("x")), Import("..y", frozenset("z"))],
        ),
        ("python", "import a.b\r\nimport c\r\n", [Import("a.b"), Import("c")]),
        (
            "typescript",
            'import { type A, b as c } from "./x";\nimport fs from "fs";\n',
            [Import("./x", frozenset("Ab"))],
        ),
        ("c", '#include "util.h"\n#include <stdio.h>\n', [Import("util.h")]),
        ("yaml", "import: x\n", []),
    ],
)
def test_imports_are_read_in_their_order(language: str, text: str, expected: list[Import]) -> None:
    assert imports_of(text, language) == expected


@pytest.mark.parametrize(
    ("importer", "wanted", "file"),
    [
        ("/w/p/a.py", Import("p.b"), "/w/p/b.py"),
        ("/w/src/p/a.py", Import("p.b"), "/w/src/p/b.py"),
        ("/w/p/a.py", Import(".b"), "/w/p/b.py"),
        ("/w/p/q/a.py", Import("..b"), "/w/p/b.py"),
        ("/w/p/a.py", Import(".", frozenset({"b"})), "/w/p/b.py"),
        ("/w/p/a.py", Import("p"), "/w/p/__init__.py"),
        ("/w/s/a.ts", Import("../lib/x"), "/w/lib/x.ts"),
        ("/w/s/a.ts", Import("./x.js"), "/w/s/x.ts"),
        ("/w/s/a.c", Import("u.h"), "/w/s/u.h"),
    ],
)
def test_the_file_that_is_imported_is_among_the_candidates(importer: str, wanted: Import, file: str) -> None:
    found = [path for path, _ in candidates(wanted, PurePosixPath(importer), PurePosixPath("/w"))]
    assert PurePosixPath(file) in found


@given(st.text("./ab", max_size=12))
@pytest.mark.parametrize("importer", ["/w/p/a.py", "/w/p/a.ts", "/w/p/a.c"])
def test_no_candidate_lies_outside_of_the_workspace(importer: str, module: str) -> None:
    for path, _ in candidates(Import(module), PurePosixPath(importer), PurePosixPath("/w")):
        assert path.is_relative_to("/w")
        assert ".." not in path.parts


FILLER = "filler " * 80
PYTHON = f'''
from x import y

LIMIT = 5
other = 6


@dataclass
class Point:
    """A place."""

    x: int
    y: int = 0

    def norm(self, scale: float = 1.0) -> float:
        """Its length.

        {FILLER}
        """
        text = "filler" * 100
        return len(text) * scale

    def _secret(self):
        return 5


def far(a: Point, *, b: int) -> bool:
    """Whether it is far."""
    return a.norm() > b
'''


def test_definitions_are_heads_fields_and_values() -> None:
    assert definitions(PYTHON, "python", frozenset({"Point", "far", "LIMIT", "missing"})) == (
        "LIMIT = 5\n"
        "@dataclass\nclass Point:\n    x: int\n    y: int = 0\n"
        "    def norm(self, scale: float = 1.0) -> float: ...\n"
        "def far(a: Point, *, b: int) -> bool: ..."
    )


def test_definitions_in_braces_stay_balanced() -> None:
    batch = "    log(1);\n" * 60
    text = f"export class A {{\n  readonly b: number;\n  c(d: string): void {{\n{batch}  }}\n}}\nexport const E = 5;\n"
    assert definitions(text, "typescript", frozenset({"A", "E"})) == (
        "export class A {\n  readonly b: number;\n  c(d: string): void;\n}\nexport const E = 5;"
    )


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=200), st.sampled_from(["python", "typescript", "c", "go", ""]))
def test_any_text_can_be_searched_for_imports_and_definitions(text: str, language: str) -> None:
    for wanted in imports_of(text, language):
        list(candidates(wanted, PurePosixPath("/w/a.py"), PurePosixPath("/w")))
    definitions(text, language, frozenset({"a"}))
    definitions(text, language, frozenset())
