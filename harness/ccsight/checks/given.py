"""What is given to a VM, MTE or EL2, changes nothing of its caches: a part of CR-013, on one host."""

from collections.abc import Iterator, Mapping

from ccsight.arm64.kvm_ids import name as register_name
from ccsight.arm64.registers import in_short
from ccsight.checks.registry import NotObserved, need_reading
from ccsight.evidence.cases import Finding
from ccsight.evidence.model import Capture
from ccsight.evidence.record import Hex
from ccsight.evidence.views import Reading, Vantage, View
from ccsight.kvm.behaviour import NORMALISED, observed
from ccsight.kvm.gifts import ASKED, CAPABILITIES, GIFTS, NOTHING, OTHERS, Gift
from ccsight.kvm.modes import excuse_given, excuse_listed, expected_clidr, says_of

#: The guest that looks: captures without it are of a ccsight that did not give anything.
_GUEST = "features.img"
_Views = Mapping[tuple[str, Vantage], View]


def gifts_change_nothing(capture: Capture) -> Iterator[Finding]:
    """Yield what differs in a VM that was given something from the one that was given nothing.

    Raises NotObserved when no VM was looked at that was given what KVM has to give.
    """
    phases = {gift.phase for gift in GIFTS}
    views = {(view.phase, view.vantage): view for view in capture.views if view.phase in phases}
    for gift in gifts_of(capture):
        for vantage in (Vantage.USERSPACE, Vantage.GUEST, Vantage.GUEST_EL0):
            plain, given = (_need(capture, views, each, vantage) for each in (NOTHING, gift))
            yield from _unlike(capture, gift, plain, given)
        if gift.has_el2:
            plain = _need(capture, views, gift, Vantage.GUEST)
            yield from _at_el2(capture, gift, plain, _need(capture, views, gift, Vantage.GUEST_EL2))
        yield from _listed(capture, gift)


def gifts_of(capture: Capture) -> tuple[Gift, ...]:
    """Return what KVM says it can give to a VM; nothing of a capture for which nobody was to ask.

    Raises NotObserved.
    """
    if _GUEST not in capture.programs:
        return ()
    says = next((view for view in capture.views if view.phase == ASKED), None)
    if says is None:
        raise NotObserved(f"nobody asked what {capture.cell.title} can give a VM")
    answers = {each: need_reading(says, each.name) for each in CAPABILITIES}
    unclear = [each.name for each, answer in answers.items() if answer.value is None]
    if unclear:
        raise NotObserved(f"{capture.cell.title} does not say whether it has {' and '.join(unclear)}")
    return tuple(gift for gift in OTHERS if all(answers[each].value for each in gift.takes))


def _need(capture: Capture, views: _Views, gift: Gift, vantage: Vantage) -> View:
    view = views.get((gift.phase, vantage))
    if view is None:
        raise NotObserved(f"no {vantage} view of a VM with {gift.says} on {capture.cell.title}")
    return view


def _unlike(capture: Capture, gift: Gift, plain: View, given: View) -> Iterator[Finding]:
    """Yield the readings that the gift changes; CLIDR_EL1 has a right value, changed or not."""
    for name in dict.fromkeys([*plain.readings, *given.readings]):
        was, now = need_reading(plain, name), need_reading(given, name)
        right = was
        if name == "CLIDR_EL1" and observed(capture) is NORMALISED and was.value is not None:
            right = Reading(value=Hex(expected_clidr(was.value, gift)))
        if was == now == right:
            continue
        known = excuse_given(name, gift, was, now)
        said = f"{_say(now)} in a VM with {gift.says}, {_say(was)} in one with {NOTHING.says}"
        said += "" if known else says_of(name, gift, was, now)
        yield _finding(name, _where(capture, given), said, known, (was, now))


def _at_el2(capture: Capture, gift: Gift, el1: View, el2: View) -> Iterator[Finding]:
    for name in el2.readings:
        below, above = need_reading(el1, name), need_reading(el2, name)
        if below != above:
            said = f"{_say(above)} at EL2, {_say(below)} at EL1 of a VM with {gift.says}"
            yield _finding(name, _where(capture, el2), said, "", (below, above))


def _listed(capture: Capture, gift: Gift) -> Iterator[Finding]:
    """Yield what KVM lists for one of the two VMs only."""
    lists = {each.phase: frozenset(each.ids) for each in capture.lists_given}
    if not {NOTHING.phase, gift.phase} <= lists.keys():
        raise NotObserved(f"no list of the registers of a VM with {gift.says} on {capture.cell.title}")
    plain, given = lists[NOTHING.phase], lists[gift.phase]
    for ids, words in ((given - plain, "listed"), (plain - given, "not listed")):
        if ids:
            yield Finding(
                subject=f"{len(ids)} register{'' if len(ids) == 1 else 's'}",
                where=f"KVM_GET_REG_LIST, {gift.phase}, {capture.cell.machine}",
                said=f"{in_short(map(register_name, sorted(ids)))}: {words} for a VM with {gift.says}",
                known=excuse_listed(frozenset(ids), gift) if words == "listed" else "",
            )


def _finding(name: str, where: str, said: str, known: str, both: tuple[Reading, Reading]) -> Finding:
    before, after = map(_say, both)
    return Finding(subject=name, where=where, said=said, before=before, after=after, known=known)


def _where(capture: Capture, view: View) -> str:
    return f"{view.vantage}, {view.phase}, {capture.cell.machine}"


def _say(reading: Reading) -> str:
    return reading.problem or f"{reading.value:#x}"
