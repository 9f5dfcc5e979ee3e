"""Code of other files: gathered while nobody waits, changed only when the engine has read it, never a secret."""

from __future__ import annotations

from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from cato_lsp.config import CompletionSettings, Settings
from cato_lsp.orchestrator.context import FAR, Contexts
from cato_lsp.orchestrator.idle import IdleWatch
from cato_lsp.orchestrator.prefetch import PAUSE, Prefetcher
from cato_lsp.tasks.completion import CompletionLimits, CompletionPrompter, CompletionRequest
from cato_lsp.tasks.exclusion import Exclusion
from cato_lsp.tasks.families import QWEN_CODER
from cato_lsp.tasks.snapshot import Snapshot
from cato_lsp.tasks.tokenizer import Tokenizer
from tests.orchestrator.scripted import Clock, ScriptedEngine, prompt_source
from tests.tasks.conftest import tokens_of, train_byte_level

pytestmark = pytest.mark.anyio

LINES = "".join(f"value_{number} = {number}\n" for number in range(400))
MAIN = "from lib import area\nimport secrets_here\nfrom p.credentials import KEY\n\nprint(area(2))\nx = "


@pytest.fixture(scope="module")
def prompter() -> CompletionPrompter:
    fast = train_byte_level([])
    fast.add_tokens([*tokens_of(QWEN_CODER), QWEN_CODER.repository])
    limits = CompletionLimits(prompt_tokens=600, context_tokens=200)
    return CompletionPrompter(Tokenizer(fast.to_str()), QWEN_CODER, limits)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "p").mkdir()
    (tmp_path / "lib.py").write_text("def area(radius):\n    return 3 * radius\n\n\ndef other():\n    pass\n")
    (tmp_path / "p" / "credentials.py").write_text("KEY = 'secret'\n")
    (tmp_path / "main.py").write_text(MAIN)
    return tmp_path


def at(folder: Path, name: str = "main.py", text: str = MAIN) -> Snapshot:
    return Snapshot((folder / name).as_uri(), "python", 1, text)


class Setup:
    """A `Prefetcher` on an engine in virtual time, whose model has learned to use other files."""

    def __init__(self, prompter: CompletionPrompter) -> None:
        self.clock = Clock()
        self.engine = ScriptedEngine(self.clock, lambda _call: "1")
        self._prompter = prompter
        self.prompts = prompt_source(self.engine, prompter)
        self.prefetch = Prefetcher(self.prompts, self.clock, self._ready)

    async def _ready(self) -> None: ...

    async def prompt(self, snapshot: Snapshot, offset: int, settings: Settings | None = None) -> list[int]:
        """The prompt that a request gets now."""
        request = CompletionRequest(snapshot, offset)
        settings = settings or Settings()
        self.prompts.move_to("me", snapshot, offset)
        self.prefetch.requested("me", settings)
        _, plan = await self.prompts.plan("me", request, settings)
        assert plan is not None
        return plan.prompt_ids

    def shown(self, ids: list[int]) -> str:
        return self._prompter._builder._tokenizer.decode(ids)


async def test_definitions_of_imports_are_gathered_but_no_secrets(project: Path) -> None:
    contexts = Contexts()
    contexts.open_folders("me", [project])
    context = await contexts.gather("me", at(project), len(MAIN), Exclusion())
    assert [(chunk.path, chunk.text) for chunk in context.chunks] == [("lib.py", "def area(radius): ...")]
    assert context.repository == project.name
    assert not (await contexts.gather("me", at(project), 0, Exclusion(globs=("lib.py",)))).chunks


