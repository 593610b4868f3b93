"""Moves a guest live from one host to another with a real VMM, and says what became of it.

The guest ``remember`` sends what it knows from its start and what it reads now, ten times a second, so its
console alone tells where it goes on.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ccsight import process
from ccsight.deadline import Deadline
from ccsight.errors import DeadlineExceeded, ProbeError
from ccsight.evidence.live import BACK, Live
from ccsight.evidence.migrations import ARRIVED, KNOWN
from ccsight.evidence.views import Cell, Vantage, View
from ccsight.probes.runner import Probe
from ccsight.probes.stream import Line, parse
from ccsight.probes.sweep import regs_readings
from ccsight.probes.vmm import Vmm, VmmGone
from ccsight.probes.vms import GUEST

PROGRAM = "live"
#: What QEMU says of a migration that has ended, one way or the other.
_ENDED = ("completed", "failed", "cancelled")
#: As many rounds as prove that a guest goes on: the first may have been sent by halves before.
_ROUNDS = 3
#: Seconds after which a guest that says nothing is taken for lost.
SILENCE = 60.0
_PORT = 4444
_POLL = 0.3
_END = b"\n@end "
_ROUND = re.compile(rb"@begin [^@]*@end [0-9]+\r?\n")


@dataclass(frozen=True)
class Side:
    """A host with the probe's guests on it: whose cell it is, and the address that the other side knows."""

    cell: Cell
    probe: Probe
    address: str


@dataclass(frozen=True)
class Setup:
    """The VMM: ``argv`` starts it on either host, ``options`` are its machine's there, with a guest.

    ``capabilities`` of its migration are switched on: with "return-path" the source's QEMU waits for the
    destination's to say that it took everything. ``ours`` is False for a guest that is not ``remember``: it
    too writes rounds, from ``@begin`` to ``@end NUMBER``, to its console.
    """

    argv: tuple[str, ...]
    options: Callable[[Probe], tuple[str, ...]]
    capabilities: tuple[str, ...] = ()
    ours: bool = True


def bare(probe: Probe, cpu: str = "host") -> tuple[str, ...]:
    """Return the options of a machine that runs our guest on KVM, and has nothing that it does not need.

    ``host`` has a PMU, as a VM of ccprobe's that is WITH_PMU; ``host,pmu=off`` has none.
    """
    return (
        *("-nodefaults", "-no-user-config", "-display", "none", "-accel", "kvm"),
        *("-M", "virt,gic-version=3", "-cpu", cpu, "-smp", "2", "-m", "64"),
        *("-kernel", probe.path(f"{GUEST}.img")),
    )


def move(source: Side, destination: Side, setup: Setup, deadline: Deadline) -> Live:
    """Start the guest at the source, move it, and look where it goes on: nowhere is an answer, too.

    Raises ProbeError when the VMM does not run the guest at all.
    """
    here, there = (
        _vmm(side, setup, name) for side, name in ((source, "source"), (destination, "destination"))
    )
    try:
        version = here.start(setup.options(source.probe), deadline)
        before = last_round(here.wait_console(lambda said: _rounds(said) >= _ROUNDS, deadline))
        there.start([*setup.options(destination.probe), "-incoming", f"tcp:0:{_PORT}"], deadline)
        status, why = _migrate(here, f"tcp:{destination.address}:{_PORT}", setup, deadline)
        taken = _taken(there, deadline)
        by_itself = not taken and here.ask("query-status", deadline)["status"] == "running"
        if not taken and not by_itself:
            here.ask("cont", deadline)
        after = _went_on(there if taken else here, deadline)
        return Live(
            source=source.cell,
            destination=destination.cell,
            vmm=f"QEMU {version}",
            status=status,
            why=why,
            arrived=bool(after) and taken,
            returned=bool(after) and not taken,
            by_itself=by_itself,
            source_words=here.words(deadline),
            words=there.words(deadline),
            before=before.decode(errors="replace"),
            after=after.decode(errors="replace"),
            views=_views(after, (KNOWN, ARRIVED if taken else BACK)) if after and setup.ours else (),
        )
    finally:
        here.end(deadline)
        there.end(deadline)


def _vmm(side: Side, setup: Setup, name: str) -> Vmm:
    return Vmm(side.probe.host, setup.argv, side.probe.path(f"vmm-{name}"))


def _migrate(here: Vmm, uri: str, setup: Setup, deadline: Deadline) -> tuple[str, str]:
    """Return how the source says that it ended, and why."""
    if setup.capabilities:
        wanted = [{"capability": name, "state": True} for name in setup.capabilities]
        here.ask("migrate-set-capabilities", deadline, capabilities=wanted)
    here.ask("migrate", deadline, uri=uri)
    while (said := here.ask("query-migrate", deadline)).get("status") not in _ENDED:
        process.pause(_POLL, deadline)
        deadline.check("the migration")
    return str(said["status"]), str(said.get("error-desc", ""))


def _taken(there: Vmm, deadline: Deadline) -> bool:
    """Return whether the destination's QEMU took the guest; one that could not ends."""
    try:
        while there.ask("query-status", deadline)["status"] == "inmigrate":
            process.pause(_POLL, deadline)
            deadline.check("the destination's QEMU")
    except VmmGone:
        return False
    return True


def _went_on(where: Vmm, deadline: Deadline) -> bytes:
    """Return the last round of a guest that says enough from now on, b"" of one that does not."""
    try:
        enough = _rounds(where.console(deadline)) + _ROUNDS
        clock = deadline.within(SILENCE)
        return last_round(where.wait_console(lambda said: _rounds(said) >= enough, clock))
    except (VmmGone, DeadlineExceeded):
        deadline.check("the guest where it was to go on")
        return b""


def _rounds(console: bytes) -> int:
    return console.count(_END)


def last_round(console: bytes) -> bytes:
    """Return the last whole stream on a console, which may begin and end within one."""
    whole = _ROUND.findall(console)
    if not whole:
        raise ProbeError("the guest's console has no whole round", evidence=repr(console[-300:]))
    return bytes(whole[-1])


def _views(said: bytes, phases: tuple[str, str]) -> tuple[View, ...]:
    stream = parse(said, f"guest {GUEST} under QEMU")
    stream.expect(GUEST)
    stream.raise_errors()
    known = [_as_regs(line) for line in stream.lines if line.kind == "known"]
    found = [line for line in stream.lines if line.kind not in ("known", "vcpu")]
    return tuple(
        view
        for lines, phase in zip((known, found), phases, strict=True)
        for view in _pair(lines, phase, stream.source)
    )


def _pair(lines: Sequence[Line], phase: str, source: str) -> tuple[View, View]:
    el1, el0 = regs_readings(lines, source)
    one, zero = (
        View(vantage=vantage, vcpu=0, program=PROGRAM, phase=phase, readings=readings)
        for vantage, readings in ((Vantage.GUEST, el1), (Vantage.GUEST_EL0, el0))
    )
    return one, zero


def _as_regs(line: Line) -> Line:
    return Line(line.source, "regs", line.number, line.values)
