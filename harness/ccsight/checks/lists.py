"""CR-014: which registers a VMM must carry on either kernel."""

from ccsight.arm64.kvm_ids import name
from ccsight.arm64.registers import in_short
from ccsight.checks.registry import NotObserved, comparison
from ccsight.evidence.cases import Finding
from ccsight.evidence.model import Capture


@comparison(
    "CR-014",
    "KVM_GET_REG_LIST names the same registers on both kernels",
    "a VMM refuses a saved state because it holds a register that the destination does not have",
)
def register_lists(old: Capture, new: Capture) -> tuple[str, tuple[Finding, ...]]:
    """Outcome ``same``, ``grew``, ``shrank`` or ``changed``; whom that stops is in the findings."""
    before, after = _ids(old), _ids(new)
    added, lost = sorted(after - before), sorted(before - after)
    findings = []
    if added:
        findings.append(_finding("added", added, f"{new.cell.kernel} to {old.cell.kernel}"))
    if lost:
        findings.append(_finding("lost", lost, f"{old.cell.kernel} to {new.cell.kernel}"))
    outcome = {(False, False): "same", (True, False): "grew", (False, True): "shrank"}.get(
        (bool(added), bool(lost)), "changed"
    )
    return outcome, tuple(findings)


def _ids(capture: Capture) -> set[int]:
    if not capture.register_lists:
        raise NotObserved(f"no register list from {capture.cell.machine}, {capture.cell.kernel}")
    return {kvm_id for register_list in capture.register_lists for kvm_id in register_list.ids}


def _finding(verb: str, ids: list[int], direction: str) -> Finding:
    return Finding(
        subject=f"{len(ids)} registers {verb}",
        said=f"{in_short(map(name, ids))}; a VMM that restores every saved register, as QEMU does, "
        f"refuses to go from {direction}",
    )
