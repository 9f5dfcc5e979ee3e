"""Measures how many small mistakes the tests catch (mutation testing).

    python scripts/mutants.py --count 200 --seed 1 --jobs 2 --out mutants.json

Draws mutants (one changed operator, condition or constant each) from the modules in `TESTS` with a fixed seed, runs
the tests of the mutated module on a copy of the checkout, and lists the mutants that survive. Results are kept in the
output file, so that an interrupted run continues. `--show` prints the survivors of an earlier run with their diffs.

A mutant is *killed* if a test fails, or takes longer than `TEST_TIMEOUT`, and the same test passes without the
mutation right afterwards, on the same machine under the same load. If it does not, the result is *unclear*: the test
is flaky, or the machine too slow. *Timed out* means that the tests as a whole did not end. Both count as not killed,
and are tried again by the next run.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import difflib
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from queue import SimpleQueue

import psutil

ROOT = Path(__file__).resolve().parents[1]
TESTS = {
    "cato_lsp/scheduling": (["tests/scheduling"], ["tests/bench"]),
    "cato_lsp/tasks": (["tests/tasks"], ["tests/orchestrator"]),
    "cato_lsp/orchestrator": (["tests/orchestrator"], ["tests/lsp"]),
    "cato_lsp/engine/thread.py": (["tests/engine/test_thread.py"], ["tests/faults"]),
    "cato_lsp/lsp": (["tests/lsp/test_protocol.py", "tests/lsp/test_messages.py"], ["tests/lsp"]),
}
"""The mutated modules, each with the tests that are all run, and the tests that are run if they name the module.

Not all tests are run, so that the share of killed mutants is a lower bound.
"""
TEST_TIMEOUT = 120
"""Seconds for one test: several times what the slowest needs on a loaded machine."""
TIMEOUT = 1800
"""Seconds for all tests of one mutant."""
SMALL = 3
"""Larger constants are limits and tuned numbers: benchmarks judge them, not tests."""

_SWAPS: dict[type[ast.AST], type[ast.AST]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In, ast.And: ast.Or, ast.Or: ast.And,
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult,
    ast.Break: ast.Continue, ast.Continue: ast.Break,
}  # fmt: skip


@dataclass(frozen=True)
class Mutant:
    """One changed node of one module."""

    module: str
    """Path relative to the checkout."""
    number: int
    """Position among the possible mutations of the module."""

    @property
    def name(self) -> str:
        return f"{self.module}#{self.number}"


def mutate(source: str, wanted: int | None = None) -> tuple[str, int]:
    """Apply mutation number `wanted`; return the new source and how many mutations are possible."""
    tree = ast.parse(source)
    mutations = [change for node in _mutable(tree) for change in _mutations(node)]
    if wanted is not None:
        mutations[wanted]()
    return ast.unparse(ast.fix_missing_locations(tree)), len(mutations)


def _mutations(node: ast.AST) -> Iterator[Callable[[], None]]:
    """The changes of one node; each is a function that makes it."""
    match node:
        case ast.Compare():
            for position, operator in enumerate(node.ops):
                if type(operator) in _SWAPS:
                    yield partial(node.ops.__setitem__, position, _SWAPS[type(operator)]())
        case ast.BoolOp() | ast.BinOp() | ast.AugAssign():
            if type(node.op) in _SWAPS:
                yield partial(setattr, node, "op", _SWAPS[type(node.op)]())
        case ast.If() | ast.While() | ast.IfExp():
            yield partial(setattr, node, "test", ast.UnaryOp(ast.Not(), node.test))
        case ast.Constant(value=bool(value)):
            yield partial(setattr, node, "value", not value)
        case ast.Constant(value=int(value)) if abs(value) <= SMALL:
            yield partial(setattr, node, "value", value + 1)
        case _:
            pass


def _mutable(tree: ast.AST) -> Iterator[ast.AST]:
    """Nodes in order, without annotations, decorators and the bodies of `if TYPE_CHECKING`."""
    if isinstance(tree, ast.If) and ast.unparse(tree.test) == "TYPE_CHECKING":
        return
    yield tree
    for field, value in ast.iter_fields(tree):
        if field in ("annotation", "returns", "decorator_list"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield from _mutable(child)


def draw(count: int, seed: int) -> list[Mutant]:
    """`count` mutants, drawn with equal probability from all possible ones."""
    possible = [
        Mutant(str(path.relative_to(ROOT)), number)
        for place in TESTS
        for path in ([ROOT / place] if place.endswith(".py") else sorted((ROOT / place).rglob("*.py")))
        for number in range(mutate(path.read_text(encoding="utf-8"))[1])
    ]
    return random.Random(seed).sample(possible, count)


def diff(mutant: Mutant) -> str:
    """What the mutant changes."""
    source = (ROOT / mutant.module).read_text(encoding="utf-8")
    before, after = ast.unparse(ast.parse(source)), mutate(source, mutant.number)[0]
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), mutant.name, mutant.name, lineterm="", n=1)
    return "\n".join(lines)


def outcome(mutant: Mutant, folder: Path) -> str:
    """Run the tests of the module on a copy of the checkout in `folder`.

    Returns:
        "killed", "survived", "unclear" or "timed out"
    """
    file = folder / mutant.module
    original = file.read_text(encoding="utf-8")
    tests = list(_tests_of(mutant.module, folder))
    if not tests:
        return "survived"
    shutil.rmtree(folder / ".hypothesis", ignore_errors=True)  # examples that failed with earlier mutants
    try:
        file.write_text(mutate(original, mutant.number)[0], encoding="utf-8")
        if _passes(folder, "--cache-clear", *tests):
            return "survived"
        file.write_text(original, encoding="utf-8")
        # Only what failed. If no test was collected, because nothing could be imported, nothing is run again.
        return "killed" if _passes(folder, "--last-failed", "--last-failed-no-failures=none", *tests) else "unclear"
    except subprocess.TimeoutExpired:
        return "timed out"
    finally:
        file.write_text(original, encoding="utf-8")


def _passes(folder: Path, *arguments: str) -> bool:
    """Whether pytest finds no failure on the copy in `folder`.

    Raises:
        subprocess.TimeoutExpired: it did not end in `TIMEOUT`
    """
    environment = {**os.environ, "PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "pytest", "-x", "-q", f"--timeout={TEST_TIMEOUT}", "-p", "no:randomly", *arguments]
    with (folder / "pytest.log").open("w") as log:
        try:
            done = subprocess.run(
                command, cwd=folder, env=environment, timeout=TIMEOUT, stdout=log, stderr=log, check=False
            )
        finally:
            _end_processes_of(folder)
    return done.returncode in (0, 5)  # 5: there was no test to run


def _end_processes_of(folder: Path) -> None:
    """End what the tests of a mutant left running, such as a server that no longer ends by itself."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get("PYTHONPATH") == str(folder):
                process.kill()


