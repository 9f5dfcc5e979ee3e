"""vLLM's engine core, run in this process one step at a time. Imported only on the engine's thread."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, cast

from vllm import EngineArgs, ModelRegistry, SamplingParams
from vllm.inputs import TokensPrompt
from vllm.platforms import current_platform
from vllm.sampling_params import RequestOutputKind
from vllm.v1.engine.llm_engine import LLMEngine

from cato_lsp.engine import forced_prefix
from cato_lsp.engine.api import Call, CallRejectedError, Delta, EngineStats, FinishReason
from cato_lsp.engine.cache_mixing import EXTRA_ARGUMENT, CacheMixingProcessor, Scored
from cato_lsp.engine.forced_prefix import ForcedPrefixProcessor, spelled_out
from cato_lsp.engine.launch import Launch
from cato_lsp.engine.model_folder import ModelFolder
from cato_lsp.engine.scheduler import StepTokens, make_scheduler_cls
from cato_lsp.engine.topology import tolerate_missing_topology
from cato_lsp.scheduling.cost import StepCostModel, StepCosts
from cato_lsp.scheduling.policy import Policy
from cato_lsp.scheduling.slo import ServiceClass, Slo, TaskKind

MAX_SEQUENCES = 64
CPU_CHUNK = 512
"""Most tokens of a step on a CPU. A cancel waits for the running step, so steps must be short."""
WARM_UP_TOKENS = 256
WARM_UP_ANSWER = 6
WARM_UP_SEQUENCES = 4
CPU_BLOCK = 32
"""Tokens of a KV block, the unit of prefix reuse; the smallest size that vLLM's CPU attention supports."""


