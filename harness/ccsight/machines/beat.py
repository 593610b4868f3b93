"""Tells a program that its reader is still there: a byte now and then, until somebody says stop.

The end of a connection is noticed at once where it is closed. A network that just goes away closes nothing.
"""

import threading
from collections.abc import Callable
from contextlib import suppress

#: Seconds between two bytes; and of silence after which nobody is there any more.
EVERY = 10.0
SILENCE = 60


class Beat(threading.Thread):
    """Sends a byte now and then while the context lasts; ``send`` may fail, which ends it."""

    def __init__(self, send: Callable[[bytes], object]) -> None:
        super().__init__(daemon=True)
        self._send = send
        self._over = threading.Event()

    def run(self) -> None:
        """See :class:`threading.Thread`."""
        with suppress(OSError, EOFError):
            while not self._over.wait(EVERY):
                self._send(b".")

    def __enter__(self) -> "Beat":
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self.join()
