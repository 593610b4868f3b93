"""A run by a predicate: what each of its cells answers, and the run with the machines of which it is true."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import msgspec
from msgspec import structs

from ccsight.checks.answers import Answer, Subject, ask
from ccsight.checks.predicates import Predicate
from ccsight.evidence.model import SCHEMA, Capture
from ccsight.evidence.record import Record, to_json
from ccsight.evidence.views import Cell
from ccsight.report import as_json, terminal
from ccsight.report.blocks import Block, Line, Page, Tone, grid, line, spans
from ccsight.report.model import Result
from ccsight.status import ExitCode

#: How an answer is said, and how it looks.
_WORDS = {True: ("yes", Tone.GOOD), False: ("no", Tone.BAD), None: ("not observed", Tone.CAUTION)}
#: How much evidence is shown unless all is asked for.
_SHOWN = 3


@dataclass(frozen=True)
class Answered:
    """What a cell answers."""

    cell: Cell
    answer: Answer


class CellAnswer(Record, frozen=True):
    """A cell, and whether the predicate is true of it (null: not observed), and what was seen."""

    cell: str
    machine: str
    kernel: str
    truth: bool | None
    seen: tuple[str, ...]


class Where(Record, frozen=True):
    """What ``ccsight show --where --json`` prints: ``run`` is a ``show`` of the machines left."""

    schema: int
    where: str
    cells: tuple[CellAnswer, ...]
    exit_code: int
    run: msgspec.Raw


def answered(result: Result, predicate: Predicate, files: Mapping[str, Capture]) -> tuple[Answered, ...]:
    """Return what each planned cell answers; ``files`` are the captures that the predicate names.

    The kernel that VMs move from or to is the other end of the question; it is not asked itself.
    """
    others = {
        kernel.spec
        for kernel in result.plan.kernels
        if {kernel.spec, kernel.pin, kernel.label}.intersection(predicate.sources)
    }
    asked = [cell for cell in result.plan.cells if cell.kernel not in others] or result.plan.cells
    return tuple(Answered(cell, _answer(result, cell, predicate, files)) for cell in asked)


def _answer(result: Result, cell: Cell, predicate: Predicate, files: Mapping[str, Capture]) -> Answer:
    capture = result.captures.get(cell.id)
    if capture is None:
        lost = {each.id: failure.fact for each, failure in result.unobserved(cell.machine)}
        return Answer(None, (lost[cell.id],))
    path = result.console(cell)
    console = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    return ask(predicate, Subject(capture, console, _by_kernel(result, cell.machine), files))


def _by_kernel(result: Result, machine: str) -> dict[str, Capture]:
    """Return a machine's captures by each name of their kernel: label, pinned spec, spec."""
    found: dict[str, Capture] = {}
    for kernel in result.plan.kernels:
        capture = result.capture(machine, kernel.spec)
        if capture:
            found |= {kernel.label: capture, kernel.pin: capture, kernel.spec: capture}
    return found


def left(result: Result, answers: tuple[Answered, ...]) -> Result:
    """Return the run with only those machines that have a cell of which the predicate is true."""
    true = {each.cell.machine for each in answers if each.answer.truth}
    machines = tuple(machine for machine in result.plan.machines if machine in true)
    cells = tuple(cell for cell in result.plan.cells if cell.machine in true)
    ids = {cell.id for cell in cells}
    cases = tuple(case for case in result.cases if ids.issuperset(case.cells))
    planned = tuple(case for case in result.plan.cases if ids.issuperset(case.cells))
    plan = structs.replace(result.plan, machines=machines, cells=cells, cases=planned)
    captures = {cell: capture for cell, capture in result.captures.items() if cell in ids}
    return replace(result, plan=plan, cases=cases, captures=captures)


def exit_code(answers: tuple[Answered, ...]) -> ExitCode:
    """Return 0 where it is true of all, 1 where it is false of any; else something was not observed."""
    truths = {each.answer.truth for each in answers}
    if False in truths:
        return ExitCode.FAIL
    return ExitCode.OK if truths == {True} else ExitCode.NOT_OBSERVED


def render(result: Result, predicate: Predicate, answers: tuple[Answered, ...], *, verbose: bool) -> Page:
    """Return the page: each cell's answer with its evidence, and behind it the run that is left."""
    page: list[Block] = [line(("where ", Tone.DIM), (f"{predicate}", Tone.STRONG))]
    for each in answers:
        page.append(line("  ", _WORDS[each.answer.truth], f"  {result.plan.title(each.cell)}"))
        page.append(
            grid([[spans(said)] for said in _shown(each.answer.seen, verbose=verbose)], indent=7, fixed=0)
        )
    page.append(Line())
    rest = left(result, answers)
    return (*page, *(terminal.render(rest, verbose=verbose) if rest.plan.machines else ()))


def _shown(seen: tuple[str, ...], *, verbose: bool) -> tuple[str, ...]:
    if verbose or len(seen) <= _SHOWN:
        return seen
    return (*seen[:_SHOWN], f"and {len(seen) - _SHOWN} more: -v")


def document(result: Result, predicate: Predicate, answers: tuple[Answered, ...]) -> bytes:
    """Return the same as JSON: :class:`Where`."""
    cells = tuple(
        CellAnswer(
            cell=each.cell.id,
            machine=each.cell.machine,
            kernel=each.cell.kernel,
            truth=each.answer.truth,
            seen=each.answer.seen,
        )
        for each in answers
    )
    return to_json(
        Where(
            schema=SCHEMA,
            where=f"{predicate}",
            cells=cells,
            exit_code=exit_code(answers),
            run=msgspec.Raw(as_json.document(left(result, answers))),
        )
    )
