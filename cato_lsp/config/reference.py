"""What can be set: the source of docs/settings.md and of error messages."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

from pydantic import BaseModel

from cato_lsp.config.settings import Settings


@dataclass(frozen=True, slots=True)
class SettingField:
    """One row of the settings table."""

    key: str
    default: object
    allowed: str
    description: str


def setting_fields() -> Iterator[SettingField]:
    """Every setting, in the order of the model: the source of docs/settings.md and of error messages."""
    schema = Settings.model_json_schema(by_alias=False)
    yield from _fields_of(schema, schema["$defs"], "", Settings())


def settings_markdown() -> str:
    """The settings as a Markdown table."""
    rows = ["| setting | default | allowed | what it does |", "|---|---|---|---|"]
    for field in setting_fields():
        default = "unset" if field.default is None else f"`{shown(field.default)}`"
        rows.append(f"| `{field.key}` | {default} | {field.allowed} | {field.description} |")
    return "\n".join(rows) + "\n"


def _fields_of(
    schema: Mapping[str, Any], definitions: Mapping[str, Any], prefix: str, defaults: BaseModel
) -> Iterator[SettingField]:
    for name, field in cast("Mapping[str, Mapping[str, Any]]", schema["properties"]).items():
        value = getattr(defaults, name)
        if isinstance(value, BaseModel):
            section = definitions[type(value).__name__]
            yield from _fields_of(section, definitions, f"{prefix}{name}.", value)
        else:
            yield SettingField(f"{prefix}{name}", value, _allowed(field), str(field["description"]))


_TYPES = {"integer": "an integer", "number": "a number", "string": "a string", "array": "a list of strings"}
_BOUNDS = {
    "minimum": "at least",
    "exclusiveMinimum": "above",
    "maximum": "at most",
    "exclusiveMaximum": "below",
}


def _allowed(schema: Mapping[str, Any]) -> str:
    """What a value may be, in words, from its JSON schema."""
    if "anyOf" in schema:
        return " or ".join(_allowed(option) for option in schema["anyOf"] if option.get("type") != "null")
    if "enum" in schema:
        return ", ".join(f"`{shown(choice)}`" for choice in schema["enum"])
    if schema["type"] == "boolean":
        return "`true`, `false`"
    bounds = [f"{words} {schema[name]:g}" for name, words in _BOUNDS.items() if name in schema]
    if schema.get("minLength"):
        bounds.append("not empty")
    return ", ".join([_TYPES[schema["type"]], *bounds])


def shown(value: object) -> str:
    """A value as it is written in TOML or JSON, cut to a readable length."""
    text = json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}..."
