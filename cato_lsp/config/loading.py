"""Merging the layers of settings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, cast

from pydantic import ValidationError

from cato_lsp.config.faults import invalid, snake_path, unknown, untrusted
from cato_lsp.config.layer import Layer, SettingProblem
from cato_lsp.config.reference import shown
from cato_lsp.config.settings import Settings
from cato_lsp.trust import narrow

SECTION = "cato"
_UNITED = ("disabled_languages", "disabled_globs")
"""Exclusions: each layer adds to them."""


def load_settings(layers: Iterable[Layer] = ()) -> tuple[Settings, list[SettingProblem]]:
    """Merge `layers` over the defaults: the trusted ones, lowest first, then what the others narrow.

    Returns the settings, and the problems: one for each key or value of a trusted layer that was left out, one for all
    that an untrusted layer may not set. It never raises for what a person wrote.
    """
    merged: dict[str, Any] = {}
    problems: list[SettingProblem] = []
    given = list(layers)
    for layer in (each for each in given if each.trusted):
        values, found = _valid_part(layer)
        _merge(merged, values)
        problems += found
    for layer in (each for each in given if not each.trusted):
        values, found = _valid_part(layer)
        current = Settings.model_validate(merged)
        narrowed, refused = narrow(values, current.model_dump())
        _merge(merged, narrowed)
        if refused or found:
            problems.append(untrusted(layer.source, refused, found))
    return Settings.model_validate(merged), problems


def _valid_part(layer: Layer) -> tuple[dict[str, Any], list[SettingProblem]]:
    """What is valid of a layer, in snake_case, and the problems of the rest."""
    values = _as_table(layer.values)
    if values is not None and set(values) == {SECTION}:
        values = _as_table(values[SECTION])
    if values is None:
        message = f"not read: expected a table of settings, found {shown(layer.values)}"
        return {}, [] if layer.values is None else [SettingProblem(layer.source, "", message)]
    kept = _without_null(values)
    problems: list[SettingProblem] = []
    try:
        valid = Settings.model_validate(kept)
    except ValidationError as error:
        for path, is_unknown in _faults(error, kept).items():
            value = _remove(kept, path)
            key = snake_path(path)
            message = unknown(key) if is_unknown else invalid(key, value)
            problems.append(SettingProblem(layer.source, key, message))
        valid = Settings.model_validate(kept)
    return valid.model_dump(exclude_unset=True), problems


def _faults(error: ValidationError, values: dict[str, Any]) -> dict[tuple[str, ...], bool]:
    """The paths of the wrong settings in `values`, each with whether it is an unknown key."""
    faults: dict[tuple[str, ...], bool] = {}
    for detail in error.errors(include_url=False, include_context=False, include_input=False):
        path: tuple[str, ...] = ()
        table: dict[str, Any] | None = values
        for part in detail["loc"]:
            if table is None or part not in table:
                break  # the rest points into a list or names a member of a union
            path = (*path, str(part))
            table = _as_table(table[str(part)])
        faults.setdefault(path, detail["type"] == "extra_forbidden")
    return faults


def _as_table(value: object) -> dict[str, Any] | None:
    if not isinstance(value, Mapping):
        return None
    return {str(key): inner for key, inner in cast("Mapping[object, Any]", value).items()}


def _without_null(values: Mapping[str, Any]) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for key, value in values.items():
        if value is not None:
            table = _as_table(value)
            kept[key] = value if table is None else _without_null(table)
    return kept


def _remove(values: dict[str, Any], path: tuple[str, ...]) -> object:
    for part in path[:-1]:
        values = values[part]
    return values.pop(path[-1])


def _merge(target: dict[str, Any], values: Mapping[str, Any]) -> None:
    for key, value in values.items():
        inner = _as_table(value)
        if inner is not None and isinstance(target.get(key), dict):
            _merge(target[key], inner)
        elif key in _UNITED:
            target[key] = tuple(dict.fromkeys((*target.get(key, ()), *value)))
        else:
            target[key] = value
