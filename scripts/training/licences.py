"""Which packages may be learned from, by the licence their metadata states."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import Distribution, distributions
from pathlib import Path

_PERMISSIVE = re.compile(
    r"\b(MIT|Expat|Apache|BSD|BSL-1|Boost|ISC|PSF|Python Software Foundation|Python-2\.0|HPND|Unlicense|CNRI|Zope|CC0"
    r"|Zlib|libpng|curl|public-domain)\b",
    re.IGNORECASE,
)
_COPYLEFT = re.compile(r"(GPL|MPL|Mozilla Public|EPL|CDDL|Proprietary|NVIDIA|CC-BY)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Package:
    """One importable top-level package or module, the distribution it came with and that one's licence."""

    name: str
    distribution: str
    version: str
    licence: str
    root: Path


def permissive_packages(site: Path) -> Iterator[Package]:
    """The packages of every permissively licensed distribution in ``site`` (a ``site-packages`` folder)."""
    for distribution in sorted(distributions(path=[str(site)]), key=lambda d: d.name.lower()):
        licence = stated_licence(distribution)
        if not is_permissive(licence):
            continue
        for name in sorted(_top_level(distribution)):
            root = site / name
            if root.is_dir() or root.suffix == ".py":
                yield Package(root.stem, distribution.name, distribution.version, licence, root)


def is_permissive(licence: str) -> bool:
    """Whether a stated licence is a known permissive one and names no other kind, not even as an alternative."""
    return bool(_PERMISSIVE.search(licence)) and not _COPYLEFT.search(licence)


def stated_licence(distribution: Distribution) -> str:
    """The licence as metadata states it: SPDX expression, else classifiers, else the short licence field."""
    metadata = distribution.metadata
    expression = metadata.get("License-Expression")
    if expression:
        return expression
    classifiers = [c.rsplit(" :: ", 1)[-1] for c in metadata.get_all("Classifier") or [] if c.startswith("License ::")]
    classifiers = [c for c in classifiers if c != "OSI Approved"]
    if classifiers:
        return " / ".join(classifiers)
    return (metadata.get("License") or "unknown").strip().splitlines()[0][:60]


def _top_level(distribution: Distribution) -> set[str]:
    names = {file.parts[0] for file in distribution.files or [] if file.suffix == ".py" and ".." not in file.parts}
    return {name for name in names if not name.endswith((".dist-info", ".data"))}
