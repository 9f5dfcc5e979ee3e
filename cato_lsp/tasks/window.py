"""The part of a document around the cursor that fits a token budget, and that rarely moves while the user types.

A prefix cache reuses what two prompts share from their first token on. A window that slides with every line changes
its first token every time and shares nothing. So the window before the cursor starts on a grid of character offsets
from the start of the document, a quarter of the budget apart. The window after the cursor ends at a line boundary
that depends only on the text after the cursor.
"""

from __future__ import annotations

from cato_lsp.tasks.tokenizer import Tokenizer

MAX_CHARACTERS_PER_TOKEN = 5
"""A window reads at most this many characters per token of its budget, however large the document is."""


def start_before(tokenizer: Tokenizer, text: str, end: int, budget: int) -> int:
    """Start of the longest window on the grid that ends at ``end`` and has at most ``budget`` tokens."""
    if budget <= 0 or end <= 0:
        return max(end, 0)
    reach = max(0, end - budget * MAX_CHARACTERS_PER_TOKEN)
    quantum = max(1, int(budget * tokenizer.characters_per_token / 4))
    while True:
        start = _start_on_grid(tokenizer, text, end, reach, quantum, budget)
        if start < end or quantum == 1:
            return start
        quantum = max(1, quantum // 4)


def end_after(tokenizer: Tokenizer, text: str, start: int, budget: int) -> int:
    """End of the window that begins at ``start`` and has at most ``budget`` tokens; at a line end if possible."""
    reach = min(len(text), start + max(budget, 0) * MAX_CHARACTERS_PER_TOKEN)
    if budget <= 0 or start >= reach:
        return start
    limit = reach
    if len(tokenizer.encode(plain(text[start:reach]))) > budget:
        limit = _nth_token(tokenizer, text, start, reach, budget)
    elif reach == len(text):
        return reach
    line_end = text.rfind("\n", start, limit) + 1
    end = line_end if line_end > start else limit
    while end > start and len(tokenizer.encode(plain(text[start:end]))) > budget:
        line_end = text.rfind("\n", start, end - 1) + 1
        end = line_end if line_end > start else start + (end - start) * 3 // 4
    return end


def plain(text: str) -> str:
    """``text`` with line feeds as line endings, as models were trained on."""
    return text.replace("\r\n", "\n")


def _start_on_grid(tokenizer: Tokenizer, text: str, end: int, reach: int, quantum: int, budget: int) -> int:
    point = -(-reach // quantum) * quantum
    while point < end:
        start = _line_start_near(text, point, min(point + quantum, end))
        excess = len(tokenizer.encode(plain(text[start:end]), continues=False)) - budget
        if excess <= 0:
            return start
        within = _nth_token(tokenizer, text, start, end, excess)
        point = max(point + quantum, -(-within // quantum) * quantum)
    return end


def _line_start_near(text: str, point: int, stop: int) -> int:
    """The first start of a line at or after ``point``; ``point`` itself when no line starts before
    ``stop``.
    """
    if point == 0:
        return 0
    found = text.find("\n", point - 1, stop - 1)
    return point if found < 0 else found + 1


def _nth_token(tokenizer: Tokenizer, text: str, start: int, end: int, n: int) -> int:
    """Offset in ``text`` of the character that begins token ``n`` of ``text[start:end]``, or a little
    before it.
    """
    window = text[start:end]
    starts = tokenizer.token_starts(plain(window))
    offset = starts[min(n, len(starts) - 1)]
    if "\r\n" not in window:
        return start + offset
    # Each line feed of the plain text stands for at most one more character of the document.
    return min(end, start + offset + plain(window).count("\n", 0, offset))
