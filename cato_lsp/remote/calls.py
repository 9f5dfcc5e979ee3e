"""A model call on the wire: its deadline as what is left of it, since two machines share no clock."""

from __future__ import annotations

import math
from collections.abc import Mapping

from cato_lsp.engine.api import Call, ForcedPrefix
from cato_lsp.remote.messages import BadMessageError, SubmitCall
from cato_lsp.scheduling.slo import ServiceClass, Slo

Levels = tuple[Mapping[int, int], ...]
"""The spellings of a forced prefix."""


def to_wire(number: int, call: Call, now: float, spellings: int | None) -> SubmitCall:
    """Write a call as it stands at ``now`` (monotonic s).

    :param spellings: slot of its forced prefix on the connection; ``None``: the server cannot force prefixes.
    """
    slo, prefix = call.slo, call.forced_prefix
    return SubmitCall(
        id=number,
        prompt=list(call.prompt_ids),
        kind=slo.kind,
        service=slo.service,
        max_tokens=call.max_tokens,
        slack_ms=1000 * (slo.deadline - now) if math.isfinite(slo.deadline) else None,
        age_ms=1000 * max(0.0, now - slo.arrival),
        weight=slo.weight,
        queue_penalty_ms=1000 * slo.queue_penalty,
        stop=list(call.stop_token_ids),
        temperature=call.temperature,
        seed=call.seed,
        scored=call.scored,
        spellings=spellings if prefix else None,
        hidden=prefix.hidden if prefix else 0,
        hidden_ids=list(prefix.hidden_ids) if prefix else [],
    )


def from_wire(
    message: SubmitCall,
    now: float,
    round_trip: float,
    *,
    client: str,
    cache_salt: str | None,
    spellings: Levels | None,
    vocabulary: int,
) -> Call:
    """Read a call that arrived at ``now`` (monotonic s).

    Half the least round trip is taken off for the way here, so that the deadline is the moment that the laptop means,
    and half for the way back, since the token is due there.

    :param spellings: what the connection remembers in the slot that the message names.
    :param vocabulary: how many token ids the model has.

    Raises:
        BadMessageError: the call makes no sense for this model.
    """
    times = (message.slack_ms or 0.0, message.age_ms, message.queue_penalty_ms, message.temperature)
    if not all(map(math.isfinite, times)):
        raise BadMessageError("A time of the call is not finite.")
    if max(message.prompt, default=0) >= vocabulary or max(message.hidden_ids, default=0) >= vocabulary:
        raise BadMessageError("The prompt has tokens that the model does not know.")
    if message.spellings is not None and spellings is None:
        raise BadMessageError("The call names spellings that were not sent.")
    prefix = None
    if spellings is not None or message.hidden_ids:
        prefix = ForcedPrefix(spellings or (), message.hidden, tuple(message.hidden_ids))
    deadline = math.inf
    if message.slack_ms is not None and message.service is not ServiceClass.BACKGROUND:
        deadline = now + message.slack_ms / 1000 - round_trip
    slo = Slo(
        message.kind,
        message.service,
        arrival=now - max(0.0, message.age_ms) / 1000 - round_trip / 2,
        deadline=deadline,
        client=client,
        weight=message.weight,
        queue_penalty=message.queue_penalty_ms / 1000,
    )
    return Call(
        tuple(message.prompt),
        slo,
        message.max_tokens,
        tuple(message.stop),
        message.temperature,
        message.seed,
        prefix,
        message.scored,
        cache_salt=cache_salt,
    )


def checked_spellings(levels: list[dict[int, int]], vocabulary: int) -> Levels:
    """Spellings from the wire, safe to follow: each token is known and leads forward, and no level is a dead end.

    Raises:
        BadMessageError: they are not.
    """
    last = len(levels)
    for place, level in enumerate(levels):
        if not level or max(level) >= vocabulary:
            raise BadMessageError("A forced prefix has tokens that the model does not know.")
        if min(level.values()) <= place or max(level.values()) > last:
            raise BadMessageError("A forced prefix does not lead forward.")
    if not levels:
        raise BadMessageError("A forced prefix is empty.")
    return tuple(levels)
