"""What the settings of an untrusted source, a cloned repository's ``cato.toml``, may change.

They may narrow: exclude more files and languages, switch completion off, shorten answers and prompts. They may not
choose what runs (model, engine), when (deadlines, weights), or what is logged, and they may not widen anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast


def narrow(values: Mapping[str, Any], current: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Those of ``values`` that narrow the current settings, and the names of those that are refused.

    :param values: valid settings, nested by section.
    :param current: all settings as they are without ``values``.
    """
    narrowed: dict[str, Any] = {}
    refused: list[str] = []
    for path, value in _leaves(values):
        now: Any = current
        for name in path:
            now = now[name]
        key = ".".join(path)
        narrows = _NARROWS.get(key)
        if narrows is not None and narrows(value, now):
            section = narrowed
            for name in path[:-1]:
                section = section.setdefault(name, {})
            section[path[-1]] = value
        elif value != now:
            refused.append(key)
    return narrowed, refused


def _leaves(values: Mapping[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """The names of each setting from the outermost section inwards, and its value."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _leaves(cast("Mapping[str, Any]", value), (*above, name))
        else:
            yield (*above, name), value


def _adds(_value: Any, _now: Any) -> bool:
    return True


def _is_off(value: Any, _now: Any) -> bool:
    return value is False


def _is_less(value: Any, now: Any) -> bool:
    return value == 0 if now is None else value <= now


def _is_more(value: Any, now: Any) -> bool:
    return value >= now


_NARROWS: dict[str, Callable[[Any, Any], bool]] = {
    "disabled_languages": _adds,
    "disabled_globs": _adds,
    "completion.enabled": _is_off,
    "completion.warm_up": _is_off,
    "completion.speculate": _is_off,
    "completion.workspace": _is_off,
    "completion.in_comments": _is_off,
    "completion.min_probability": _is_more,
    "completion.candidates": _is_less,
    "completion.max_lines": _is_less,
    "completion.max_tokens": _is_less,
    "completion.prompt_tokens": _is_less,
    "completion.context_tokens": _is_less,
}
"""For each setting that an untrusted source may change: whether a value narrows the current one."""
