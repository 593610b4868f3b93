"""From the answers of boots to a verdict, and how far verdicts can be trusted. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from math import comb

from ccsight.errors import InfraError, UsageError
from ccsight.evidence.bisection import Look, Role, Step, Verdict


@dataclass(frozen=True)
class Judged:
    """What all boots of a suspect come to. ``flaky`` is one whose boots did not all answer the same."""

    verdict: Verdict
    why: str = ""
    flaky: bool = False


def judged(looks: Sequence[Look], good_is: bool) -> Judged:
    """Return a suspect's verdict. ``good_is`` is what the predicate answers where all is well.

    On each machine the majority decides; it is bad as soon as it is so on one machine, good only where it is
    so on all. What was not observed, and a tie, is no verdict.
    """
    votes = dict(by_machine(looks))
    for machine, answers in votes.items():
        lost = [look for look in answers if look.truth is None]
        if lost:
            return Judged(Verdict.INFRA, f"{machine}: {lost[0].why or 'not observed'}")
    flaky = any(len({look.truth for look in answers}) > 1 for answers in votes.values())
    found = {machine: majority(answers) for machine, answers in votes.items()}
    if not found or None in found.values():
        ties = ", ".join(machine for machine, truth in found.items() if truth is None)
        return Judged(Verdict.INFRA, f"as many boots say yes as no: {ties}", flaky)
    bad = any(truth is not good_is for truth in found.values())
    return Judged(Verdict.BAD if bad else Verdict.GOOD, flaky=flaky)


def by_machine(looks: Iterable[Look]) -> Iterator[tuple[str, list[Look]]]:
    """Yield each machine with its looks."""
    for machine, group in groupby(sorted(looks, key=lambda look: look.machine), lambda look: look.machine):
        yield machine, list(group)


def majority(looks: Sequence[Look]) -> bool | None:
    """Return what most boots answered; None where none did, or as many said yes as no."""
    yes, no = (sum(look.truth is truth for look in looks) for truth in (True, False))
    return None if yes == no else yes > no


def polarity(predicate: str, good: Sequence[Look], bad: Sequence[Look]) -> bool:
    """Return what the predicate answers where all is well: it has to tell the ends apart on every machine.

    Raises InfraError where an end was not observed, UsageError where both answer the same.
    """
    ends = {
        machine: (answers, dict(by_machine(bad)).get(machine, [])) for machine, answers in by_machine(good)
    }
    for machine, (first, last) in ends.items():
        for name, answers in (("good", first), ("bad", last)):
            if majority(answers) is None:
                raise _unanswered(name, machine, answers)
        if majority(first) is majority(last):
            raise _same(predicate, machine, (first, last))
    truths = {machine: majority(first) is True for machine, (first, _) in ends.items()}
    if len(set(truths.values())) > 1:
        said = ", ".join(f"{'yes' if truth else 'no'} on {machine}" for machine, truth in truths.items())
        raise UsageError(f"of the good end, {predicate!r} is: {said}", next_step="bisect on one machine")
    return next(iter(truths.values()))


def _unanswered(end: str, machine: str, answers: Sequence[Look]) -> InfraError:
    lost = next((look for look in answers if look.truth is None), None)
    if lost is None:
        return InfraError(
            f"the {end} end is undecided on {machine}: as many boots say yes as no",
            next_step="ask more often: --repeat with an odd number",
        )
    return InfraError(
        f"the {end} end was not observed on {machine}: {lost.why or 'nobody says why'}",
        evidence=f"steps/{lost.run}",
        next_step="when that is mended, --resume asks it again",
    )


def _same(predicate: str, machine: str, ends: tuple[Sequence[Look], Sequence[Look]]) -> UsageError:
    word = "true of" if majority(ends[0]) else "false for"
    shown = [words(answers) for answers in ends]
    return UsageError(
        f"{predicate!r} is {word} both ends on {machine}: there is nothing to search for",
        evidence=f"good  {shown[0]}\nbad   {shown[1]}",
        next_step="say what differs: ccsight compare GOOD BAD shows it",
    )


def words(looks: Sequence[Look]) -> str:
    """Return the most telling evidence of the boots that agree with the majority."""
    truth = majority(looks)
    seen = [look.seen[0] for look in looks if look.truth is truth and look.seen]
    return seen[0] if seen else "nothing was said"


def confidence(steps: Iterable[Step]) -> float | None:
    """Return how likely all verdicts are right, as far as repeats tell; None where nothing was repeated.

    Each boot is taken to answer wrong as often as boots differed from their majority (by Laplace's rule, so
    never exactly 0), independently; a verdict is wrong where a majority of its boots is.
    """
    votes = [
        answers for step in steps for _, answers in by_machine(step.looks) if majority(answers) is not None
    ]
    if max(map(len, votes), default=0) < 2:
        return None
    wrong = sum(look.truth is not majority(answers) for answers in votes for look in answers)
    rate = (wrong + 1) / (sum(map(len, votes)) + 2)
    right: Mapping[int, float] = {
        count: 1 - sum(comb(count, k) * rate**k * (1 - rate) ** (count - k) for k in _lost(count))
        for count in set(map(len, votes))
    }
    product = 1.0
    for answers in votes:
        product *= right[len(answers)]
    return product


def _lost(count: int) -> range:
    """Return how many wrong boots out of so many make a wrong verdict."""
    return range(count // 2 + 1, count + 1)


def flaky(steps: Iterable[Step]) -> tuple[Step, ...]:
    """Return the steps whose boots did not agree."""
    return tuple(step for step in steps if step.flaky)


def of(steps: Iterable[Step], role: Role) -> Step | None:
    """Return the step that was made for something, as it last ended with a verdict; None where none was."""
    found = [step for step in steps if step.role is role and step.verdict is not Verdict.INFRA]
    return found[-1] if found else None
