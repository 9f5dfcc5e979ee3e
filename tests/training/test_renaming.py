"""Functions that get other names."""

from __future__ import annotations

from random import Random
from typing import Any

from training.corpus import SourceFile
from training.functions import build_translations
from training.renaming import names_of, renamed

SOURCE = '''def total(self, prices, /, limit=10):
    """The total of prices."""
    found = 0
    for price in prices:
        found += min(price, self.most)
    return min(found, limit), prices.count(self.most), "price"
'''
POOL = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta"]


class _Shop:
    pass


def run(source: str, name: str, most: str) -> object:
    space: dict[str, Any] = {}
    exec(source, space)
    shop = _Shop()
    setattr(shop, most, 7)
    return space[name](shop, [3, 9, 7])


def test_names_are_those_that_the_function_binds_and_the_attributes_of_self() -> None:
    assert set(names_of(SOURCE)) == {"total", "prices", "limit", "found", "price", "most"}


def test_a_renamed_function_does_the_same() -> None:
    for seed in range(20):
        other = renamed(SOURCE, POOL, Random(seed))
        name, _, limit, found, _, most = (n for n in names_of(other))
        assert not {name, limit, found, most} & set(names_of(SOURCE))
        attribute = other.split("self.")[1].split(")")[0]
        assert run(other, name, attribute) == run(SOURCE, "total", "most")
        assert '"""The total of prices."""' in other, "text of strings stays"
        assert '"price"' in other
        assert ".count(" in other, "methods of others stay"


def test_with_too_few_names_some_stay() -> None:
    assert len(set(names_of(renamed(SOURCE, POOL[:2], Random(1)))) & set(names_of(SOURCE))) == 4


def test_each_translation_comes_once_and_once_more_with_names_of_other_functions() -> None:
    one = "def one(first):\n    x = first\n    return x"
    files = [SourceFile("p", "p/a.py", one), SourceFile("p", "p/b.py", "def two(y, z):\n    return y + z(y)\n")]
    examples = build_translations([*files, *files])
    assert len(examples) == 4
    assert examples[0].prompt == f"javascript\n{one}"
    assert examples[0].answer == "function one(first) {\n  let x = first;\n  return x;\n}"
    other = examples[2].prompt.removeprefix("javascript\n")
    assert set(names_of(other)) < {"two", "y", "z", "one", "first", "x"}
    assert other != one
