"""The messages between a laptop and an engine server: typed, tagged, one msgpack map per binary WebSocket frame.

Unknown fields are ignored and missing ones have defaults, so either side may be newer. A change that older versions
cannot handle increments `PROTOCOL`. The server then refuses the connection, and says what to do.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from cato_lsp.engine.api import FinishReason
from cato_lsp.scheduling.slo import ServiceClass, TaskKind

PROTOCOL = 1
PATH = "/v1/engine"
"""Path of the server's WebSocket endpoint."""

MOST_CLIENT_BYTES = 4 << 20
"""Longest message that a server reads; a longer one ends the connection (close code 1009)."""
MOST_SERVER_BYTES = 1 << 20
"""Longest message that a laptop reads."""
FILE_CHUNK = 256 << 10
"""Bytes of a file in one message."""

PING_EVERY = 3.0
"""Seconds between a laptop's pings."""
SILENCE = 10.0
"""Seconds without a message after which either side closes the connection."""

SPELLINGS_KEPT = 8
"""Number of forced prefixes that a connection stores."""

FORCED_PREFIX = "forced_prefix"
"""Feature: the engine can force the beginning of an answer."""

KEY_REVOKED = 4001
WRONG_VERSION = 4002
WRONG_TOKENIZER = 4003
BAD_MESSAGE = 4004
"""WebSocket close codes; the reason says what to do, in one line."""

_TokenId = Annotated[int, Meta(ge=0, lt=2**31)]
_Id = Annotated[int, Meta(ge=0, le=2**63 - 1)]


class Message(msgspec.Struct, tag_field="type", omit_defaults=True):
    """Any message."""


# From the laptop.


class Hello(Message, tag="hello"):
    """The first message of a laptop."""

    protocol: int = PROTOCOL
    agent: str = ""
    """Name and version of the program."""
    tokenizer: str = ""
    """Hash of the tokenizer that open calls use; empty: any."""


class Fetch(Message, tag="fetch"):
    """Request one of the files that `Welcome` names."""

    name: str


class Spellings(Message, tag="spellings"):
    """Store the spellings of a forced prefix in a slot, for later calls that refer to it."""

    slot: Annotated[int, Meta(ge=0, lt=SPELLINGS_KEPT)]
    levels: Annotated[list[dict[_TokenId, int]], Meta(max_length=256)]


class SubmitCall(Message, tag="call"):
    """A model call. Times are relative, since the clocks of the two machines differ."""

    id: _Id
    """Unique in its connection."""
    prompt: Annotated[list[_TokenId], Meta(min_length=1)]
    kind: TaskKind
    service: ServiceClass
    max_tokens: Annotated[int, Meta(ge=1, lt=2**31)]
    slack_ms: float | None = None
    """Time until the deadline when the message was sent; ``None``: no deadline."""
    age_ms: float = 0.0
    """Time since the editor's request when the message was sent."""
    weight: Annotated[float, Meta(ge=0.01, le=1.0)] = 1.0
    """Weight of the deadline, as a fraction of the client's largest weight: no client can outbid another."""
    task_work_ms: float = 0.0
    stop: Annotated[list[_TokenId], Meta(max_length=256)] = []
    temperature: Annotated[float, Meta(ge=0.0, le=10.0)] = 0.0
    seed: Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)] | None = None
    scored: bool = False
    spellings: Annotated[int, Meta(ge=0, lt=SPELLINGS_KEPT)] | None = None
    """Slot of the forced prefix's spellings."""
    hidden: Annotated[int, Meta(ge=0, lt=4096)] = 0
    hidden_ids: Annotated[list[_TokenId], Meta(max_length=4096)] = []
    client: str = ""
    """The user, on the connection of a fleet's gateway. A laptop's user is the one of its key."""
    cache_salt: str | None = None
    """As ``client``: the secret of the user's team."""


class Cancel(Message, tag="cancel"):
    """Abort a call. Unknown ids are ignored, because the call may just have ended."""

    id: _Id


