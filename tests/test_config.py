from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from cato_lsp.config import (
    Layer,
    Settings,
    load_settings,
    read_settings_files,
    setting_fields,
    settings_files,
    settings_markdown,
    user_settings_file,
)

UNITED = ("disabled_languages", "disabled_globs")
SETTINGS_REFERENCE = Path(__file__).parent.parent / "docs" / "settings.md"


def one_problem(values: object) -> str:
    settings, problems = load_settings([Layer("cato.toml", values)])
    assert settings == Settings()
    assert len(problems) == 1
    return str(problems[0])


def test_without_sources_the_defaults_hold() -> None:
    assert load_settings() == (Settings(), [])


def test_a_later_layer_wins_key_by_key() -> None:
    settings, problems = load_settings(
        [
            Layer("user", {"model": "bundled", "completion": {"max_lines": 3, "max_tokens": 20}}),
            Layer("workspace", {"completion": {"max_lines": 4}}),
        ]
    )
    assert problems == []
    assert (settings.model, settings.completion.max_lines, settings.completion.max_tokens) == (
        "bundled",
        4,
        20,
    )


def test_camel_case_and_snake_case_name_the_same_setting() -> None:
    camel, _ = load_settings([Layer("json", {"sla": {"translationE2eMs": 7}, "logLevel": "debug"})])
    snake, _ = load_settings([Layer("toml", {"sla": {"translation_e2e_ms": 7}, "log_level": "debug"})])
    assert camel == snake
    assert camel.sla.translation_e2e_ms == 7


def test_json_settings_may_come_wrapped_in_their_section() -> None:
    settings, problems = load_settings([Layer("client", {"cato": {"model": "bundled"}})])
    assert (settings.model, problems) == ("bundled", [])


def test_null_means_not_set() -> None:
    settings, problems = load_settings(
        [
            Layer("workspace", {"engine": {"threads": 2}}),
            Layer("client", {"engine": {"threads": None}, "completion": None}),
            Layer("client without configuration", None),
        ]
    )
    assert (settings.engine.threads, problems) == (2, [])


def test_settings_cannot_be_changed_in_place() -> None:
    with pytest.raises(ValidationError):
        Settings().model = "other"  # pyright: ignore[reportAttributeAccessIssue]


def test_a_wrong_value_is_named_with_what_is_allowed() -> None:
    text = one_problem({"completion": {"maxLines": "ten"}})
    assert (
        text == 'cato.toml: completion.max_lines = "ten" is not valid, ignored; allowed: an integer, '
        "at least 1, at most 200"
    )


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"log_level": "loud"}, '`"debug"`, `"info"`, `"warning"`, `"error"`'),
        ({"completion": {"enabled": 1}}, "`true`, `false`"),
        ({"engine": {"gpu_memory_utilization": 1.5}}, "above 0, at most 1"),
        ({"engine": {"kv_cache_gb": float("inf")}}, "a number, above 0"),
        ({"engine": 5}, "a table of url, max_model_len"),
        ({"disabled_globs": ["a", 3]}, "a list of strings"),
        ({"model": "  "}, "a string, not empty"),
        ({"sla": {"weights": {"completion": 0}}}, "a number, at least 0.1, at most 10"),
        ([], "expected a table of settings"),
    ],
)
def test_wrong_values_of_each_type_say_what_is_allowed(values: object, expected: str) -> None:
    assert expected in one_problem(values)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"modle": "x"}, "modle is not a setting; did you mean model?"),
        ({"completion": {"max_line": 3}}, "did you mean completion.max_lines?"),
        ({"max_lines": 3}, "did you mean completion.max_lines?"),
        ({"completion": {"zzz": 3}}, "there are: completion.enabled, completion.debounce_ms"),
    ],
)
def test_an_unknown_key_is_named_with_the_nearest_known_one(values: object, expected: str) -> None:
    assert expected in one_problem(values)


