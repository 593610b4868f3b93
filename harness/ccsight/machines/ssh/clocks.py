"""What paramiko lacks everywhere: waits with a clock, and errors that mean something.

It waits for ever in several places (the answer to a channel request, an exit status), and its keepalive never
notices that the peer is gone. So every wait has a clock of its own, and a transport that a clock had to cut
is not used again.
"""

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence

import paramiko

from ccsight import process
from ccsight.deadline import Deadline
from ccsight.errors import reason
from ccsight.machines.host_keys import HostKey

#: What paramiko raises for a host that does not do as it should.
TROUBLE = (paramiko.SSHException, EOFError, OSError)
#: Seconds without an answer after which the kernel gives up a TCP peer that vanished.
PEER_SILENCE = 20
_REASON_WITHIN = 0.5


@contextlib.contextmanager
def cut_at(transport: paramiko.Transport, deadline: Deadline) -> Iterator[None]:
    """Close the transport at the deadline, which ends whatever paramiko waits for."""
    timer = threading.Timer(deadline.remaining, transport.close)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def why_gone(why_lost: Callable[[], str]) -> str:
    """Ask why the host is gone; whoever knows may notice a moment after the connection broke."""
    clock = Deadline(_REASON_WITHIN)
    while not (why := why_lost()) and not clock.passed:
        process.pause(0.02, clock)
    return why


def said_of(error: Exception) -> str:
    """Return what an error says, and its name where it says nothing."""
    return reason(error) or type(error).__name__


def hang_up(way: Sequence[paramiko.Transport]) -> None:
    """Close the connections of a way, the last one first."""
    for transport in reversed(way):
        transport.close()


def key_of(transport: paramiko.Transport) -> HostKey:
    """Return the key by which a host has proved who it is."""
    key = transport.get_remote_server_key()
    return HostKey(f"{key.get_name()} {key.get_base64()}")
