"""Converts model calls to messages and back. A deadline is sent as the time left, since machines' clocks differ."""

from __future__ import annotations

import math
from collections.abc import Mapping

from cato_lsp.engine.api import Call, ForcedPrefix
from cato_lsp.remote.messages import BadMessageError, SubmitCall
from cato_lsp.scheduling.slo import ServiceClass, Slo

Levels = tuple[Mapping[int, int], ...]
"""The spellings of a forced prefix."""


def to_wire(number: int, call: Call, now: float, spellings: int | None) -> SubmitCall:
    """Convert a call to a message that is sent at ``now`` (monotonic clock, s).

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
        task_work_ms=1000 * slo.task_work,
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
    """Convert a message that arrived at ``now`` (monotonic clock, s) to a call.

    Half of the shortest round trip is taken as the time on the way. The arrival is the moment that the sender has in
    mind; the deadline is earlier than the sender's by the way of the answer.

    :param spellings: content of the connection's slot that the message refers to.
    :param vocabulary: number of token ids of the model.

    Raises:
        BadMessageError: the call is invalid for this model.
    """
    times = (message.slack_ms or 0.0, message.age_ms, message.task_work_ms, message.temperature)
    if not all(map(math.isfinite, times)):
        raise BadMessageError("A time of the call is not finite.")
    if max(message.prompt, default=0) >= vocabulary or max(message.hidden_ids, default=0) >= vocabulary:
        raise BadMessageError("The prompt has tokens that the model does not know.")
    if message.spellings is not None and spellings is None:
        raise BadMessageError("The call names spellings that were not sent.")
    prefix = None
    if spellings is not None or message.hidden_ids:
        prefix = ForcedPrefix(spellings or (), message.hidden, tuple(message.hidden_ids))
    way = round_trip / 2
    sent = now - way
    deadline = math.inf
    if message.slack_ms is not None and message.service is not ServiceClass.BACKGROUND:
        deadline = sent + message.slack_ms / 1000 - way
    slo = Slo(
        message.kind,
        message.service,
        arrival=sent - max(0.0, message.age_ms) / 1000,
        deadline=deadline,
        client=client,
        weight=message.weight,
        task_work=message.task_work_ms / 1000,
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
    """Check spellings from a message: each token is known and leads to a later level, and no level is empty.

    Raises:
        BadMessageError: they are invalid.
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
