"""What kernels are known to do with the cache registers, as rows; which one a kernel does is *observed*.

A *behaviour* is a way in which KVM shows the registers. What it is known to do differently from a
law is a row here, with the rule that the two values must then obey, never an exception in a check.
Versions are never compared: vendors backport.
"""

from collections.abc import Callable
from dataclasses import dataclass

from ccsight.arm64.caches import effective_idc, listed
from ccsight.arm64.kvm_ids import ccsidr_selector
from ccsight.arm64.registers import CTR_EL0, SELECTORS, base_name
from ccsight.evidence.model import Capture, Vantage, View

#: Given a reading's name and the userspace's and the guest's view: is this difference the known one?
Rule = Callable[[str, View, View], bool]


@dataclass(frozen=True)
class Known:
    """A known deviation from a law: of which check and register, what must hold then, and why."""

    check: str
    register: str
    holds: Rule
    why: str


@dataclass(frozen=True)
class Behaviour:
    """A way in which KVM shows the cache registers."""

    name: str
    says: str
    since: str
    source: str
    known: tuple[Known, ...] = ()

    @property
    def title(self) -> str:
        """What it does, and which kernels do it."""
        return f"{self.says} ({self.since})" if self.since else self.says

    def excuse(self, check: str, reading: str, userspace: View, guest: View) -> str:
        """Return why a difference between the two views is known, or "" when it is not."""
        for row in self.known:
            same = row.check == check and row.register == base_name(reading)
            if same and row.holds(reading, userspace, guest):
                return row.why
        return ""


def sanitised_ctr(ctr: int, clidr: int) -> int:
    """Return CTR_EL0 as the host's kernel keeps it on a machine whose CPUs are all alike.

    Linux arch/arm64/kernel/cpufeature.c: IDC is the effective one, and TminLine is not kept at all
    (ftr_ctr[] has no row for bits 37:32).
    """
    tag_line = CTR_EL0.field("TminLine")
    idc = CTR_EL0.field("IDC")
    return ctr & ~(0x3F << tag_line.lo) | effective_idc(ctr, clidr) << idc.lo


def _userspace_ctr_is_sanitised(reading: str, userspace: View, guest: View) -> bool:
    raw, clidr = guest.value(reading), guest.value("CLIDR_EL1")
    return raw is not None and clidr is not None and userspace.value(reading) == sanitised_ctr(raw, clidr)


def _untrapped_ctr_has_only_tags_more(reading: str, userspace: View, guest: View) -> bool:
    raw, kept = guest.value(reading), userspace.value(reading)
    return raw is not None and raw & ~(0x3F << CTR_EL0.field("TminLine").lo) == kept


def _ioctl_cuts_to_32_bits(reading: str, userspace: View, guest: View) -> bool:
    raw, carried = guest.value(reading), userspace.value(reading)
    return raw is not None and raw >> 32 != 0 and raw & 0xFFFF_FFFF == carried


def _unlisted_cache_has_no_id(reading: str, userspace: View, guest: View) -> bool:
    listed_readings = {f"CCSIDR_EL1[{cache.selector}]" for cache in listed(userspace.value("CLIDR_EL1") or 0)}
    return reading not in listed_readings and userspace.readings[reading].problem == "ENOENT"


NATIVE = Behaviour(
    name="native",
    says="shows guests the physical CPU's caches",
    since="as Linux did up to v6.2",
    source="Linux v6.2, arch/arm64/kvm/sys_regs.c",
    known=(
        Known(
            "CR-001",
            "CTR_EL0",
            _userspace_ctr_is_sanitised,
            "the guest reads the physical CPU's CTR_EL0 untrapped; userspace gets the host's sanitised one",
        ),
        Known(
            "CR-001",
            "CCSIDR_EL1",
            _ioctl_cuts_to_32_bits,
            "KVM_GET_ONE_REG carries 32 bits; with FEAT_CCIDX NumSets sits above them",
        ),
        Known(
            "CR-001",
            "CCSIDR_EL1",
            _unlisted_cache_has_no_id,
            "KVM has no register for a cache that CLIDR_EL1 does not list (is_valid_cache())",
        ),
    ),
)

NORMALISED = Behaviour(
    name="normalised",
    says="fabricates them",
    since="as Linux does since 7af0c2534f4c, v6.3",
    source='Linux 7af0c2534f4c ("KVM: arm64: Normalize cache configuration", in v6.3)',
    known=(
        Known(
            "CR-001",
            "CTR_EL0",
            _untrapped_ctr_has_only_tags_more,
            "with FEAT_EVT the guest reads CTR_EL0 untrapped (Linux c876c3f182a5, v6.5): TminLine shows",
        ),
    ),
)

#: No row fits. Nothing is known of it, so nothing is excused.
UNKNOWN = Behaviour(
    name="unknown", says="shows them in a way that ccsight does not know", since="", source=""
)


def observed(capture: Capture) -> Behaviour:
    """Return the behaviour that a capture shows, told by which CCSIDR_EL1 ids KVM lists.

    Native kernels list the caches that CLIDR_EL1 names; normalising ones list all fourteen selectors
    (Linux 7af0c2534f4c, write_demux_regids()).
    """
    views = [view for view in capture.launch if view.vantage is Vantage.USERSPACE]
    if not views or not capture.register_lists:
        return UNKNOWN
    clidr = views[0].value("CLIDR_EL1")
    selectors = {ccsidr_selector(kvm_id) for kvm_id in capture.register_lists[0].ids} - {None}
    if clidr is not None and selectors == {cache.selector for cache in listed(clidr)}:
        return NATIVE
    return NORMALISED if selectors == set(SELECTORS) else UNKNOWN
