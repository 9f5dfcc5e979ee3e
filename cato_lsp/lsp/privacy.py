"""Keeps user code out of the log: pygls writes message bodies at INFO, and parameters beside errors."""

from __future__ import annotations

import logging

_TALKATIVE = ("pygls.protocol.json_rpc", "pygls.protocol.language_server", "pygls.io_", "pygls.workspace.text_document")


class _WithoutBodies(logging.Filter):
    """Leaves a record its format and the type of its error, and takes what they were about."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno <= logging.DEBUG:
            return True
        if record.levelno <= logging.INFO:
            return False
        error = record.exc_info[0] if record.exc_info else None
        record.msg = f"{record.msg.splitlines()[0]} [{error.__name__ if error else 'no details'}]"
        record.args = None
        record.exc_info = record.exc_text = None
        return True


def keep_bodies_out_of_the_log() -> None:
    """Filter pygls's loggers. Only the level DEBUG shows what is said between editor and server."""
    for name in _TALKATIVE:
        logger = logging.getLogger(name)
        if not any(isinstance(each, _WithoutBodies) for each in logger.filters):
            logger.addFilter(_WithoutBodies())
