"""CR-016: what a Linux guest shows of its caches in sysfs, for each way in which a VMM tells it of them."""

from collections.abc import Iterator

from ccsight.checks.registry import NotObserved, law
from ccsight.evidence.cases import Finding
from ccsight.evidence.linux import CLIDR, OFF, LinuxCpu, LinuxGuest
from ccsight.evidence.model import Capture
from ccsight.kvm.behaviour import NATIVE, observed
from ccsight.kvm.linux_guests import described, fits, leaves_of, why_known

_REFUSED = "refused"
_RESET_CLIDR = (
    "as Linux v6.3 to v6.9 lose it on each vCPU that is turned on (Firecracker issue 6139); "
    "e016333745c7, v6.10, is the fix"
)
_TAKES_NO_OTHER = "a kernel that shows the physical CPU's CLIDR_EL1 takes no other (invariant_sys_regs[])"


@law(
    "CR-016",
    "a Linux guest keeps its cache directory on all CPUs, and it shows what CLIDR_EL1 lists",
    "a guest's programs find no caches, and its scheduler builds other domains than before",
    program="linux",
)
def linux_guests_keep_their_caches(capture: Capture) -> Iterator[Finding]:
    """Every guest's CPUs are all up, and each has in sysfs the caches that CLIDR_EL1 lists.

    Further out there may be what the device tree lists beyond CLIDR_EL1: Linux takes it for external caches.
    """
    if CLIDR not in {guest.device_tree for guest in capture.linux}:
        raise NotObserved("no Linux guest ran whose device tree is made of CLIDR_EL1 (asked for by --linux)")
    behaviour = observed(capture).name
    default = next(guest.clidr for guest in capture.linux if guest.device_tree == CLIDR)
    findings = [finding for guest in capture.linux for finding in _of_guest(guest, behaviour, default)]
    unfinished = [guest for guest in capture.linux if guest.end not in (OFF, _REFUSED)]
    if unfinished and all(finding.known for finding in findings):
        raise NotObserved("; ".join(map(_did_not_end, unfinished)))
    yield from findings


def _did_not_end(guest: LinuxGuest) -> str:
    last = f", its console's last words: {guest.console[-1]}" if guest.console else ""
    return f"the Linux guest (device tree: {guest.device_tree}) ended by {guest.end}{last}"


def _of_guest(guest: LinuxGuest, behaviour: str, default: int | None) -> Iterator[Finding]:
    where = f"device tree: {guest.device_tree}"
    if guest.refused:
        known = _TAKES_NO_OTHER if behaviour == NATIVE.name else ""
        said = f"KVM refuses {guest.override or 0:#x}, made of the host's sysfs ({guest.refused})"
        yield Finding(subject="CLIDR_EL1", where=where, said=said, known=known)
    if guest.end != OFF:
        return
    yield from _lost_overrides(guest, where, default)
    up = {cpu.index for cpu in guest.cpus}
    for vcpu in sorted(set(range(guest.vcpus)) - up):
        yield Finding(
            subject="/sys/devices/system/cpu", where=f"vCPU {vcpu}, {where}", said="it never came up"
        )
    for cpu in guest.cpus:
        said = _problem(guest, cpu)
        if said:
            yield Finding(
                subject="/sys/devices/system/cpu/cpu*/cache",
                where=f"vCPU {cpu.index}, {where}",
                said=said,
                known=why_known(behaviour, guest, cpu),
            )


def _lost_overrides(guest: LinuxGuest, where: str, default: int | None) -> Iterator[Finding]:
    for vcpu, value in enumerate(guest.clidr_end):
        if guest.override not in (None, value):
            said = f"{value:#x} after the guest ran, where the VMM wrote {guest.override:#x}"
            cause = f", {_RESET_CLIDR}" if value == default else ""
            yield Finding(subject="CLIDR_EL1", where=f"vCPU {vcpu}, {where}", said=said + cause)


def _problem(guest: LinuxGuest, cpu: LinuxCpu) -> str:
    """Say what is wrong with the caches that a vCPU shows, "" where nothing is."""
    if fits(guest, cpu):
        return ""
    sources = f"the device tree lists {_say(described(guest))}, CLIDR_EL1 {_say(leaves_of(guest.clidr or 0))}"
    if cpu.leaves is None:
        return f"missing: {sources}"
    return f"shows {_say(tuple(leaf.name for leaf in cpu.leaves))}, where {sources}"


def _say(names: tuple[str, ...]) -> str:
    """Return caches in words: ``3 caches (L1D, L1I, L2)``."""
    count = f"{len(names)} cache{'' if len(names) == 1 else 's'}"
    return f"{count} ({', '.join(names)})" if names else "none"
