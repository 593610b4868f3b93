"""What the cases of a result say, gathered for readers: by machine, by reason, in words."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from msgspec.structs import replace

from ccsight.arm64.registers import in_short
from ccsight.checks import AGREEMENTS, CROSSINGS, RULES, named
from ccsight.errors import UsageError
from ccsight.evidence.cases import Case, Finding
from ccsight.evidence.model import Capture
from ccsight.evidence.plan import Plan, PlannedKernel
from ccsight.evidence.views import Cell
from ccsight.kvm.behaviour import Behaviour, observed
from ccsight.report import migrations
from ccsight.report.migrations import ACROSS, ROLL_BACK, UPGRADE
from ccsight.report.model import Result
from ccsight.status import Status

#: What a comparison is about, in a word, in the order in which readers ask; others go by their id.
SUBJECTS = {
    "CR-009": "launch",
    UPGRADE: "upgrade",
    ROLL_BACK: "roll-back",
    "CR-014": "saved state",
    "CR-015": "CCIDX",
    ACROSS: "across",
}
#: Outcome words that ask for nothing.
QUIET = frozenset({"same", "transparent"})


@dataclass(frozen=True)
class Known:
    """A known deviation from a law: which cell shows it, of which registers, and why it is known."""

    check: str
    cell: Cell
    subjects: tuple[str, ...]
    why: str


def title(check: str) -> str:
    """Return a check's title; "" for one that this version does not have any more."""
    try:
        return named(check).title
    except UsageError:
        return ""


def bug_class(check: str) -> str:
    """Return what the check exists for; "" for one that this version does not have any more."""
    try:
        return named(check).bug_class
    except UsageError:
        return ""


def where(result: Result, case: Case) -> str:
    """Return a case's machine and kernels: ``emulated:max, deb:6.1 → deb:6.12``."""
    cells = [result.cell(cell) for cell in case.cells]
    if case.check in CROSSINGS:
        return " → ".join(f"{cell.machine}, {cell.kernel}" for cell in cells)
    machines = dict.fromkeys(cell.machine for cell in cells)
    kernels = dict.fromkeys(cell.kernel for cell in cells)
    return f"{' and '.join(machines)}, {' → '.join(kernels)}"


def test_name(result: Result, case: Case) -> str:
    """Return what a case is called where it is one test of a machine: ``CR-001 the guest … [deb:6.12]``."""
    cells = [result.cell(cell) for cell in case.cells]
    kernels = " → ".join(dict.fromkeys(cell.kernel for cell in cells))
    if case.check in CROSSINGS:
        kernels = f"{cells[0].title} → {cells[1].kernel}"
    elif cells[0].machine != cells[-1].machine:
        kernels += f", as on {cells[0].machine}"
    return f"{case.check} {title(case.check)} [{kernels}]"


def headline(case: Case) -> str:
    """Return why a case ended as it did, in short: the reason, or the first of what is held against it."""
    held = unexplained(case)
    more = f" (and {len(held) - 1} more)" if len(held) > 1 else ""
    return case.reason or (f"{held[0].subject}: {held[0].said}{more}" if held else case.status)


def in_order(cases: Iterable[Case]) -> list[Case]:
    """Return comparisons in the order in which readers ask for them."""
    order = list(SUBJECTS)
    return sorted(cases, key=lambda case: order.index(case.check) if case.check in order else len(order))


def measures(case: Case) -> bool:
    """Tell whether a case is a comparison's, which is shown with its outcome; also one that is no more."""
    return len(case.cells) > 1 and case.check not in AGREEMENTS | RULES


def compares_kernels(case: Case) -> bool:
    """Tell whether a case is a comparison of one machine's kernels: one of machines has its own place."""
    return measures(case) and case.check not in CROSSINGS


def meaning(case: Case) -> tuple[str, ...]:
    """Return what a comparison found, in sentences."""
    if case.status is not Status.DONE:
        return (case.reason or "nothing was observed",)
    if case.check in (UPGRADE, ROLL_BACK, ACROSS):
        return migrations.sentences(case.findings)
    if case.check == "CR-009":
        said = tuple(finding.said for finding in case.findings if finding.subject == "guest")
        fields = sum(finding.subject != "guest" for finding in case.findings)
        if said or not fields:
            return said or ("a fresh guest sees the same",)
        return (
            f"{fields} field{'s' if fields > 1 else ''} differ; none changes the caches that a guest finds",
        )
    return tuple(_sentence(finding) for finding in case.findings) or ("no difference",)


