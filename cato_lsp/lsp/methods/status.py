"""``cato/status``: how the server is and what it did lately. For status bars, `cato-lsp status` and the demo."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cato_lsp.lsp.session import Session

STATUS = "cato/status"
RECENT = 100


def status(session: Session, _params: Any) -> dict[str, Any]:
    """Answer ``{engine, model, stats, tasks, sessions}``; ``tasks`` are this session's last ones, oldest first."""
    backend = session.backend
    engine = backend.host.status
    launch = backend.host.launch
    own = [record for record in backend.orchestrator.log if record.client == session.client]
    return {
        "engine": {"phase": engine.phase.value, "message": engine.message, "remedy": engine.remedy},
        "model": str(launch.model) if launch is not None else None,
        "stats": asdict(backend.orchestrator.engine_stats()),
        "tasks": [{**asdict(record), "kept": record.kept} for record in own[-RECENT:]],
        "live": backend.orchestrator.live_count,
    }
