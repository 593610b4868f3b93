"""The table of checks: an id, a title, the bug class it exists for, and a pure function.

A *law* yields findings about one capture; one that no known behaviour explains makes it FAIL. An
*agreement* is a law about two captures of one kernel, on machines that must not matter. A *trial* is a law
about the boots of a kernel that did not come up. A *comparison* returns an outcome word and findings about
two captures, and never fails by itself.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ccsight.arm64.suggest import nearest
from ccsight.errors import CcsightError, InfraError, UsageError
from ccsight.evidence.boots import Boots
from ccsight.evidence.cases import Case, Finding, PlannedCase, unjudged
from ccsight.evidence.model import Capture
from ccsight.evidence.views import Reading, Vantage, View
from ccsight.status import Status, summarise


class NotObserved(InfraError):
    """The evidence lacks what a check needs: MISS, never PASS."""


class NotApplicable(CcsightError):
    """There is nothing for a check to judge on such a machine, however well it was observed: SKIP."""

    status = Status.SKIP


LawFunction = Callable[[Capture], Iterator[Finding]]
AgreementFunction = Callable[[Capture, Capture], Iterator[Finding]]
TrialFunction = Callable[[Boots], Iterator[Finding]]
ComparisonFunction = Callable[[Capture, Capture], tuple[str, tuple[Finding, ...]]]


@dataclass(frozen=True)
class Law:
    """A check that must hold on any one kernel.

    ``program`` is the one without whose evidence it cannot be judged, where that runs only if asked for.
    """

    id: str
    title: str
    bug_class: str
    judge: LawFunction
    program: str = ""


@dataclass(frozen=True)
class Agreement:
    """A check that must hold between two machines with the same kernel."""

    id: str
    title: str
    bug_class: str
    judge: AgreementFunction


@dataclass(frozen=True)
class Trial:
    """A check that a kernel passes by coming up, and fails only with a control beside it."""

    id: str
    title: str
    bug_class: str
    judge: TrialFunction


@dataclass(frozen=True)
class Comparison:
    """A check that measures a difference between an old and a new kernel, or two machines.

    ``program`` is as that of a law.
    """

    id: str
    title: str
    bug_class: str
    judge: ComparisonFunction
    program: str = ""


LAWS: dict[str, Law] = {}
#: Laws about what a program observes that runs only when it is asked for.
LAWS_ON_REQUEST: dict[str, Law] = {}
AGREEMENTS: dict[str, Agreement] = {}
TRIALS: dict[str, Trial] = {}
#: What the new one of two kernels owes the guests of the old one; judged only where somebody asks for it.
RULES: dict[str, Agreement] = {}
COMPARISONS: dict[str, Comparison] = {}
#: Comparisons of a machine that VMs leave with another one, whatever the kernels; made only if asked for.
CROSSINGS: dict[str, Comparison] = {}


def law(check: str, title: str, bug_class: str, program: str = "") -> Callable[[LawFunction], LawFunction]:
    """Enter a law into the table."""

    def enter(function: LawFunction) -> LawFunction:
        table = LAWS_ON_REQUEST if program else LAWS
        table[check] = Law(check, title, bug_class, function, program)
        return function

    return enter


def agreement(check: str, title: str, bug_class: str) -> Callable[[AgreementFunction], AgreementFunction]:
    """Enter an agreement into the table."""

    def enter(function: AgreementFunction) -> AgreementFunction:
        AGREEMENTS[check] = Agreement(check, title, bug_class, function)
        return function

    return enter


def rule(check: str, title: str, bug_class: str) -> Callable[[AgreementFunction], AgreementFunction]:
    """Enter a rule into the table: of an old and a new kernel, as an agreement is of two machines."""

    def enter(function: AgreementFunction) -> AgreementFunction:
        RULES[check] = Agreement(check, title, bug_class, function)
        return function

    return enter


def trial(check: str, title: str, bug_class: str) -> Callable[[TrialFunction], TrialFunction]:
    """Enter a trial into the table."""

    def enter(function: TrialFunction) -> TrialFunction:
        TRIALS[check] = Trial(check, title, bug_class, function)
        return function

    return enter


def comparison(
    check: str, title: str, bug_class: str, program: str = ""
) -> Callable[[ComparisonFunction], ComparisonFunction]:
    """Enter a comparison into the table."""

    def enter(function: ComparisonFunction) -> ComparisonFunction:
        COMPARISONS[check] = Comparison(check, title, bug_class, function, program)
        return function

    return enter


def crossing(
    check: str, title: str, bug_class: str, program: str
) -> Callable[[ComparisonFunction], ComparisonFunction]:
    """Enter a comparison of two machines into the table."""

    def enter(function: ComparisonFunction) -> ComparisonFunction:
        CROSSINGS[check] = Comparison(check, title, bug_class, function, program)
        return function

    return enter


def named(check: str) -> Law | Agreement | Trial | Comparison:
    """Return a check by its id. Raises UsageError with the nearest one."""
    laws = LAWS | LAWS_ON_REQUEST
    agreements = AGREEMENTS | RULES
    comparisons = COMPARISONS | CROSSINGS
    found = laws.get(check) or agreements.get(check) or TRIALS.get(check) or comparisons.get(check)
    if found is None:
        known = [*laws, *agreements, *TRIALS, *comparisons]
        raise UsageError(
            f"there is no check {check!r}",
            evidence=nearest(check, known),
            next_step="ccsight explain CR-001 says what one judges; README has a table of all",
        )
    return found


def judge(planned: PlannedCase, captures: tuple[Capture, ...]) -> Case:
    """Return the case of a planned judgement, given the captures of its cells, in its order."""
    check = named(planned.check)
    try:
        if isinstance(check, Law):
            return _held(planned, tuple(check.judge(captures[0])))
        if isinstance(check, Agreement):
            return _held(planned, tuple(check.judge(captures[0], captures[1])))
        if isinstance(check, Trial):
            return _held(planned, ())  # there is a capture, so it came up and proved itself
        outcome, findings = check.judge(captures[0], captures[1])
    except NotObserved as error:
        return _missed(planned, captures, error.fact)
    except NotApplicable as error:
        return unjudged(planned, error.status, error.fact)
    return Case(
        check=planned.check, cells=planned.cells, status=Status.DONE, outcome=outcome, findings=findings
    )


def try_kernel(planned: PlannedCase, boots: Boots) -> Case:
    """Return the case of a planned trial of a kernel that did not come up."""
    try:
        return _held(planned, tuple(TRIALS[planned.check].judge(boots)))
    except NotObserved as error:
        return unjudged(planned, error.status, error.fact)


def _missed(planned: PlannedCase, captures: tuple[Capture, ...], fact: str) -> Case:
    """Return the case of a judgement that lacks evidence: the programs that failed say why."""
    failures = [failure for capture in captures for failure in capture.failures.items()]
    causes = "".join(f"; {program}: {failure.fact}" for program, failure in failures)
    status = summarise(failure.status for _, failure in failures)
    return unjudged(planned, status, fact + causes)


def _held(planned: PlannedCase, findings: tuple[Finding, ...]) -> Case:
    """Return a law's case: a finding that nothing explains is held against the kernel."""
    status = Status.PASS if all(finding.known for finding in findings) else Status.FAIL
    return Case(check=planned.check, cells=planned.cells, status=status, findings=findings)


