"""CR-011 and CR-012: what EL0 and AArch32 see, and what comes of odd selectors, writes and loops."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ccsight.arm64 import kvm_ids
from ccsight.arm64.registers import ID_AA64MMFR2_EL1, SELECTORS, ccsidr
from ccsight.checks.registry import (
    NotApplicable,
    NotObserved,
    law,
    need,
    need_reading,
    need_value,
    need_vcpus,
)
from ccsight.evidence import guests
from ccsight.evidence.cases import Finding
from ccsight.evidence.guests import AARCH32_GUEST, SELECTORS_GUEST, SETWAY_GUEST
from ccsight.evidence.model import Capture
from ccsight.evidence.views import Reading, Vantage, View
from ccsight.kvm.behaviour import Behaviour, observed
from ccsight.kvm.hosts import physical
from ccsight.kvm.known import Difference
from ccsight.kvm.physical import Physical

_U32 = 0xFFFF_FFFF
#: What KVM_ARM_VCPU_INIT says where the CPUs, or the kernel, have no AArch32 at EL1.
_NO_AARCH32 = ("EINVAL", "ENOENT")
#: op0, op1, CRn, CRm, op2 of CCSIDR2_EL1.
_CCSIDR2 = (3, 1, 0, 0, 2)
_COMPARED = ("CTR_EL0", "CLIDR_EL1", *map(ccsidr, SELECTORS))
#: How an access ends that must not be let through: an exception, never a value.
_UNDEFINED = ("UNDEF",)
_REFUSED = ("UNDEF", "TRAPPED")  # with FEAT_IDST, reads of ID registers at EL0 say what they were


@dataclass(frozen=True)
class _Bench:
    """What the judgements of one capture share."""

    check: str
    capture: Capture
    behaviour: Behaviour
    cpus: Physical

    @classmethod
    def of(cls, check: str, capture: Capture) -> "_Bench":
        need_vcpus(capture)
        return cls(check, capture, observed(capture), physical(capture))

    def view(self, vantage: Vantage, guest: str) -> View:
        """Return what a guest saw. Raises NotObserved."""
        for view in self.capture.views:
            if (view.vantage, view.phase) == (vantage, guest):
                return view
        raise NotObserved(f"the guest {guest} did not run on {self.capture.cell.title} ({vantage})")

    def aarch32(self) -> View:
        """Return what AArch32 saw. Raises NotApplicable where there is none."""
        view = self.view(Vantage.GUEST_AARCH32, AARCH32_GUEST)
        problem = view.readings[guests.INIT].problem if guests.INIT in view.readings else ""
        if problem in _NO_AARCH32:
            raise NotApplicable(
                f"all else holds, but there is no AArch32 at EL1 here: {guests.INIT} says {problem}"
            )
        if problem:
            raise NotObserved(f"there is no vCPU in AArch32: {guests.INIT} says {problem}")
        return view

    def finding(self, name: str, one: View, other: View, said: str, before: str) -> Finding:
        """Return what is odd about a reading of ``other``, with the reason if it is known."""
        return Finding(
            subject=name,
            where=f"{other.vantage}, vCPU {other.vcpu}",
            said=said,
            before=before,
            after=_say(need_reading(other, name)),
            known=self.behaviour.excuse(self.check, Difference(name, one, other, self.cpus)),
        )


@law(
    "CR-011",
    "EL0's and AArch32's views agree with EL1's",
    "a program, or a 32-bit guest, is told of other caches than the kernel beside it",
)
def other_views_agree(capture: Capture) -> Iterator[Finding]:
    """CTR_EL0 and DCZID_EL0 at EL0, where EL1 gives leave; in AArch32 the low half of all that EL1 reads."""
    bench = _Bench.of("CR-011", capture)
    found = list(_el0(bench))
    try:
        el1, aarch32 = need(capture, Vantage.GUEST, 0), bench.aarch32()
        found += [each for name in _COMPARED for each in _unlike(bench, name, el1, aarch32)]
    except NotApplicable:
        if all(finding.known for finding in found):
            raise
    yield from found


def _el0(bench: _Bench) -> Iterator[Finding]:
    for vcpu in need_vcpus(bench.capture):
        el1, el0 = (need(bench.capture, vantage, vcpu) for vantage in (Vantage.GUEST, Vantage.GUEST_EL0))
        yield from _unlike(bench, "CTR_EL0", el1, el0)
    el1, el0 = (bench.view(vantage, SELECTORS_GUEST) for vantage in (Vantage.GUEST, Vantage.GUEST_EL0))
    yield from _unlike(bench, "DCZID_EL0", el1, el0)


def _unlike(bench: _Bench, name: str, el1: View, other: View) -> Iterator[Finding]:
    mask = _U32 if other.vantage is Vantage.GUEST_AARCH32 else -1
    here, there = need_reading(el1, name), need_reading(other, name)
    if here.problem == there.problem and _masked(here, mask) == _masked(there, mask):
        return
    said = f"EL1 reads {_say(here)}, {_level(other)} {_say(there)}"
    yield bench.finding(name, el1, other, said, _say(here))


def _masked(reading: Reading, mask: int) -> int | None:
    return None if reading.value is None else reading.value & mask


def _level(view: View) -> str:
    return "AArch32" if view.vantage is Vantage.GUEST_AARCH32 else "EL0"


@law(
    "CR-012",
    "CSSELR_EL1 comes back, and odd accesses end as the architecture and KVM promise",
    "a guest that asks for a cache that is not there dies, or is told of another one",
)
def odd_accesses_end_well(capture: Capture) -> Iterator[Finding]:
    """Every selector, read-only registers, registers that are not there, EL0 without leave, set/way loops."""
    bench = _Bench.of("CR-012", capture)
    el1, el0 = (bench.view(vantage, SELECTORS_GUEST) for vantage in (Vantage.GUEST, Vantage.GUEST_EL0))
    found = [*_selected(bench, el1, guests.WRITTEN), *_refused(bench, el1, el0), *_loops(bench)]
    found += _kept(capture)
    try:
        aarch32 = bench.aarch32()
        found += [*_selected(bench, aarch32, SELECTORS), *_ends_as(bench, aarch32, "CCSIDR2_EL1", _UNDEFINED)]
    except NotApplicable:
        pass  # AArch64's is what this law is about
    yield from found


def _selected(bench: _Bench, view: View, selectors: Iterable[int]) -> Iterator[Finding]:
    """Yield selectors that do not come back, and sizes that cannot be read.

    Without FEAT_MTE2, CSSELR_EL1.TnD is RES0: it may be kept, or read as 0.
    """
    for selector in selectors:
        name = guests.selected(selector)
        if need_reading(view, name).value not in (selector, selector & ~guests.TND):
            said = f"reads {_say(view.readings[name])} after {selector:#x} was written"
            yield bench.finding(name, view, view, said, f"{selector:#x}")
        yield from _ends_as(bench, view, ccsidr(selector))


def _refused(bench: _Bench, el1: View, el0: View) -> Iterator[Finding]:
    for register in guests.READ_ONLY:
        yield from _ends_as(bench, el1, guests.write_of(register), _UNDEFINED)
    yield from _ends_as(bench, el1, guests.CCSIDR2, _no_such_id_register(bench))
    yield from _ends_as(bench, el1, "DCZID_EL0")
    yield from _ends_as(bench, el0, "DCZID_EL0")
    yield from _ends_as(bench, el0, "CTR_EL0")
    yield from _ends_as(bench, el0, guests.UCT_0, ("TRAPPED",))
    for register in ("CLIDR_EL1", "CCSIDR_EL1"):
        yield from _ends_as(bench, el0, register, _REFUSED)


def _no_such_id_register(bench: _Bench) -> tuple[str, ...]:
    """Return how reading an ID register that is not there may end: with FEAT_IDST, it says what it was."""
    mmfr2 = need_value(need(bench.capture, Vantage.GUEST, 0), "ID_AA64MMFR2_EL1")
    return _REFUSED if ID_AA64MMFR2_EL1.field("IDS").extract(mmfr2) else _UNDEFINED


def _kept(capture: Capture) -> Iterator[Finding]:
    """Yield CCSIDR2_EL1 where KVM keeps one for a VM. It has none, whatever the CPU has (sys_reg_descs[]).

    Where the CPU lacks FEAT_CCIDX it makes the register undefined by itself, so that no guest could tell.
    """
    for register_list in capture.register_lists:
        if kvm_ids.of_encoding(_CCSIDR2) in register_list.ids:
            yield Finding(
                subject=guests.CCSIDR2,
                where=f"KVM_GET_REG_LIST, vCPU {register_list.vcpu}",
                said="is listed, though guests have no such register: VMMs carry it to hosts that refuse it",
            )


def _loops(bench: _Bench) -> Iterator[Finding]:
    """A loop that is too long for the guest is not held against KVM: the CPU's cache may be that large."""
    view = bench.view(Vantage.GUEST, SETWAY_GUEST)
    for name, reading in view.readings.items():
        if reading.problem != guests.TOO_LONG:
            yield from _ends_as(bench, view, name)


def _ends_as(bench: _Bench, view: View, name: str, problems: tuple[str, ...] = ("",)) -> Iterator[Finding]:
    """Yield an access that ends in none of these exceptions; "" is none at all."""
    reading = need_reading(view, name)
    if reading.problem not in problems:
        right = " or ".join(problem or "a value" for problem in problems)
        el1 = need(bench.capture, Vantage.GUEST, 0)
        yield bench.finding(name, el1, view, f"ends in {_say(reading)} instead of {right}", right)


def _say(reading: Reading) -> str:
    return reading.problem or f"{reading.value:#x}"
