"""From a parsed stream of ``ccprobe view`` to evidence: what userspace and the guest saw of the registers.

Complete or not at all: every vCPU, every register, from every vantage. What a value means is for the checks.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from ccsight.arm64.registers import SELECTORS, ccsidr
from ccsight.errors import NoKvm
from ccsight.evidence.record import Hex
from ccsight.evidence.views import LAUNCH, Reading, RegisterList, Vantage, View
from ccsight.probes.identity import kvm_problem
from ccsight.probes.stream import Line, Stream, parse, refuse

#: What is read, from userspace and from the guest's EL1, in the order in which it is sent.
READINGS = ("CTR_EL0", "CLIDR_EL1", "ID_AA64MMFR2_EL1", *(ccsidr(selector) for selector in SELECTORS))
READINGS_EL0 = ("CTR_EL0",)

_KINDS = ("kvm", "vm", "reg", "list", "ids", "guest", "off")
#: How many vCPUs ccprobe gives its virtual machine.
VCPUS = 2
_EC_SHIFT = 26
#: ESR_EL1.EC in words (Arm ARM DDI 0487, ESR_EL1): 0 is "Unknown reason", which is how an UNDEFINED
#: instruction arrives; 0x18 a trapped system register access.
_EXCEPTIONS = {0x00: "UNDEF", 0x18: "TRAPPED"}


@dataclass(frozen=True)
class Observed:
    """What one run of ``ccprobe view`` saw."""

    views: tuple[View, ...]
    register_lists: tuple[RegisterList, ...]


def observed(stream: Stream) -> Observed:
    """Return all that a stream of ``ccprobe view`` says.

    Raises NoKvm when /dev/kvm could not be opened, ProbeError when anything is missing or odd.
    """
    stream.expect("ccprobe-view")
    stream.raise_errors()
    for line in stream.lines:
        if line.kind not in _KINDS:
            line.refuse("does not belong into a view")
    require_kvm(stream)
    vcpus = range(_vcpus(stream))
    for line in stream.lines:
        if "vcpu" in line.values and line.count("vcpu") not in vcpus:
            line.refuse("is about a vCPU that there is not")
    views: list[View] = []
    for vcpu in vcpus:
        views.append(_userspace(stream, vcpu))
        views.extend(_guest(stream, vcpu))
    return Observed(tuple(views), tuple(_register_list(stream, vcpu) for vcpu in vcpus))


def guest_views(stream: Stream, vcpu: int) -> tuple[View, View]:
    """Return what the guest ``view`` itself sent from one vCPU: its EL1's and its EL0's view.

    The stream is the guest's own, as ccprobe passes it on, or as QEMU's console shows it.
    """
    rest = guest_body(stream, "view", vcpu)
    for line in rest:
        if line.kind != "reg" or line.values.get("el") not in ("0", "1"):
            line.refuse("does not belong into a guest's view")
    el1, el0 = ([line for line in rest if line.values["el"] == level] for level in ("1", "0"))
    return (
        _view(Vantage.GUEST, vcpu, _readings(stream, el1, ("el",), READINGS)),
        _view(Vantage.GUEST_EL0, vcpu, _readings(stream, el0, ("el",), READINGS_EL0)),
    )


def guest_body(stream: Stream, program: str, vcpu: int) -> tuple[Line, ...]:
    """Return what a guest sent of its own, behind the line by which it says on which vCPU it runs."""
    stream.expect(program)
    stream.raise_errors()
    if not stream.lines or stream.lines[0].kind != "vcpu":
        refuse(stream.source, "does not start by saying which vCPU it is from")
    first, *rest = stream.lines
    first.keys("mpidr")
    if first.hex("mpidr") & 0xFF != vcpu:
        first.refuse(f"is not from vCPU {vcpu}")
    return tuple(rest)


def guest_stream(lines: Iterable[Line], source: str) -> Stream:
    """Parse the stream that a guest sent within a stream, a ``guest`` line for each of its own."""
    raw = bytearray()
    for line in lines:
        line.keys("vcpu", "line")
        raw += line.values["line"].encode("latin-1") + b"\n"
    return parse(bytes(raw), source)


def exception(esr: int) -> Reading:
    """Return the reading of a register whose read raised the exception of this ESR_EL1."""
    return Reading(problem=_EXCEPTIONS.get(esr >> _EC_SHIFT & 0x3F, f"ESR {esr:#x}"))


def guest_reading(line: Line, keys: tuple[str, ...]) -> Reading:
    """Return what a guest read, from a ``reg`` line with these keys before the name."""
    if "esr" in line.values:
        line.keys(*keys, "name", "esr")
        return exception(line.hex("esr"))
    line.keys(*keys, "name", "value")
    return Reading(value=line.hex("value"))


def userspace_reading(line: Line, key: str) -> Reading:
    """Return what KVM_GET_ONE_REG gave: a value, or the name of an errno in its place."""
    if line.values.get(key, "").startswith("E"):
        return Reading(problem=line.errno(key))
    return Reading(value=line.hex(key))


def require_kvm(stream: Stream) -> None:
    """Raise NoKvm when the stream says that /dev/kvm could not be opened."""
    problems = [kvm_problem(line) for line in _of(stream, "kvm")]
    if len(problems) != 1:
        refuse(stream.source, f"has {len(problems)} lines about KVM")
    if problems[0] in ("EACCES", "EPERM"):
        raise NoKvm(
            "the machine is up, but /dev/kvm may not be opened by this user",
            evidence=f"opening /dev/kvm: {problems[0]}",
            next_step="see ls -l /dev/kvm there; mostly: usermod -aG kvm USER, and a new login",
        )
    if problems[0]:
        raise NoKvm(
            "the machine is up, but its kernel offers no KVM",
            evidence=f"opening /dev/kvm: {problems[0]}",
            next_step="look for 'kvm' in the console: it needs CONFIG_KVM and a boot at EL2",
        )


def _of(stream: Stream, kind: str, vcpu: int | None = None) -> list[Line]:
    lines = [line for line in stream.lines if line.kind == kind]
    return lines if vcpu is None else [line for line in lines if line.count("vcpu") == vcpu]


def _vcpus(stream: Stream) -> int:
    lines = _of(stream, "vm")
    if len(lines) != 1:
        refuse(stream.source, f"has {len(lines)} lines about the virtual machine")
    lines[0].keys("vcpus")
    count = lines[0].count("vcpus")
    if count != VCPUS:
        lines[0].refuse(f"says that there are {count} vCPUs; ccprobe makes {VCPUS}")
    return count


def _view(vantage: Vantage, vcpu: int, readings: dict[str, Reading]) -> View:
    return View(vantage=vantage, vcpu=vcpu, program="view", phase=LAUNCH, readings=readings)


def _userspace(stream: Stream, vcpu: int) -> View:
    return _view(Vantage.USERSPACE, vcpu, _readings(stream, _of(stream, "reg", vcpu), ("vcpu",), READINGS))


def _readings(
    stream: Stream, lines: Iterable[Line], keys: tuple[str, ...], expected: tuple[str, ...]
) -> dict[str, Reading]:
    """Read ``reg`` lines: each of the expected registers once, in their order."""
    readings: dict[str, Reading] = {}
    for line in lines:
        wanted = expected[len(readings)] if len(readings) < len(expected) else "nothing more"
        if line.values.get("name") != wanted:
            line.refuse(f"is about another register where {wanted} was expected")
        readings[wanted] = _reading(line, keys)
    if len(readings) != len(expected):
        refuse(stream.source, f"has no reading of {expected[len(readings)]}")
    return readings


def _reading(line: Line, keys: tuple[str, ...]) -> Reading:
    if "errno" in line.values:
        line.keys(*keys, "name", "errno")
        return Reading(problem=line.errno())
    return guest_reading(line, keys)


def _register_list(stream: Stream, vcpu: int) -> RegisterList:
    heads = _of(stream, "list", vcpu)
    if len(heads) != 1:
        refuse(stream.source, f"has {len(heads)} register lists of vCPU {vcpu}")
    heads[0].keys("vcpu", "count")
    ids: list[Hex] = []
    for line in _of(stream, "ids", vcpu):
        line.keys("vcpu", "at", "ids")
        if line.count("at") != len(ids):
            line.refuse("is not the next piece of its list")
        ids += [item.hex("ids") for item in line.items("ids")]
    if len(ids) != heads[0].count("count") or len(set(ids)) != len(ids):
        heads[0].refuse(f"is followed by {len(ids)} ids, {len(set(ids))} of them different")
    return RegisterList(vcpu=vcpu, ids=tuple(ids))


def _guest(stream: Stream, vcpu: int) -> tuple[View, View]:
    """Read the stream that the guest sent within the stream."""
    ends = _of(stream, "off", vcpu)
    if len(ends) != 1:
        refuse(stream.source, f"has {len(ends)} ends of the guest on vCPU {vcpu}")
    ends[0].keys("vcpu")
    said = guest_stream(_of(stream, "guest", vcpu), f"{stream.source}, guest on vCPU {vcpu}")
    return guest_views(said, vcpu)
