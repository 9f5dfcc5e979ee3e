"""Functions with other names: a small model learns to copy names when it cannot guess them."""

from __future__ import annotations

import ast
import builtins
import io
import keyword
import tokenize
from collections.abc import Sequence
from random import Random

_FIXED = frozenset({*dir(builtins), *keyword.kwlist, *keyword.softkwlist, "self", "cls"})


def names_of(source: str) -> list[str]:
    """The names that a function binds, its own included, and the attributes of ``self``, in order of appearance.

    :param source: a function, dedented.
    """
    tree = ast.parse(source)
    names: dict[str, None] = {}
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                names[name] = None
            case ast.arg(arg=name) | ast.Name(id=name, ctx=ast.Store()):
                names[name] = None
            case ast.Attribute(value=ast.Name(id="self"), attr=name):
                names[name] = None
            case _:
                pass
    return [name for name in names if name not in _FIXED and not name.startswith("__")]


def renamed(source: str, pool: Sequence[str], rng: Random) -> str:
    """The function with the names of :func:`names_of` replaced by some of ``pool``; text of strings stays."""
    old = names_of(source)
    free = [name for name in dict.fromkeys(rng.sample(pool, min(len(pool), 4 * len(old)))) if name not in source]
    new = dict(zip(old, free, strict=False))
    lines = source.splitlines(keepends=True)
    tokens = list(tokenize.generate_tokens(io.StringIO(source).readline))
    for before, token in reversed([*zip([None, *tokens[:-1]], tokens, strict=True)]):
        if token.type != tokenize.NAME or token.string not in new:
            continue
        row, column = token.start
        line = lines[row - 1]
        if before is not None and before.string == "." and not line[:column].endswith("self."):
            continue
        lines[row - 1] = line[:column] + new[token.string] + line[column + len(token.string) :]
    return "".join(lines)
