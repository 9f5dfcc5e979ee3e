"""``cato/status``: state and recent tasks of the server. For status bars, `cato-lsp status` and the demo."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import psutil

from cato_lsp.engine.host import RemoteSource
from cato_lsp.engine.launch import Launch
from cato_lsp.orchestrator.record import TaskRecord
from cato_lsp.orchestrator.summary import summarize_tasks

if TYPE_CHECKING:
    from cato_lsp.lsp.backend import Backend
    from cato_lsp.lsp.session import Session

STATUS = "cato/status"
RECENT = 100


def status(session: Session, _params: Any) -> dict[str, Any]:
    """The fields of `backend_status`, and of this session ``{tasks, completions, typeThrough, sla}``.

    ``tasks`` are the last ones, oldest first; ``sla`` is that section of the settings, as it holds.
    """
    orchestrator = session.backend.orchestrator
    own = [record for record in orchestrator.log if record.client == session.client]
    counters, reuse = orchestrator.counters(session.client), orchestrator.cache(session.client).stats
    return {
        **backend_status(session.backend),
        "tasks": [_shown(record) for record in own[-RECENT:]],
        "completions": {
            "offered": counters.offered,
            "shown": counters.shown,
            "accepted": counters.accepted,
            "acceptedCharacters": counters.accepted_characters,
            "judgedCharacters": counters.judged_characters,
            "keptCharacters": counters.kept_characters,
        },
        "typeThrough": {"lookups": reuse.lookups, "hits": reuse.hits, "hitRate": reuse.hit_rate},
        "sla": session.settings.sla.model_dump(),
    }


def backend_status(backend: Backend) -> dict[str, Any]:
    """``{engine, model, stats, kinds, live, memory, machine}`` of all sessions together.

    ``memory`` is the server's own, in bytes. ``machine`` has the fields of `MachineSample` (``device``, ``utilization``
    and ``kv_cache_usage`` from 0 to 1, ``memory_used_bytes``, ``memory_total_bytes``, ``power_watts``) and is at most
    some seconds old; null until the first sample.
    """
    engine = backend.host.status
    launch = backend.host.launch
    return {
        "engine": {"phase": engine.phase.value, "message": engine.message, "remedy": engine.remedy},
        "model": _model(launch),
        "stats": asdict(backend.orchestrator.engine_stats()),
        "kinds": {kind: asdict(each) for kind, each in summarize_tasks(backend.orchestrator.log).items()},
        "live": backend.orchestrator.live_count,
        "memory": psutil.Process().memory_info().rss,
        "machine": asdict(machine) if (machine := backend.machine.latest) is not None else None,
    }


def _model(launch: Launch | RemoteSource | None) -> str | None:
    if launch is None:
        return None
    return str(launch.model) if isinstance(launch, Launch) else launch.name


def _shown(record: TaskRecord) -> dict[str, Any]:
    fields = asdict(record)
    del fields["calls"]
    return {**fields, "usage": asdict(record.usage), "calls": len(record.calls), "met": record.met}
