"""From a parsed stream of ``ccprobe sweep`` to evidence: what was seen and written on each physical CPU.

Complete or not at all: every CPU that was said to be there, every register from every vantage, and each
of the writes that follow from what was read. What a difference between CPUs means is for the checks.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ccsight.evidence.views import CARRIED, MOVED, PINNED, Reading, Vantage, View, Write
from ccsight.kvm.pairs import carried
from ccsight.probes.stream import Line, Stream, refuse
from ccsight.probes.views import (
    READINGS,
    READINGS_EL0,
    exception,
    guest_body,
    guest_stream,
    require_kvm,
    userspace_reading,
)

PROGRAM = "sweep"

_KINDS = ("kvm", "cpus", "visit", "guest", "set")
_VCPU = 0


@dataclass(frozen=True)
class Swept:
    """What one run of ``ccprobe sweep`` saw, in the order of time.

    Each visit of a CPU is three views with that ``cpu``: ``userspace``, ``guest``, ``guest_el0``. First come
    those of the phase PINNED; then those of MOVED, which ends where it began if there are several CPUs:
    that CPU has two visits in this phase, the first and the last.
    """

    views: tuple[View, ...]
    writes: tuple[Write, ...]


@dataclass(frozen=True)
class _Visit:
    """A visit's line, and the lines that the guest said meanwhile."""

    line: Line
    said: list[Line]

    @property
    def cpu(self) -> int:
        return self.line.count("cpu")


def swept(stream: Stream) -> Swept:
    """Return all that a stream of ``ccprobe sweep`` says.

    Raises NoKvm when /dev/kvm could not be opened, ProbeError when anything is missing or odd.
    """
    stream.expect("ccprobe-sweep")
    stream.raise_errors()
    for line in stream.lines:
        if line.kind not in _KINDS:
            line.refuse("does not belong into a sweep")
    require_kvm(stream)
    kinds = [line.kind for line in stream.lines]
    if kinds[:2] != ["kvm", "cpus"] or kinds.count("cpus") != 1:
        refuse(stream.source, "does not start by saying how many CPUs there are")
    start = kinds.index("set") if "set" in kinds else len(kinds)
    visits = _visits(stream.lines[2:start])
    _require_itinerary(stream.lines[1], visits)
    views = [_views(visit) for visit in visits]
    pinned = [userspace for userspace, *_ in views if userspace.phase == PINNED]
    return Swept(
        tuple(view for group in views for view in group), _writes(stream, stream.lines[start:], pinned)
    )


def round_readings(stream: Stream) -> tuple[dict[str, Reading], dict[str, Reading]]:
    """Return what the guest ``sweep`` itself sent in one round: its EL1's and its EL0's readings.

    The stream is the guest's own, as ccprobe passes it on, or as QEMU's console shows it.
    """
    return regs_readings(guest_body(stream, "sweep", _VCPU), stream.source)


def regs_readings(lines: Iterable[Line], source: str) -> tuple[dict[str, Reading], dict[str, Reading]]:
    """Return EL1's and EL0's readings from all ``regs`` lines of a round of any guest that sends them."""
    values: dict[str, list[Reading]] = {"1": [], "0": []}
    for line in lines:
        if line.kind != "regs" or line.values.get("el") not in values:
            line.refuse("does not belong into a round of the guest")
        line.keys("el", "at", "values")
        known = values[line.values["el"]]
        if line.count("at") != len(known):
            line.refuse("is not the next piece of its list")
        known += [read_in_guest(item) for item in line.items("values")]
    return _named(source, values["1"], READINGS), _named(source, values["0"], READINGS_EL0)


def _visits(lines: Iterable[Line]) -> list[_Visit]:
    visits: list[_Visit] = []
    for line in lines:
        if line.kind == "visit":
            line.keys("phase", "cpu", "values")
            visits.append(_Visit(line, []))
        elif line.kind == "guest" and visits and line.values.get("vcpu") == str(_VCPU):
            visits[-1].said.append(line)
        else:
            line.refuse("does not belong to a visit of a CPU")
    return visits


def _require_itinerary(head: Line, visits: Sequence[_Visit]) -> None:
    """Refuse visits that are not those which ccprobe makes of so many CPUs, in its order."""
    head.keys("count")
    count = head.count("count")
    cpus = [visit.cpu for visit in visits[:count]]
    if not cpus or cpus != sorted(set(cpus)):
        head.refuse(f"is followed by visits of the CPUs {cpus}")
    back = cpus[:1] if count > 1 else []
    expected = [(PINNED, cpu) for cpu in cpus] + [(MOVED, cpu) for cpu in cpus + back]
    if len(cpus) != count or len(visits) != len(expected):
        head.refuse(f"is followed by {len(visits)} visits")
    for visit, (phase, cpu) in zip(visits, expected, strict=True):
        if (visit.line.values["phase"], visit.cpu) != (phase, cpu):
            visit.line.refuse(f"is another visit than that of CPU {cpu}, {phase}")


def _views(visit: _Visit) -> tuple[View, View, View]:
    line, phase, cpu = visit.line, visit.line.values["phase"], visit.cpu
    source = f"{line.source}, guest on CPU {cpu}, {phase}"
    userspace = [userspace_reading(item, "values") for item in line.items("values")]
    if len(userspace) != len(READINGS):
        line.refuse(f"has {len(userspace)} values, not {len(READINGS)}")
    el1, el0 = round_readings(guest_stream(visit.said, source))

    def view(vantage: Vantage, readings: dict[str, Reading]) -> View:
        return View(vantage=vantage, vcpu=_VCPU, program=PROGRAM, phase=phase, readings=readings, cpu=cpu)

    return (
        view(Vantage.USERSPACE, dict(zip(READINGS, userspace, strict=True))),
        view(Vantage.GUEST, el1),
        view(Vantage.GUEST_EL0, el0),
    )


def _named(source: str, values: list[Reading], names: tuple[str, ...]) -> dict[str, Reading]:
    if len(values) != len(names):
        refuse(source, f"has {len(values)} values where {len(names)} were expected")
    return dict(zip(names, values, strict=True))


def read_in_guest(item: Line) -> Reading:
    """Return an item of a list that a guest sent as its ``values``."""
    if item.values["values"].startswith("!"):
        esr = Line(item.source, item.kind, item.number, {"esr": item.values["values"][1:]})
        return exception(esr.hex("esr"))
    return Reading(value=item.hex("values"))


def _writes(stream: Stream, lines: Sequence[Line], pinned: Sequence[View]) -> tuple[Write, ...]:
    expected = list(carried(pinned))
    writes = tuple(_write(line) for line in lines)
    for line, write, wanted in zip(lines, writes, expected, strict=False):
        if (write.origin, write.cpu, write.name, write.value) != wanted:
            line.refuse(f"is another write than that of {wanted[2]} from CPU {wanted[0]} to CPU {wanted[1]}")
    if len(writes) != len(expected):
        refuse(stream.source, f"has {len(writes)} writes where {len(expected)} were expected")
    return writes


def _write(line: Line) -> Write:
    if line.kind != "set":
        line.refuse("stands among the writes")
    problem = ("errno",) if "errno" in line.values else ()
    line.keys("origin", "cpu", "name", "value", *problem, "after")
    return Write(
        vcpu=_VCPU,
        program=PROGRAM,
        phase=CARRIED,
        name=line.values["name"],
        value=line.hex("value"),
        problem=line.errno() if problem else "",
        after=userspace_reading(line, "after"),
        cpu=line.count("cpu"),
        origin=line.count("origin"),
    )
