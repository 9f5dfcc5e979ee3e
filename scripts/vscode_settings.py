"""Writes the server's settings into the VS Code extension's package.json, from the server's own schema.

python scripts/vscode_settings.py

An unset value is null or empty there and is not sent to the server, so that cato.toml applies.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cato_lsp.config import SECTION, Settings

PACKAGE = Path(__file__).resolve().parents[1] / "editors" / "vscode" / "package.json"
OWN = ("cato.server.",)
"""Settings of the extension itself."""
_BOUNDS = ("minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum")


def server_properties() -> dict[str, Any]:
    """The server's settings as VS Code configuration properties, in the order of the model."""
    schema = Settings.model_json_schema(by_alias=True)
    return dict(_properties(schema, schema["$defs"], f"{SECTION}."))


def with_server_settings(package: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of `package` whose server settings are replaced by the current ones."""
    configuration = package["contributes"]["configuration"]
    own = {name: value for name, value in configuration["properties"].items() if name.startswith(OWN)}
    configuration = {**configuration, "properties": {**own, **server_properties()}}
    return {**package, "contributes": {**package["contributes"], "configuration": configuration}}


def _properties(schema: Mapping[str, Any], definitions: Mapping[str, Any], prefix: str) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for name, field in schema["properties"].items():
        if "$ref" in field:
            section = definitions[field["$ref"].rpartition("/")[2]]
            found += _properties(section, definitions, f"{prefix}{name}.")
        else:
            found.append((f"{prefix}{name}", {**_property(field), "scope": _scope(f"{prefix}{name}")}))
    return found


def _scope(name: str) -> str:
    """A cloned repository's settings may choose neither the model, the engine and its URL, nor deadlines and logs."""
    personal = tuple(f"{SECTION}.{each}" for each in ("model", "engine.", "sla.", "logLevel"))
    return "application" if name.startswith(personal) else "window"


def _property(field: Mapping[str, Any]) -> dict[str, Any]:
    kind = next((option for option in field.get("anyOf", ()) if option["type"] != "null"), field)
    default = field.get("default")
    described = {"markdownDescription": _description(field["description"], default)}
    bounds = {name: kind[name] for name in _BOUNDS if name in kind}
    if kind["type"] == "array":
        items = {"type": "string", "minLength": 1}
        return {"type": "array", "items": items, "uniqueItems": True, "default": [], **described}
    if choices := (kind.get("enum") or ([True, False] if kind["type"] == "boolean" else None)):
        labels = ["not set", *("on" if each is True else "off" if each is False else each for each in choices)]
        return {
            "type": [kind["type"], "null"],
            "enum": [None, *choices],
            "enumItemLabels": labels,
            "default": None,
            **described,
        }
    if kind["type"] == "string":
        return {"type": "string", "default": "", **described}
    return {"type": [kind["type"], "null"], "default": None, **bounds, **described}


def _description(text: str, default: object) -> str:
    """The description, with the default that applies if neither this editor nor a cato.toml sets the value."""
    if default is None or default == []:
        return text
    shown = {True: "on", False: "off"}[default] if isinstance(default, bool) else f"`{default}`"
    return f"{text} Default: `cato.toml`, then {shown}."


if __name__ == "__main__":
    changed = with_server_settings(json.loads(PACKAGE.read_text(encoding="utf-8")))
    PACKAGE.write_text(json.dumps(changed, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
