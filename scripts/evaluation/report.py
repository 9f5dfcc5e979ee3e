"""The figures as a person reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

Figures = dict[str, float]

_NUMBERS = {
    "bits per byte": "{:.3f}",
    "rest of a line: edit similarity": "{:.3f}",
    "rest of a line: right characters per place": "{:.2f}",
    "rest of a line: wrong characters per place": "{:.2f}",
    "16 tokens after 500 uncached tokens, seconds": "{:.3f}",
    "server ready after, seconds": "{:.1f}",
    "… of them computing, seconds": "{:.1f}",
    "server's memory when ready, GB": "{:.2f}",
    "server's memory after completions, GB": "{:.2f}",
}
"""Everything else is a share."""


def figures_table(name: str, figures: Figures, others: Mapping[str, Figures]) -> str:
    """A Markdown table of a model's figures and those of baselines."""
    rows = [["measure", name, *others], ["---"] * (2 + len(others))]
    rows += [[key, _shown(key, figures), *(_shown(key, other) for other in others.values())] for key in figures]
    return _markdown(rows)


def completions_table(completions: Sequence[Mapping[str, str]]) -> str:
    """A Markdown table of completions as they came."""
    rows = [["file", "line up to the cursor", "stood there", "completed"], ["---"] * 4]
    for done in completions:
        texts = [_code(done[key]) for key in ("line", "wanted", "completion")]
        rows.append([done["path"], *texts])
    return _markdown(rows)


def _shown(key: str, figures: Figures) -> str:
    if key not in figures:
        return ""
    return _NUMBERS[key].format(figures[key]) if key in _NUMBERS else f"{figures[key]:.1%}".replace("%", " %")


def _code(text: str) -> str:
    text = text.strip().replace("\n", "⏎").replace("|", "\\|")
    return f"`` {text} ``" if text else "(nothing)"


def _markdown(rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
