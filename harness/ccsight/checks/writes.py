"""CR-005: what a VMM writes is seen by KVM_GET_ONE_REG and the guest, or is refused and changes nothing."""

from collections.abc import Iterator

from ccsight.arm64.registers import REGISTERS, base_name, in_short
from ccsight.checks.registry import NotObserved, law, need_vcpus
from ccsight.evidence.cases import Finding
from ccsight.evidence.model import Capture
from ccsight.evidence.views import Write
from ccsight.kvm.behaviour import observed
from ccsight.kvm.deviations import Deviation, deviations, size
from ccsight.kvm.written import Written, written


@law(
    "CR-005",
    "an accepted write is seen by KVM_GET_ONE_REG and by the guest; a refused one changes nothing",
    "a VMM restores a guest and believes what it is told, but the guest goes on with other caches",
)
def writes_do_what_they_say(capture: Capture) -> Iterator[Finding]:
    """Each write has the errno that the model knows, the effect it claims, and none on other registers."""
    need_vcpus(capture)
    host, behaviour = written(capture), observed(capture)
    if not host.writes:
        raise NotObserved(f"nothing was written on {capture.cell.title}: the capture has no such stage")
    found: dict[tuple[str, ...], list[Deviation]] = {}
    for write in host.writes:
        for deviation in deviations(behaviour, host, write):
            found.setdefault((base_name(write.name), deviation.way, deviation.known), []).append(deviation)
    for alike in found.values():
        yield _finding(host, alike)


def _finding(host: Written, alike: list[Deviation]) -> Finding:
    """Say what many writes show by the one that changes the fewest bits."""
    least = min(alike, key=lambda each: size(host, each.write))
    write, others = least.write, len(alike) - 1
    more = f"; so do {others} more writes" if others > 1 else "; so does one more write" if others else ""
    return Finding(
        subject=in_short(sorted({each.write.name for each in alike}, key=_order)),
        where=", ".join(sorted({each.write.phase for each in alike})),
        said=f"{least.way}: {_name(write)} = {write.value:#x} ({_changes(host, write)}), {_moment(write)}: "
        f"{least.was} instead of {least.right}{more}",
        before=least.right,
        after=least.was,
        known=least.known,
    )


def _order(name: str) -> tuple[str, int]:
    base, _, rest = name.partition("[")
    return base, int(rest[:-1] or 0)


def _name(write: Write) -> str:
    return write.name if write.kvm_id is None else f"{write.name} by the id {write.kvm_id:#x}"


def _changes(host: Written, write: Write) -> str:
    """Return in words what a value changes: ``IDC 1 → 0``."""
    told = host.told(write)
    if told is None:
        return "which has no value" if write.name != "CSSELR_EL1" else "whatever it had"
    register = REGISTERS[base_name(write.name)]
    changed = [field for field in register.fields if (told ^ write.value) & field.mask]
    words = [f"{field.name} {field.say(told)} → {field.say(write.value)}" for field in changed]
    stray = (told ^ write.value) & ~register.mask
    return ", ".join([*words, *([f"bits {stray:#x}"] if stray else [])]) or "as it was"


def _moment(write: Write) -> str:
    return f"{write.phase}, vCPU {write.vcpu}, CPU {write.cpu}"
