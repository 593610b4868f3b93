"""Waiting for a machine that goes down and comes up: by login after login, until it says what is wanted."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from ccsight import process
from ccsight.deadline import Deadline
from ccsight.errors import InfraError
from ccsight.machines.host_keys import UnknownHostKey, WrongHostKey
from ccsight.machines.root import Root
from ccsight.machines.way import Way

#: Seconds between two logins while a machine is down, and for each of them.
_POLL, LOGIN = 2.0, 20.0


@dataclass(frozen=True)
class Said:
    """What tells one boot of a machine from another."""

    boot_id: str
    command_line: str


def said(root: Root, deadline: Deadline) -> Said:
    """Ask a machine which boot it is in."""
    files = ("/proc/sys/kernel/random/boot_id", "/proc/cmdline")
    done = root.host.run(["cat", *files], deadline, limit=1 << 16)
    boot_id, _, command_line = done.text.partition("\n")
    return Said(boot_id, command_line)


@contextmanager
def awaited(way: Way, until: Callable[[Said], bool], clock: Deadline) -> Iterator[Root | None]:
    """Have root on a machine once it says what is wanted; None where it did not until the deadline.

    Raises what says that it is another host.
    """
    with ExitStack() as held:
        root = None
        while root is None and not clock.passed:
            root = _answering(way, until, clock, held)
            if root is None:
                process.pause(_POLL, clock)
        yield root


def _answering(way: Way, until: Callable[[Said], bool], clock: Deadline, held: ExitStack) -> Root | None:
    """Log in, and return root if the machine says what is wanted; what is not wanted is hung up."""
    with ExitStack() as ours:
        try:
            root = ours.enter_context(way.reached(clock.within(LOGIN)))
            wanted = until(said(root, clock.within(LOGIN)))
        except (WrongHostKey, UnknownHostKey):
            raise
        except InfraError:
            return None
        if wanted:
            held.push(ours.pop_all())
            return root
    return None