def test_the_valid_rest_of_a_layer_is_kept() -> None:
    settings, problems = load_settings(
        [Layer("client", {"model": "bundled", "completion": {"max_lines": 0, "max_tokens": 9}, "x": 1})]
    )
    assert (settings.model, settings.completion.max_tokens) == ("bundled", 9)
    assert [problem.key for problem in problems] == ["completion.max_lines", "x"]


def test_a_wrong_value_leaves_that_of_the_layer_below() -> None:
    settings, problems = load_settings(
        [Layer("file", {"completion": {"max_lines": 3}}), Layer("client", {"completion": {"max_lines": -1}})]
    )
    assert settings.completion.max_lines == 3
    assert [problem.source for problem in problems] == ["client"]


def test_a_weight_is_a_part_of_the_largest_one() -> None:
    settings, problems = load_settings([Layer("user", {"sla": {"weights": {"summarization": 5, "translation": 2.5}}})])
    assert problems == []
    weights = settings.sla.weights
    assert [weights.of(kind) for kind in ("completion", "summarization", "translation")] == [0.2, 1.0, 0.5]


@pytest.fixture
def user_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    file = user_settings_file()
    file.parent.mkdir(parents=True)
    return file


def test_of_the_settings_files_only_the_users_own_is_trusted(user_file: Path, tmp_path: Path) -> None:
    files = settings_files([tmp_path / "first", tmp_path / "second"])
    assert files[0] == user_file
    for number, file in enumerate(files):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f'model = "model-{number}"\n', encoding="utf-8")
    layers, problems = read_settings_files(files)
    assert problems == []
    assert [layer.trusted for layer in layers] == [True, False, False]
    assert load_settings(layers)[0].model == "model-0"


def untrusted(values: object, *trusted: object) -> tuple[Settings, list[str]]:
    """The settings and problems of a repository's values on top of trusted layers."""
    layers = [Layer("cloned/cato.toml", values, trusted=False), *(Layer("user", each) for each in trusted)]
    settings, problems = load_settings(layers)
    return settings, [str(problem) for problem in problems]


def test_a_repository_may_narrow_whatever_the_other_layers_say() -> None:
    narrower = {
        "completion": {"enabled": False, "max_lines": 3, "min_probability": 0.9, "context_tokens": 0},
        "disabled_languages": ["markdown"],
        "disabled_globs": ["secret/**"],
    }
    user = {"completion": {"enabled": True, "max_lines": 20}, "disabled_globs": ["*.sql"]}
    settings, problems = untrusted(narrower, user)
    assert problems == []
    assert not settings.completion.enabled
    assert (settings.completion.max_lines, settings.completion.min_probability) == (3, 0.9)
    assert settings.disabled_languages == ("markdown",)
    assert settings.disabled_globs == ("*.sql", "secret/**")


@pytest.mark.parametrize("key", [field.key for field in setting_fields() if field.key not in UNITED])
def test_a_repository_chooses_and_widens_nothing(key: str) -> None:
    """Each setting is tried with a value that is not the default and does not narrow."""
    others: dict[str, object] = {
        "model": "/cloned/model",
        "log_level": "debug",
        "engine.dtype": "float32",
        "engine.async_scheduling": True,
        "engine.enforce_eager": True,
        "engine.gpu_memory_utilization": 0.99,
        "completion.enabled": True,
        "completion.warm_up": True,
        "completion.speculate": True,
        "completion.in_comments": True,
        "completion.min_probability": 0.1,
        "completion.workspace": True,
        "completion.candidates": 8,
        "completion.max_lines": 200,
    }
    *sections, name = key.split(".")
    values: dict[str, object] = {name: others.get(key, 5 if "weights" in sections else 4000)}
    for section in reversed(sections):
        values = {section: values}
    user: dict[str, object] = {
        "completion": {"enabled": False, "warm_up": False, "in_comments": False, "workspace": False}
    }
    expected, _ = load_settings([Layer("user", user)])
    settings, problems = untrusted(values, user)
    assert settings == expected
    assert len(problems) == 1
    assert key in problems[0]


