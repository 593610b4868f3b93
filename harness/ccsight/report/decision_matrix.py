"""A gate's decision as a matrix: a row for each machine of the fleet, a square for each thing asked for.

A square has a letter, a word and a colour, and leads to where it is told why.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ccsight.evidence.decision import Decision, Kind, Verdict
from ccsight.kvm.vmms import Outcome
from ccsight.report.exhibit import Answer, Exhibit
from ccsight.report.telling import Telling

#: What a square may be, worst first: its letter, its tone, what it means, and the verdict that it comes to.
LETTERS = {
    "R": ("bad", "does harm now: go back", Verdict.REVERT),
    "H": ("caution", "is not as the policy accepts: wait", Verdict.HOLD),
    "?": ("caution", "was not seen, or only in evidence that does not count: wait", Verdict.HOLD),
    "W": ("dim", "is waived by somebody, until a day", Verdict.ADVANCE),
    "A": ("good", "is as the policy accepts", Verdict.ADVANCE),
}
_ORDER = list(LETTERS)
#: Outcomes of what is compared, worst first.
_WORDS = [*map(str, Outcome), "differs", "same"]
#: How many laws a square names.
_MOST = 2
_WAIVED = "waived"
_RUNS = "runs"


@dataclass(frozen=True)
class Square:
    """What became of one thing on one machine; ``anchor`` is where it is told."""

    kind: Kind
    letter: str
    word: str
    anchor: str

    @property
    def tone(self) -> str:
        """The tone in which a page says it."""
        return LETTERS[self.letter][0]

    @property
    def means(self) -> str:
        """What the letter stands for."""
        return LETTERS[self.letter][1]


@dataclass(frozen=True)
class MatrixRow:
    """A machine: the member of the fleet that it is ("" for none), by what it was observed, its squares."""

    member: str
    machine: str
    seen: str
    squares: tuple[Square, ...]

    @property
    def verdict(self) -> Verdict:
        """What the worst of the squares comes to; a machine of no fleet asks for nothing."""
        worst = min((_ORDER.index(square.letter) for square in self.squares), default=len(_ORDER) - 1)
        return LETTERS[_ORDER[worst]][2]


def kinds(decision: Decision, exhibits: Iterable[Exhibit]) -> tuple[Kind, ...]:
    """Return what was asked for, in the order in which it matters."""
    asked = {tally.kind for tally in decision.tallies}
    asked |= {answer.kind for each in exhibits for answer in each.answers if answer.kind is Kind.PREDICATE}
    return tuple(kind for kind in Kind if kind in asked)


def matrix(
    decision: Decision, exhibits: Sequence[Exhibit], fleet: Sequence[str], told: Mapping[Telling, str]
) -> tuple[MatrixRow, ...]:
    """Return a row for each machine that was seen, and each member that was not; ``told`` has anchors."""
    own: dict[tuple[str, str], list[Exhibit]] = {}
    for member in fleet:
        for each in exhibits:
            if each.member == member:
                own.setdefault((member, each.machine), []).append(each)
        if not any(name == member for name, _ in own):
            own[member, ""] = []
    asked = kinds(decision, exhibits)
    return tuple(
        MatrixRow(
            member,
            machine,
            _seen(found),
            tuple(_square(decision, (member, found), kind, told) for kind in asked),
        )
        for (member, machine), found in own.items()
    )


def _seen(found: Sequence[Exhibit]) -> str:
    """Say from how many runs, and of which machines; and of how many that does not count."""
    if not found:
        return "no evidence"
    idle = sum(not each.counts for each in found)
    runs = (
        f"{len(found)} run{'s' if len(found) > 1 else ''}, {', '.join(sorted({e.substrate for e in found}))}"
    )
    if not idle:
        return runs
    return f"{runs}; {'does' if idle == len(found) else f'{idle} of them do'} not count"


def _square(
    decision: Decision, own: tuple[str, Sequence[Exhibit]], kind: Kind, told: Mapping[Telling, str]
) -> Square:
    """Return what became of one thing on a machine: the worst that evidence that counts says of it."""
    member, found = own
    answers = [
        (each, answer) for each in found if each.counts for answer in each.answers if answer.kind is kind
    ]
    if not answers:
        return Square(kind, "?", "not seen", _lacks(decision, member, kind, ""))
    squares = [_of_answer(decision, each, answer, told) for each, answer in answers]
    worst = min(squares, key=lambda square: (_ORDER.index(square.letter), _badness(square.word)))
    if kind is Kind.LAW:
        return _of_laws(worst, squares, answers)
    return worst


def _of_laws(worst: Square, squares: Sequence[Square], answers: Sequence[tuple[Exhibit, Answer]]) -> Square:
    """Return the square of all laws: those that are as bad as the worst, by name; else how many pass."""
    if worst.letter == "A":
        passed = {answer.check for _, answer in answers if not answer.skipped}
        return Square(worst.kind, "A", f"{len(passed)} pass", _RUNS)
    bad = (a.check for (_, a), square in zip(answers, squares, strict=True) if square.letter == worst.letter)
    names = list(dict.fromkeys(bad))
    more = f" and {len(names) - _MOST} more" if len(names) > _MOST else ""
    return Square(worst.kind, worst.letter, ", ".join(names[:_MOST]) + more, worst.anchor)


def _of_answer(decision: Decision, each: Exhibit, answer: Answer, told: Mapping[Telling, str]) -> Square:
    if answer.missed:
        anchor = _lacks(decision, each.member, answer.kind, answer.check)
        return Square(answer.kind, "?", "not seen", anchor)
    word = answer.word or ("not so" if answer.held else "as asked")
    if not answer.held:
        telling = each.tellings.get(answer.check)
        return Square(answer.kind, "A", word, told.get(telling, _RUNS) if telling else _RUNS)
    for number, reason in enumerate(decision.reasons, 1):
        if (reason.kind, reason.check) == (answer.kind, answer.check) and each.member in reason.machines:
            return Square(answer.kind, reason.verdict[0], word, f"reason-{number}")
    return Square(answer.kind, "W", word, _WAIVED)


def _lacks(decision: Decision, member: str, kind: Kind, check: str) -> str:
    """Return where it is told why something of a member is not known: of this check, else whatever lacks."""
    own = [(at, each) for at, each in enumerate(decision.reasons, 1) if member in each.machines]
    lacks = [(at, each) for at, each in own if each.kind not in (Kind.LAW, *_MEASURED) or each.kind is kind]
    named = [at for at, each in lacks if check and any(place.check == check for place in each.evidence)]
    return next((f"reason-{at}" for at in (*named, *(at for at, _ in lacks))), _RUNS)


_MEASURED = (Kind.UPGRADE, Kind.ROLLBACK, Kind.LAUNCH, Kind.PREDICATE)


def _badness(word: str) -> int:
    return _WORDS.index(word) if word in _WORDS else len(_WORDS)
