"""In which ways a write to a cache register does not do what the reference model says. Pure.

CR-005 judges by it, and the campaign looks with it for the smallest value that goes wrong.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ccsight.arm64.registers import base_name
from ccsight.evidence.views import Reading, Write
from ccsight.kvm.behaviour import Behaviour
from ccsight.kvm.writes import moves, shown, stays
from ccsight.kvm.written import Written, stands_for

_IGNORED = (
    "KVM has shown FEAT_NV to guests; it takes the field back, and leaves it out (set_id_aa64mmfr2_el1())"
)


@dataclass(frozen=True)
class Deviation:
    """A write that does not do what it should: in which way, what was right, and what there was instead."""

    write: Write
    way: str
    right: str
    was: str
    known: str = ""


def deviations(behaviour: Behaviour, host: Written, write: Write) -> Iterator[Deviation]:
    """Yield what is wrong with a write: its errno, its effect, what the guest reads, what moved beside it."""
    right = behaviour.takes(host, write) if behaviour.takes else ()
    if right and write.problem not in right:
        words = " or ".join(map(_answer, right))
        way = f"{_answer(write.problem)} where a {behaviour.name} kernel says {words}"
        yield Deviation(write, way, words, _answer(write.problem))
    after = stays(host, write) if write.problem else Reading(value=write.value)
    if after is not None and write.after != after:
        verb = (
            "refused, and changed all the same"
            if write.problem
            else "taken, but KVM_GET_ONE_REG says another value"
        )
        known = _IGNORED if not write.problem and stands_for(host, write) == write.after.value else ""
        yield Deviation(write, verb, _say(after), _say(write.after), known)
    seen = shown(host, write)
    if None not in (seen, write.seen) and seen != write.seen:
        verb = "refused, but seen by the guest" if write.problem else "taken, but not seen by the guest"
        yield Deviation(write, verb, _say(seen), _say(write.seen))
    ways = moves(host, write)
    if write.moved not in ways:
        yield Deviation(write, "other registers moved", _list(ways[0]), _list(write.moved))


def counter_examples(behaviour: Behaviour, host: Written, writes: Iterable[Write]) -> list[Deviation]:
    """Return the smallest write for each way in which some writes of a register deviate."""
    found: dict[tuple[str, str], Deviation] = {}
    for write in writes:
        for each in deviations(behaviour, host, write):
            way = (base_name(write.name), each.way)
            least = found.get(way)
            if not each.known and (least is None or size(host, write) < size(host, least.write)):
                found[way] = each
    return list(found.values())


def size(host: Written, write: Write) -> tuple[int, int]:
    """Return how small a counter-example a write is: how many bits it changes, and its value."""
    return (write.value ^ (host.told(write) or 0)).bit_count(), write.value


def _answer(problem: str) -> str:
    return problem or "taken"


def _say(reading: Reading | None) -> str:
    return "nothing" if reading is None else reading.problem or f"{reading.value:#x}"


def _list(moved: dict[str, Reading]) -> str:
    return ", ".join(f"{name} {_say(reading)}" for name, reading in moved.items()) or "nothing"
