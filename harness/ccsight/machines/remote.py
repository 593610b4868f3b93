"""A machine of the inventory, reached over SSH, with the kernel that it runs. Nothing is booted yet."""

import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from ccsight.deadline import Deadline
from ccsight.errors import CcsightError, UsageError
from ccsight.kernels.running import RUNNING, Stands
from ccsight.machines import inventory, reach, standing
from ccsight.machines.inventory import METHODS, Entry
from ccsight.machines.lease import Place, mark
from ccsight.machines.model import Booted, BootOrder, Host, Reached, Report
from ccsight.machines.standing import Standing
from ccsight.machines.sudo import SudoHost
from ccsight.specs import Spec
from ccsight.store import write_atomically

#: The kind of spec that a bare name of the inventory makes.
INVENTORY = "inventory"
#: With what the log of every arm64 kernel begins.
_FIRST = re.compile(rb"\[ *0\.0+\] Booting Linux on physical CPU")
_LOG_MAX = 64 << 20
_LOG_SECONDS = 30.0


def stands(name: str, deadline: Deadline, report: Report) -> Stands:
    """Return what a machine's kernel says of itself, once it is clear that it can be observed.

    Raises UsageError, NoKvm, or what says why the machine cannot be reached.
    """
    entry = inventory.entry(name)
    report(f"{name}: asking what it runs")
    with _connected(entry, deadline) as (_, found):
        found.prove_usable(name)
    if not found.root:
        report(
            f"{name}: {found.user} is not root there, so its log may not be read (CR-017: MISS); sudo = true"
        )
    return Stands(found.release, found.banner, found.notes)


@contextmanager
def connected(entry: Entry, deadline: Deadline) -> Iterator[Reached]:
    """Have a machine while the context lasts: as root, where its entry says sudo."""
    with closing(reach.connect(entry, deadline)) as connection:
        yield SudoHost(connection) if entry.sudo else connection


@contextmanager
def _connected(entry: Entry, deadline: Deadline) -> Iterator[tuple[Reached, Standing]]:
    with connected(entry, deadline) as host:
        yield host, standing.look(host, entry.name, deadline)


class RemoteMachine:
    """A machine by the name of its entry."""

    def __init__(self, spec: Spec, entry: Entry) -> None:
        self._spec = spec
        self._entry = entry

    @property
    def spec(self) -> str:
        """The spec that names this machine everywhere."""
        return self._spec.text

    def prepare(self, deadline: Deadline, report: Report) -> None:
        """See :class:`ccsight.machines.model.Machine`: who asked for its kernel has proved it fit."""

    @contextmanager
    def boot(self, order: BootOrder, deadline: Deadline, report: Report) -> Iterator[Booted]:
        """See :class:`ccsight.machines.model.Machine`: nothing is started, and nothing is ended.

        The boot-id that is read here is what the probe must find, too. The kernel's log is the console. While
        it is asked it is leased, where that can be written down there. Raises Taken.
        """
        if order.kernel.spec.kind != RUNNING:
            raise other_kernel(self._spec, order.kernel.spec)
        report("ssh")
        with _connected(self._entry, deadline) as (host, found):
            place = Place(self._entry.name, host)
            with place.leased(mark(), f"observing {order.kernel.spec.text}", deadline) as lease:
                if lease and lease.before:
                    report(f"{self._entry.name} was left by {lease.before}")
                try:
                    yield Booted(host, found.boot_id, found.cpus)
                finally:
                    _keep_log(host, order.console, deadline)


def other_kernel(machine: Spec, kernel: Spec) -> UsageError:
    """Return why a machine of the inventory cannot be given a kernel."""
    return UsageError(
        f"{machine.text} runs the kernel that it runs: it cannot be made to boot {kernel.text} yet",
        evidence=f"methods that will do that: {', '.join(METHODS)}; none of them is there",
        next_step=f"ccsight capture --on {machine.text}; or {kernel.text} on an emulated machine",
    )


def _keep_log(host: Host, console: Path, deadline: Deadline) -> None:
    """Write the kernel's log down, where it is readable and has its beginning.

    Half a log would look like a whole one in which nothing went wrong.
    """
    try:
        done = host.run(["dmesg"], deadline.within(_LOG_SECONDS), limit=_LOG_MAX)
    except CcsightError:
        return  # who is gone by now has been missed by the programs already
    if done.returncode == 0 and _FIRST.match(done.stdout):
        write_atomically(console, done.stdout)