def test_what_a_repository_may_not_set_is_named_in_one_message_however_much_it_is(user_file: Path) -> None:
    wrong = {f"unknown_{number}": number for number in range(100)}
    values = {"model": "x", "engine": {"threads": 64, "dtype": "float32"}, "sla": {"completion_ttft_ms": 1}, **wrong}
    _, (problem,) = untrusted(values)
    assert "model, engine.threads, engine.dtype, sla.completion_ttft_ms are ignored" in problem
    assert str(user_file) in problem
    assert "99 more are not valid" in problem
    assert len(problem) < 600


def test_exclusions_of_all_layers_hold_together() -> None:
    settings, _ = load_settings(
        [
            Layer("user", {"disabled_globs": ["a", "b"], "disabled_languages": ["c"]}),
            Layer("client", {"disabled_globs": ["b", "d"], "disabled_languages": []}),
        ]
    )
    assert settings.disabled_globs == ("a", "b", "d")
    assert settings.disabled_languages == ("c",)


@pytest.mark.parametrize("hostile", ["device", "pipe", "large", "deep"])
def test_a_hostile_settings_file_is_a_problem_and_not_a_hang(tmp_path: Path, hostile: str) -> None:
    file = tmp_path / "cato.toml"
    match hostile:
        case "device":
            file.symlink_to("/dev/zero")
        case "pipe":
            os.mkfifo(file)
        case "large":
            file.write_text("#" * 100_000)
        case _:
            file.write_text("x = " + "[" * 20_000)
    layers, problems = read_settings_files([file])
    assert layers == []
    assert [problem.source for problem in problems] == [str(file)]


def test_a_broken_settings_file_is_a_problem_and_the_others_are_read(tmp_path: Path) -> None:
    broken, latin, good = (tmp_path / name for name in ("broken.toml", "latin.toml", "good.toml"))
    broken.write_text("model = \n", encoding="utf-8")
    latin.write_bytes(b'model = "\xe9"\n')
    good.write_text('model = "bundled"\n', encoding="utf-8")
    layers, problems = read_settings_files([broken, latin, tmp_path / "missing.toml", good, tmp_path])
    assert [layer.values for layer in layers] == [{"model": "bundled"}]
    assert [problem.source for problem in problems] == [str(broken), str(latin), str(tmp_path)]
    assert "line 1" in problems[0].message


def test_a_settings_file_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    file = tmp_path / "cato.toml"
    file.write_bytes(b'\xef\xbb\xbfmodel = "bundled"\r\n')
    layers, problems = read_settings_files([file])
    assert (problems, [layer.values for layer in layers]) == ([], [{"model": "bundled"}])


def test_every_setting_has_a_description_and_says_what_is_allowed() -> None:
    assert all(field.description and field.allowed for field in setting_fields())


def test_the_settings_reference_is_up_to_date() -> None:
    text = SETTINGS_REFERENCE.read_text(encoding="utf-8")
    begin, end = "<!-- settings: begin -->", "<!-- settings: end -->"
    table = text.partition(begin)[2].partition(end)[0].strip()
    assert table == settings_markdown().strip(), "refresh it with: cato-lsp settings --markdown"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["cato", "model", "engine", "completion", "maxLines", "max_lines", "threads"])
            | st.text(max_size=8),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)


@hypothesis.settings(deadline=None)
@given(json_values)
def test_no_json_value_makes_loading_fail_and_what_is_reported_is_left_out(values: Any) -> None:
    settings, problems = load_settings([Layer("client", values)])
    again, none_left = load_settings([Layer("again", settings.model_dump(mode="json"))])
    assert (again, none_left) == (settings, [])
    assert all(problem.message for problem in problems)
    json.dumps([str(problem) for problem in problems])
