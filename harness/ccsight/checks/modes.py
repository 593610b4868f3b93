"""CR-013: what VMs show depends neither on KVM's mode, nor on MTE, nor on what else a VM is given."""

from collections.abc import Iterator

from ccsight.arm64.kvm_ids import name as register_name
from ccsight.arm64.registers import in_short
from ccsight.checks.given import gifts_change_nothing, gifts_of
from ccsight.checks.registry import NotApplicable, NotObserved, agreement, need_reading, need_vcpus
from ccsight.evidence.cases import Finding
from ccsight.evidence.model import Capture
from ccsight.evidence.views import LAUNCH, PINNED, Vantage, View
from ccsight.kvm.behaviour import NATIVE, observed
from ccsight.kvm.hosts import physical
from ccsight.kvm.modes import excuse_ids, excuse_value, has_mte

_Place = tuple[Vantage, str, int | None, int | None]


@agreement(
    "CR-013",
    "a VM shows the same in every mode of KVM, and with MTE or EL2 as without",
    "a VM that moves between hosts with and without pKVM sees other caches, or its state is refused",
)
def modes_show_the_same(one: Capture, other: Capture) -> Iterator[Finding]:
    """On each host by itself a VM that is given something, against the one that is given nothing.

    And of both hosts the plain VM, where they differ: every register at launch and CPU by CPU, from every
    vantage of a VM; and the lists of registers.
    """
    vcpus = need_vcpus(one, other)
    mode = _one_mode(one, other)
    hosts = {capture.cell: capture for capture in (one, other)}
    giving = [capture for capture in hosts.values() if gifts_of(capture)]
    if mode and not giving:
        raise NotApplicable(
            f"KVM runs in one mode on both, {mode}: the CPU has no other, or it was not asked; "
            "and it has neither MTE nor EL2 to give"
        )
    for capture in giving:
        yield from gifts_change_nothing(capture)
    if not mode:
        yield from _hosts_show_the_same(one, other, vcpus)


def _hosts_show_the_same(one: Capture, other: Capture, vcpus: tuple[int, ...]) -> Iterator[Finding]:
    _need_one_answer(one)
    before, after = _views(one), _views(other)
    if not before or before.keys() != after.keys():
        raise NotObserved(
            f"{one.cell.title} and {other.cell.title} were not looked at in the same places "
            f"({len(before)} and {len(after)} views that can be compared)"
        )
    for place, view in before.items():
        yield from _readings((one, view), (other, after[place]))
    for vcpu in vcpus:
        yield from _lists(one, other, vcpu)


def _one_mode(one: Capture, other: Capture) -> str:
    """Return the mode in which both kernels say they ran; "" where they, or the hosts' MTE, differ."""
    if has_mte(one) != has_mte(other):
        return ""
    modes = [capture.console.mode if capture.console else "" for capture in (one, other)]
    if one.cell == other.cell:
        return modes[0] or "its only one"
    if not all(modes):
        raise NotObserved(f"the consoles do not say in which modes KVM ran: {' and '.join(map(repr, modes))}")
    return modes[0] if len(set(modes)) == 1 else ""


def _need_one_answer(capture: Capture) -> None:
    """Raise where two boots of one machine need not show the same, whatever the mode."""
    if observed(capture) is NATIVE and len(physical(capture).own(None, "CLIDR_EL1")) > 1:
        raise NotApplicable(
            "the physical CPUs' CLIDR_EL1 differ, and such a kernel keeps that of whichever CPU KVM starts on"
        )


def _views(capture: Capture) -> dict[_Place, View]:
    """Return the views that two captures must have alike; a launch runs on any CPU, so on like ones only."""
    phases = (PINNED,) if physical(capture).differ(None, None) else (LAUNCH, PINNED)
    views = (view for view in capture.views if view.phase in phases)
    return {(view.vantage, view.phase, view.vcpu, view.cpu): view for view in views}


def _readings(one: tuple[Capture, View], other: tuple[Capture, View]) -> Iterator[Finding]:
    (first, before), (second, after) = one, other
    for name in dict.fromkeys([*before.readings, *after.readings]):
        told, seen = need_reading(before, name), need_reading(after, name)
        if told == seen:
            continue
        words = [reading.problem or f"{reading.value:#x}" for reading in (told, seen)]
        place = f"vCPU {before.vcpu}" if before.cpu is None else f"CPU {before.cpu}"
        yield Finding(
            subject=name,
            where=f"{before.vantage}, {before.phase}, {place}",
            said=f"{words[0]} on {first.cell.machine}, {words[1]} on {second.cell.machine}",
            before=words[0],
            after=words[1],
            known=excuse_value(name, (first, told.value), (second, seen.value)),
        )


def _lists(one: Capture, other: Capture, vcpu: int) -> Iterator[Finding]:
    for lister, lacking in ((one, other), (other, one)):
        more = _ids(lister, vcpu) - _ids(lacking, vcpu)
        if more:
            yield Finding(
                subject=f"{len(more)} register{'' if len(more) == 1 else 's'}",
                where=f"vCPU {vcpu}",
                said=f"{in_short(map(register_name, sorted(more)))}: listed on {lister.cell.machine}, "
                f"not on {lacking.cell.machine}",
                known=excuse_ids(more, lister, lacking),
            )


def _ids(capture: Capture, vcpu: int) -> frozenset[int]:
    return frozenset(kvm_id for found in capture.register_lists if found.vcpu == vcpu for kvm_id in found.ids)
