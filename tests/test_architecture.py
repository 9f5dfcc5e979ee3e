"""The rules of who may import whom, held over every import of every module, those inside functions too."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import cato_lsp

PACKAGE = Path(cato_lsp.__file__).parent

PROTOCOL = {"pygls", "lsprotocol"}
ENGINE = {"vllm", "torch", "ray", "transformers"}
CLOCKS_AND_LOOPS = {"asyncio", "anyio", "time", "datetime", "threading", "logging"}

FORBIDDEN_LIBRARIES: dict[str, set[str]] = {
    "lsp": ENGINE,
    "tasks": PROTOCOL | ENGINE,
    "orchestrator": PROTOCOL | ENGINE,
    "scheduling": PROTOCOL | ENGINE | CLOCKS_AND_LOOPS,
    "engine": PROTOCOL,
    "bench": PROTOCOL,
}
"""Libraries that a room must not import. Everything that is not listed here may import neither of the first two."""

ROOMS_BELOW: dict[str, set[str]] = {
    "scheduling": set(),
    "config": set(),
    "status_view": set(),
    "tasks": {"scheduling"},
    "engine": {"scheduling", "config"},
    "models": {"engine", "tasks", "config"},
    "orchestrator": {"tasks", "engine", "scheduling", "config", "models"},
    "lsp": {"orchestrator", "tasks", "engine", "scheduling", "config", "models"},
    "bench": {"orchestrator", "tasks", "engine", "scheduling", "config", "models"},
    "install": {"doctor", "engine", "config"},
    "doctor": {"orchestrator", "tasks", "engine", "scheduling", "config", "models"},
}
"""The rooms that each room may import; imports run one way. The command line may import all."""


def room_of(module: str) -> str:
    """``engine`` for ``cato_lsp.engine.thread``; empty for the package itself."""
    return module.split(".")[1] if "." in module else ""


def imports_of(file: Path, module: str) -> Iterator[str]:
    """Every module that ``file`` names in an import, relative ones resolved."""
    package = module.split(".") if file.name == "__init__.py" else module.split(".")[:-1]
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            source = ".".join([*base, *([node.module] if node.module else [])])
            # ``from cato_lsp import engine`` names a room as well.
            yield from (f"{source}.{alias.name}" for alias in node.names) if source == "cato_lsp" else [source]


def all_imports() -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for file in sorted(PACKAGE.rglob("*.py")):
        parts = file.relative_to(PACKAGE.parent).with_suffix("").parts
        module = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found += [(module, name) for name in imports_of(file, module)]
    return found


def test_no_room_imports_a_library_that_is_closed_to_it() -> None:
    wrong = [
        f"{module} imports {name}"
        for module, name in all_imports()
        if name.partition(".")[0] in FORBIDDEN_LIBRARIES.get(room_of(module), PROTOCOL | ENGINE)
    ]
    assert not wrong


def test_imports_run_one_way_through_the_rooms() -> None:
    wrong = [
        f"{module} imports {name}"
        for module, name in all_imports()
        if name.startswith("cato_lsp.")
        and room_of(module) not in {"", "cli", "__main__", room_of(name)}
        and room_of(name) not in ROOMS_BELOW[room_of(module)] | {"__version__"}
    ]
    assert not wrong


def test_every_room_has_its_rules() -> None:
    rooms = {path.stem for path in PACKAGE.iterdir() if path.is_dir() or path.suffix == ".py"}
    assert rooms - {"__init__", "__main__", "__pycache__", "cli"} <= set(ROOMS_BELOW)


@pytest.mark.parametrize(
    "modules",
    [
        "cato_lsp.lsp.server",
        "cato_lsp.cli, cato_lsp.config, cato_lsp.doctor",
        "cato_lsp.engine.api, cato_lsp.engine.host, cato_lsp.engine.thread",
    ],
)
def test_nothing_that_answers_an_editor_waits_for_torch_or_vllm(modules: str) -> None:
    code = f"import json, sys; import {modules}; print(json.dumps(sorted(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert not {name.partition(".")[0] for name in json.loads(result.stdout)} & ENGINE


def test_the_import_reader_sees_imports_inside_functions_and_relative_ones(tmp_path: Path) -> None:
    file = tmp_path / "example.py"
    file.write_text(
        "from ..engine import thread\nfrom . import deep\n\ndef load():\n    import vllm.config\n"
        "    from cato_lsp import bench\n",
        encoding="utf-8",
    )
    found = set(imports_of(file, "cato_lsp.doctor.example"))
    assert found == {"cato_lsp.engine", "cato_lsp.doctor", "vllm.config", "cato_lsp.bench"}
