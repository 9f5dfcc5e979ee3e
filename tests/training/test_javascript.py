import ast
import json
import subprocess
import textwrap
from typing import Any

import pytest
from training.javascript import NODE, node_accepts, to_javascript
from training.js_expressions import UnsupportedError

FUNCTIONS: list[tuple[str, list[Any]]] = [
    (
        """
        def f(n):
            a, b = 0, 1
            for i in range(n):
                a, b = b, a + b
            return a
        """,
        [10],
    ),
    ("def f(words):\n    return ', '.join([w.strip().upper() for w in words if w])", [["a ", "", "b"]]),
    (
        """
        def f(xs):
            best = None
            for i, x in enumerate(xs):
                if best is None or x > xs[best]:
                    best = i
            return best
        """,
        [[3, 9, 4]],
    ),
    ("def f(a, b=3):\n    return a // b + (a - b) * 2 ** 3", [17]),
    (
        """
        def f(s):
            if s.startswith('x') and not s.endswith('y'):
                kind = 'x'
            else:
                kind = 'other'
            return f'{kind}: {len(s)}'
        """,
        ["xz"],
    ),
    (
        """
        def f(d):
            out = []
            for k, v in d.items():
                out.append([k, v if v is not None else 0])
            return out
        """,
        [{"a": 1, "b": None}],
    ),
    (
        """
        def f(xs):
            while len(xs) > 2:
                xs.pop()
            return xs[-1] + xs[0], xs[1:]
        """,
        [[1, 2, 3, 4]],
    ),
    (
        """
        def f(x):
            try:
                raise ValueError('no')
            except ValueError:
                return 'caught'
        """,
        [1],
    ),
    ("def f(x):\n    return 1 if 0 < x < 10 else -1", [5]),
    ("def f(x, y):\n    return x - (y - 1) - 2 and (x or y) in [1, 2]", [1, 5]),
    ("def f(x):\n    g = lambda v: {'value': v}\n    return g(x)", [4]),
]


def function(source: str) -> ast.FunctionDef:
    node = ast.parse(textwrap.dedent(source)).body[0]
    assert isinstance(node, ast.FunctionDef)
    return node


def run_javascript(code: str, arguments: list[Any]) -> Any:
    script = f"{code}\nconsole.log(JSON.stringify(f(...{json.dumps(arguments)})))"
    return json.loads(subprocess.run([NODE, "-e", script], capture_output=True, text=True, check=True).stdout)


@pytest.mark.parametrize(("source", "arguments"), FUNCTIONS)
def test_the_translation_computes_what_the_python_function_computes(source: str, arguments: list[Any]) -> None:
    namespace: dict[str, Any] = {}
    exec(textwrap.dedent(source), namespace)
    expected = json.loads(json.dumps(namespace["f"](*json.loads(json.dumps(arguments)))))
    assert run_javascript(to_javascript(function(source)), arguments) == expected


@pytest.mark.parametrize(
    "source",
    [
        "def f(**options):\n    return options",
        "def f(x):\n    with x:\n        pass",
        "def f(x):\n    yield x",
        "def f(x):\n    return x[::2]",
        "def f(delete):\n    return delete",
        "@cached\ndef f(x):\n    return x",
        "def f(x):\n    return x.get(key=1)",
    ],
)
def test_what_has_no_plain_counterpart_is_refused(source: str) -> None:
    with pytest.raises(UnsupportedError):
        to_javascript(function(source))


def test_a_docstring_becomes_a_comment() -> None:
    code = to_javascript(function('def f():\n    """Say one."""\n    return 1'))
    assert code == "/** Say one. */\nfunction f() {\n  return 1;\n}"


def test_self_becomes_this() -> None:
    code = to_javascript(function("def size(self, n):\n    self.n = n\n    return self.n"))
    assert code == "function size(n) {\n  this.n = n;\n  return this.n;\n}"


def test_node_tells_valid_scripts_from_broken_ones() -> None:
    assert node_accepts(["let a = 1;", "let = ;", "async function f() { await g(); }"]) == [True, False, True]
