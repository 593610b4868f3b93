"""CR-010: what a guest is told of lines and coherency fits together, also in a VM with less than the host."""

from collections.abc import Iterator

from ccsight.arm64.caches import Layout, effective_idc, geometry, listed, minimum_line
from ccsight.arm64.registers import CTR_EL0, ccsidr
from ccsight.checks.registry import NotObserved, law, need, need_value, need_vcpus
from ccsight.evidence.cases import Finding
from ccsight.evidence.model import Capture
from ccsight.evidence.views import FRESH, Vantage, View, Write
from ccsight.kvm.behaviour import observed
from ccsight.kvm.hosts import physical
from ccsight.kvm.known import Difference
from ccsight.kvm.written import PROGRAM

_CHECK = "CR-010"
_IDC = CTR_EL0.field("IDC")


@law(
    _CHECK,
    "cache lines and coherency promises fit together",
    "a guest cleans or invalidates with the wrong stride, or not at all, and runs stale code",
)
def lines_and_coherency_fit(capture: Capture) -> Iterator[Finding]:
    """No line is below CTR_EL0's minimum; the effective IDC is that of all vCPUs, and what the VMM wrote."""
    effective: dict[int, int] = {}
    for vcpu in need_vcpus(capture):
        guest = need(capture, Vantage.GUEST, vcpu)
        effective[vcpu] = effective_idc(need_value(guest, "CTR_EL0"), need_value(guest, "CLIDR_EL1"))
        yield from _short_lines(guest)
    if len(set(effective.values())) > 1:
        yield Finding(
            subject="CTR_EL0.IDC",
            where="guest",
            said=f"the IDC that a Linux guest acts upon differs between vCPUs: {effective}",
        )
    yield from _lowered(capture)


def _short_lines(guest: View) -> Iterator[Finding]:
    ctr, clidr = need_value(guest, "CTR_EL0"), need_value(guest, "CLIDR_EL1")
    layout = Layout.of(need_value(guest, "ID_AA64MMFR2_EL1"))
    for cache in listed(clidr):
        line = geometry(need_value(guest, ccsidr(cache.selector)), layout).line
        least = minimum_line(ctr, cache.side)
        if line < least:
            yield Finding(
                subject=cache.name,
                where=f"guest, vCPU {guest.vcpu}",
                said=f"lines of {line} B; CTR_EL0 promises {least} B or more",
            )


def _lowered(capture: Capture) -> Iterator[Finding]:
    """Yield where a guest acts upon another IDC than the VMM gave its VM (Linux 2843cae26644, v6.11)."""
    launch, behaviour, cpus = need(capture, Vantage.GUEST, 0), observed(capture), physical(capture)
    for write in _taken(capture):
        guest = View(
            vantage=Vantage.GUEST,
            vcpu=write.vcpu,
            program=write.program,
            phase=write.phase,
            readings=write.beside,
            cpu=write.cpu,
        )
        ctr, clidr = need_value(guest, "CTR_EL0"), need_value(guest, "CLIDR_EL1")
        wanted, acts = _IDC.extract(write.value), effective_idc(ctr, clidr)
        if acts != wanted:
            yield Finding(
                subject="CTR_EL0.IDC",
                where=f"guest, {write.phase}",
                said=f"the VMM wrote CTR_EL0 {write.value:#x}, IDC {wanted}; the guest reads {ctr:#x} and "
                f"CLIDR_EL1 {clidr:#x}, by which Linux acts as if IDC were {acts}",
                before=f"{wanted}",
                after=f"{acts}",
                known=behaviour.excuse(_CHECK, Difference("CTR_EL0", launch, guest, cpus, write)),
            )


def _taken(capture: Capture) -> list[Write]:
    """Return the writes of another CTR_EL0 that were taken before a guest ran. Raises NotObserved."""
    tried = [
        write
        for write in capture.writes
        if (write.program, write.phase, write.name) == (PROGRAM, FRESH, "CTR_EL0")
        if write.kvm_id is None
    ]
    if not tried:
        raise NotObserved(f"nobody wrote CTR_EL0 on {capture.cell.title}")
    watched = [write for write in tried if write.seen is not None and not write.problem]
    if any(not write.beside for write in watched):
        raise NotObserved("what a guest with another CTR_EL0 reads of CLIDR_EL1 was not noted")
    return watched
