"""A search from its ends to a proof. What was judged is in the folder's log, and is never done again."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from msgspec import structs

from ccsight.campaign import quorum
from ccsight.campaign.quorum import Judged
from ccsight.campaign.search import Among, Found, Nowhere, Try, next_step, steps
from ccsight.campaign.suspects import Suspects
from ccsight.campaign.trying import Bench, Tried
from ccsight.errors import InfraError
from ccsight.evidence.bisection import Bisection, Role, Step, Verdict
from ccsight.machines.model import Report
from ccsight.report.bisection import ends_lines, step_line

#: Builds and boots a suspect under a name: ``trying.attempt``, or what a test has instead.
Attempt = Callable[[Bench, str, str, Report], Tried]
Answer = Found | Among | Nowhere


@dataclass(frozen=True)
class Told:
    """Who is told: ``narrate`` a line a step, and what is built for the ends; ``details`` of all else."""

    narrate: Report
    details: Report


class Bisecting:
    """One bisection at work."""

    def __init__(
        self, kept: Bisection, suspects: Suspects, bench: Bench, attempt: Attempt, told: Told
    ) -> None:
        self._kept = kept
        self._suspects = suspects
        self._bench = bench
        self._attempt = attempt
        self._told = told
        self._steps = [step for step in kept.steps() if step.verdict is not Verdict.INFRA]
        self._good_is = True

    @property
    def steps(self) -> tuple[Step, ...]:
        """All steps that have a verdict, in their order."""
        return tuple(self._steps)

    def ends(self) -> bool:
        """Ask both ends, and return what the predicate says of good ones.

        Raises InfraError where one cannot be asked, UsageError where it does not tell them apart.
        """
        good, bad = (quorum.of(self._steps, role) for role in (Role.GOOD_END, Role.BAD_END))
        if not good or not bad:
            good, bad = self._ask_ends()
        self._good_is = self._told_apart(good, bad)
        self._bench = replace(self._bench, control=good.pin)
        left = len(self._suspects.left([good.suspect], bad.suspect))
        for line in ends_lines(good, bad, left, steps(left)):
            self._told.narrate(line)
        return self._good_is

    def _ask_ends(self) -> tuple[Step, Step]:
        """Ask both, and write both down: what the answer of one means, only that of the other tells."""
        good = self._end(Role.GOOD_END, self._suspects.first)
        self._bench = replace(self._bench, control=good.pin)
        bad = self._end(Role.BAD_END, self._suspects.last)
        good_is = self._told_apart(good, bad)
        for step in (good, bad):
            self._append(_with(step, quorum.judged(step.looks, good_is)))
        return good, bad

    def _told_apart(self, good: Step, bad: Step) -> bool:
        return quorum.polarity(self._kept.order.predicate, good.looks, bad.looks)

    def _end(self, role: Role, suspect: str) -> Step:
        step, tried = self._tried(role, suspect, self._suspects.spec(suspect))
        if tried.trouble:
            raise InfraError(
                f"the {role} cannot be asked: {tried.why}",
                evidence=step.spec,
                next_step=f"mend that, and go on: {self._resume}; or name another end",
            )
        return step

    def narrow(self, skips: tuple[str, ...] = ()) -> Answer:
        """Try suspects until one is left, or those that are cannot be tried; ``skips`` are left out by wish.

        Raises InfraError where one was not observed: nothing is guessed.
        """
        for suspect in skips:
            self._append(self._left_out(suspect))
        while True:
            good = [step.suspect for step in self._searched(Verdict.GOOD)]
            *_, bad = [step.suspect for step in self._searched(Verdict.BAD)]
            skipped = {step.suspect for step in self._searched(Verdict.SKIP)}
            what = next_step(self._suspects.left(good, bad), bad, skipped)
            if not isinstance(what, Try):
                return what
            self._judge(Role.STEP, what.suspect, self._suspects.spec(what.suspect))

    def _searched(self, verdict: Verdict) -> Iterator[Step]:
        """Yield the steps of the search that ended so: each bad one is older than the one before."""
        roles = (Role.GOOD_END, Role.BAD_END, Role.STEP)
        yield from (step for step in self._steps if step.role in roles and step.verdict is verdict)

    def _left_out(self, suspect: str) -> Step:
        return Step(
            name=self._name(Role.STEP, suspect),
            role=Role.STEP,
            suspect=suspect,
            spec=self._suspects.spec(suspect),
            title=self._suspects.title(suspect),
            verdict=Verdict.SKIP,
            why="left out by --skip",
        )

    def prove(self, answer: Answer) -> None:
        """Boot what was before the first bad one, it, and the bad end without it, whatever was seen."""
        if not isinstance(answer, Found):
            return
        suspect = answer.suspect
        without = self._suspects.without(suspect)
        rows = [(Role.PARENT, each, self._suspects.spec(each)) for each in self._suspects.before(suspect)]
        rows.append((Role.COMMIT, suspect, self._suspects.spec(suspect)))
        rows += [(Role.REVERT, suspect, without)] if without else []
        done = {(step.role, step.suspect) for step in self._steps}
        for role, each, spec in rows:
            if (role, each) not in done:
                self._judge(role, each, spec)

    def _judge(self, role: Role, suspect: str, spec: str) -> None:
        """Try a suspect and write its verdict down. Raises InfraError where there is none."""
        step, tried = self._tried(role, suspect, spec)
        found = (
            Judged(tried.trouble, tried.why) if tried.trouble else quorum.judged(step.looks, self._good_is)
        )
        self._append(_with(step, found))
        if found.verdict is Verdict.INFRA:
            skip = f"; or leave it out: --skip {self._suspects.short(suspect)}" if role is Role.STEP else ""
            raise InfraError(
                f"{self._suspects.short(suspect)} was not observed, and nothing is guessed: {found.why}",
                evidence=str(self._kept.runs / step.name),
                next_step=f"when that is mended: {self._resume}{skip}",
            )

    def _tried(self, role: Role, suspect: str, spec: str) -> tuple[Step, Tried]:
        order, name = self._kept.order, self._name(role, suspect)
        everywhere = role is not Role.STEP
        machines = (*order.machines, *order.confirm) if everywhere else order.machines
        bench = replace(self._bench, machines=tuple(dict.fromkeys(machines)))
        report = self._told.narrate if everywhere else self._told.details
        tried = self._attempt(bench, name, spec, report)
        step = Step(
            name=name,
            role=role,
            suspect=suspect,
            spec=spec,
            title=self._suspects.title(suspect),
            verdict=tried.trouble or Verdict.INFRA,
            looks=tried.looks,
            build=round(tried.build, 2),
            pin=tried.pin,
        )
        return step, tried

    def _name(self, role: Role, suspect: str) -> str:
        """Return the folder of a step: the same one when it is tried again."""
        number = sum(step.role is Role.STEP for step in self._steps) + 1
        word = f"{number:02}" if role is Role.STEP else role.replace(" ", "-")
        return re.sub(r"[^\w.+~-]+", "_", f"{word}-{self._suspects.short(suspect)}")

    def _append(self, step: Step) -> None:
        self._kept.append(step)
        if step.verdict is not Verdict.INFRA:
            self._steps.append(step)
        if step.role not in (Role.GOOD_END, Role.BAD_END):
            self._told.narrate(step_line(sum(each.role is Role.STEP for each in self._steps), step))

    @property
    def _resume(self) -> str:
        return f"ccsight bisect --resume {self._kept.folder}"


def _with(step: Step, found: Judged) -> Step:
    """Return a step with its verdict; it has none before that of the other end, or all boots, are known."""
    return structs.replace(step, verdict=found.verdict, why=found.why, flaky=found.flaky)
