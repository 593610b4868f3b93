"""What the HTML templates are given: a result, arranged machine by machine. No markup here."""

from collections.abc import Iterator
from dataclasses import dataclass

from ccsight.evidence.cases import Case
from ccsight.evidence.failure import Failure
from ccsight.evidence.model import Capture
from ccsight.evidence.plan import PlannedKernel
from ccsight.evidence.views import Cell, Vantage, View, slug
from ccsight.kvm.behaviour import Behaviour, observed
from ccsight.kvm.meaning import describe
from ccsight.report import cpus
from ccsight.report.capability import capability
from ccsight.report.drawing import Drawing, draw
from ccsight.report.linux import LinuxRow, linux_rows
from ccsight.report.migrations import ACROSS, Journey, arrivals, journeys
from ccsight.report.model import Result
from ccsight.report.remedies import Advice, advice
from ccsight.report.rows import Row, Shown, machine_rows
from ccsight.report.seen import SAYS, Seen, seen
from ccsight.report.sight import DECLARED
from ccsight.report.wording import (
    QUIET,
    SUBJECTS,
    behaviours,
    bug_class,
    compares_kernels,
    meaning,
    measures,
    title,
    version,
    where,
)
from ccsight.status import Status


@dataclass(frozen=True)
class Judged:
    """A case with its words. ``tone`` is ``good``, ``bad``, ``caution`` or ``dim``."""

    case: Case
    title: str
    bug_class: str
    where: str
    subject: str
    word: str
    tone: str
    sentences: tuple[str, ...]


@dataclass(frozen=True)
class Observed:
    """One capture: who said it, what it looks like, and every register."""

    age: str
    capture: Capture
    behaviour: Behaviour
    drawing: Drawing | None
    seen: tuple[Seen, ...]
    linux: tuple[LinuxRow, ...]


@dataclass(frozen=True)
class ByCpu:
    """What every source says of a group of physical CPUs under one kernel: a column each."""

    age: str
    kernel: str
    group: str
    sources: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Shown, ...]], ...]
    carried: str
    declared: str


@dataclass(frozen=True)
class Kernel:
    """One of the kernels, with what it was observed to do."""

    age: str
    planned: PlannedKernel
    version: str
    behaviours: tuple[Behaviour, ...]


@dataclass(frozen=True)
class Machine:
    """All of one machine's part of the page."""

    name: str
    anchor: str
    caches: tuple[str, ...]
    observed: tuple[Observed, ...]
    lost: tuple[tuple[Cell, Failure], ...]
    incomplete: tuple[tuple[Cell, str, Failure], ...]
    rows: tuple[Row, ...]
    by_cpu: tuple[ByCpu, ...]
    cpu_sentences: tuple[str, ...]
    journeys: tuple[Journey, ...]
    capability: tuple[str, ...]
    remedies: tuple[Advice, ...]
    laws: tuple[Judged, ...]
    comparisons: tuple[Judged, ...]


@dataclass(frozen=True)
class Crossings:
    """The ways between machines: what becomes of VMs on each, and the judgements."""

    journeys: tuple[Journey, ...]
    cases: tuple[Judged, ...]


#: What a column of :class:`ByCpu` is headed by, where it is no vantage.
_DECLARED = "declared, observed by nobody"
_TONES = {
    Status.FAIL: "bad",
    Status.ERROR: "bad",
    Status.MISS: "bad",
    Status.PASS: "good",
    Status.SKIP: "dim",
}


def kernels(result: Result) -> tuple[Kernel, ...]:
    """Return the run's kernels, the old one first."""
    return tuple(
        Kernel(_age(result, kernel.spec), kernel, version(kernel), behaviours(result, kernel))
        for kernel in result.plan.kernels
    )


def machines(result: Result) -> tuple[Machine, ...]:
    """Return the run's machines, in the plan's order."""
    return tuple(_machine(result, machine) for machine in result.plan.machines)