def _tests_of(module: str, folder: Path) -> Iterator[str]:
    """The files of the tests of a module; first those whose names have its name or the first word of it."""
    whole, slow = next(tests for place, tests in TESTS.items() if module.startswith(place))
    stem = Path(module).stem
    method = re.sub(r"_(\w)", lambda letter: letter[1].upper(), stem)  # the name of an LSP method
    texts = {
        file: file.read_text(encoding="utf-8")
        for place in (*whole, *slow)
        for file in ([folder / place] if place.endswith(".py") else sorted((folder / place).rglob("test_*.py")))
    }
    mentions = {file: stem in text or method in text for file, text in texts.items()}
    own = {file: any(file.is_relative_to(folder / place) for place in whole) for file in texts}
    word = stem.partition("_")[0]
    named = {file: (stem in file.stem) + (word in file.stem) for file in texts}
    for file in sorted(texts, key=lambda file: (-named[file], not own[file], not mentions[file])):
        if mentions[file] or own[file] or named[file]:
            yield str(file)


def try_out(mutants: list[Mutant], jobs: int, out: Path, results: dict[str, str]) -> None:
    """Add the outcome of each mutant to `results` and to the file `out`, `jobs` mutants at a time."""
    folders: SimpleQueue[Path] = SimpleQueue()
    lock = threading.Lock()

    def one(mutant: Mutant) -> None:
        folder, start = folders.get(), time.monotonic()
        result = outcome(mutant, folder)
        folders.put(folder)
        with lock:
            results[mutant.name] = result
            out.write_text(json.dumps(results, indent=1))
            print(f"{result:9} {time.monotonic() - start:5.0f} s", mutant.name, flush=True)

    with tempfile.TemporaryDirectory() as temporary, ThreadPoolExecutor(jobs) as workers:
        for job in range(jobs):
            folder = Path(temporary) / str(job)
            left_out = (".git", ".venv", ".editors", ".cache", ".pytest_cache", "node_modules")
            shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(*left_out))
            (folder / ".venv").symlink_to(ROOT / ".venv")
            folders.put(folder)
        list(workers.map(one, mutants))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=1, help="mutants at a time")
    parser.add_argument("--only", default="", help="only mutants of modules whose path contains this text")
    parser.add_argument("--out", type=Path, default=Path("mutants.json"))
    parser.add_argument("--show", action="store_true", help="print the survivors with their diffs")
    options = parser.parse_args()
    results: dict[str, str] = json.loads(options.out.read_text()) if options.out.exists() else {}
    mutants = [each for each in draw(options.count, options.seed) if options.only in each.module]
    if not options.show:
        todo = [each for each in mutants if results.get(each.name) not in ("killed", "survived")]
        try_out(todo, options.jobs, options.out, results)
    tried = [each for each in mutants if each.name in results]
    for mutant in tried:
        if results[mutant.name] != "killed":
            print(f"{results[mutant.name]}:\n{diff(mutant)}")
    print(f"{sum(results[each.name] == 'killed' for each in tried)} of {len(tried)} mutants killed")


if __name__ == "__main__":
    main()