class VllmCore:
    """One model in one `LLMEngine`. All methods must be called on the thread that created it."""

    def __init__(
        self, launch: Launch, folder: ModelFolder, policy: Policy, on_step: Callable[[StepTokens], None]
    ) -> None:
        args = _engine_args(launch, folder)
        args.scheduler_cls = make_scheduler_cls(policy, async_scheduling=bool(args.async_scheduling), on_step=on_step)
        self._llm = LLMEngine.from_engine_args(args)
        # vLLM's types allow a core in another process; here the client holds the core itself.
        core = cast("Any", self._llm.engine_core).engine_core
        self._scheduler = core.scheduler
        self.context_length = int(self._llm.model_config.max_model_len)
        self.slots = MAX_SEQUENCES
        self.kv_tokens = int(self._scheduler.kv_cache_manager.block_pool.num_gpu_blocks * self._scheduler.block_size)
        self.forces_prefixes = bool(args.logits_processors)
        self._step_seconds = 0.0
        self._unshown: dict[str, int] = {}
        """Characters of forced prefixes that the next deltas of a call leave out."""
        self._scored: dict[str, Scored] = {}
        self._warm_up()

    @property
    def busy(self) -> bool:
        """Whether there are unfinished calls."""
        return self._llm.has_unfinished_requests()

    def add(self, call_id: str, call: Call) -> None:
        """Add a call.

        Raises:
            CallRejectedError: vLLM refuses it, or prompt and answer do not fit the context window.
        """
        if not self.forces_prefixes:
            call = replace(spelled_out(call), cache=None)
        max_tokens = call.max_tokens + (len(call.forced_prefix.hidden_ids) if call.forced_prefix else 0)
        length = len(call.prompt_ids) + max_tokens
        if length > self.context_length:
            raise CallRejectedError(
                f"A call of {length} tokens does not fit the context window of {self.context_length}.",
                "Lower `completion.prompt_tokens`, or raise `engine.max_model_len` if the model allows it.",
            )
        scored = Scored(call.cache) if call.cache is not None else None
        params = SamplingParams(
            max_tokens=max_tokens,
            temperature=call.temperature,
            # With chunked prefill a seeded request ends vLLM's CPU worker ("CPU Generator does not use offset").
            seed=None if current_platform.is_cpu() else call.seed,
            stop_token_ids=list(call.stop_token_ids),
            logprobs=0 if call.scored and call.cache is None else None,
            output_kind=RequestOutputKind.DELTA,
            extra_args={"cato": call.slo, forced_prefix.EXTRA_ARGUMENT: call.forced_prefix, EXTRA_ARGUMENT: scored},
        )
        try:
            self._llm.add_request(call_id, _prompt(call), params)
        except (ValueError, TypeError) as error:
            raise CallRejectedError(f"vLLM refused the call: {error}") from error
        if call.forced_prefix is not None:
            self._unshown[call_id] = call.forced_prefix.hidden
        if scored is not None:
            self._scored[call_id] = scored

    def abort(self, call_ids: Iterable[str]) -> None:
        """Abort calls before the next step. Unknown ids are ignored."""
        dropped = list(call_ids)
        self._llm.abort_request(dropped)
        for call_id in dropped:
            self._unshown.pop(call_id, None)
            self._scored.pop(call_id, None)

    def step(self) -> list[tuple[str, Delta]]:
        """Run one engine step and return what it added, by call."""
        began = time.monotonic()
        outputs = cast("list[Any]", self._llm.step())
        self._step_seconds += time.monotonic() - began
        return [(output.request_id, self._delta(output)) for output in outputs]

    def _delta(self, output: Any) -> Delta:
        added = output.outputs[0]
        reason = _finish_reason(added.finish_reason)
        unshown = self._unshown.pop(output.request_id, 0)
        if unshown > len(added.text) and reason is None:
            self._unshown[output.request_id] = unshown - len(added.text)
        scored = self._scored.get(output.request_id)
        likely = _log_probability(added) if scored is None else scored.take(len(added.token_ids))
        if reason is not None:
            self._scored.pop(output.request_id, None)
        ids = tuple(added.token_ids)
        return Delta(added.text[unshown:], len(ids), reason, output.num_cached_tokens or 0, likely, ids)

    def hint(self, client: str, until: float) -> None:
        """Pass the typing hint to the scheduler."""
        self._scheduler.hint(client, until)

    def stats(self) -> EngineStats:
        """Return vLLM's own counters."""
        scheduler = self._scheduler
        return EngineStats(
            steps=scheduler.steps,
            tokens_computed=scheduler.computed_tokens,
            calls_running=len(scheduler.running),
            calls_waiting=len(scheduler.waiting),
            kv_cache_usage=float(scheduler.kv_cache_manager.usage),
            step_seconds=self._step_seconds,
        )

    def cost(self) -> StepCosts:
        """Return what the scheduler has learned of the machine's speed."""
        costs: StepCosts = self._scheduler.cost_model.costs
        return costs

    def _warm_up(self) -> None:
        """Run a few prompts, so that first-use set-up is done and the cost of a step is known.

        The first prompt does not count for the learned cost: its steps are slower than all later ones.
        """
        self._run_prompts(1)
        self._scheduler.cost_model = StepCostModel()
        self._run_prompts(1, first=1)
        self._run_prompts(WARM_UP_SEQUENCES, first=2)

    def _run_prompts(self, count: int, first: int = 0) -> None:
        """Run ``count`` prompts at the same time, of `WARM_UP_TOKENS` tokens together.

        :param first: token id of the first prompt; prompts of different ids share no prefix.
        """
        slo = Slo(TaskKind.WARMUP, ServiceClass.BACKGROUND, 0.0, math.inf, client="")
        length = min(WARM_UP_TOKENS, self.context_length // 2) // count
        for number in range(first, first + count):
            # Scored, since vLLM compiles a function when a log-probability is first asked for.
            call = Call((number,) * length, slo, max_tokens=WARM_UP_ANSWER, scored=True)
            self.add(f"warm-up-{number}", call)
        while self.busy:
            self.step()

    def close(self) -> None:
        """Free the model and its KV cache."""
        self._llm.engine_core.shutdown()


def import_model(architecture: str) -> None:
    """Import the class of a model in this process.

    vLLM would inspect it in a child process first, to keep CUDA out of this one. On a CPU that takes six seconds at
    the first start and has no use.
    """
    known = ModelRegistry.models.get(architecture)
    if known is not None:
        ModelRegistry.register_model(architecture, known.load_model_cls())


def _prompt(call: Call) -> TokensPrompt:
    prompt = TokensPrompt(prompt_token_ids=list(call.prompt_ids))
    if call.cache_salt:
        prompt["cache_salt"] = call.cache_salt
    return prompt


def _log_probability(added: Any) -> float:
    """Log-probability of the tokens that a step added. vLLM lists the sampled token first."""
    return sum(entry[token].logprob for token, entry in zip(added.token_ids, added.logprobs or (), strict=False))


def _finish_reason(reason: str | None) -> FinishReason | None:
    if reason is None or reason in ("stop", "length", "abort"):
        return reason
    return "stop"


def _engine_args(launch: Launch, folder: ModelFolder) -> EngineArgs:
    settings = launch.settings
    on_cpu = current_platform.is_cpu()
    length = min(settings.max_model_len or folder.context_length, folder.context_length)
    args = EngineArgs(
        model=str(folder.path),
        dtype=settings.dtype,
        max_model_len=length,
        max_num_seqs=MAX_SEQUENCES,
        enforce_eager=on_cpu if settings.enforce_eager is None else settings.enforce_eager,
        async_scheduling=False if on_cpu else settings.async_scheduling is not False,
        enable_prefix_caching=True,
        disable_log_stats=True,
        use_tqdm_on_load=False,
        # Log-probabilities after the forced prefix has excluded tokens.
        logprobs_mode="processed_logprobs",
        generation_config="vllm",
    )
    if on_cpu:
        tolerate_missing_topology()
        import_model(folder.architecture)
        args.max_model_len = launch.context_length(folder)
        args.kv_cache_memory_bytes = launch.kv_cache_bytes(folder)
        args.block_size = CPU_BLOCK
        args.max_num_batched_tokens = CPU_CHUNK
        args.logits_processors = [ForcedPrefixProcessor, CacheMixingProcessor]
    else:
        args.gpu_memory_utilization = settings.gpu_memory_utilization
    return args
