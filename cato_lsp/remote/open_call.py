"""A call that runs on a server, with what is needed to submit it again elsewhere."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from cato_lsp.engine.api import Call
from cato_lsp.engine.stream import ThreadCallStream
from cato_lsp.remote.messages import CallDelta


@dataclass(slots=True)
class OpenCall:
    """A call that has not ended."""

    stream: ThreadCallStream
    delivered: list[int] = field(default_factory=list[int])
    """Token ids whose text has been handed on."""
    pending: list[int] = field(default_factory=list[int])
    """Later token ids, whose text is not complete yet."""
    shown: bool = False
    """Whether any text has been handed on."""

    def add(self, delta: CallDelta) -> None:
        """Note what was handed on."""
        self.pending += delta.ids
        if delta.text:
            self.shown = True
            self.delivered += self.pending
            self.pending.clear()

    def rest(self, now: float, *, forced: bool) -> Call | None:
        """Return the call that asks for what is still to come; ``None`` if it would come too late to be of use.

        :param forced: whether the delivered tokens spell the forced prefix; else the prompt did.
        """
        call = self.stream.call
        self.pending.clear()
        if not self.shown:
            return call if call.slo.deadline > now else None
        prefix = call.forced_prefix.hidden_ids if call.forced_prefix is not None else ()
        left = call.max_tokens + (len(prefix) if forced else 0) - len(self.delivered)
        if left <= 0:
            return None
        # Text was shown, so the forced prefix is written.
        written = (*(() if forced else prefix), *self.delivered)
        return replace(call, prompt_ids=(*call.prompt_ids, *written), max_tokens=left, forced_prefix=None)
