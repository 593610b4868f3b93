"""One run of QEMU: started, watched until the guest is ready or gone, and ended. SSH is not its business."""

import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ccsight import process, store
from ccsight.deadline import Deadline
from ccsight.errors import BootError
from ccsight.machines import console as consoles
from ccsight.machines.pulse import Pulse

LOOPBACK = "127.0.0.1"
#: Seconds between the end of a process's files and the end of the process.
_REAPED_WITHIN = 2.0
_NO_PORT = b"Could not set up host forwarding"


class PortTaken(BootError):
    """Somebody took the loopback port between our look and QEMU's."""


@dataclass(frozen=True)
class Start:
    """What QEMU is started with; ``name`` is for messages, ``inherits`` are descriptors that argv names."""

    name: str
    argv: Sequence[str]
    initrd: BinaryIO
    console: Path
    inherits: tuple[int, ...] = ()


class Emulator:
    """A QEMU process. ``argv`` is what it was started with, ``port`` where its guest's sshd is."""

    def __init__(self, start: Start) -> None:
        _make(start.console)
        self._name = start.name
        self._console = start.console
        self._pulse = Pulse()
        self._stderr = memory_file("stderr")
        self.port = free_port()
        self.argv = (*start.argv, *self._plumbing(start.initrd))
        self._child = process.spawn(
            self.argv,
            process.Streams(stderr=self._stderr.fileno()),
            pass_fds=(start.initrd.fileno(), self._pulse.theirs.fileno(), *start.inherits),
        )
        self._pulse.started()

    def end(self) -> None:
        """Kill QEMU; it may have ended before."""
        process.end(self._child)
        self._pulse.close()
        self._stderr.close()

    def wait_ready(self, deadline: Deadline) -> None:
        """Return when the guest's sshd listens. Raises BootError as soon as it can be known."""
        if not self._pulse.wait(deadline):
            raise self._failed(self._how_far(deadline.seconds))
        if self._pulse.gone:
            if _NO_PORT in self._said():
                raise PortTaken(f"{self._name}: port {self.port} is taken", evidence=self._said().decode())
            raise self._failed(self._how_ended())

    def why_lost(self) -> str:
        """Return why nothing can be expected of the guest any more, with evidence; "" while all is well."""
        if not self._pulse.listen():
            return ""
        return "; ".join(filter(None, (self._how_ended(), self._evidence())))

    def _plumbing(self, initrd: BinaryIO) -> list[str]:
        """Return the options that tie this QEMU to this process, by descriptors that end with it."""
        network = f"user,id=net,restrict=on,hostfwd=tcp:{LOOPBACK}:{self.port}-:22"
        return [
            *("-initrd", f"/proc/self/fd/{initrd.fileno()}"),
            *("-serial", f"file:{self._console}"),
            *("-chardev", f"socket,id=pulse,fd={self._pulse.theirs.fileno()}", "-serial", "chardev:pulse"),
            *("-netdev", network, "-device", "virtio-net-pci,netdev=net,romfile="),
        ]

    def _failed(self, what: str) -> BootError:
        fact = f"{self._name}: {what}"
        return BootError(fact, evidence=self._evidence(), next_step=f"read {self._console}")

    def _how_far(self, seconds: float) -> str:
        if reason := consoles.panic(self._console):
            return f"the kernel panicked and did not end: {reason}"
        said_something = consoles.last_words(self._console)
        return f"{'not ready' if said_something else 'the kernel printed nothing'} within {seconds:.0f} s"

    def _how_ended(self) -> str:
        if reason := consoles.panic(self._console):
            return f"the kernel panicked: {reason}"
        clock = Deadline(_REAPED_WITHIN)
        while self._pulse.ended and self._child.poll() is None and not clock.passed:
            process.pause(0.01, clock)
        if status := self._child.poll():
            return f"QEMU ended with status {status}"
        return self._pulse.gone

    def _evidence(self) -> str:
        said = self._said().decode(errors="replace").strip().splitlines()[-3:]
        words = consoles.last_words(self._console) or f"nothing on the console ({self._console})"
        return " / ".join([*said, words])

    def _said(self) -> bytes:
        """Return what QEMU itself had to say."""
        return os.pread(self._stderr.fileno(), 1 << 16, 0)


def memory_file(name: str) -> BinaryIO:
    """Return an open file that is nowhere on a disk, so that nothing remains after a ``kill -9``."""
    return os.fdopen(os.memfd_create(name), "w+b", buffering=0)


def free_port() -> int:
    """Return a port of the loopback that nobody listens at: so far."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


def _make(console: Path) -> None:
    """Create the console's file, so that it is clear whose fault it is when that cannot be."""
    try:
        console.parent.mkdir(parents=True, exist_ok=True)
        console.write_bytes(b"")
    except OSError as error:
        raise store.explain(error, console.parent) from error
