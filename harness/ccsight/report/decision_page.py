"""What the page of a decision is given: why, on which evidence, machine by machine. No markup here."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from ccsight.evidence.decision import Decision, Pointer, Reason, Verdict
from ccsight.report.decision import of_machines
from ccsight.report.decision_matrix import MatrixRow, Square, matrix
from ccsight.report.exhibit import Exhibit, Side
from ccsight.report.filters import Filters
from ccsight.report.rows import Row
from ccsight.report.telling import Telling

#: What a decision says to do, and why; ``{}`` is how many reasons there are.
_WORDS = {
    Verdict.ADVANCE: ("good", "The roll-out may go on: all that the policy asks for is met, by evidence."),
    Verdict.HOLD: (
        "caution",
        "The roll-out has to wait: {} not as the policy asks, or not known. No harm was shown that counts.",
    ),
    Verdict.REVERT: (
        "bad",
        "The roll-out has to go back: by evidence that counts the new kernel does harm now. {} given.",
    ),
}


@dataclass(frozen=True)
class Told:
    """What a check says, and all the places and machines of which it does; ``anchor`` leads here."""

    anchor: str
    telling: Telling
    places: tuple[Pointer, ...]
    machines: tuple[str, ...]
    marks: str


@dataclass(frozen=True)
class Ground:
    """A reason with its evidence: what is told, then the places of which nothing more is."""

    number: int
    reason: Reason
    said: str
    tone: str
    checks: tuple[str, ...]
    told: tuple[Told, ...]
    places: tuple[Pointer, ...]
    marks: str


@dataclass(frozen=True)
class Caches:
    """The caches that guests of these machines find, old and new, and the values that change."""

    machines: tuple[str, ...]
    sides: tuple[Side, Side]
    rows: tuple[Row, ...]
    marks: str


@dataclass(frozen=True)
class Line:
    """A machine of the matrix, with its classes."""

    row: MatrixRow
    marks: str


@dataclass(frozen=True)
class DecisionPage:
    """All of the page."""

    decision: Decision
    tone: str
    said: str
    grounds: tuple[Ground, ...]
    lines: tuple[Line, ...]
    told: tuple[Told, ...]
    caches: tuple[Caches, ...]
    waived: tuple[str, ...]
    exhibits: tuple[Exhibit, ...]
    exhibit_marks: tuple[str, ...]
    policy: tuple[str, ...]
    filters: Filters

    @property
    def squares(self) -> tuple[Square, ...]:
        """Those of the first machine: what the columns are of."""
        return self.lines[0].row.squares if self.lines else ()


def decision_page(
    decision: Decision, exhibits: Iterable[Exhibit], fleet: Sequence[str], policy: str
) -> DecisionPage:
    """Return the page; ``fleet`` names the members as the policy does, ``policy`` is its text."""
    shown = tuple(exhibits)
    filters = _filters(decision, shown, fleet)
    grounds = tuple(_ground(at, each, shown, filters) for at, each in enumerate(decision.reasons, 1))
    told = tuple(_as_accepted(decision, shown, filters))
    rows = matrix(decision, shown, fleet, {each.telling: each.anchor for each in told})
    tone, said = _WORDS[decision.verdict]
    number = len(decision.reasons)
    things = f"{number} {'things are' if number > 1 else 'thing is'}"
    reasons = f"{number} {'reasons are' if number > 1 else 'reason is'}"
    return DecisionPage(
        decision=decision,
        tone=tone,
        said=said.format(reasons if decision.verdict is Verdict.REVERT else things),
        grounds=grounds,
        lines=tuple(Line(row, filters.mark([row.member], (), [row.verdict])) for row in rows),
        told=told,
        caches=tuple(_caches(shown, filters)),
        waived=tuple(
            filters.mark([each.machine], [each.check], [Verdict.ADVANCE]) for each in decision.waived
        ),
        exhibits=shown,
        exhibit_marks=tuple(filters.mark([name(each)], (), ()) for each in shown),
        policy=tuple(policy.splitlines()),
        filters=filters,
    )


def name(each: Exhibit) -> str:
    """Return what a machine goes by: the member of the fleet, else its own name."""
    return each.member or each.machine


def _filters(decision: Decision, exhibits: Iterable[Exhibit], fleet: Iterable[str]) -> Filters:
    """Return what can be chosen: all of the fleet, and the checks of which something is told."""
    found = tuple(exhibits)
    checks = {check for each in found for check in each.tellings}
    checks |= {check for reason in decision.reasons for check in _checks(reason)}
    checks |= {waived.check for waived in decision.waived}
    return Filters.of((*fleet, *map(name, found)), checks, Verdict)


def _checks(reason: Reason) -> tuple[str, ...]:
    named = (reason.check, *(place.check for place in reason.evidence))
    return tuple(dict.fromkeys(filter(None, named)))


def _ground(number: int, reason: Reason, exhibits: Iterable[Exhibit], filters: Filters) -> Ground:
    by_cell: dict[tuple[str, str], Exhibit] = {}
    for each in exhibits:
        by_cell.setdefault((each.run, each.cell), each)
    places: dict[Telling, list[Pointer]] = {}
    bare: list[Pointer] = []
    for place in reason.evidence:
        exhibit = by_cell.get((place.run, place.cell))
        telling = exhibit.tellings.get(place.check) if exhibit else None
        places.setdefault(telling, []).append(place) if telling else bare.append(place)
    return Ground(
        number=number,
        reason=reason,
        said=of_machines(reason),
        tone=_WORDS[reason.verdict][0],
        checks=_checks(reason),
        told=tuple(Told("", telling, tuple(own), (), "") for telling, own in places.items()),
        places=tuple(bare),
        marks=filters.mark(reason.machines, _checks(reason) or [""], [reason.verdict]),
    )


def _as_accepted(decision: Decision, exhibits: Iterable[Exhibit], filters: Filters) -> Iterator[Told]:
    """Yield what was compared and is no reason: told once for all machines that are alike in it."""
    against = {
        (reason.kind, machine) for reason in decision.reasons if reason.check for machine in reason.machines
    }
    found: dict[Telling, list[Exhibit]] = {}
    for each in exhibits:
        for answer in each.answers:
            telling = each.tellings.get(answer.check) if answer.word else None
            if telling and (answer.kind, each.member) not in against:
                found.setdefault(telling, []).append(each)
    for number, (telling, own) in enumerate(sorted(found.items(), key=lambda item: item[0].check), 1):
        machines = tuple(dict.fromkeys(map(name, own)))
        places = tuple(Pointer(run=each.run, file=each.file, cell=each.cell) for each in own)
        marks = filters.mark(machines, [telling.check], [Verdict.ADVANCE])
        yield Told(f"told-{number}", telling, places, machines, marks)


def _caches(exhibits: Iterable[Exhibit], filters: Filters) -> Iterator[Caches]:
    """Yield what guests find: machines on which that is the same together."""
    alike: dict[object, list[Exhibit]] = {}
    for each in exhibits:
        drawn = tuple((side.kernel, side.caches, side.drawing) for side in each.sides)
        changed = tuple(row for row in each.rows if row.changed)
        alike.setdefault((drawn, changed), []).append(each)
    for own in alike.values():
        machines = tuple(dict.fromkeys(map(name, own)))
        rows = tuple(row for row in own[0].rows if row.changed)
        yield Caches(machines, own[0].sides, rows, filters.mark(machines, (), ()))
