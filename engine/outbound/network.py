"""Connections of the guard: resolve once, judge every address, connect to a judged one.

httpcore asks a network backend for a TCP connection to a host and starts TLS over it for the
host's name afterwards; so the pin is one method, and certificates stay those of the name.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

import httpcore

from engine.errors import OutboundRefused
from engine.outbound.addresses import AllowList, parse_address

Resolver = Callable[[str, int], Awaitable[Sequence[str]]]
"""(host, port) -> the addresses of the host, in the order to try. Raises OSError."""

RESOLVERS = 8
"""Threads for name look-ups of our own: getaddrinfo knows no time limit, and must not fill the
threads that everything else waits for."""


class SystemResolver:
    """The system's name service, in threads of its own."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(RESOLVERS, thread_name_prefix="resolve")

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        """Return the addresses of `host`; raises OSError when it has none."""
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(self._threads, _look_up, host, port)
        return list(dict.fromkeys(str(entry[4][0]) for entry in found))

    def close(self) -> None:
        """End the threads; look-ups under way are left to themselves."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _look_up(host: str, port: int) -> Sequence[tuple[object, object, int, str, tuple[object, ...]]]:
    return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)


class Backend(httpcore.AsyncNetworkBackend):
    """Connects to judged addresses only. `plain`: for http, which needs the operator's word."""

    def __init__(self, resolve: Resolver, allow: AllowList | None, *, plain: bool) -> None:
        self._resolve = resolve
        self._allow = allow
        self._plain = plain
        self._network = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's signature
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to the first address of `host` that answers; OutboundRefused if one may not."""
        try:
            addresses = await self._resolve(host, port)
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError(f"{host} cannot be resolved: {error}") from error
        if self._allow is not None and not self._allow.names(host):
            self._judge(host, addresses, self._allow)
        trouble: Exception = httpcore.ConnectError(f"{host} has no address")
        for address in addresses:
            try:
                return await self._network.connect_tcp(
                    address, port, timeout, local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                trouble = error
        raise trouble

    async def sleep(self, seconds: float) -> None:
        """Wait between httpcore's own tries."""
        await asyncio.sleep(seconds)

    def _judge(self, host: str, addresses: Sequence[str], allow: AllowList) -> None:
        for text in addresses:
            address = parse_address(text)
            if self._plain and not allow.holds(address):
                raise refused(host, "plain http is for allowed hosts only")
            if not allow.lets_through(address):
                raise refused(host, f"its address {text} is not a public one")


def refused(target: str, why: str) -> OutboundRefused:
    """Build the refusal of a target, with what an operator can do."""
    return OutboundRefused(
        f"{target} may not be called",
        why,
        "Use a public https address, or ask an operator to add the host or its network to"
        " PAO_OUTBOUND_ALLOW",
    )