class Hint(Message, tag="hint"):
    """The user is typing."""

    for_ms: Annotated[float, Meta(ge=0.0, le=60_000.0)]
    client: str = ""
    """The user, on the connection of a fleet's gateway."""


class Ping(Message, tag="ping"):
    """Sent every `PING_EVERY` seconds; answered by `Pong`."""

    sent: float
    """Time on the laptop's clock; `Pong` returns it unchanged."""
    rtt_ms: Annotated[float, Meta(ge=0.0, le=60_000.0)] = 0.0
    """The shortest round trip that the laptop has measured."""


# From the server.


class Welcome(Message, tag="welcome"):
    """The server's answer to `Hello`."""

    protocol: int
    model: str
    tokenizer: str
    """Hash over the names and hashes of ``files``."""
    files: dict[str, str]
    """The files that the laptop needs to build prompts, with their SHA-256 in hexadecimal, by name."""
    context_length: int
    features: list[str] = []
    user: str = ""
    """Name of the user whose key was used."""


class FilePart(Message, tag="file"):
    """A part of a file, in order."""

    name: str
    data: bytes
    last: bool = False


class CallDelta(Message, tag="delta"):
    """The tokens that one engine step added to an answer."""

    id: _Id
    text: str
    ids: list[int]
    finish: FinishReason | None = None
    cached: int = 0
    log_probability: float = 0.0
    cost: dict[str, float] = {}
    """As in `Pong`; only for a fleet's gateway, whose router needs it at once."""


class CallFailed(Message, tag="failed"):
    """The call has failed. The answer is missing or incomplete."""

    id: _Id
    message: str
    remedy: str = ""
    rejected: bool = True
    """Whether only this call was rejected; false: the engine cannot serve any call."""


class Usage(Message, tag="usage"):
    """The cost of a call, sent once after its end or its abort."""

    id: _Id
    tokens_computed: int = 0
    tokens_after_cancel: int = 0
    abort_latency_steps: int | None = None
    added_ms_ago: float | None = None


class Pong(Message, tag="pong"):
    """The answer to `Ping`, with the engine's counters."""

    sent: float
    steps: int = 0
    tokens_computed: int = 0
    tokens_wasted: int = 0
    calls_running: int = 0
    calls_waiting: int = 0
    kv_cache_usage: float = 0.0
    cost: dict[str, float] = {}
    """The learned cost of a step: the fields of `StepCosts`, in seconds."""


class Draining(Message, tag="draining"):
    """The server is stopping: it accepts no new calls, and running calls have a limited time to finish."""


FromLaptop = Hello | Fetch | Spellings | SubmitCall | Cancel | Hint | Ping
FromServer = Welcome | FilePart | CallDelta | CallFailed | Usage | Pong | Draining

_encoder = msgspec.msgpack.Encoder()
_from_laptop: msgspec.msgpack.Decoder[FromLaptop] = msgspec.msgpack.Decoder(FromLaptop)
_from_server: msgspec.msgpack.Decoder[FromServer] = msgspec.msgpack.Decoder(FromServer)


class BadMessageError(ValueError):
    """A frame is not a valid message; the text says why."""


def encode(message: Message) -> bytes:
    """Encode a message as one frame."""
    return _encoder.encode(message)


def read_from_laptop(frame: bytes) -> FromLaptop:
    """Decode a frame from a laptop.

    Raises:
        BadMessageError: it is invalid.
    """
    try:
        return _from_laptop.decode(frame)
    except (msgspec.DecodeError, RecursionError) as error:
        raise BadMessageError(str(error)) from None


def read_from_server(frame: bytes) -> FromServer:
    """Decode a frame from a server.

    Raises:
        BadMessageError: it is invalid.
    """
    try:
        return _from_server.decode(frame)
    except (msgspec.DecodeError, RecursionError) as error:
        raise BadMessageError(str(error)) from None
