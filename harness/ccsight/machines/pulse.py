"""The second serial port of an emulated host: whether it is ready, and whether it still lives.

The guest's first process writes a word a line. The end of the stream means that the emulator is gone.
"""

import select
import socket
import threading
import time

from ccsight.deadline import Deadline

#: A guest beats every other second; a loaded system may be that much slower and still be well.
SILENCE = 45.0
#: Somebody listens at least so often: the port takes 278 characters, two minutes of beats, and then the
#: emulator waits for us, and does nothing else.
OFTEN = 20.0


class Pulse:
    """Our end of the port.

    ``gone`` is why nothing can be expected any more, "" while all is well; ``ended`` is whether that
    is because the emulator closed its end.
    """

    def __init__(self) -> None:
        self._ours, self.theirs = socket.socketpair()
        self._ours.setblocking(False)
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self.heard = b""
        self._last = time.monotonic()
        self.ready = False
        self.gone = ""
        self.ended = False

    def started(self) -> None:
        """Drop our copy of the emulator's end, so that its end is seen, and listen from now on."""
        self.theirs.close()
        threading.Thread(target=self._keep_listening, daemon=True).start()

    def close(self) -> None:
        """Close both ends."""
        self._closed.set()
        with self._lock:
            self._ours.close()
        self.theirs.close()

    def wait(self, deadline: Deadline) -> bool:
        """Wait until the guest is ready or gone; False when the deadline passed first."""
        while not (self.ready or self.gone):
            if deadline.passed:
                return False
            select.select([self._ours], [], [], deadline.remaining)
            self.listen()
        return True

    def listen(self) -> str:
        """Take in what the guest said since the last time, and return ``gone``; never waits."""
        with self._lock:
            return self._listen()

    def _keep_listening(self) -> None:
        while not self._closed.wait(OFTEN) and not self.listen():
            pass

    def _listen(self) -> str:
        while not self.gone:
            try:
                chunk = self._ours.recv(4096)
            except BlockingIOError:
                break
            except OSError as error:
                self.gone = f"the readiness port failed: {error}"
                break
            self._last = time.monotonic()
            if chunk:
                self._hear(chunk)
            else:
                self.ended = True
                self.gone = "the emulator ended"
        if self.ready and not self.gone and time.monotonic() - self._last > SILENCE:
            self.gone = f"the machine has been silent for {SILENCE:.0f} s"
        return self.gone

    def _hear(self, chunk: bytes) -> None:
        *lines, rest = (self.heard + chunk).split(b"\n")
        self.heard = rest[-4096:]  # whoever sends no line at all shall not fill our memory
        for line in lines:
            word = line.decode(errors="replace").strip()
            if word == "ready":
                self.ready = True
            elif word != "beat" and not self.gone:
                self.gone = word if word.startswith("failed") else f"the machine said {word!r}"
