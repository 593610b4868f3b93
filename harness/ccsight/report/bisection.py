"""What a bisection comes to, and says while it runs: a line a step; and all of it as JSON."""

from dataclasses import dataclass
from enum import StrEnum

from ccsight.evidence.bisection import Look, Order, Role, Step, Verdict
from ccsight.evidence.model import SCHEMA
from ccsight.evidence.record import Record, to_json
from ccsight.report.blocks import Page, Tone, line
from ccsight.status import ExitCode

#: Characters of what was seen, on a line that says more.
_BRIEF = 60
#: What a proof is made of.
PROOF = (Role.PARENT, Role.COMMIT, Role.REVERT)


class Word(StrEnum):
    """How a search ended."""

    FOUND = "found"
    AMONG = "among"  #: what is left could not be tried
    NOWHERE = "nowhere"  #: none of the suspects


class Suspect(Record, frozen=True):
    """A suspect for readers: of a commit its subject, author, date and diff stat."""

    id: str
    title: str = ""
    author: str = ""
    date: str = ""
    stat: tuple[str, ...] = ()

    @property
    def cited(self) -> str:
        """What a mail calls it."""
        return f'{self.id[:12]} ("{self.title}")' if self.title else self.id


class Outcome(Record, frozen=True):
    """What a search came to. ``suspects`` is the first bad one, or the range that holds it.

    ``good_is`` is what the predicate says of good ones. ``confidence`` is None where no boot was repeated.
    """

    word: Word
    good_is: bool
    suspects: tuple[Suspect, ...] = ()
    confidence: float | None = None


@dataclass(frozen=True)
class Story:
    """A bisection that has ended: the order, all its steps, what came of it."""

    order: Order
    steps: tuple[Step, ...]
    outcome: Outcome

    def made_for(self, role: Role) -> tuple[Step, ...]:
        """Return the steps that were made for something: one, but for a merge's parents."""
        return tuple(step for step in self.steps if step.role is role)

    def _verdicts(self, role: Role) -> set[Verdict]:
        return {step.verdict for step in self.made_for(role)}

    @property
    def proven(self) -> bool:
        """True when what was before is good, the commit bad, and the bad end without it not bad."""
        before = self._verdicts(Role.PARENT)
        pair = Verdict.GOOD in before and Verdict.BAD not in before
        mended = Verdict.BAD not in self._verdicts(Role.REVERT)
        return pair and self._verdicts(Role.COMMIT) == {Verdict.BAD} and mended

    @property
    def exit_code(self) -> ExitCode:
        """What the shell gets."""
        return ExitCode.OK if self.outcome.word is Word.FOUND and self.proven else ExitCode.FAIL


class Document(Record, frozen=True):
    """What ``bisect --json`` prints: the order, its steps with their evidence, and what came of them."""

    schema: int
    order: Order
    outcome: Outcome
    proven: bool
    steps: tuple[Step, ...]
    exit_code: int


class Estimate(Record, frozen=True):
    """What a bisection would take: ``steps`` of one suspect, or ``rounds`` of ``width`` at once.

    ``build`` and ``boot`` are measured seconds, ``seconds`` is what all would take; None where none are.
    """

    schema: int
    suspects: int
    steps: int
    width: int
    rounds: int
    builds: int
    boots: int
    build: float | None
    boot: float | None
    seconds: float | None


def estimated(estimate: Estimate) -> bytes:
    """Return an estimate as JSON."""
    return to_json(estimate)


def estimate_page(estimate: Estimate) -> Page:
    """Return an estimate for a terminal. The ends and the proof count, too."""
    took = "no bisection here has measured builds and boots yet"
    if estimate.seconds is not None:
        took = f"about {estimate.seconds:.0f} s: {estimate.build} s a build, {estimate.boot} s a boot so far"
    count = f"{estimate.suspects} suspects: {estimate.steps} steps"
    if estimate.width > 1:
        count += f", or {estimate.rounds} rounds of {estimate.width} at once, which is faster here"
    return (
        line((count, Tone.STRONG)),
        line(f"  at most {estimate.builds} builds and {estimate.boots} boots, with the ends and the proof"),
        line(f"  {took}"),
    )


def document(story: Story) -> bytes:
    """Return a bisection as JSON: a :class:`Document`."""
    return to_json(
        Document(
            schema=SCHEMA,
            order=story.order,
            outcome=story.outcome,
            proven=story.proven,
            steps=story.steps,
            exit_code=story.exit_code,
        )
    )


def ends_lines(good: Step, bad: Step, count: int, steps: int) -> tuple[str, str]:
    """Return the lines about the ends, and how far it is from one to the other."""
    what = f"{count} suspect{'s' if count > 1 else ''}: {steps} step{'s' if steps != 1 else ''}"
    return (
        f"ends      good  {name(good)}  {_short(said(good))}",
        f"          bad   {name(bad)}  {_short(said(bad))}    {what}",
    )


def _short(text: str) -> str:
    return text if len(text) <= _BRIEF else f"{text[: _BRIEF - 2]} …"


def step_line(number: int, step: Step) -> str:
    """Return the line of a step."""
    head = f"{number:3}" if step.role is Role.STEP else "   "
    what = "" if step.role is Role.STEP else f"{step.role}  "
    return f"{head} {step.verdict:<5} {what}{name(step)}  {_cost(step)}{'  flaky' if step.flaky else ''}"


def _cost(step: Step) -> str:
    if step.verdict in (Verdict.SKIP, Verdict.INFRA):
        return step.why
    return f" build {step.build:.1f} s  boot {step.seconds:.1f} s"


def name(step: Step) -> str:
    """Return what a step's suspect is called: its id, and its subject."""
    return f'{step.suspect[:12]} "{step.title}"' if step.title else step.suspect


def said(step: Step) -> str:
    """Return what a step's boots say that decided it, in words."""
    looks = telling(step)
    return looks[0].seen[0] if looks and looks[0].seen else step.why or "nothing was said"


def telling(step: Step) -> list[Look]:
    """Return a look of each machine, of those that agree with the most."""
    found: dict[str, Look] = {}
    for look in step.looks:
        same = sum(other.truth is look.truth for other in step.looks if other.machine == look.machine)
        if 2 * same > sum(other.machine == look.machine for other in step.looks):
            found.setdefault(look.machine, look)
    return list(found.values())
