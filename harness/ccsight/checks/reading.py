"""What a capture's readings answer: registers and fields against values, and vantages against each other.

A field is asked of every view that is meant, and has to be so in all of them; a program that failed leaves
that open. A reading with a problem (UNDEF, ENOENT) was not made, unless that very problem is asked for.
"""

import operator
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ccsight.arm64.caches import Layout
from ccsight.arm64.registers import CCSIDR_EL1, Field, base_name
from ccsight.checks.places import Place
from ccsight.checks.questions import Alike, Answer, Question, Reads
from ccsight.evidence.model import Capture
from ccsight.evidence.views import HOST, LAUNCH, Reading, Vantage, View

_COMPARE: Mapping[str, Callable[[int, int], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


@dataclass(frozen=True)
class _Seen:
    """A reading in its view: what it says in words, and whether that is what was asked."""

    view: View
    said: str
    truth: bool | None


def reads(question: Reads, capture: Capture) -> Answer:
    """Return whether a reading is what was asked, in every view that is meant."""
    views = question.place.views(capture.views, question.register)
    found = [
        _judged(question, view, view.readings[question.register], capture)
        for view in views
        if question.register in view.readings
    ]
    if question.place.vantage is None:  # a vantage that never got a value has not read it
        able = {seen.view.vantage for seen in found if seen.truth is not None}
        found = [seen for seen in found if seen.view.vantage in able]
    for truth in (False, None):
        telling = [seen for seen in found if seen.truth is truth]
        if telling:
            return Answer(truth, tuple(_told(question, telling)))
    if not found:
        return Answer(None, (f"nobody read {question.subject}",))
    return Answer(_unless_lost(question, capture, truth=True), tuple(_told(question, found)))


def _unless_lost(question: Question, capture: Capture, *, truth: bool) -> bool | None:
    """Return an answer that rests on every view; None where a program failed: it might have seen else."""
    return None if capture.failures.keys() & (question.programs or ()) else truth


def _judged(question: Reads, view: View, reading: Reading, capture: Capture) -> _Seen:
    if question.problem:
        said = reading.problem or f"{reading.value:#x}"
        same = reading.problem == question.problem
        return _Seen(view, said, same == (question.operator == "=="))
    if reading.value is None:
        return _Seen(view, reading.problem, None)
    if not question.field:
        wanted = question.value if isinstance(question.value, int) else 0
        return _Seen(view, f"{reading.value:#x}", _COMPARE[question.operator](reading.value, wanted))
    field_in_effect = _field(question, view, capture)
    if isinstance(field_in_effect, str):
        return _Seen(view, field_in_effect, None)
    number = field_in_effect.extract(reading.value)
    truth = _COMPARE[question.operator](number, _wanted(question, field_in_effect))
    return _Seen(view, _in_words(field_in_effect, number, reading.value), truth)


def _wanted(question: Reads, asked: Field) -> int:
    return question.value if isinstance(question.value, int) else asked.words.index(question.value)


def _in_words(asked: Field, number: int, value: int) -> str:
    word = asked.say(value)
    return word if word == f"{number}" else f"{number} ({word})"


def _field(question: Reads, view: View, capture: Capture) -> Field | str:
    """Return the field as the layout in effect has it, or why it cannot be known."""
    if base_name(question.register) != CCSIDR_EL1.name:
        return question.fields[0]
    layout = _layout(view, capture)
    if layout is None:
        return "of an unknown layout: ID_AA64MMFR2_EL1 was not read"
    found = [each for each in layout.register.fields if each.name == question.field]
    if not found:
        return f"no field of the {layout.value} layout"
    if found[0].hi > 31 and view.vantage in _NARROW:
        return "not carried: it lies above the 32 bits that there are"
    return found[0]


#: Where CCSIDR_EL1 has 32 bits, whatever its layout: KVM's ioctl, and AArch32.
_NARROW = (Vantage.USERSPACE, Vantage.GUEST_AARCH32)


def _layout(view: View, capture: Capture) -> Layout | None:
    """Return the layout that ID_AA64MMFR2_EL1 announces: in the view itself, else at the launch."""
    for each in (view, *(launched for launched in capture.launch if launched.vantage is Vantage.GUEST)):
        mmfr2 = each.value("ID_AA64MMFR2_EL1")
        if mmfr2 is not None:
            return Layout.of(mmfr2)
    return None


def _told(question: Reads, found: Iterable[_Seen]) -> Iterable[str]:
    """Yield what was read, once for each vantage and value, with the first place and how many there are."""
    groups: dict[tuple[Vantage, str], list[View]] = {}
    for seen in found:
        groups.setdefault((seen.view.vantage, seen.said), []).append(seen.view)
    name = Reads(Place(), question.register, question.field, question.operator, question.value).subject
    for (vantage, said), views in groups.items():
        yield f"{vantage}.{name} is {said} ({_places(views)})"


def _places(views: Sequence[View]) -> str:
    """Say the first of some places, and how many there are."""
    more = f", and in {len(views) - 1} more" if len(views) > 1 else ""
    return f"{_place(views[0])}{more}"


def _place(view: View) -> str:
    words = [] if view.vcpu is None else [f"vCPU {view.vcpu}", f"phase {view.phase}"]
    words += [f"program {view.program}"] if view.phase not in (view.program, LAUNCH, HOST) else []
    words += [] if view.cpu is None else [f"CPU {view.cpu}"]
    return ", ".join(words)


_REGISTERS = ("CTR_EL0", "CLIDR_EL1", CCSIDR_EL1.name)


def alike(question: Alike, capture: Capture) -> Answer:
    """Return whether two vantages read the same of the caches, place by place, where both have read."""
    pairs = tuple(_pairs(question, capture.views))
    compared = [each for one, other in pairs for each in _compared(one, other)]
    differing: dict[str, list[View]] = {}
    for said, view in compared:
        if said:
            differing.setdefault(said, []).append(view)
    if differing:
        told = (f"{said} ({_places(views)})" for said, views in differing.items())
        return Answer(not question.equal, tuple(told))
    if not compared:
        return Answer(None, (f"{question.place} and {question.other} were not looked at in one place",))
    same = f"{question.place} and {question.other} agree: {len(compared)} readings in {len(pairs)} places"
    return Answer(_unless_lost(question, capture, truth=question.equal), (same,))


def _compared(one: View, other: View) -> Iterator[tuple[str, View]]:
    """Yield of each register that both have read how it differs, or "", and the view that has the place."""
    place = other if one.vantage is Vantage.HARDWARE else one
    for name in one.readings:
        first, second = one.value(name), other.value(name)
        if base_name(name) in _REGISTERS and first is not None and second is not None:
            said = f"{one.vantage}.{name} is {first:#x}, {other.vantage}.{name} {second:#x}"
            yield said if first != second else "", place


def _pairs(question: Alike, views: Iterable[View]) -> Iterator[tuple[View, View]]:
    """Yield views of both vantages that belong together.

    They are of one vCPU, phase, program and CPU; with the CPU's own, of any VM on that CPU. A VM that comes
    to a CPU twice is looked at twice.
    """
    every = tuple(views)
    others: dict[tuple[object, ...], list[View]] = {}
    for view in question.others.views(every):
        others.setdefault(_spot(question, view), []).append(view)
    times: Counter[tuple[object, ...]] = Counter()
    for view in question.place.views(every):
        spot = _spot(question, view)
        same = others.get(spot, [])
        if question.with_hardware:
            yield from ((view, other) for other in same)
        elif times[spot] < len(same):
            yield view, same[times[spot]]
        times[spot] += 1


def _spot(question: Alike, view: View) -> tuple[object, ...]:
    return (view.cpu,) if question.with_hardware else (view.vcpu, view.phase, view.program, view.cpu)
