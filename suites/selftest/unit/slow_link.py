"""A TCP proxy on loopback that delivers everything later: a link with long round trips, and wide enough.

It counts the round trips, too: how often one side waited for the other's answer.
"""

import heapq
import selectors
import socket
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field


@dataclass
class SlowLink:
    """``port`` is where to connect; each byte takes ``delay`` seconds, either way."""

    to: int
    delay: float
    port: int = 0
    turns: int = 0
    connections: int = 0
    ended: threading.Event = field(default_factory=threading.Event)
    _last: str = ""

    def serve(self, listener: socket.socket) -> None:
        """Carry bytes until it is told to stop."""
        waiting: list[tuple[float, int, socket.socket, bytes]] = []
        peers: dict[socket.socket, socket.socket] = {}
        count = 0
        with selectors.DefaultSelector() as selector:
            selector.register(listener, selectors.EVENT_READ)
            while not self.ended.is_set():
                soonest = waiting[0][0] - time.monotonic() if waiting else 0.1
                for key, _ in selector.select(max(0.0, min(soonest, 0.1))):
                    if key.fileobj is listener:
                        self._accept(listener, selector, peers)
                        continue
                    data = b""
                    with suppress(OSError):
                        data = key.fileobj.recv(1 << 16)
                    self._turn(key.data)
                    count += 1
                    heapq.heappush(waiting, (time.monotonic() + self.delay, count, peers[key.fileobj], data))
                    if not data:
                        selector.unregister(key.fileobj)
                while waiting and waiting[0][0] <= time.monotonic():
                    _deliver(*heapq.heappop(waiting)[2:])
            for link in peers:
                link.close()

    def _accept(self, listener, selector, peers) -> None:
        near, _ = listener.accept()
        far = socket.create_connection(("127.0.0.1", self.to))
        peers |= {near: far, far: near}
        self.connections += 1
        for link, side in ((near, "near"), (far, "far")):
            link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            selector.register(link, selectors.EVENT_READ, side)

    def _turn(self, side: str) -> None:
        """Count when the near side speaks after the far side did: it has waited for an answer."""
        self.turns += side == "near" and self._last != "near"
        self._last = side


def _deliver(link: socket.socket, data: bytes) -> None:
    with suppress(OSError):
        if data:
            link.sendall(data)
        else:
            link.shutdown(socket.SHUT_WR)


@contextmanager
def slow_link(to: int, delay: float):
    """Yield a link to a port of 127.0.0.1; ``delay`` is half of a round trip."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        link = SlowLink(to, delay, listener.getsockname()[1])
        thread = threading.Thread(target=link.serve, args=(listener,), daemon=True)
        thread.start()
        try:
            yield link
        finally:
            link.ended.set()
            thread.join()