def _sentence(finding: Finding) -> str:
    """Return a finding in a sentence; one that carries both values says itself what it is about."""
    said = finding.said if finding.before else f"{finding.subject}: {finding.said}"
    return f"{said} ({finding.where})" if finding.where else said


def finding_line(finding: Finding) -> str:
    """Return a finding on one line: of what, what it says, and where."""
    return f"{finding.subject}: {finding.said}" + (f" ({finding.where})" if finding.where else "")


def failing(result: Result) -> tuple[Case, ...]:
    """Return the cases that a kernel failed."""
    return tuple(case for case in result.cases if case.status is Status.FAIL)


def unexplained(case: Case) -> tuple[Finding, ...]:
    """Return a law's findings that no known behaviour explains."""
    return tuple(finding for finding in case.findings if not finding.known)


def gathered(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return the findings that say the same as one: first of one subject in many places, then of many.

    What they say is what counts: values that it does not name are left out.
    """
    places: dict[Finding, dict[str, None]] = {}
    for finding in findings:
        places.setdefault(replace(finding, where="", before="", after=""), {})[finding.where] = None
    subjects: dict[Finding, list[str]] = {}
    for finding, found in places.items():
        key = replace(finding, subject="", where=", ".join(filter(None, found)))
        subjects.setdefault(key, []).append(finding.subject)
    return tuple(replace(finding, subject=in_short(names)) for finding, names in subjects.items())


def known(result: Result, machine: str = "") -> tuple[Known, ...]:
    """Return the known deviations, of one machine or of all: one row for each reason and place."""
    subjects: dict[tuple[str, str, str], dict[str, None]] = {}
    for case in result.cases_of(machine) if machine else result.cases:
        for finding in case.findings:
            if finding.known:
                key = (case.check, finding.known, case.cells[0])
                subjects.setdefault(key, {})[finding.subject] = None
    return tuple(
        Known(check, result.cell(cell), tuple(names), why) for (check, why, cell), names in subjects.items()
    )


def behaviours(result: Result, kernel: PlannedKernel) -> tuple[Behaviour, ...]:
    """Return the behaviours that were observed of a kernel, over all machines; mostly one."""
    found = (observed(capture) for capture in captures(result, kernel))
    return tuple({behaviour.name: behaviour for behaviour in found}.values())


def captures(result: Result, kernel: PlannedKernel) -> Iterator[Capture]:
    """Yield a kernel's captures, machine by machine."""
    for machine in result.plan.machines:
        capture = result.capture(machine, kernel.spec)
        if capture:
            yield capture


def version(kernel: PlannedKernel) -> str:
    """Return a kernel's release and, where a package brought it, the package's version."""
    versions = list(dict.fromkeys(package.version for package in kernel.packages))
    return f"{kernel.release} ({versions[0]})" if versions else kernel.release


@dataclass(frozen=True)
class Counts:
    """How the planned cases ended."""

    passed: int
    failed: int
    missing: int
    skipped: int
    done: int

    @classmethod
    def of(cls, cases: tuple[Case, ...]) -> "Counts":
        """Count cases: ``missing`` are laws and comparisons for which nothing was observed."""
        statuses = [case.status for case in cases]
        return cls(
            passed=statuses.count(Status.PASS),
            failed=statuses.count(Status.FAIL),
            missing=statuses.count(Status.MISS) + statuses.count(Status.ERROR),
            skipped=statuses.count(Status.SKIP),
            done=statuses.count(Status.DONE),
        )


def same_code(plan: Plan) -> bool:
    """Tell whether kernels that were built here run the same code, whatever their sources and build-ids."""
    codes = {kernel.build.code_sha256 if kernel.build else "" for kernel in plan.kernels}
    return len({kernel.spec for kernel in plan.kernels}) > 1 and len(codes) == 1 and codes != {""}
