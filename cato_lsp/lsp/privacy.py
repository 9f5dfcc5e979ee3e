"""Keeps user code out of the log: pygls writes message bodies at INFO, and parameters next to errors."""

from __future__ import annotations

import logging

_TALKATIVE = (
    "pygls.feature_manager",
    "pygls.protocol.json_rpc",
    "pygls.protocol.language_server",
    "pygls.workspace.text_document",
)


class _WithoutBodies(logging.Filter):
    """At level DEBUG, everything is logged. Otherwise only warnings are logged, without their arguments.

    pygls reports what it logs as an error to the server too, which logs it without user code
    (`SessionServer.report_server_error`).
    """

    def filter(self, record: logging.LogRecord) -> bool:
        if logging.getLogger(record.name).isEnabledFor(logging.DEBUG):
            return True
        if record.levelno != logging.WARNING or record.msg.startswith("Failed to handle request"):
            return False
        record.msg, record.args = record.msg.splitlines()[0], None
        return True


def keep_bodies_out_of_the_log() -> None:
    """Filter pygls's loggers. Only level DEBUG logs the messages between editor and server."""
    for name in _TALKATIVE:
        logger = logging.getLogger(name)
        if not any(isinstance(each, _WithoutBodies) for each in logger.filters):
            logger.addFilter(_WithoutBodies())
