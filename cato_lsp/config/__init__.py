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

from cato_lsp.config.files import (
    LARGEST_FILE,
    SETTINGS_FILE,
    read_settings_files,
    settings_files,
    user_settings_file,
)
from cato_lsp.config.layer import Layer, SettingProblem
from cato_lsp.config.loading import SECTION, load_settings
from cato_lsp.config.reference import SettingField, setting_fields, settings_markdown
from cato_lsp.config.settings import CompletionSettings, EngineSettings, Settings, SlaSettings, SlaWeights

__all__ = [
    "LARGEST_FILE",
    "SECTION",
    "SETTINGS_FILE",
    "CompletionSettings",
    "EngineSettings",
    "Layer",
    "SettingField",
    "SettingProblem",
    "Settings",
    "SlaSettings",
    "SlaWeights",
    "load_settings",
    "read_settings_files",
    "setting_fields",
    "settings_files",
    "settings_markdown",
    "user_settings_file",
]
