"""Running calls and the last minute's results, as JSON for `cato-lsp top` and the web page. No code, no file names."""

from __future__ import annotations

import math
import time
from dataclasses import asdict
from typing import Any

from cato_lsp.engine.api import EngineError
from cato_lsp.gateway.running import RunningCall
from cato_lsp.gateway.service import Service

MOST_CALLS = 100


def overview(service: Service) -> dict[str, Any]:
    """Return ``{state, model, stats, fleet, connections, calls, kinds, users}``.

    ``fleet`` has the fields of `FleetView`; null unless the engine is a fleet.

    ``calls`` are the most urgent running calls: ``{user, kind, prompt, tokens, age, slack}``. ``prompt`` and ``tokens``
    (of the answer) are token counts, ``age`` and ``slack`` are seconds. ``slack`` is the time until the deadline; null
    without a deadline. ``kinds`` and ``users`` cover the last minute.
    """
    try:
        state, model = "stopping" if service.draining.is_set() else "ready", service.side.model.name
    except EngineError as error:
        state, model = f"{error} {error.remedy}".strip(), None
    calls = sorted(service.running, key=lambda running: running.call.slo.deadline)
    return {
        "state": state,
        "model": model,
        "stats": asdict(service.stats()),
        "fleet": asdict(fleet) if (fleet := service.side.fleet) is not None else None,
        "connections": service.open_connections,
        "running": len(calls),
        "calls": [_shown(running) for running in calls[:MOST_CALLS]],
        **service.metrics.recent.summary(),
    }


def _shown(running: RunningCall) -> dict[str, Any]:
    now, slo = time.monotonic(), running.call.slo
    return {
        "user": running.user.name,
        "kind": slo.kind.value,
        "prompt": len(running.call.prompt_ids),
        "tokens": running.tokens,
        "age": now - slo.arrival,
        "slack": slo.deadline - now if math.isfinite(slo.deadline) else None,
        "first_token": running.first_token is not None,
    }
