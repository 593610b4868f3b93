"""The three rules: kept only with evidence, and each broken by what it is there for."""

from dataclasses import dataclass, field

import msgspec
import pytest

from ccsight.arm64.kvm_ids import of_reading
from ccsight.checks import rules
from ccsight.checks.registry import NotObserved
from ccsight.evidence.migrations import (
    ARRIVED,
    AS_LAUNCHED,
    KNOWN,
    NATIVE_CAP,
    SAVED,
    Left,
    Restored,
    Saved,
    Way,
)
from ccsight.evidence.record import Hex
from ccsight.evidence.views import Cell, Reading, Vantage, View
from ccsight.kvm.vmms import VMMS

OLD, NEW = (Cell(machine="emulated:neoverse-n1", kernel=f"deb:{series}") for series in ("6.1", "6.12"))
CLIDR, SIZE = "CLIDR_EL1", "CCSIDR_EL1[0]"
NATIVE, MADE_UP = {CLIDR: 0x82000023, SIZE: 0x701FE01A}, {CLIDR: 0x2000021, SIZE: 2}
IDS = (Hex(of_reading(CLIDR)), Hex(of_reading(SIZE)))


def views(phase: str, registers: dict[str, int]) -> tuple[View, ...]:
    """Return what the guest says on one vCPU; EL0 reads one register."""
    readings = {name: Reading(value=Hex(value)) for name, value in registers.items()}
    return tuple(
        View(vantage=vantage, vcpu=0, program="save", phase=phase, readings=readings)
        for vantage in (Vantage.GUEST, Vantage.GUEST_EL0)
    )


@dataclass
class Place:
    """What a kernel's capture has of VMs that move: the part of ``Capture`` that the rules look at."""

    cell: Cell
    shows: dict[str, dict[str, int]]  #: strategy -> registers
    restored: tuple[Restored, ...] = ()
    saved: tuple[Saved, ...] = field(init=False)

    def __post_init__(self):
        self.saved = tuple(
            Saved(
                strategy=strategy,
                file=f"{strategy}.state",
                sha256=self.sha256(strategy),
                size=1,
                cpu=0,
                ids=IDS,
                writes=(),
                views=views(SAVED, registers),
            )
            for strategy, registers in self.shows.items()
        )

    def sha256(self, strategy):
        return f"{strategy} of {self.cell.kernel}"

    def takes(self, source: "Place", strategy: str, refuses: tuple[str, ...] = (), shows=None, cpu=0):
        """Restore a state of a source, in every way; ``shows`` is what its guest then reads.

        Every VM was saved on CPU 0; another ``cpu`` is of another kind.
        """
        before = source.shows[strategy]
        left = tuple(
            Left(
                vcpu=0,
                kvm_id=Hex(of_reading(name)),
                saved=Reading(value=Hex(before[name])),
                problem="EINVAL",
            )
            for name in refuses
        )
        seen = views(KNOWN, before) + views(ARRIVED, shows or before)
        self.restored += tuple(
            Restored(
                source=source.cell,
                strategy=strategy,
                sha256=source.sha256(strategy),
                cpu=cpu,
                way=way,
                left=left,
                views=seen if way is Way.ALL else (),
                listed=len(IDS),
            )
            for way in Way
        )


def pair(**new: dict[str, int]) -> tuple[Place, Place]:
    """Return an old kernel, whose state the new one takes, and a new one with these strategies."""
    old, young = Place(OLD, {AS_LAUNCHED: NATIVE}), Place(NEW, new or {AS_LAUNCHED: NATIVE})
    young.takes(old, AS_LAUNCHED)
    return old, young


def said(rule, old: Place, new: Place) -> list[tuple[str, str, str]]:
    return [(finding.subject, finding.where, finding.said) for finding in rule(old, new)]


ALL = (rules.state_suffices, rules.previous_behaviour_can_be_selected, rules.both_ways_work)


@pytest.mark.parametrize("rule", ALL)
def test_kernels_between_which_nothing_changes_keep_it(rule):
    old, new = pair()
    old.takes(new, AS_LAUNCHED)
    assert said(rule, old, new) == []


@pytest.mark.parametrize("rule", ALL)
def test_without_evidence_it_is_not_kept(rule):
    old, new = pair()
    old.saved = ()
    with pytest.raises(NotObserved):
        said(rule, old, new)


def test_a_register_that_is_refused_breaks_the_first_rule():
    old, new = pair(**{AS_LAUNCHED: MADE_UP})
    old.takes(new, AS_LAUNCHED, refuses=(CLIDR,))
    assert said(rules.state_suffices, old, new) == [
        ("roll-back", AS_LAUNCHED, "refused: CLIDR_EL1 EINVAL"),
    ]


def test_a_size_of_which_the_state_has_half_breaks_the_first_rule():
    wide = NATIVE | {SIZE: 0xFF0000001A}
    old = Place(OLD, {AS_LAUNCHED: wide})
    new = Place(NEW, {AS_LAUNCHED: NATIVE})
    new.takes(old, AS_LAUNCHED, shows=wide | {SIZE: 0x1A})
    old.takes(new, AS_LAUNCHED)
    lossy = f"lossy: {SIZE} did not arrive as the guest had it"
    assert said(rules.state_suffices, old, new) == [("upgrade", AS_LAUNCHED, lossy)]


def test_a_size_that_the_other_kernel_shows_whole_breaks_nothing():
    old, new = (Place(cell, {AS_LAUNCHED: NATIVE | {SIZE: 0xFF0000001A}}) for cell in (OLD, NEW))
    new.takes(old, AS_LAUNCHED)
    old.takes(new, AS_LAUNCHED)
    assert [said(rule, old, new) for rule in ALL] == [[], [], []]


