"""Requests for ``/infill``, the endpoint of llama.cpp's server that its editor plugins use."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from cato_lsp.gateway.openai_requests import GenerationRequest
from cato_lsp.tasks.context import Chunk, FileContext
from cato_lsp.tasks.window import plain


class ExtraFile(msgspec.Struct):
    """A part of another file."""

    text: str
    filename: str = "file"


class InfillRequest(GenerationRequest, kw_only=True):
    """``POST /infill``. Unknown fields are ignored: samplers, slots."""

    input_prefix: str
    """The text before the cursor's line."""
    input_suffix: str
    """The text after the cursor."""
    input_extra: Annotated[tuple[ExtraFile, ...], Meta(max_length=1000)] = ()
    """Other files, the most relevant last."""
    prompt: str = ""
    """The cursor's line up to the cursor."""
    n_indent: Annotated[int, Meta(ge=0, le=10_000)] = 0
    """Least number of blanks at the start of each line after the first."""
    t_max_predict_ms: Annotated[float, Meta(ge=0.0, le=3.6e6)] = 0.0
    """Time for the answer from its first token, if it has at least one whole line. 0: no limit."""
    response_fields: list[str] | None = None
    """The fields that the response shall have; those of nested objects as ``object/field``."""

    @property
    def context(self) -> FileContext:
        """The other files."""
        return FileContext(tuple(Chunk("", each.filename, plain(each.text)) for each in self.input_extra))
