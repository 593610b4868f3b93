"""CR-016: what a Linux guest shows of its caches in sysfs, for each way in which a VMM tells it of them."""

from collections.abc import Iterator

from ccsight.arm64.registers import CLIDR_EL1, CTR_EL0
from ccsight.checks.registry import NotObserved, law
from ccsight.evidence.cases import Finding
from ccsight.evidence.linux import CLIDR, OFF, LinuxCpu, LinuxGuest
from ccsight.evidence.model import Capture
from ccsight.evidence.views import Vantage
from ccsight.kvm.behaviour import NATIVE, observed
from ccsight.kvm.linux_guests import described, fits, promised, why_known, why_promised
from ccsight.kvm.linux_leaves import leaves_of

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
    """Every guest's CPUs are all up, and each has in sysfs the caches that CLIDR_EL1 lists, and a domain.

    Further out there may be what the device tree lists beyond CLIDR_EL1: Linux takes it for external caches.
    """
    if CLIDR not in {guest.device_tree for guest in capture.linux}:
        raise NotObserved("no Linux guest ran whose device tree is made of CLIDR_EL1 (asked for by --linux)")
    behaviour = observed(capture).name
    default = next(guest.clidr for guest in capture.linux if guest.device_tree == CLIDR)
    host = frozenset(_clidrs(capture))
    findings = [
        finding
        for guest in capture.linux
        for finding in (
            *_refused(guest, behaviour),
            *_lost_overrides(guest, default),
            *_never_up(guest),
            *_odd_caches(guest, behaviour, host),
            *_no_domains(guest),
            *_odd_promises(guest),
        )
    ]
    unfinished = [guest for guest in capture.linux if guest.end not in (OFF, _REFUSED)]
    if unfinished and all(finding.known for finding in findings):
        raise NotObserved("; ".join(map(_did_not_end, unfinished)))
    yield from findings


def _did_not_end(guest: LinuxGuest) -> str:
    last = f", its last words: {guest.console[-1]}" if guest.console else ""
    return f"the Linux guest (device tree: {guest.device_tree}) ended by {guest.end}{last}"


def _where(guest: LinuxGuest, vcpu: int | None = None) -> str:
    return f"{'' if vcpu is None else f'vCPU {vcpu}, '}device tree: {guest.device_tree}"


def _clidrs(capture: Capture) -> Iterator[int]:
    """Yield each CLIDR_EL1 that a bare guest read, on whatever CPU."""
    for view in capture.views:
        value = view.value(CLIDR_EL1.name) if view.vantage is Vantage.GUEST else None
        if value is not None:
            yield value


def _refused(guest: LinuxGuest, behaviour: str) -> Iterator[Finding]:
    """A CTR_EL0 that KVM does not take, as none did before v6.11, is no guest's loss: CR-005 judges that."""
    if guest.refused and guest.override is not None:
        known = _TAKES_NO_OTHER if behaviour == NATIVE.name else ""
        said = f"KVM refuses {guest.override:#x}, made of the host's sysfs ({guest.refused})"
        yield Finding(subject=CLIDR_EL1.name, where=_where(guest), said=said, known=known)


def _never_up(guest: LinuxGuest) -> Iterator[Finding]:
    up = {cpu.index for cpu in guest.cpus}
    for vcpu in sorted(set(range(guest.vcpus)) - up) if guest.end == OFF else ():
        yield Finding(subject="/sys/devices/system/cpu", where=_where(guest, vcpu), said="it never came up")


def _odd_caches(guest: LinuxGuest, behaviour: str, host: frozenset[int]) -> Iterator[Finding]:
    for cpu in guest.cpus:
        said = _problem(guest, cpu)
        if said:
            yield Finding(
                subject="/sys/devices/system/cpu/cpu*/cache",
                where=_where(guest, cpu.index),
                said=said,
                known=why_known(behaviour, guest, cpu, host),
            )


def _no_domains(guest: LinuxGuest) -> Iterator[Finding]:
    """Each CPU has a scheduler domain with another one, where the kernel shows them: else it never gets load.

    Caches that differ from CPU to CPU make a topology that Linux refuses as a whole (build_sched_domains()).
    """
    for cpu in guest.cpus if guest.domains_told and len(guest.cpus) > 1 else ():
        if not cpu.domains:
            yield Finding(
                subject="/sys/kernel/debug/sched/domains",
                where=_where(guest, cpu.index),
                said="the scheduler has no domains: it moves no load to or from this CPU",
            )


def _odd_promises(guest: LinuxGuest) -> Iterator[Finding]:
    """A guest's kernel acts upon no promise that the CTR_EL0 which its VMM wrote does not make."""
    for name, acts in promised(guest).items():
        if guest.ctr is not None and acts > CTR_EL0.field(name).extract(guest.ctr):
            said = f"the guest's kernel found {name} = 1, where the VMM wrote {guest.ctr:#x}, {name} = 0"
            known = why_promised(guest, name)
            yield Finding(subject=f"{CTR_EL0.name}.{name}", where=_where(guest), said=said, known=known)


def _lost_overrides(guest: LinuxGuest, default: int | None) -> Iterator[Finding]:
    for vcpu, value in enumerate(guest.clidr_end if guest.end == OFF else ()):
        if guest.override not in (None, value):
            said = f"{value:#x} after the guest ran, where the VMM wrote {guest.override:#x}"
            cause = f", {_RESET_CLIDR}" if value == default else ""
            yield Finding(subject=CLIDR_EL1.name, where=_where(guest, vcpu), said=said + cause)


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