def crossings(result: Result) -> Crossings | None:
    """Return what becomes of VMs that go from machine to machine; None where none do."""
    cases = tuple(judged(result, case) for case in result.cases if case.check == ACROSS)
    return Crossings(arrivals(result), cases) if cases else None


def judged(result: Result, case: Case) -> Judged:
    """Return a case with its words."""
    word = case.outcome or case.status
    quiet = case.outcome in QUIET
    tone = _TONES.get(case.status, "good" if quiet else "caution")
    said = meaning(case) if measures(case) else (case.reason,) if case.reason else ()
    return Judged(
        case=case,
        title=title(case.check),
        bug_class=bug_class(case.check),
        where=where(result, case),
        subject=SUBJECTS.get(case.check, case.check),
        word=word,
        tone=tone,
        sentences=said,
    )


def _age(result: Result, kernel: str) -> str:
    specs = [planned.spec for planned in result.plan.kernels]
    return ("old", "new")[specs.index(kernel)] if len(specs) == 2 else ""


def _machine(result: Result, machine: str) -> Machine:
    pairs = [(kernel, result.capture(machine, kernel.spec)) for kernel in result.plan.kernels]
    captures = [capture for _, capture in pairs if capture]
    cases = [judged(result, case) for case in result.cases_of(machine)]
    return Machine(
        name=machine,
        anchor=f"machine-{slug(machine)}",
        caches=tuple(_caches(capture) for _, capture in pairs),
        observed=tuple(_observed(_age(result, kernel.spec), capture) for kernel, capture in pairs if capture),
        lost=result.unobserved(machine),
        incomplete=result.incomplete(machine),
        rows=machine_rows(captures) if captures else (),
        by_cpu=tuple(_by_cpu(result, captures)),
        cpu_sentences=_cpu_sentences(result, captures),
        journeys=journeys(result, machine),
        capability=capability(result, machine),
        remedies=advice(result, machine),
        laws=tuple(case for case in cases if not measures(case.case)),
        comparisons=tuple(case for case in cases if compares_kernels(case.case)),
    )


def _by_cpu(result: Result, captures: list[Capture]) -> Iterator[ByCpu]:
    """Yield a table for each kernel and group of CPUs; nothing where nobody looked CPU by CPU."""
    for capture in captures:
        for group in cpus.groups(captures):
            found = cpus.columns(capture, group.first)
            if found:
                declared = [row for row in capture.machine.declared if row.cpu == group.first]
                yield ByCpu(
                    age=_age(result, capture.cell.kernel),
                    kernel=capture.cell.kernel,
                    group=group.label,
                    sources=tuple(_heading(column.source) for column in found),
                    rows=tuple(
                        (name, tuple(column.say(name) for column in found)) for name in cpus.names(found)
                    ),
                    carried=cpus.refused(capture, group),
                    declared=f"{declared[0].values}, from: {declared[0].source}" if declared else "",
                )


def _heading(source: str) -> str:
    return _DECLARED if source == DECLARED else SAYS[Vantage(source)]


def _cpu_sentences(result: Result, captures: list[Capture]) -> tuple[str, ...]:
    """Return what a VM notices that leaves a CPU for one of another kind; nothing where all are alike."""
    groups = cpus.groups(captures)
    named = [(_age(result, capture.cell.kernel) or capture.kernel.label, capture) for capture in captures]
    return tuple(cpus.sentences(named, groups)) if len(groups) > 1 else ()


def _guest(capture: Capture) -> View | None:
    vcpus = capture.vcpus()
    return capture.view(Vantage.GUEST, vcpus[0]) if vcpus else None


def _caches(capture: Capture | None) -> str:
    if capture is None:
        return "not observed"
    view = _guest(capture)
    return describe(view) if view else "no guest looked"


def _observed(age: str, capture: Capture) -> Observed:
    view = _guest(capture)
    return Observed(
        age=age,
        capture=capture,
        behaviour=observed(capture),
        drawing=draw(view) if view else None,
        seen=tuple(seen(capture)),
        linux=tuple(linux_rows(capture)),
    )
