"""What takes more than a moment runs on a worker thread, and gives way to others there."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import anyio
import pytest
from lsprotocol import types
from pygls.exceptions import JsonRpcInvalidParams
from tokenizers import Tokenizer as FastTokenizer
from tree_sitter import Parser

from cato_lsp.config import Layer
from cato_lsp.engine import model_folder
from cato_lsp.lsp import backend as backend_module
from cato_lsp.lsp.backend import Backend
from cato_lsp.lsp.methods import code_action
from cato_lsp.lsp.server import listen
from cato_lsp.lsp.session import Session
from cato_lsp.models import local
from cato_lsp.models.local import BUNDLED, local_model
from cato_lsp.tasks import languages
from cato_lsp.tasks.languages import parser_of, syntax_tree
from cato_lsp.tasks.symbols import Outline
from cato_lsp.tasks.tokenizer import Tokenizer
from tests.lsp.wire import Wire

pytestmark = pytest.mark.anyio


class Threads:
    """Notes on which threads a function was called."""

    def __init__(self, function: Any) -> None:
        self.seen: list[threading.Thread] = []
        self._function = function

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.seen.append(threading.current_thread())
        return self._function(*args, **kwargs)


async def test_a_change_of_settings_looks_for_models_on_a_worker_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    looked = Threads(backend_module.resolve_model)
    monkeypatch.setattr(backend_module, "resolve_model", looked)
    session = Session(Backend(), Layer("tests", {"model": "auto"}))
    await session.apply_settings()
    assert looked.seen
    assert threading.current_thread() not in looked.seen


async def test_the_last_change_of_settings_wins_while_models_are_resolved() -> None:
    session = Session(Backend(), Layer("tests", {"model": "bundled"}))
    async with anyio.create_task_group() as group:
        for lines in (3, 4, 5):
            group.start_soon(session.apply_settings, {"completion": {"maxLines": lines}})
    assert session.settings.completion.max_lines == 5


def test_a_tokenizer_is_neither_parsed_nor_read_twice_to_find_a_model(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    parsed = Threads(model_folder.json.loads)
    monkeypatch.setattr(model_folder.json, "loads", parsed)
    read = Threads(Path.read_bytes)

    def read_bytes(path: Path) -> bytes:
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", read_bytes)
    local._fills_in.cache_clear()
    for _ in range(3):
        assert local_model("bundled", BUNDLED) is not None
    assert len(read.seen) == 1
    assert len(parsed.seen) == 3 * 2, "config.json and the weights' header"


async def test_code_actions_are_worked_out_on_a_worker_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    parsed = Threads(code_action.documentable)
    monkeypatch.setattr(code_action, "documentable", parsed)
    async with await listen(Backend(), "127.0.0.1", 0, Layer("tests", {"model": "/none"})) as server:
        wire = await Wire.connect(server.sockets[0].getsockname()[1])
        await wire.initialize()
        wire.open("def add(a, b):\n    return a + b\n")
        where = {"start": {"line": 0, "character": 4}, "end": {"line": 0, "character": 4}}
        params = {"textDocument": {"uri": "file:///work.py"}, "range": where, "context": {"diagnostics": []}}
        actions = await wire.call("textDocument/codeAction", params)
        wire.close()
    assert [each["title"] for each in actions] == ["Cato: Document add"]
    assert parsed.seen
    assert threading.current_thread() not in parsed.seen


def test_a_large_source_is_parsed_in_parts_with_the_same_result(monkeypatch: pytest.MonkeyPatch) -> None:
    source = "".join(f"def f{number}(a):\n    '''Ä'''\n    return a\n\n\n" for number in range(200))
    in_parts = Outline(source, "python")
    tree = syntax_tree("python", source.encode())
    monkeypatch.setattr(languages, "_PART", 1 << 30)
    whole = syntax_tree("python", source.encode())
    assert tree is not None
    assert whole is not None
    assert str(tree.root_node) == str(whole.root_node)
    assert in_parts.top == Outline(source, "python").top
    assert isinstance(parser_of("python"), Parser)
    assert parser_of("python") is not parser_of("python"), "two threads must not use the same parser"


def test_a_long_text_has_the_same_tokens_as_its_library_gives(model_folder: Path) -> None:
    text = "def add(first, second):\n    return first + second\n" * 100
    library = FastTokenizer.from_file(str(model_folder / "tokenizer.json"))
    assert Tokenizer.from_folder(model_folder).encode(text) == library.encode(text, add_special_tokens=False).ids


def test_one_tokenizer_serves_several_threads(model_folder: Path) -> None:
    tokenizer = Tokenizer.from_folder(model_folder)
    texts = [f"value_{number} = {number}" for number in range(300)]
    expected = [list(tokenizer.encode(text)) for text in texts]
    wrong: list[str] = []

    def work() -> None:
        for _ in range(5):
            wrong.extend(text for text, ids in zip(texts, expected, strict=True) if tokenizer.encode(text) != ids)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest.mark.parametrize("where", [None, {}, {"start": 1}, {"start": {"line": -1, "character": 0}, "end": {}}])
def test_an_action_with_a_malformed_range_is_refused(where: Any) -> None:
    session = Session(Backend())
    session.documents.open(types.TextDocumentItem("file:///a.py", "python", 1, "x = 1\n"))
    data = {"assist": "generate", "uri": "file:///a.py", "version": 1, "range": where}
    with pytest.raises(JsonRpcInvalidParams):
        code_action.resolve(session, types.CodeAction("t", data=data))


def test_code_actions_are_resolved_only_for_documents_that_may_be_read() -> None:
    session = Session(Backend())
    item = types.TextDocumentItem("file:///key.py", "python", 1, "-----BEGIN RSA PRIVATE KEY-----")
    session.documents.open(item)
    data = {"assist": "generate", "uri": item.uri, "version": 1, "range": {}}
    with pytest.raises(Exception, match="excluded"):
        code_action.resolve(session, types.CodeAction("t", data=data))
