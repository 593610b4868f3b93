"""A machine of the inventory, reached over SSH: with the kernel that it runs, or booted once into another."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ccsight.deadline import Deadline
from ccsight.errors import BootError, CcsightError, UsageError
from ccsight.kernels.running import RUNNING, Stands
from ccsight.machines import (
    console_boots,
    console_command,
    equipment,
    inventory,
    lease_model,
    pstore,
    staging,
    standing,
)
from ccsight.machines.console import last_words
from ccsight.machines.inventory import Entry
from ccsight.machines.lease import Place, mark
from ccsight.machines.leasing import lent
from ccsight.machines.model import Booted, BootOrder, Host, Reached, Report
from ccsight.machines.reboots import Errand, Trip, booted, prove_may_go
from ccsight.machines.standing import Standing
from ccsight.machines.way import Way, connected
from ccsight.specs import Spec
from ccsight.store import write_atomically

#: The kind of spec that a bare name of the inventory makes.
INVENTORY = "inventory"
#: With what the log of every arm64 kernel begins.
_FIRST = re.compile(rb"\[ *0\.0+\] Booting Linux on physical CPU")
_LOG_MAX = 64 << 20
_LOG_SECONDS = 30.0
#: Options of a machine's spec: to reboot it though it is in use; and though nobody has seen it come back.
OPTIONS = frozenset({"force", "attended"})
#: Seconds to send a kernel and make its initramfs; and how often a machine's patience is there and back.
_SENDING, _BOOTS = 300.0, 6


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
def _connected(entry: Entry, deadline: Deadline) -> Iterator[tuple[Reached, Standing]]:
    with connected(entry, deadline) as host:
        yield host, standing.look(host, entry.name, deadline)


class RemoteMachine:
    """A machine by the name of its entry."""

    def __init__(self, spec: Spec, entry: Entry) -> None:
        self._spec = spec
        self._entry = entry
        self._way = Way(entry, force=_on(spec, "force"), attended=_on(spec, "attended"))

    @property
    def spec(self) -> str:
        """The spec that names this machine everywhere."""
        return self._spec.text

    @property
    def seconds(self) -> float:
        """See :class:`ccsight.machines.model.Machine`: what may be sent there, a boot, and the way back."""
        return _SENDING + _BOOTS * self._entry.patience if self._entry.boot else 0.0

    def prepare(self, deadline: Deadline, report: Report) -> None:
        """See :class:`ccsight.machines.model.Machine`: it may be that it is only observed, so nothing."""

    def prove_may_boot(self, deadline: Deadline) -> None:
        """See :class:`ccsight.machines.model.Machine`. Who is lent it is asked for it only when it is."""
        if not self._entry.labgrid:
            with self._way.reached(deadline) as root:
                prove_may_go(self._way, equipment.look(root.host, root.name, deadline))

    @contextmanager
    def boot(self, order: BootOrder, deadline: Deadline, report: Report) -> Iterator[Booted]:
        """See :class:`ccsight.machines.model.Machine`. The kernel that it runs is only observed.

        While it is asked or booted it is leased. Raises Taken.
        """
        have = self._as_it_stands if order.kernel.spec.kind == RUNNING else self._booted
        purpose = f"observing {order.kernel.spec.text}"
        with lent(self._entry, purpose, deadline, report), have(order, deadline, report) as up:
            yield up

    @contextmanager
    def _as_it_stands(self, order: BootOrder, deadline: Deadline, report: Report) -> Iterator[Booted]:
        """Have it in the boot in which it is: nothing is started, and nothing is ended.

        The boot-id that is read here is what the probe must find, too. The kernel's log is the console.
        """
        report("ssh")
        with _connected(self._entry, deadline) as (host, found):
            place = Place(self._entry.name, host)
            with place.leased(mark(), f"observing {order.kernel.spec.text}", deadline) as lease:
                lease_model.tell(self._entry.name, lease, report)
                try:
                    yield Booted(host, found.boot_id, found.cpus)
                finally:
                    _keep_log(host, order.console, deadline)

    @contextmanager
    def _booted(self, order: BootOrder, deadline: Deadline, report: Report) -> Iterator[Booted]:
        """Have it in another kernel. The console is what its entry's command yields, else the log."""
        kernel = order.kernel
        errand = Errand(
            f"booting {kernel.spec.text}",
            lambda root, found, words, clock: staging.kernel(kernel, root, found, words, clock),
            tuple(kernel.append.split()),
        )
        trip = Trip(self._way, report)
        try:
            with _kept_console(self._entry, order.console, trip), booted(trip, errand, deadline) as up:
                try:
                    yield up
                finally:
                    _keep_log(up.host, order.console, Deadline(_LOG_SECONDS))
        except BootError as error:
            evidence = f"{error.evidence}\n{last_words(order.console)}".strip()
            raise type(error)(error.fact, evidence=evidence, next_step=error.next_step) from error


def prove_boots(machine: Spec) -> None:
    """Raise UsageError for a machine whose entry does not say how it is booted."""
    _ = Way(inventory.entry(machine.value)).method


def _on(spec: Spec, key: str) -> bool:
    """Return whether an option is on. Raises UsageError for what is neither on nor off."""
    value = spec.option(key) or "off"
    if value not in ("on", "off"):
        raise UsageError(f"{key}={value} is neither on nor off: in {spec.text!r}", next_step=f"{key}=on")
    return value == "on"


@contextmanager
def _kept_console(entry: Entry, console: Path, trip: Trip) -> Iterator[None]:
    """Keep what the entry's command yields meanwhile; what is of this boot is its console then.

    What the kernel left in persistent storage when it died lies beside it.
    """
    whole = console.with_name(f"{console.stem}.whole.log")
    try:
        with console_command.kept(entry.console, whole):
            yield
    finally:
        console_boots.keep(whole, trip.mark, console)
        pstore.keep(trip.records, console)


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