async def test_no_file_outside_of_the_workspace_is_read(
    project: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    outside = tmp_path_factory.mktemp("outside")
    (outside / "lib.py").write_text("def area(secret): ...\n")
    (project / "lib.py").unlink()
    (project / "lib.py").symlink_to(outside / "lib.py")
    contexts = Contexts()
    contexts.open_folders("me", [project])
    assert not (await contexts.gather("me", at(project), 0, Exclusion())).chunks
    (project / "lib.py").unlink()
    (project / "lib.py").write_text("def area(radius): ...\n")
    nobody = Contexts()
    assert not (await nobody.gather("me", at(project), 0, Exclusion())).chunks


async def test_code_around_previous_positions_is_remembered(project: Path) -> None:
    contexts = Contexts()
    other = at(project, "other.py", LINES)
    contexts.look("me", other, 0)
    contexts.look("me", other, FAR // 2)  # still there
    contexts.look("me", at(project), len(MAIN))
    context = await contexts.gather("me", at(project), len(MAIN), Exclusion())
    assert [chunk.path for chunk in context.chunks] == ["other.py"]
    assert "value_60 = 60" in context.chunks[0].text
    assert not (await contexts.gather("me", other, 0, Exclusion())).chunks  # its own text is no other file's


async def test_a_context_changes_only_after_its_prompt_was_prefilled(
    project: Path, prompter: CompletionPrompter
) -> None:
    setup = Setup(prompter)
    setup.prompts.open_folders("me", [project])
    before = await setup.prompt(at(project), len(MAIN))
    assert "def area" not in setup.shown(before)
    async with anyio.create_task_group() as group:
        group.start_soon(setup.prefetch.run)
        setup.prefetch.warm_up("me", at(project), len(MAIN), Settings())
        setup.prefetch.typed("me")  # a key comes before it is done
        await anyio.wait_all_tasks_blocked()
        assert await setup.prompt(at(project), len(MAIN)) == before
        setup.prefetch.warm_up("me", at(project), len(MAIN), Settings())
        with anyio.fail_after(30):
            while not setup.prefetch.done:
                await anyio.sleep(0.001)
        after = await setup.prompt(at(project), len(MAIN))
        assert "def area(radius): ..." in setup.shown(after)
        assert setup.engine.calls[-1].prompt_ids == tuple(after)  # what was read ahead is what is asked
        group.cancel_scope.cancel()


async def test_a_completion_never_waits_for_other_files_tabby_3641(
    project: Path, prompter: CompletionPrompter, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def forever(*_: object) -> None:
        await anyio.sleep_forever()

    monkeypatch.setattr(Contexts, "gather", forever)
    setup = Setup(prompter)
    async with anyio.create_task_group() as group:
        group.start_soon(setup.prefetch.run)
        setup.prefetch.warm_up("me", at(project), 0, Settings())
        await anyio.wait_all_tasks_blocked()
        with anyio.fail_after(30):
            assert await setup.prompt(at(project), len(MAIN))
        group.cancel_scope.cancel()


async def test_a_file_excluded_later_is_not_in_the_next_prompt(project: Path, prompter: CompletionPrompter) -> None:
    setup = Setup(prompter)
    setup.prompts.open_folders("me", [project])
    async with anyio.create_task_group() as group:
        group.start_soon(setup.prefetch.run)
        setup.prefetch.warm_up("me", at(project), len(MAIN), Settings())
        with anyio.fail_after(30):
            while not setup.prefetch.done:
                await anyio.sleep(0.001)
        group.cancel_scope.cancel()
    assert "def area" in setup.shown(await setup.prompt(at(project), len(MAIN)))
    settings = Settings(disabled_globs=("lib.py",))
    assert "def area" not in setup.shown(await setup.prompt(at(project), len(MAIN), settings))


async def test_a_document_is_warmed_up_when_typing_pauses(
    project: Path, prompter: CompletionPrompter, monkeypatch: pytest.MonkeyPatch
) -> None:
    setup = Setup(prompter)
    rested = anyio.Event()

    async def sleep(_seconds: float) -> None:
        await rested.wait()

    monkeypatch.setattr("cato_lsp.orchestrator.idle.anyio.sleep", sleep)
    async with anyio.create_task_group() as group:
        group.start_soon(setup.prefetch.run)
        await setup.prompt(at(project), len(MAIN))
        await anyio.wait_all_tasks_blocked()
        assert setup.engine.calls == []
        setup.clock.now += PAUSE
        rested.set()
        with anyio.fail_after(30):
            while not setup.engine.calls:
                await anyio.lowlevel.checkpoint()
        group.cancel_scope.cancel()
    (call,) = setup.engine.calls
    assert call.max_tokens == 1
    assert call.slo.kind == "warmup"


async def test_nothing_is_warmed_up_if_it_is_switched_off(project: Path, prompter: CompletionPrompter) -> None:
    setup = Setup(prompter)
    async with anyio.create_task_group() as group:
        group.start_soon(setup.prefetch.run)
        settings = Settings(completion=CompletionSettings(warm_up=False))
        setup.prefetch.warm_up("me", at(project), 0, settings)
        setup.prefetch.warm_up("me", at(project, ".env", "K=1\n"), 0, Settings())
        await anyio.wait_all_tasks_blocked()
        group.cancel_scope.cancel()
    assert setup.engine.calls == []


async def test_a_pause_is_reported_once_per_client(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, rested = Clock(), list[tuple[str, float]]()
    watch = IdleWatch(clock, 2.0, lambda client: rested.append((client, clock.now)))

    async def sleep(seconds: float) -> None:
        clock.now += seconds
        await anyio.lowlevel.checkpoint()

    monkeypatch.setattr("cato_lsp.orchestrator.idle.anyio.sleep", sleep)
    begun = clock.now
    async with anyio.create_task_group() as group:
        watch.stir("a")
        clock.now += 1.0
        watch.stir("b")
        watch.stir("gone")
        watch.forget("gone")
        clock.now += 0.5
        watch.stir("a")
        group.start_soon(watch.run)
        await anyio.wait_all_tasks_blocked()
        group.cancel_scope.cancel()
    assert rested == [("b", begun + 3.0), ("a", begun + 3.5)]
