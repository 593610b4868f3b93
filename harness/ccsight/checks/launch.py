"""CR-009 and CR-015: what a fresh launch shows on an old and on a new kernel, field by field."""

from collections.abc import Iterator

from ccsight.arm64.caches import Layout
from ccsight.arm64.registers import SELECTORS, ccsidr, in_short
from ccsight.checks.fields import differences
from ccsight.checks.registry import comparison, need, need_reading, need_value, need_vcpus
from ccsight.evidence.cases import Finding
from ccsight.evidence.model import Capture
from ccsight.evidence.views import Vantage
from ccsight.kvm.meaning import sentences

_VANTAGES = (Vantage.GUEST, Vantage.GUEST_EL0, Vantage.USERSPACE)


@comparison(
    "CR-009",
    "a fresh launch shows the same on both kernels",
    "guests that were tuned, licensed or migrated by what they saw see something else",
)
def fresh_launch(old: Capture, new: Capture) -> tuple[str, tuple[Finding, ...]]:
    """Outcome ``same`` or ``differs``: every field of every register, from every vantage, on every vCPU."""
    vcpus = need_vcpus(old, new)
    findings = list(_meaning(old, new))
    for vantage in _VANTAGES:
        by_vcpu = {
            vcpu: tuple(differences(need(old, vantage, vcpu), need(new, vantage, vcpu))) for vcpu in vcpus
        }
        findings += _together(vantage, by_vcpu)
    return ("differs" if findings else "same"), tuple(findings)


def _meaning(old: Capture, new: Capture) -> Iterator[Finding]:
    first = need_vcpus(old)[0]
    views = need(old, Vantage.GUEST, first), need(new, Vantage.GUEST, first)
    for said in sentences(*views):
        yield Finding(subject="guest", said=said)


def _together(vantage: Vantage, by_vcpu: dict[int, tuple[Finding, ...]]) -> Iterator[Finding]:
    """Say once what all vCPUs say; else name the vCPU."""
    everywhere = len(set(by_vcpu.values())) == 1
    for vcpu, findings in by_vcpu.items():
        where = f"{vantage}, all vCPUs" if everywhere else f"{vantage}, vCPU {vcpu}"
        for finding in findings:
            yield Finding(
                subject=finding.subject,
                said=finding.said,
                where=where,
                before=finding.before,
                after=finding.after,
            )
        if everywhere:
            return


@comparison(
    "CR-015",
    "ID_AA64MMFR2_EL1.CCIDX agrees with the CCSIDR_EL1 layout on both kernels",
    "a guest reads sets and ways from the wrong bits; a saved CCIDX = 1 is refused",
)
def ccidx_and_layout(old: Capture, new: Capture) -> tuple[str, tuple[Finding, ...]]:
    """Outcome ``same``, ``changes`` (CCIDX differs) or ``contradicts`` (the values use the other layout)."""
    findings: list[Finding] = []
    bits: list[int] = []
    need_vcpus(old, new)
    for capture in (old, new):
        announced = {_layout_of_guest(capture, vcpu) for vcpu in need_vcpus(capture)}
        bits.append(int(Layout.CCIDX in announced))
        findings += [found for vcpu in need_vcpus(capture) for found in _contradictions(capture, vcpu)]
    if findings:
        return "contradicts", tuple(findings)
    if bits[0] == bits[1]:
        return "same", ()
    said = (
        f"{bits[0]} → {bits[1]}: a VMM that carries the register to the other kernel is refused (EINVAL), "
        "or the guest misreads CCSIDR_EL1"
    )
    subject = "ID_AA64MMFR2_EL1.CCIDX"
    return "changes", (Finding(subject=subject, said=said, before=str(bits[0]), after=str(bits[1])),)


def _layout_of_guest(capture: Capture, vcpu: int) -> Layout:
    return Layout.of(need_value(need(capture, Vantage.GUEST, vcpu), "ID_AA64MMFR2_EL1"))


def _contradictions(capture: Capture, vcpu: int) -> Iterator[Finding]:
    """Yield the sizes that use the other layout than the one announced."""
    guest = need(capture, Vantage.GUEST, vcpu)
    wide = [name for name in map(ccsidr, SELECTORS) if (need_reading(guest, name).value or 0) >> 32]
    if wide and _layout_of_guest(capture, vcpu) is Layout.NARROW:
        yield Finding(
            subject="ID_AA64MMFR2_EL1.CCIDX",
            where=f"{capture.kernel.label}, vCPU {vcpu}",
            said=f"reads 0, but {in_short(wide)} use bits above 31",
        )
