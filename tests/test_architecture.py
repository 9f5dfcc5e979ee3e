"""Rules for imports and sizes. Every import counts, also those inside functions and those only for types."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
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
    "fleet": PROTOCOL | ENGINE - {"ray"},
    "workspace": PROTOCOL | ENGINE,
}
"""Libraries that a package must not import. A package that is not listed may import neither of the first two groups."""

PACKAGES_BELOW: dict[str, set[str]] = {
    "scheduling": set(),
    "supervise": set(),
    "trust": set(),
    "config": {"trust"},
    "status_view": set(),
    "tasks": {"scheduling"},
    "workspace": {"tasks", "supervise"},
    "engine": {"scheduling", "config", "supervise"},
    "models": {"engine", "tasks", "config"},
    "remote": {"engine", "scheduling"},
    "gateway": {"remote", "tasks", "models", "engine", "scheduling", "config"},
    "fleet": {"gateway", "remote", "models", "engine", "scheduling", "config", "supervise"},
    "orchestrator": {"tasks", "workspace", "engine", "scheduling", "config", "models", "supervise"},
    "lsp": {"remote", "orchestrator", "workspace", "tasks", "engine", "scheduling", "config", "models", "supervise"},
    "bench": {"fleet", "orchestrator", "tasks", "engine", "scheduling", "config", "models"},
    "install": {"doctor", "engine", "config"},
    "doctor": {"orchestrator", "tasks", "engine", "scheduling", "config", "models"},
}
"""The packages that each package may import. Imports run one way. The command line may import all."""

MOST_LINES_OF_A_FILE = 400
MOST_LINES_OF_A_FUNCTION = 50
"""Without its signature."""


def package_of(module: str) -> str:
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
            for alias in node.names:
                name = f"{source}.{alias.name}"
                yield name if source == "cato_lsp" or is_module(name) else source


def is_module(name: str) -> bool:
    """Whether ``name`` is a module or package of ours."""
    path = PACKAGE.parent.joinpath(*name.split("."))
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


def files() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def all_imports() -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for file in files():
        parts = file.relative_to(PACKAGE.parent).with_suffix("").parts
        module = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found += [(module, name) for name in imports_of(file, module)]
    return found


def test_no_package_imports_a_forbidden_library() -> None:
    wrong = [
        f"{module} imports {name}"
        for module, name in all_imports()
        if name.partition(".")[0] in FORBIDDEN_LIBRARIES.get(package_of(module), PROTOCOL | ENGINE)
    ]
    assert not wrong


def test_imports_between_packages_run_one_way() -> None:
    wrong = [
        f"{module} imports {name}"
        for module, name in all_imports()
        if name.startswith("cato_lsp.")
        and package_of(module) not in {"", "cli", "__main__", package_of(name)}
        and package_of(name) not in PACKAGES_BELOW[package_of(module)] | {"__version__"}
    ]
    assert not wrong


def test_every_package_has_its_rules() -> None:
    packages = {path.stem for path in PACKAGE.iterdir() if path.is_dir() or path.suffix == ".py"}
    assert packages - {"__init__", "__main__", "__pycache__", "cli"} <= set(PACKAGES_BELOW)


def circles(imports: Iterable[tuple[str, str]]) -> list[set[str]]:
    """The sets of modules that import each other, directly or through others."""
    graph: defaultdict[str, set[str]] = defaultdict(set)
    for module, name in imports:
        graph[module].add(name)

    def reached(start: str) -> set[str]:
        found: set[str] = set()
        todo = [start]
        while todo:
            new = graph[todo.pop()] - found
            found |= new
            todo += new
        return found

    reach = {module: reached(module) for module in list(graph)}
    found = {frozenset(other for other in reach if other in reach[m] and m in reach[other]) for m in reach}
    return [set(circle) for circle in sorted(found, key=sorted) if circle]


def test_no_modules_import_each_other() -> None:
    """Imports that only types need count, too: a circle is two files that cannot be understood one by one."""
    ours = [(module, name) for module, name in all_imports() if name.startswith("cato_lsp")]
    assert circles(ours) == []


def test_circles_are_found() -> None:
    assert circles([("a", "b"), ("b", "c"), ("c", "a"), ("c", "d"), ("e", "a")]) == [{"a", "b", "c"}]


def test_files_and_functions_are_short() -> None:
    long: list[str] = []
    for file in files():
        text = file.read_text(encoding="utf-8")
        name = str(file.relative_to(PACKAGE))
        if (lines := text.count("\n")) > MOST_LINES_OF_A_FILE:
            long.append(f"{name}: {lines} lines")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                assert node.body[-1].end_lineno is not None
                if (lines := node.body[-1].end_lineno - node.body[0].lineno + 1) > MOST_LINES_OF_A_FUNCTION:
                    long.append(f"{name}: {node.name} has {lines} lines")
    assert not long


@pytest.mark.parametrize(
    "modules",
    [
        "cato_lsp.lsp.server",
        "cato_lsp.cli, cato_lsp.config, cato_lsp.doctor",
        "cato_lsp.engine.api, cato_lsp.engine.host, cato_lsp.engine.thread",
        "cato_lsp.remote.engine",
    ],
)
def test_the_server_starts_without_importing_torch_or_vllm(modules: str) -> None:
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
    assert found == {"cato_lsp.engine.thread", "cato_lsp.doctor.deep", "vllm.config", "cato_lsp.bench"}