def test_where_it_was_saved_decides_and_not_what_another_kind_of_cpu_takes():
    old, new = pair()
    old.takes(new, AS_LAUNCHED, refuses=(CLIDR,))
    old.takes(new, AS_LAUNCHED, cpu=4)
    refused = "refused: CLIDR_EL1 EINVAL"
    assert said(rules.state_suffices, old, new) == [("roll-back", AS_LAUNCHED, refused)]
    assert ("Firecracker", AS_LAUNCHED, f"roll-back {refused}") in said(rules.both_ways_work, old, new)


def test_what_only_another_kind_of_cpu_refuses_breaks_nothing():
    old, new = pair()
    old.takes(new, AS_LAUNCHED)
    new.takes(old, AS_LAUNCHED, refuses=(CLIDR,), cpu=4)
    assert [said(rule, old, new) for rule in ALL] == [[], [], []]


def test_a_change_that_nobody_can_undo_breaks_the_second_rule():
    old, new = pair(**{AS_LAUNCHED: MADE_UP})
    found = said(rules.previous_behaviour_can_be_selected, old, new)
    assert "CLIDR_EL1.Ctype1" in {subject for subject, _, _ in found}
    assert {where for _, where, _ in found} == {AS_LAUNCHED}
    assert all(words.endswith("no strategy shows the old value") for _, _, words in found)


def test_a_strategy_that_shows_the_old_values_keeps_the_second_rule():
    old, new = pair(**{AS_LAUNCHED: MADE_UP, NATIVE_CAP: NATIVE})
    assert said(rules.previous_behaviour_can_be_selected, old, new) == []


def test_what_even_the_nearest_strategy_changes_is_told():
    old, new = pair(**{AS_LAUNCHED: MADE_UP, NATIVE_CAP: NATIVE | {SIZE: 0x701FE002}})
    assert said(rules.previous_behaviour_can_be_selected, old, new) == [
        (f"{SIZE}.Associativity", NATIVE_CAP, "3 → 0; no strategy shows the old value")
    ]


def test_one_strategy_that_goes_both_ways_keeps_the_third_rule():
    old, new = pair(**{AS_LAUNCHED: MADE_UP, NATIVE_CAP: NATIVE})
    old.takes(new, AS_LAUNCHED, refuses=(CLIDR,))
    old.takes(new, NATIVE_CAP)
    assert said(rules.both_ways_work, old, new) == []


def test_without_one_every_vmm_breaks_the_third_rule_and_says_why():
    old, new = pair(**{AS_LAUNCHED: MADE_UP, NATIVE_CAP: NATIVE})
    old.takes(new, AS_LAUNCHED, refuses=(CLIDR, SIZE))
    old.takes(new, NATIVE_CAP, refuses=(SIZE,))
    found = said(rules.both_ways_work, old, new)
    assert ("Firecracker", NATIVE_CAP, f"roll-back refused: {SIZE} EINVAL") in found
    assert {subject for subject, _, _ in found} == {vmm.name for vmm in VMMS} - {"a VMM that ignores errors"}


def test_a_strategy_that_does_not_go_up_breaks_the_third_rule_though_another_one_does():
    old, new = (Place(cell, {AS_LAUNCHED: NATIVE, NATIVE_CAP: NATIVE}) for cell in (OLD, NEW))
    new.takes(old, AS_LAUNCHED)
    new.takes(old, NATIVE_CAP, refuses=(CLIDR,))
    old.takes(new, AS_LAUNCHED, refuses=(CLIDR,))
    old.takes(new, NATIVE_CAP)
    found = said(rules.both_ways_work, old, new)
    assert ("Firecracker", NATIVE_CAP, "upgrade refused: CLIDR_EL1 EINVAL") in found


def test_what_lacks_is_named():
    old, new = pair()
    old.takes(new, AS_LAUNCHED)
    second = rules.previous_behaviour_can_be_selected
    (launched,) = old.saved
    old.saved = ()
    with pytest.raises(NotObserved, match=f"no VM was saved as-launched on {OLD.title}"):
        said(second, old, new)
    old.saved = (msgspec.structs.replace(launched, views=()),)
    with pytest.raises(NotObserved, match="the guest of the VM as-launched did not say what it reads"):
        said(second, old, new)
    old.saved = (msgspec.structs.replace(launched, views=launched.views[:1]),)
    with pytest.raises(NotObserved, match="did not say what they read on the same vCPUs"):
        said(second, old, new)
    capped, fresh = Place(OLD, {NATIVE_CAP: NATIVE}), Place(NEW, {AS_LAUNCHED: NATIVE})
    fresh.takes(capped, NATIVE_CAP)
    with pytest.raises(NotObserved, match="no VM was moved that was launched as-launched or as-launched"):
        said(rules.state_suffices, capped, fresh)


def test_only_what_guests_read_before_they_were_saved_counts_for_the_second_rule():
    old, new = pair()
    (launched,) = old.saved
    told = msgspec.structs.replace(launched.views[0], vantage=Vantage.USERSPACE)
    later = views(ARRIVED, MADE_UP)
    old.saved = (msgspec.structs.replace(launched, views=(*launched.views, told, *later)),)
    assert said(rules.previous_behaviour_can_be_selected, old, new) == []


def test_a_state_that_was_not_restored_breaks_nothing_and_keeps_nothing():
    old, new = pair(**{AS_LAUNCHED: NATIVE, NATIVE_CAP: NATIVE})
    old.takes(new, AS_LAUNCHED)
    with pytest.raises(NotObserved):
        said(rules.both_ways_work, old, new)
