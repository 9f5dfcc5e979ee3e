"""What a person is told of wrong settings."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from pydantic import BaseModel

from cato_lsp.config.files import user_settings_file
from cato_lsp.config.layer import SettingProblem
from cato_lsp.config.reference import setting_fields, shown
from cato_lsp.config.settings import Settings, camel_case

_NAMED = 8
"""Settings that one message names at most."""


def untrusted(source: str, refused: Sequence[str], faults: Sequence[SettingProblem]) -> SettingProblem:
    """One problem for all that a workspace's file may not set, and all that is wrong in it."""
    parts: list[str] = []
    if refused:
        names = f"{', '.join(refused[:_NAMED])}{', ...' if len(refused) > _NAMED else ''}"
        parts.append(
            f"a workspace's file can only narrow the settings, so {names} {'is' if len(refused) == 1 else 'are'} "
            f"ignored; put such settings into {user_settings_file()}"
        )
    if faults:
        others = f"; {len(faults) - 1} more are not valid" if len(faults) > 1 else ""
        parts.append(f"{faults[0].message}{others}")
    return SettingProblem(source, "", ". ".join(parts))


_RENAMED = {"completion.least_confidence": "completion.min_probability"}


def unknown(key: str) -> str:
    if key in _RENAMED:
        return f"{key} is now {_RENAMED[key]}: suggestions are cut where they become unlikely"
    known = [field.key for field in setting_fields()]
    close = difflib.get_close_matches(key, known, n=1, cutoff=0.7) or [
        name for name in known if name.rpartition(".")[2] == key.rpartition(".")[2]
    ]
    section = key.rpartition(".")[0]
    siblings = [name for name in known if name.rpartition(".")[0] == section]
    hint = f"did you mean {close[0]}?" if close else f"there are: {', '.join(siblings)}"
    return f"{key} is not a setting; {hint}"


def invalid(key: str, value: object) -> str:
    fields = list(setting_fields())
    allowed = next((field.allowed for field in fields if field.key == key), None)
    if allowed is None:
        names = (field.key.rpartition(".")[2] for field in fields if field.key.startswith(f"{key}."))
        allowed = f"a table of {', '.join(names)}"
    return f"{key} = {shown(value)} is not valid, ignored; allowed: {allowed}"


def snake_path(path: tuple[str, ...]) -> str:
    """A path of keys as the source wrote them, in the names of the model."""
    names: list[str] = []
    section: type[BaseModel] | None = Settings
    for part in path:
        aliases = {camel_case(name): name for name in section.model_fields} if section else {}
        name = aliases.get(part, part)
        names.append(name)
        field = section.model_fields.get(name) if section else None
        inner = field.annotation if field else None
        section = inner if isinstance(inner, type) and issubclass(inner, BaseModel) else None
    return ".".join(names)
