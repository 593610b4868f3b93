"""CR-005: what a VMM writes is seen by KVM_GET_ONE_REG and the guest, or is refused and changes nothing."""

from collections.abc import Iterator
from dataclasses import dataclass

from ccsight.arm64.registers import REGISTERS, base_name, in_short
from ccsight.checks.registry import NotObserved, law, need_vcpus
from ccsight.evidence.cases import Finding
from ccsight.evidence.model import Capture, Reading, Write
from ccsight.kvm.behaviour import Behaviour, observed
from ccsight.kvm.writes import moves, shown, stays
from ccsight.kvm.written import Written, stands_for, written

_IGNORED = (
    "KVM has shown FEAT_NV to guests; it takes the field back, and leaves it out (set_id_aa64mmfr2_el1())"
)


@dataclass(frozen=True)
class _Deviation:
    """A write that does not do what it should: in which way, what was right, and what there was instead."""

    write: Write
    way: str
    right: str
    was: str
    known: str = ""


@law(
    "CR-005",
    "an accepted write is seen by KVM_GET_ONE_REG and by the guest; a refused one changes nothing",
    "a VMM restores a guest and believes what it is told, but the guest goes on with other caches",
)
def writes_do_what_they_say(capture: Capture) -> Iterator[Finding]:
    """Each write has the errno that the model knows, the effect it claims, and none on other registers."""
    need_vcpus(capture)
    host, behaviour = written(capture), observed(capture)
    if not host.writes:
        raise NotObserved(f"nothing was written on {capture.cell.title}: the capture has no such stage")
    found: dict[tuple[str, ...], list[_Deviation]] = {}
    for write in host.writes:
        for deviation in _deviations(behaviour, host, write):
            found.setdefault((base_name(write.name), deviation.way, deviation.known), []).append(deviation)
    for deviations in found.values():
        yield _finding(host, deviations)


def _deviations(behaviour: Behaviour, host: Written, write: Write) -> Iterator[_Deviation]:
    right = behaviour.takes(host, write) if behaviour.takes else ()
    if right and write.problem not in right:
        words = " or ".join(map(_answer, right))
        way = f"{_answer(write.problem)} where a {behaviour.name} kernel says {words}"
        yield _Deviation(write, way, words, _answer(write.problem))
    after = stays(host, write) if write.problem else Reading(value=write.value)
    if after is not None and write.after != after:
        verb = (
            "refused, and changed all the same"
            if write.problem
            else "taken, but KVM_GET_ONE_REG says another value"
        )
        known = _IGNORED if not write.problem and stands_for(host, write) == write.after.value else ""
        yield _Deviation(write, verb, _say(after), _say(write.after), known)
    seen = shown(host, write)
    if None not in (seen, write.seen) and seen != write.seen:
        verb = "refused, but seen by the guest" if write.problem else "taken, but not seen by the guest"
        yield _Deviation(write, verb, _say(seen), _say(write.seen))
    ways = moves(host, write)
    if write.moved not in ways:
        yield _Deviation(write, "other registers moved", _list(ways[0]), _list(write.moved))


def _finding(host: Written, deviations: list[_Deviation]) -> Finding:
    """Say what many writes show by the one that changes the fewest bits."""
    least = min(deviations, key=lambda each: _size(host, each.write))
    write, others = least.write, len(deviations) - 1
    more = f"; so do {others} more writes" if others > 1 else "; so does one more write" if others else ""
    return Finding(
        subject=in_short(sorted({each.write.name for each in deviations}, key=_order)),
        where=", ".join(sorted({each.write.phase for each in deviations})),
        said=f"{least.way}: {_name(write)} = {write.value:#x} ({_changes(host, write)}), {_moment(write)}: "
        f"{least.was} instead of {least.right}{more}",
        before=least.right,
        after=least.was,
        known=least.known,
    )


def _size(host: Written, write: Write) -> tuple[int, int]:
    return (write.value ^ (host.told(write) or 0)).bit_count(), write.value


def _order(name: str) -> tuple[str, int]:
    base, _, rest = name.partition("[")
    return base, int(rest[:-1] or 0)


def _name(write: Write) -> str:
    return write.name if write.kvm_id is None else f"{write.name} by the id {write.kvm_id:#x}"


def _changes(host: Written, write: Write) -> str:
    """Return in words what a value changes: ``IDC 1 → 0``."""
    told = host.told(write)
    if told is None:
        return "which has no value" if write.name != "CSSELR_EL1" else "whatever it had"
    register = REGISTERS[base_name(write.name)]
    changed = [field for field in register.fields if (told ^ write.value) & field.mask]
    words = [f"{field.name} {field.say(told)} → {field.say(write.value)}" for field in changed]
    stray = (told ^ write.value) & ~register.mask
    return ", ".join([*words, *([f"bits {stray:#x}"] if stray else [])]) or "as it was"


def _moment(write: Write) -> str:
    return f"{write.phase}, vCPU {write.vcpu}, CPU {write.cpu}"


def _answer(problem: str) -> str:
    return problem or "taken"


def _say(reading: Reading | None) -> str:
    return "nothing" if reading is None else reading.problem or f"{reading.value:#x}"


def _list(moved: dict[str, Reading]) -> str:
    return ", ".join(f"{name} {_say(reading)}" for name, reading in moved.items()) or "nothing"