def need(capture: Capture, vantage: Vantage, vcpu: int) -> View:
    """Return a view that a check cannot do without. Raises NotObserved."""
    view = capture.view(vantage, vcpu)
    if view is None:
        raise NotObserved(
            f"no {vantage} view of vCPU {vcpu} on {capture.cell.machine}, {capture.cell.kernel}"
        )
    return view


def need_value(view: View, name: str) -> int:
    """Return a register's value that a check cannot do without. Raises NotObserved."""
    value = view.value(name)
    if value is None:
        reading = view.readings.get(name)
        problem = reading.problem if reading else "never read"
        raise NotObserved(f"{name} ({view.vantage}, vCPU {view.vcpu}): {problem}")
    return value


def need_reading(view: View, name: str) -> Reading:
    """Return a reading, value or problem, that a check cannot do without. Raises NotObserved."""
    reading = view.readings.get(name)
    if reading is None:
        raise NotObserved(f"{name} ({view.vantage}, vCPU {view.vcpu}) was never read")
    return reading


def need_vcpus(*captures: Capture) -> tuple[int, ...]:
    """Return the vCPUs that captures cover. None at all, or different ones, is NotObserved."""
    vcpus = captures[0].vcpus()
    for capture in captures:
        listed = {register_list.vcpu for register_list in capture.register_lists}
        if not vcpus or capture.vcpus() != vcpus or listed != set(vcpus):
            raise NotObserved(
                f"{capture.cell.title}: views of vCPUs {capture.vcpus()}, lists of {sorted(listed)}; "
                f"both should be of {vcpus or 'some'}"
            )
    return vcpus
