"""Reports on completions: the item's command, and the notifications of GitHub Copilot's language server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from lsprotocol import types

if TYPE_CHECKING:
    from cato_lsp.lsp.session import Session

DID_ACCEPT = "cato.didAccept"
"""Command of every item; its argument is the item's number. Editors run it after they have inserted the text."""
DID_SHOW = "textDocument/didShowCompletion"
"""Notification ``{item}``."""
DID_PARTIALLY_ACCEPT = "textDocument/didPartiallyAcceptCompletion"
"""Notification ``{item, acceptedLength}``; the length counts UTF-16 code units from the start of ``insertText``."""


def accept_command(session: Session, text: str, uri: str) -> types.Command:
    """The command of an item."""
    number = session.backend.orchestrator.counters(session.client).offer(text, uri)
    return types.Command(title="Accepted", command=DID_ACCEPT, arguments=[number])


def did_accept(session: Session, arguments: list[Any]) -> None:
    """Count an accepted item."""
    if arguments and isinstance(arguments[0], int):
        session.backend.orchestrator.counters(session.client).accept(arguments[0])


def did_show(session: Session, params: Any) -> None:
    """Count an item that was shown."""
    number, _ = _item(params)
    if number is not None:
        session.backend.orchestrator.counters(session.client).show(number)


def did_partially_accept(session: Session, params: Any) -> None:
    """Count the accepted part of an item."""
    number, text = _item(params)
    length = _get(params, "acceptedLength")
    if number is not None and isinstance(length, int):
        characters = len(text.encode("utf-16-le")[: 2 * max(0, length)].decode("utf-16-le", "ignore"))
        session.backend.orchestrator.counters(session.client).accept(number, characters)


def _item(params: Any) -> tuple[int | None, str]:
    """The number and text of the item in a notification."""
    item = _get(params, "item")
    arguments = _get(_get(item, "command"), "arguments")
    number = next(iter(cast("list[Any]", arguments)), None) if isinstance(arguments, list | tuple) else None
    text = _get(item, "insertText")
    return number if isinstance(number, int) else None, text if isinstance(text, str) else ""


def _get(value: Any, name: str) -> Any:
    """A field of parameters that the specification does not define, as pygls passes them."""
    return cast("dict[str, Any]", value).get(name) if isinstance(value, dict) else getattr(value, name, None)
