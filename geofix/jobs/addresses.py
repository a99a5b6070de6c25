"""Which machines a caller may make the service talk to: public ones, and those the operator names.

The name is resolved here and the connection made to that very address, so that a name that
resolves to something else a moment later gains nothing.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import SplitResult, urlsplit

from geofix.errors import InvalidOption

_Address = IPv4Address | IPv6Address

_TRANSLATED = tuple(IPv6Network(net) for net in ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16"))
"""IPv6 addresses that stand for IPv4 ones, which a gateway may take anywhere."""
_MAX_URL = 2000


@dataclass(frozen=True, slots=True)
class Target:
    """A URL and the address that its host was resolved to."""

    url: SplitResult
    address: str

    @property
    def pinned(self) -> str:
        """The URL with the address in place of the name."""
        host = f"[{self.address}]" if ":" in self.address else self.address
        port = f":{self.url.port}" if self.url.port is not None else ""
        path = self.url.path or "/"
        query = f"?{self.url.query}" if self.url.query else ""
        return f"{self.url.scheme}://{host}{port}{path}{query}"


async def resolve(url: str, allow: Sequence[str]) -> Target:
    """Where a call to ``url`` goes. ``allow`` names networks beside the public Internet.

    Raises InvalidOption for what is no web address, has no address, or one that is not allowed.
    """
    parts = _web_address(url)
    host = parts.hostname or ""
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise InvalidOption("webhook: its host name has no address.") from error
    addresses = [str(entry[4][0]) for entry in found]
    for address in addresses:
        if not _allowed(ip_address(address.split("%", 1)[0]), allow):
            raise InvalidOption(
                "webhook: its address is not public, and the operator has not allowed it."
            )
    return Target(parts, addresses[0])


def _web_address(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise InvalidOption("webhook: this is no URL.") from error
    printable = url.isascii() and url.isprintable() and " " not in url
    if parts.scheme not in {"http", "https"} or not parts.hostname or not printable:
        raise InvalidOption("webhook: send an http:// or https:// URL.")
    if parts.username is not None or parts.fragment or len(url) > _MAX_URL:
        raise InvalidOption("webhook: send a URL without user, password and fragment.")
    return parts


def _allowed(address: _Address, allow: Sequence[str]) -> bool:
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return _allowed(address.ipv4_mapped, allow)
    if any(address in ip_network(net, strict=False) for net in allow):
        return True
    if isinstance(address, IPv6Address) and any(address in net for net in _TRANSLATED):
        return False
    return address.is_global and not address.is_multicast
