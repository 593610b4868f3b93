"""What the HTML templates are given: a result, arranged machine by machine. No markup here."""

from collections.abc import Iterator
from dataclasses import dataclass

from ccsight.arm64.caches import Layout
from ccsight.evidence.cases import Case
from ccsight.evidence.model import Capture, Cell, Vantage, View, slug
from ccsight.evidence.run import Failure, PlannedKernel
from ccsight.kvm.behaviour import Behaviour, observed
from ccsight.kvm.meaning import describe
from ccsight.report.decoded import Decoded, decode_reading
from ccsight.report.drawing import Drawing, draw
from ccsight.report.model import Result
from ccsight.report.rows import Row, machine_rows
from ccsight.report.wording import QUIET, SUBJECTS, behaviours, bug_class, meaning, title, version, where
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
class Register:
    """One reading of a view: a value or a problem, taken apart where its fields are known."""

    name: str
    said: str
    decoded: Decoded | None


@dataclass(frozen=True)
class Seen:
    """What one vantage saw, of all vCPUs that agree."""

    vantage: str
    vcpus: str
    program: str
    phase: str
    registers: tuple[Register, ...]


@dataclass(frozen=True)
class Observed:
    """One capture: who said it, what it looks like, and every register."""

    age: str
    capture: Capture
    behaviour: Behaviour
    drawing: Drawing | None
    seen: tuple[Seen, ...]


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
    rows: tuple[Row, ...]
    laws: tuple[Judged, ...]
    comparisons: tuple[Judged, ...]


_SAYS = {
    Vantage.HARDWARE: "host kernel (MRS)",
    Vantage.USERSPACE: "userspace (KVM_GET_ONE_REG)",
    Vantage.GUEST: "guest (MRS at EL1)",
    Vantage.GUEST_EL0: "guest (MRS at EL0)",
    Vantage.GUEST_AARCH32: "guest (AArch32)",
}
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


def judged(result: Result, case: Case) -> Judged:
    """Return a case with its words."""
    word = case.outcome or case.status
    quiet = case.outcome in QUIET
    tone = _TONES.get(case.status, "good" if quiet else "caution")
    said = meaning(case) if len(case.cells) > 1 else (case.reason,) if case.reason else ()
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
        rows=machine_rows(captures) if captures else (),
        laws=tuple(case for case in cases if len(case.case.cells) == 1),
        comparisons=tuple(case for case in cases if len(case.case.cells) > 1),
    )


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
        seen=tuple(_seen(capture)),
    )


def _seen(capture: Capture) -> Iterator[Seen]:
    """Yield each view once, with all the vCPUs of which it is true."""
    layout = Layout.of(next((view.value("ID_AA64MMFR2_EL1") or 0 for view in capture.launch), 0))
    left = list(capture.views)
    while left:
        first = left[0]
        same = [view for view in left if _alike(view, first)]
        left = [view for view in left if not _alike(view, first)]
        yield Seen(
            vantage=_SAYS[first.vantage],
            vcpus=", ".join(str(view.vcpu) for view in same),
            program=first.program,
            phase=first.phase,
            registers=tuple(_registers(first, layout)),
        )


def _alike(view: View, other: View) -> bool:
    return (view.vantage, view.program, view.phase, view.readings) == (
        other.vantage,
        other.program,
        other.phase,
        other.readings,
    )


def _registers(view: View, layout: Layout) -> Iterator[Register]:
    for name, reading in view.readings.items():
        if reading.value is None:
            yield Register(name, reading.problem, None)
        else:
            yield Register(name, f"{reading.value:#x}", decode_reading(name, reading.value, layout))
