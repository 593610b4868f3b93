"""CR-013: what VMs show does not depend on KVM's mode, nor on whether the host has MTE."""

from collections.abc import Iterator

from ccsight.arm64.kvm_ids import name as register_name
from ccsight.arm64.registers import in_short
from ccsight.checks.registry import NotApplicable, NotObserved, agreement, need_reading, need_vcpus
from ccsight.evidence.cases import Finding
from ccsight.evidence.model import LAUNCH, PINNED, Capture, Vantage, View
from ccsight.kvm.behaviour import NATIVE, observed
from ccsight.kvm.modes import excuse_ids, excuse_value, has_mte
from ccsight.kvm.physical import physical

_Place = tuple[Vantage, str, int | None, int | None]


@agreement(
    "CR-013",
    "a VM shows the same in every mode of KVM, and with MTE on the host as without",
    "a VM that moves between hosts with and without pKVM sees other caches, or its state is refused",
)
def modes_show_the_same(one: Capture, other: Capture) -> Iterator[Finding]:
    """Every register at launch and CPU by CPU, from every vantage of a VM; and the lists of registers."""
    vcpus = need_vcpus(one, other)
    _need_difference(one, other)
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


def _need_difference(one: Capture, other: Capture) -> None:
    """Raise unless the kernels themselves say that they ran in two modes, or that one host has MTE."""
    if has_mte(one) != has_mte(other):
        return
    modes = [capture.console.mode if capture.console else "" for capture in (one, other)]
    if not all(modes):
        raise NotObserved(f"the consoles do not say in which modes KVM ran: {' and '.join(map(repr, modes))}")
    if len(set(modes)) == 1:
        raise NotApplicable(
            f"KVM runs in one mode on both, {modes[0]}: the CPU has no other, or it was not asked"
        )


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
