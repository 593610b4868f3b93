"""A search from its ends to a proof. What was judged is in the folder's log, and is never done again."""

import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from msgspec import structs

from ccsight.campaign import pace, quorum
from ccsight.campaign.pace import spread
from ccsight.campaign.quorum import Judged
from ccsight.campaign.search import Among, Found, Nowhere, Try, next_step, steps
from ccsight.campaign.suspects import Suspects
from ccsight.campaign.trying import Bench, Trial, Tried
from ccsight.errors import InfraError
from ccsight.evidence.bisection import Bisection, Role, Step, Verdict
from ccsight.machines.model import Report
from ccsight.report.bisection import ends_lines, step_line

#: Builds and boots suspects, all at once: ``trying.attempts``, or what a test has instead.
Attempts = Callable[[Bench, Sequence[Trial], Report], Sequence[Tried]]
Answer = Found | Among | Nowhere


@dataclass(frozen=True)
class Told:
    """Who is told: ``narrate`` a line a step, and what is built for the ends; ``details`` of all else."""

    narrate: Report
    details: Report


class Bisecting:
    """One bisection at work."""

    def __init__(
        self, kept: Bisection, suspects: Suspects, bench: Bench, attempts: Attempts, told: Told
    ) -> None:
        self._kept = kept
        self._suspects = suspects
        self._bench = bench
        self._attempts = attempts
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
        ((step, tried),) = self._tried(role, [suspect])
        if tried.trouble:
            raise InfraError(
                f"the {role} cannot be asked: {tried.why}",
                evidence=step.spec,
                next_step=f"mend that, and go on: {self._resume}; or name another end",
            )
        return step

    def narrow(self, skips: tuple[str, ...] = (), first: Suspects | None = None) -> Answer:
        """Try suspects until one is left, or those that are cannot be tried; ``skips`` are left out by wish.

        Those of ``first`` are the likely ones: among all it is looked only where none of those was it.
        Raises InfraError where one was not observed: nothing is guessed.
        """
        for suspect in skips:
            self._append(self._left_out(suspect))
        if first is not None:
            count = len(first.left([self._suspects.first], self._suspects.last))
            self._told.narrate(f"          {count} of them touch what is built: {steps(count)} steps")
            answer = self._narrow(first)
            if not isinstance(answer, Nowhere) and not self._is_bad_before(answer):
                return answer
            self._told.narrate("          it came with none of these: all the others are suspects, too")
        return self._narrow(self._suspects)

    def _is_bad_before(self, answer: Answer) -> bool:
        """Ask whether what was before the first bad one is bad as well: then it is not the first."""
        if not isinstance(answer, Found):
            return False
        known = {step.suspect for verdict in Verdict for step in self._searched(verdict)}
        before = self._suspects.before(answer.suspect)
        for suspect in before:
            if suspect not in known:
                self._judge(Role.STEP, (suspect,))
        return any(step.suspect in before for step in self._searched(Verdict.BAD))

    def _narrow(self, suspects: Suspects) -> Answer:
        while True:
            good = [step.suspect for step in self._searched(Verdict.GOOD)]
            bad, left = self._oldest_bad(suspects, good)
            skipped = {step.suspect for step in self._searched(Verdict.SKIP)}
            what = next_step(left, bad, skipped)
            if not isinstance(what, Try):
                return what
            width = self._width(len(left))
            row = [each for each in suspects.row(good, bad) if each not in skipped] if width > 1 else []
            self._judge(Role.STEP, spread(row, width) or (what.suspect,))

    def _oldest_bad(self, suspects: Suspects, good: Sequence[str]) -> tuple[str, tuple[str, ...]]:
        """Return the bad one that leaves the fewest suspects, and these: of a round several may be bad.

        One that is in the history of a good one leaves none, and would be no answer.
        """
        bad = [step.suspect for step in self._searched(Verdict.BAD)]
        last, left = bad[0], suspects.left(good, bad[0])
        for each in bad[1:]:
            fewer = suspects.left(good, each)
            if fewer and len(fewer) <= len(left):
                last, left = each, fewer
        return last, left

    def _width(self, suspects: int) -> int:
        known = pace.pace(self._steps, built_here=self._suspects.built_here)
        most = 1 if self._bench.in_turn else self._bench.workers
        return pace.width(suspects, most, os.cpu_count() or 1, known)

    def _searched(self, verdict: Verdict) -> Iterator[Step]:
        """Yield the steps of the search that ended so, the ends first."""
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
        if isinstance(answer, Found):
            for role in (Role.PARENT, Role.COMMIT, Role.REVERT):
                self._prove(role, answer.suspect)

    def _prove(self, role: Role, suspect: str) -> None:
        """Do a part of the proof, unless it is done."""
        done = {(step.role, step.suspect) for step in self._steps}
        for each in self._suspects.before(suspect) if role is Role.PARENT else (suspect,):
            if (role, each) not in done and self._spec(role, each):
                self._judge(role, (each,))

    def _spec(self, role: Role, suspect: str) -> str:
        """Return the kernel that is booted for something; "" where there is none."""
        if role is Role.REVERT:
            return self._suspects.without(suspect) or ""
        return self._suspects.spec(suspect)

    def _judge(self, role: Role, suspects: Sequence[str]) -> None:
        """Try suspects at once and write their verdicts down. Raises InfraError where there is none."""
        found = []
        for step, tried in self._tried(role, suspects):
            said = (
                Judged(tried.trouble, tried.why)
                if tried.trouble
                else quorum.judged(step.looks, self._good_is)
            )
            found.append((step, said))
            self._append(_with(step, said))
        for step, said in found:
            if said.verdict is Verdict.INFRA:
                raise self._unobserved(step, said)

    def _unobserved(self, step: Step, said: Judged) -> InfraError:
        short = self._suspects.short(step.suspect)
        skip = f"; or leave it out: --skip {short}" if step.role is Role.STEP else ""
        return InfraError(
            f"{short} was not observed, and nothing is guessed: {said.why}",
            evidence=str(self._kept.runs / step.name),
            next_step=f"when that is mended: {self._resume}{skip}",
        )

    def _tried(self, role: Role, suspects: Sequence[str]) -> list[tuple[Step, Tried]]:
        """Try suspects at once; on the machines that confirm, too, unless it is only to narrow."""
        order = self._kept.order
        everywhere = role is not Role.STEP
        machines = (*order.machines, *order.confirm) if everywhere else order.machines
        bench = replace(self._bench, machines=tuple(dict.fromkeys(machines)))
        report = self._told.narrate if everywhere else self._told.details
        trials = [
            Trial(self._name(role, suspect, number), self._spec(role, suspect))
            for number, suspect in enumerate(suspects)
        ]
        made = zip(suspects, trials, self._attempts(bench, trials, report), strict=True)
        return [
            (self._step(role, suspect, trial, tried, len(trials)), tried) for suspect, trial, tried in made
        ]

    def _step(self, role: Role, suspect: str, trial: Trial, tried: Tried, width: int) -> Step:
        return Step(
            name=trial.name,
            role=role,
            suspect=suspect,
            spec=trial.spec,
            title=self._suspects.title(suspect),
            verdict=tried.trouble or Verdict.INFRA,
            looks=tried.looks,
            build=round(tried.build, 2),
            cpu=tried.cpu,
            width=width,
            pin=tried.pin,
        )

    def _name(self, role: Role, suspect: str, later: int = 0) -> str:
        """Return the folder of a step, the same one when it is tried again; those of a round count on."""
        number = sum(step.role is Role.STEP for step in self._steps) + 1 + later
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
