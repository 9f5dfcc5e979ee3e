"""The addresses of a server whose name has several: the gateways of a fleet.

Each key tries them in an order of its own, by rendezvous hashing (Thaler and Ravishankar, 1998). So all windows and
machines of a user are on one gateway, which knows what it has sent for them and holds their limits. When a gateway is
away, only its own users move, and all of them to the same place.
"""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Iterable

import anyio
from websockets.proxy import get_proxy
from websockets.uri import parse_uri


async def addresses(url: str, key: str | None) -> list[str] | list[None]:
    """Return the IP addresses of the host of ``url``, in the order to try; ``[None]`` if a proxy looks them up.

    Raises:
        OSError: the name is unknown.
        InvalidURI: it is not the address of a server.
    """
    uri = parse_uri(url)
    if get_proxy(uri) is not None:
        return [None]
    found = await anyio.getaddrinfo(uri.host, uri.port, type=socket.SOCK_STREAM)
    return in_order(((family, str(address[0])) for family, _, _, _, address in found), key)


def in_order(found: Iterable[tuple[int, str]], key: str | None) -> list[str]:
    """Sort addresses for a key. The order of their families, which the operating system chose, remains.

    :param found: family and address.
    """
    of_family: dict[int, set[str]] = {}
    for family, address in found:
        of_family.setdefault(family, set()).add(address)

    def place(address: str) -> bytes:
        return hashlib.blake2b(f"{key}/{address}".encode()).digest()

    return [address for each in of_family.values() for address in sorted(each, key=place)]
