"""Error messages for servers that cannot be used: the cause in one line, and what to do."""

from __future__ import annotations

import os
import socket
import ssl
from http.client import HTTPException
from urllib.parse import urlsplit

from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidMessage, InvalidStatus, InvalidURI

from cato_lsp.engine.api import EngineError, EngineUnavailableError
from cato_lsp.remote.messages import BAD_MESSAGE, KEY_REVOKED, WRONG_TOKENIZER, WRONG_VERSION

TOO_LONG = 1009
"""WebSocket close code of RFC 6455."""
NOT_THERE = "Check the address, and that `cato-lsp serve` runs there."
NEW_KEY = "Ask your team for one (`cato-lsp keys add NAME` on the server), then run `cato-lsp login {url}`."


def address(url: str) -> str:
    """The ``host:port`` of an address; empty if it has none. Everything else in it may be private."""
    try:
        return urlsplit(url).netloc.rpartition("@")[2]
    except ValueError:
        return ""


def check_url(url: str) -> None:
    """Refuse an address to which no key may be sent.

    Raises:
        EngineError: it is not a WebSocket address, or its connection would not be encrypted.
    """
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("ws", "wss") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        parts, usable = urlsplit(""), False
    if not usable:
        where = address(url)
        raise EngineError(
            f"{where} is not the address of a server." if where else "`engine.url` is not the address of a server.",
            "Set `engine.url` to wss://HOST:PORT.",
        )
    if parts.username or parts.password or parts.query:
        raise EngineError("`engine.url` must not hold a key.", f"Run `cato-lsp login wss://{address(url)}` instead.")
    if parts.scheme == "ws" and parts.hostname not in ("localhost", "127.0.0.1", "::1"):
        raise EngineError(
            f"{url} is not encrypted: your code and your key could be read on the way.",
            "Use wss://, and start the server with `--tls-cert` and `--tls-key`.",
        )


def explain(error: Exception, url: str) -> EngineError:
    """Convert a connection error to an `EngineError`; `EngineUnavailableError` if it may go away by itself."""
    match error:
        case ssl.SSLCertVerificationError():
            return EngineError(
                f"The certificate of {url} is not valid: {error.verify_message}.",
                "Renew it on the server; for a certificate of your own, set SSL_CERT_FILE to its authority's file.",
            )
        case InvalidStatus():
            return _explain_status(error.response.status_code, bytes(error.response.body or b""), url)
        case InvalidURI():
            return EngineError(f"{url} is not the address of a server.", "Set `engine.url` to wss://HOST:PORT.")
        case ConnectionClosed():
            close = error.rcvd
            return _explain_close(close.code if close else 1006, close.reason if close else "", url)
        case InvalidMessage() if isinstance(error.__cause__, EOFError | OSError):
            # As a server does that ends, or a proxy whose server is away.
            return EngineUnavailableError(
                f"{url} closed the connection without an answer.", "Check that it runs, and ws:// against wss://."
            )
        case InvalidMessage() | InvalidHandshake() | HTTPException() | ValueError():
            return EngineError(
                f"{url} does not answer like a cato-lsp server.",
                "Check the port, and ws:// against wss://.",
            )
        case ssl.SSLError():
            return EngineError(f"{url} does not speak TLS as expected.", "Check the port, and ws:// against wss://.")
        case TimeoutError():
            return EngineUnavailableError(f"{url} does not answer.", NOT_THERE)
        case _:
            return EngineUnavailableError(f"{url} cannot be reached: {_reason(error)}.", NOT_THERE)


def _explain_close(code: int, reason: str, url: str) -> EngineError:
    if code == KEY_REVOKED:
        return EngineError(f"Your key for {url} was revoked.", NEW_KEY.format(url=url))
    if code == WRONG_VERSION:
        return EngineError(f"{url} refuses this version of cato-lsp: {reason}", "Upgrade the older side.")
    if code == WRONG_TOKENIZER:
        return EngineError(f"{url} has another model now.", "It is connected to again, with its tokenizer.")
    if code in (BAD_MESSAGE, TOO_LONG):
        return EngineError(f"{url} refused a message: {reason or 'it is too long'}.", "Upgrade the older side.")
    return EngineUnavailableError(f"The connection to {url} was lost.")


def _explain_status(status: int, body: bytes, url: str) -> EngineError:
    if status in (401, 403):
        return EngineError(f"{url} does not know your key.", NEW_KEY.format(url=url))
    if status == 503:
        return EngineUnavailableError(f"{url}: {body.decode(errors='replace').strip()[:200] or 'not ready'}")
    if status == 429:
        return EngineUnavailableError(f"{url} has too many connections of yours.", "Close some editors.")
    return EngineError(
        f"{url} answers with HTTP status {status}, not like a cato-lsp server.", "Check `engine.url` and its port."
    )


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno and not isinstance(error, socket.gaierror):
        return os.strerror(error.errno)  # asyncio's own text is long
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__).rstrip(".")
