"""CR-014: which registers a VMM must carry on either kernel."""

from ccsight.arm64.kvm_ids import name
from ccsight.arm64.registers import in_short
from ccsight.checks.registry import comparison, need_vcpus
from ccsight.evidence.cases import Finding
from ccsight.evidence.model import Capture


@comparison(
    "CR-014",
    "KVM_GET_REG_LIST names the same registers on both kernels",
    "a VMM refuses a saved state because it holds a register that the destination does not have",
)
def register_lists(old: Capture, new: Capture) -> tuple[str, tuple[Finding, ...]]:
    """Outcome ``same``, ``grew``, ``shrank`` or ``changed``; whom that stops is in the findings."""
    findings: list[Finding] = []
    verbs: set[str] = set()
    pairs = {vcpu: (_ids(old, vcpu), _ids(new, vcpu)) for vcpu in need_vcpus(old, new)}
    everywhere = len(set(pairs.values())) == 1
    for vcpu, (before, after) in pairs.items():
        where = "" if everywhere else f"vCPU {vcpu}"
        ways = (("added", after - before, new, old), ("lost", before - after, old, new))
        for verb, ids, source, destination in ways:
            if ids:
                verbs.add(verb)
                direction = f"{source.kernel.label} to {destination.kernel.label}"
                findings.append(_finding(verb, sorted(ids), direction, where))
        if everywhere:
            break
    outcome = {frozenset(): "same", frozenset({"added"}): "grew", frozenset({"lost"}): "shrank"}
    return outcome.get(frozenset(verbs), "changed"), tuple(findings)


def _ids(capture: Capture, vcpu: int) -> frozenset[int]:
    return frozenset(kvm_id for found in capture.register_lists if found.vcpu == vcpu for kvm_id in found.ids)


def _finding(verb: str, ids: list[int], direction: str, where: str) -> Finding:
    return Finding(
        subject=f"{len(ids)} register{'' if len(ids) == 1 else 's'} {verb}",
        where=where,
        said=f"{in_short(map(name, ids))}; a VMM that restores every saved register, as QEMU does, "
        f"refuses to go from {direction}",
    )
