"""The product's settings: one frozen, typed object, read from layers of sources.

Later layers win, key by key: defaults, the user's ``cato.toml``, ``initializationOptions``,
``workspace/configuration`` (section ``cato``), the command line. Exclusions (``disabled_languages``,
``disabled_globs``) are the union of all layers.

A workspace's ``cato.toml`` comes with whatever repository a person has cloned, so it is not trusted: it can only narrow
what the other layers say (see `cato_lsp.trust`).

A wrong key or value never stops the server: it is ignored and reported as a `SettingProblem`, and the value of the next
lower layer applies.
"""

from __future__ import annotations

import difflib
import json
import stat
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, cast

import platformdirs
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from cato_lsp.trust import narrow

SETTINGS_FILE = "cato.toml"
SECTION = "cato"
LARGEST_FILE = 1 << 16
"""Bytes of a settings file that are read at most."""
_NAMED = 8
"""Settings that one message names at most."""
_UNITED = ("disabled_languages", "disabled_globs")
"""Exclusions: each layer adds to them."""

NonEmpty = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
Milliseconds = Annotated[int, Field(ge=1)]


def _camel_case(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(part.capitalize() for part in others)


class _Section(BaseModel):
    """A group of settings; keys may be written in snake_case or in camelCase."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        alias_generator=_camel_case,
        populate_by_name=True,
    )


class EngineSettings(_Section):
    """How the vLLM engine is started. A change restarts the engine."""

    url: NonEmpty | None = Field(
        default=None,
        description="Use the engine of a team's server, `wss://HOST:PORT`, instead of one on this machine.",
    )
    max_model_len: int | None = Field(
        default=None,
        ge=256,
        description="Context length (prompt plus output) in tokens. Unset: the model's limit, or what memory allows.",
    )
    gpu_memory_utilization: float = Field(
        default=0.9,
        gt=0.0,
        le=1.0,
        description="Fraction of GPU memory for weights and KV cache. GPU only.",
    )
    kv_cache_gb: float | None = Field(
        default=None,
        gt=0.0,
        description="KV cache size in GiB. Unset: chosen from the model and the available memory. CPU only.",
    )
    threads: int | None = Field(
        default=None,
        ge=1,
        description="Number of compute threads. Unset: the number of physical cores. CPU only.",
    )
    dtype: Literal["auto", "bfloat16", "float16", "float32"] = Field(
        default="auto", description="Data type of weights and activations. `auto`: as stored in the model."
    )
    async_scheduling: bool | None = Field(
        default=None, description="Schedule the next step while the current one runs. Unset: vLLM's default."
    )
    enforce_eager: bool | None = Field(
        default=None,
        description="Disable compiled graphs: faster start, slower steps. Unset: disabled on CPU only.",
    )


class CompletionSettings(_Section):
    """Inline completion while typing."""

    enabled: bool = Field(default=True, description="Show completions while typing.")
    debounce_ms: int = Field(
        default=0,
        ge=0,
        le=5000,
        description="Pause in typing before a request is sent to the model, in ms. The model's usual TTFT is "
        "subtracted. Most editors already debounce.",
    )
    warm_up: bool = Field(
        default=True,
        description="Prefill the prompt cache when a document is opened and when typing pauses.",
    )
    speculate: bool = Field(
        default=False,
        description="Precompute the follow-up completion when idle. Doubles the compute per completion.",
    )
    min_probability: float = Field(
        default=0.4,
        ge=0.0,
        le=1.0,
        description="Minimum probability of what is suggested while typing. A suggestion is cut where the joint "
        "probability of its tokens falls below it. 0: show all. Explicit requests get the whole suggestion.",
    )
    workspace: bool = Field(
        default=True,
        description="Learn from the open folder's code, in memory, to predict names and lines used there. Small models "
        "on CPU only.",
    )
    candidates: int = Field(
        default=3, ge=1, le=8, description="Maximum number of alternatives when a completion is requested explicitly."
    )
    max_lines: int = Field(
        default=12, ge=1, le=200, description="Maximum length of a completion in lines. 1: single-line only."
    )
    in_comments: bool = Field(
        default=True, description="Complete in comments and docstrings. `false`: there only on explicit request."
    )
    max_tokens: int = Field(default=128, ge=1, le=4096, description="Maximum length of a completion in tokens.")
    answer_ms: int = Field(
        default=2000,
        ge=1,
        description="Time limit for a completion in ms. On timeout, the usable part is shown.",
    )
    prompt_tokens: int = Field(default=1500, ge=64, description="Maximum prompt length of a completion in tokens.")
    context_tokens: int | None = Field(
        default=None,
        ge=0,
        description="Part of `prompt_tokens` for other files: definitions of imported names, recently edited or viewed "
        "code. 0: none. Unset: a quarter, if the model was trained with such context.",
    )


class SlaSettings(_Section):
    """Deadlines per kind of task: time to first token (TTFT) or end-to-end time (E2E)."""

    completion_ttft_ms: Milliseconds = Field(default=200, description="Completion: TTFT deadline in ms.")
    generation_ttft_ms: Milliseconds = Field(default=500, description="Generate: TTFT deadline in ms.")
    summarization_e2e_ms: Milliseconds = Field(default=6_000, description="Summarize and Explain: E2E deadline in ms.")
    translation_e2e_ms: Milliseconds = Field(
        default=45_000, description="Translate: E2E deadline in ms, over all model calls."
    )
    summarization_token_ms: float = Field(
        default=4.0, ge=0.0, description="Summarize and Explain: extra ms per input token."
    )
    translation_token_ms: float = Field(default=20.0, ge=0.0, description="Translate: extra ms per input token.")


class Settings(_Section):
    """All settings."""

    model: NonEmpty = Field(
        default="auto",
        description="`auto`: the largest local code model that fits this machine. `bundled`: the model in the package. "
        "Otherwise a Hugging Face model folder or name.",
    )
    engine: EngineSettings = EngineSettings()
    completion: CompletionSettings = CompletionSettings()
    sla: SlaSettings = SlaSettings()
    disabled_languages: tuple[NonEmpty, ...] = Field(
        default=(), strict=False, description='LSP language ids without completions, e.g. `["markdown"]`.'
    )
    disabled_globs: tuple[NonEmpty, ...] = Field(
        default=(), strict=False, description='Files that are never sent to a model, e.g. `["**/secrets/**"]`.'
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info",
        description="Log level. The log goes to standard error, or to the file given by `--log-file`.",
    )


@dataclass(frozen=True, slots=True)
class Layer:
    """The settings of one source, as it gave them."""

    source: str
    """Where a person finds it: a file path, ``initializationOptions``, ``--model``..."""
    values: object
    """A JSON or TOML object, perhaps wrapped in the section: ``{"cato": {...}}``. A null means "not set"."""
    trusted: bool = True
    """False: it comes with a repository, and can only narrow what trusted layers say."""


@dataclass(frozen=True, slots=True)
class SettingProblem:
    """A setting that was left out, and why."""

    source: str
    key: str
    """Dotted and in snake_case, e.g. ``completion.max_lines``; empty when the whole source is at fault."""
    message: str

    def __str__(self) -> str:
        return f"{self.source}: {self.message}"


@dataclass(frozen=True, slots=True)
class SettingField:
    """One row of the settings table."""

    key: str
    default: object
    allowed: str
    description: str


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
            problems.append(_untrusted(layer.source, refused, found))
    return Settings.model_validate(merged), problems


def user_settings_file() -> Path:
    """The user's own ``cato.toml``."""
    return platformdirs.user_config_path("cato-lsp", appauthor=False) / SETTINGS_FILE


def settings_files(roots: Sequence[Path] = ()) -> list[Path]:
    """Where ``cato.toml`` is looked for: the user's, then that of each folder of the workspace."""
    return [user_settings_file(), *(root / SETTINGS_FILE for root in roots)]


def read_settings_files(paths: Iterable[Path]) -> tuple[list[Layer], list[SettingProblem]]:
    """The layers of those of `paths` that exist; a file that cannot be read or parsed is a problem.

    Only the user's own file is trusted.
    """
    layers: list[Layer] = []
    problems: list[SettingProblem] = []
    trusted = user_settings_file()
    for path in paths:
        try:
            layers.append(Layer(str(path), tomllib.loads(_read(path)), trusted=path == trusted))
        except (FileNotFoundError, NotADirectoryError):
            continue
        except (OSError, ValueError, RecursionError) as error:
            problems.append(SettingProblem(str(path), "", f"not read: {error}"))
    return layers, problems


def _read(path: Path) -> str:
    """The text of a settings file. A repository may bring a link to a device, or a file of any size.

    Raises:
        OSError: it is not a file of a plausible size.
    """
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise OSError("it is not a file")
    if status.st_size > LARGEST_FILE:
        raise OSError(f"it has {status.st_size} bytes, at most {LARGEST_FILE} are read")
    return path.read_text(encoding="utf-8-sig")


def _untrusted(source: str, refused: Sequence[str], faults: Sequence[SettingProblem]) -> SettingProblem:
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


def setting_fields() -> Iterator[SettingField]:
    """Every setting, in the order of the model: the source of docs/settings.md and of error messages."""
    schema = Settings.model_json_schema(by_alias=False)
    yield from _fields_of(schema, schema["$defs"], "", Settings())


def settings_markdown() -> str:
    """The settings as a Markdown table."""
    rows = ["| setting | default | allowed | what it does |", "|---|---|---|---|"]
    for field in setting_fields():
        default = "unset" if field.default is None else f"`{_shown(field.default)}`"
        rows.append(f"| `{field.key}` | {default} | {field.allowed} | {field.description} |")
    return "\n".join(rows) + "\n"


def _valid_part(layer: Layer) -> tuple[dict[str, Any], list[SettingProblem]]:
    """What is valid of a layer, in snake_case, and the problems of the rest."""
    values = _as_table(layer.values)
    if values is not None and set(values) == {SECTION}:
        values = _as_table(values[SECTION])
    if values is None:
        message = f"not read: expected a table of settings, found {_shown(layer.values)}"
        return {}, [] if layer.values is None else [SettingProblem(layer.source, "", message)]
    kept = _without_null(values)
    problems: list[SettingProblem] = []
    try:
        valid = Settings.model_validate(kept)
    except ValidationError as error:
        for path, is_unknown in _faults(error, kept).items():
            value = _remove(kept, path)
            key = _snake_path(path)
            message = _unknown(key) if is_unknown else _invalid(key, value)
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


_RENAMED = {"completion.least_confidence": "completion.min_probability"}


def _unknown(key: str) -> str:
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


def _invalid(key: str, value: object) -> str:
    fields = list(setting_fields())
    allowed = next((field.allowed for field in fields if field.key == key), None)
    if allowed is None:
        names = (field.key.rpartition(".")[2] for field in fields if field.key.startswith(f"{key}."))
        allowed = f"a table of {', '.join(names)}"
    return f"{key} = {_shown(value)} is not valid, ignored; allowed: {allowed}"


def _snake_path(path: tuple[str, ...]) -> str:
    """A path of keys as the source wrote them, in the names of the model."""
    names: list[str] = []
    section: type[BaseModel] | None = Settings
    for part in path:
        aliases = {_camel_case(name): name for name in section.model_fields} if section else {}
        name = aliases.get(part, part)
        names.append(name)
        field = section.model_fields.get(name) if section else None
        inner = field.annotation if field else None
        section = inner if isinstance(inner, type) and issubclass(inner, BaseModel) else None
    return ".".join(names)


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
        return ", ".join(f"`{_shown(choice)}`" for choice in schema["enum"])
    if schema["type"] == "boolean":
        return "`true`, `false`"
    bounds = [f"{words} {schema[name]:g}" for name, words in _BOUNDS.items() if name in schema]
    if schema.get("minLength"):
        bounds.append("not empty")
    return ", ".join([_TYPES[schema["type"]], *bounds])


def _shown(value: object) -> str:
    """A value as it is written in TOML or JSON, cut to a readable length."""
    text = json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}..."


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
