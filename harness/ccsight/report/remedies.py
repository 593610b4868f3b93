"""What a reader can do about a roll-back that is refused: a line for each other way to launch guests."""

import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from ccsight.arm64.registers import in_short
from ccsight.checks.registry import NotObserved
from ccsight.checks.remedies import Remedy, remedies
from ccsight.evidence.cases import Case
from ccsight.evidence.migrations import NATIVE_CAP, PROFILED
from ccsight.evidence.plan import Plan
from ccsight.kvm.vmms import Outcome
from ccsight.report.migrations import ROLL_BACK
from ccsight.report.model import Result


@dataclass(frozen=True)
class Advice:
    """A way back: between which kernels, the command to begin with ("" if none), and what it does."""

    source: str
    destination: str
    command: str
    said: str
    remedy: Remedy


def advice(result: Result, machine: str) -> tuple[Advice, ...]:
    """Return what each roll-back on a machine that is refused could be mended by; what was measured only."""
    return tuple(
        each
        for case in result.cases_of(machine)
        if case.check == ROLL_BACK
        for each in _of(result, case, machine)
    )


def _of(result: Result, case: Case, machine: str) -> Iterator[Advice]:
    old, new = (result.captures.get(cell) for cell in case.cells)
    if old is None or new is None:
        return
    source, destination = (result.plan.label(capture.cell.kernel) for capture in (new, old))
    try:
        for remedy in remedies(new, old):
            command, first = _begin(result.plan, machine, remedy)
            said = f"{first}: {_rest(remedy, destination)}"
            yield Advice(source, destination, command, said, remedy)
    except NotObserved:
        return  # the case says so itself


def _begin(plan: Plan, machine: str, remedy: Remedy) -> tuple[str, str]:
    """Return the command that a strategy begins with, and what to do then."""
    if remedy.strategy == NATIVE_CAP:
        return "", f"launch guests with KVM's capability {plan.depth.native_cap}"
    if remedy.strategy != PROFILED or plan.depth.profile or not remedy.mended:
        return "", "launch guests with the old values"
    words = ["ccsight", "profile", "capture", plan.kernels[0].spec, "--on", machine]
    if "--silicon" in plan.argv[:-1]:
        words += ["--silicon", plan.argv[plan.argv.index("--silicon") + 1]]
    return shlex.join(words), "launch guests with it"


def _rest(remedy: Remedy, destination: str) -> str:
    """Say what becomes of the VM then: who takes it, what is in the way, what its guest notices."""
    in_the_way = [f"{in_short(names)} ({errno})" for errno, names in remedy.refused.items()]
    if remedy.unknown:
        many = f"{len(remedy.unknown)} registers" if len(remedy.unknown) > 1 else "a register"
        in_the_way.append(f"{many} that {destination} does not list")
    if remedy.worst == Outcome.TRANSPARENT:
        return "then every VMM takes them back, and the guest notices nothing"
    if remedy.worst != Outcome.REFUSED:
        notices = in_short(remedy.noticed) or "nothing"
        return f"then every VMM takes them back, {remedy.worst}: the guest notices {notices}"
    blocked = f"{' and '.join(in_the_way)} {'stand' if _many(remedy) else 'stands'} in the way"
    parts = [f"then only {blocked}" if remedy.mended else f"mends nothing: {blocked}"]
    takes = [f"{vmm} ({outcome})" for vmm, outcome in remedy.takes.items()]
    parts += [f"they go back with {' and '.join(takes)}"] if takes else []
    parts += [f"the guest would notice {in_short(remedy.noticed)}"] if remedy.noticed else []
    return "; ".join(parts)


def _many(remedy: Remedy) -> bool:
    return sum(map(len, remedy.refused.values())) + len(remedy.unknown) > 1
