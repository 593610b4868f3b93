"""Which kernels have the capability that loads a CPU's own caches, in sentences; where a run asked."""

from collections.abc import Iterator

from ccsight.evidence.migrations import NATIVE_CAP, Given
from ccsight.report.model import Result


def capability(result: Result, machine: str) -> tuple[str, ...]:
    """Return what each kernel said on a machine when a VMM asked for it: one that lacks it is no fault."""
    return tuple(
        f"{kernel.label} {_said(saved.given)}"
        for kernel in result.plan.kernels
        for capture in [result.capture(machine, kernel.spec)]
        if capture
        for saved in capture.saved
        if saved.strategy == NATIVE_CAP and saved.given
    )


def _said(given: tuple[Given, ...]) -> str:
    number = given[0].number
    taken = [each for each in given if not each.problem]
    if not taken:
        errnos = ", ".join(dict.fromkeys(each.problem for each in given))
        return (
            f"has no capability {number} ({errnos}): its VMs with native caches are launched like any other"
        )
    return f"has capability {number}: {', '.join(dict.fromkeys(_whose(taken)))}"


def _whose(taken: list[Given]) -> Iterator[str]:
    for each in taken:
        yield "of the VM" if each.vcpu is None else "of each vCPU"
