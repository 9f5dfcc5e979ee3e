"""Every edit that a code action makes, applied as an editor does it, on whatever text, in all position encodings."""

from __future__ import annotations

import anyio
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from lsprotocol import types

from cato_lsp.lsp.documents import Document
from cato_lsp.lsp.positions import Encoding
from cato_lsp.tasks.doc_comments import has_convention
from cato_lsp.tasks.edit import Edit
from cato_lsp.tasks.generation import Generation, generation_target
from cato_lsp.tasks.prompts import PlainPrompter
from cato_lsp.tasks.snapshot import Snapshot
from cato_lsp.tasks.summarization import Summarization, documentable
from cato_lsp.tasks.tokenizer import Tokenizer
from tests.tasks.scripted import ScriptedCalls

FRAGMENTS = {
    "python": [
        'def f(x):\n    """Double 🙂."""\n    pass\n',
        "class A:\n\tdef m(self): return '漢'\n",
        "@cache\ndef g():\n    # TODO é\n    ...\n",
        "async def h(",
        "# sort the names\n",
    ],
    "javascript": [
        "/** Old 🙂. */\nexport function f(a) {\n}\n",
        "class A {\n\tm(x) { return '漢' }\n}\n",
        "const g = (x) => {\n",
    ],
    "typescript": ["interface I { é: string }\n", "export class A {\n  private m(x: number) {\n  }\n}\n"],
    "java": ["public class A {\n  @Override\n  public int f(int a) {\n  }\n}\n", "int x = '漢';\n"],
    "go": ["package a\n\n// F does 🙂.\nfunc F(a int) int {\n}\n", "type T struct { x int }\n"],
    "rust": ["/// Old.\n#[inline]\npub fn f(a: i32) -> i32 {\n    todo!()\n}\n", "impl S {\n    fn m(&self) {}\n}\n"],
    "c": ['static int *f(int a) {\n}\nchar *s = "漢🙂";\n', "struct S { int x; };\n"],
    "cpp": ["namespace n {\nclass A {\n public:\n  int f(int a) {\n  }\n};\n}\n", "template <class T> T h(T a) {\n}\n"],
}
CRLF_TEXT = "def f(x):\r\n    pass\r\n\r\n\r\n"
CRLF = Document(types.TextDocumentItem("file:///a", "python", 1, CRLF_TEXT), Encoding(types.PositionEncodingKind.Utf16))
HEAD = Document(
    types.TextDocumentItem("file:///a", "python", 1, "async def h(:#\r\n"), Encoding(types.PositionEncodingKind.Utf16)
)
UNCLOSED_TEXT = "export function f(a) {\n}\nconst g = (x) => {\n"
UNCLOSED = Document(
    types.TextDocumentItem("file:///a", "javascript", 1, UNCLOSED_TEXT), Encoding(types.PositionEncodingKind.Utf16)
)
ANSWERS = ["return x * 2", "    y = '🙂'\n    return y\n", "```\n{\n\treturn 1;\n}\n```", "漢\n\n\nend", "", "    "]
NOISE = st.text(alphabet="ab(){}:;\"'# \t\n🙂漢é\u2028", max_size=12)


@st.composite
def documents(draw: st.DrawFn) -> tuple[Document, int]:
    """A document in some language and encoding, and the offset of the cursor."""
    language = draw(st.sampled_from(sorted(FRAGMENTS)))
    parts = draw(st.lists(st.one_of(st.sampled_from(FRAGMENTS[language]), NOISE), min_size=1, max_size=4))
    text = draw(st.sampled_from(["", "\n", "\n\n"])).join(parts)
    text = text.removesuffix("\n") if draw(st.booleans()) else text
    text = text.replace("\n", draw(st.sampled_from(["\n", "\r\n"])))
    encoding = Encoding(draw(st.sampled_from(list(types.PositionEncodingKind))))
    document = Document(types.TextDocumentItem("file:///a", language, 1, text), encoding)
    return document, draw(st.integers(0, len(text)))


@pytest.fixture(scope="module")
def prompter(byte_level: object) -> PlainPrompter:
    return PlainPrompter(Tokenizer(byte_level(["<|endoftext|>"]).to_str()), 4096)  # type: ignore[operator]


def assert_nothing_else_is_touched(document: Document, snapshot: Snapshot, edit: Edit) -> None:
    text = snapshot.text
    where = document.range(edit.start, edit.end)
    document.change(2, [types.TextDocumentContentChangePartial(range=where, text=edit.text)])
    after = document.snapshot().text
    assert after == edit.apply(text)
    assert after.startswith(text[: edit.start])
    assert after.endswith(text[edit.end :])
    if "\r\n" in text and "\n" not in text.replace("\r\n", ""):
        assert "\n" not in edit.text.replace("\r\n", "")


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(made=documents(), answer=st.sampled_from(ANSWERS))
@example(made=(UNCLOSED, len(UNCLOSED_TEXT) - 4), answer="return 1").via("a body without its closing brace")
@example(made=(CRLF, len(CRLF_TEXT) - 3), answer="return 1").via("a cursor inside a line ending")
@example(made=(HEAD, 0), answer="return 1").via("an empty body inside a line ending")
def test_generating_touches_nothing_outside_its_range_helix_9624(
    made: tuple[Document, int], answer: str, prompter: PlainPrompter
) -> None:
    document, offset = made
    snapshot = document.snapshot()
    target = generation_target(snapshot, offset)
    if target is None:
        return
    calls = ScriptedCalls(prompter._tokenizer.decode, lambda _prompt: answer)
    generated = anyio.run(Generation(snapshot, target, prompter).run, calls)
    if generated is not None:
        assert isinstance(generated.content, Edit)
        assert_nothing_else_is_touched(document, snapshot, generated.content)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(made=documents(), answer=st.sampled_from([*ANSWERS, "Gibt 🙂 zurück. */ And more.\n\nIn two paragraphs."]))
def test_documenting_touches_nothing_outside_its_range_helix_9624(
    made: tuple[Document, int], answer: str, prompter: PlainPrompter
) -> None:
    document, offset = made
    snapshot = document.snapshot()
    assert has_convention(snapshot.language)
    symbol = documentable(snapshot, offset, offset)
    if symbol is None:
        return
    calls = ScriptedCalls(prompter._tokenizer.decode, lambda _prompt: answer)
    documented = anyio.run(Summarization(snapshot, symbol, prompter).run, calls)
    if documented is not None:
        assert isinstance(documented.content, Edit)
        assert_nothing_else_is_touched(document, snapshot, documented.content)
