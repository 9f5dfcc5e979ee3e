"""All settings, as one frozen, typed object."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

NonEmpty = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
Milliseconds = Annotated[int, Field(ge=1)]
Weight = Annotated[float, Field(ge=0.1, le=10.0)]
_WEIGHT = "weight of a met deadline against those of other kinds, when not all can be met."


def camel_case(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(part.capitalize() for part in others)


class _Section(BaseModel):
    """A group of settings; keys may be written in snake_case or in camelCase."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        alias_generator=camel_case,
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


class SlaWeights(_Section):
    """How much a met deadline of each kind counts when not all can be met."""

    completion: Weight = Field(default=1.0, description=f"Completion: {_WEIGHT}")
    generation: Weight = Field(default=1.0, description=f"Generate: {_WEIGHT}")
    summarization: Weight = Field(default=1.0, description=f"Summarize and Explain: {_WEIGHT}")
    translation: Weight = Field(default=1.0, description=f"Translate: {_WEIGHT}")

    def of(self, kind: str) -> float:
        """The weight of a kind of task as a part of the largest one, above 0 and at most 1.

        Only the ratio of two weights counts, so no session gains against others by larger ones.
        """
        return getattr(self, kind) / max(self.completion, self.generation, self.summarization, self.translation)


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
    weights: SlaWeights = SlaWeights()


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
