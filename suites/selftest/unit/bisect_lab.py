"""A bisection without machines: whoever builds and boots is made up, all else is the real thing."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ccsight.campaign import suspects
from ccsight.campaign.bisecting import Answer, Bisecting, Told
from ccsight.campaign.bisections import outcome
from ccsight.campaign.rows import Row, Series
from ccsight.campaign.suspects import Commits
from ccsight.campaign.trying import Bench, Trial, Tried
from ccsight.checks.predicates import parse
from ccsight.evidence.bisection import Bisection, Look, Order, Verdict
from ccsight.evidence.model import SCHEMA
from ccsight.kernels import spec as kernel_specs
from ccsight.machines.silicon import shipped
from ccsight.report.bisection import Story

MACHINE, OTHER = "emulated:neoverse-n1", "emulated:cortex-a57"
PREDICATE = "guest.CLIDR_EL1.LoC == 1"


class Stopped(Exception):
    """What ends a test's bisection in the middle, as a kill does."""


@dataclass
class Lab:
    """Answers for kernels: ``bad`` tells which suspects are, ``skips`` and ``lost`` cannot be asked.

    ``with_part`` tells those that are by their specs.
    ``wrong`` are the numbers of a suspect's boots that answer the other way round. ``tried`` is the log.
    """

    bad: Callable[[str], bool]
    skips: Collection[str] = ()
    lost: Collection[str] = ()
    wrong: Mapping[str, Collection[int]] = field(default_factory=dict)
    deaf: Collection[str] = ()
    with_part: Callable[[str], bool] = lambda spec: False
    stop_after: int = 10**9
    cpu: float = 0.0
    rounds: list[int] = field(default_factory=list)
    tried: list[tuple[str, str]] = field(default_factory=list)
    benches: list[Bench] = field(default_factory=list)

    def attempts(self, bench: Bench, trials: Sequence[Trial], report: Callable[[str], None]) -> list[Tried]:
        self.rounds.append(len(trials))
        return [self._attempt(bench, trial.name, trial.spec) for trial in trials]

    def _attempt(self, bench: Bench, name: str, spec: str) -> Tried:
        if len(self.tried) == self.stop_after:
            raise Stopped
        self.tried.append((name, spec))
        self.benches.append(bench)
        parsed = kernel_specs.parse(spec)
        suspect = parsed.option("ref") or spec
        if suspect in self.skips:
            return Tried(trouble=Verdict.SKIP, why="it does not build")
        if suspect in self.lost:
            return Tried(trouble=Verdict.INFRA, why="no QEMU")
        bad = self.bad(f"{suspect} without {parsed.option('revert')}" if parsed.option("revert") else suspect)
        bad = bad or self.with_part(spec)
        boots = range(1, bench.repeat + 1)
        looks = [
            self._look(machine, name, boot, suspect, bad) for boot in boots for machine in bench.machines
        ]
        return Tried(tuple(looks), pin=f"built:{suspect}", build=2.5, cpu=self.cpu)

    def _look(self, machine: str, name: str, boot: int, suspect: str, bad: bool) -> Look:
        if machine in self.deaf:
            return Look(machine=machine, run=name, truth=None, why="the register was not read")
        says = (not bad) ^ (boot in self.wrong.get(suspect, ()))
        seen = f"guest.CLIDR_EL1.LoC is {1 if says else 2} (vCPU 0, phase launch)"
        return Look(machine=machine, run=name, truth=says, seen=(seen,), seconds=1.25)


@dataclass
class Ended:
    """A bisection that has ended, and what it said."""

    kept: Bisection
    answer: Answer
    story: Story
    lines: list[str]


def order(good: str, bad: str, *, paths: Sequence[str] = (), repeat: int = 1, **more: object) -> Order:
    """Return an order as ``ccsight bisect`` makes it of two specs."""
    found = suspects.between(good, bad, tuple(paths), lambda _: None)
    known = {
        "schema": SCHEMA,
        "id": "2026-11-22-000000-abcd",
        "created": "2026-11-22T00:00:00Z",
        "ccsight": "0",
        "argv": ("ccsight", "bisect", "--good", good, "--bad", bad, PREDICATE),
        "predicate": PREDICATE,
        "good": good,
        "bad": bad,
        "first": found.spec(found.first),
        "last": found.spec(found.last),
        "machines": (MACHINE,),
        "paths": tuple(paths),
        "repeat": repeat,
    }
    return Order(**(known | more))


def searched(
    kept: Bisection,
    lab: Lab,
    found: Commits | Row | Series | None = None,
    skips: Sequence[str] = (),
    workers: int = 1,
    likely: Sequence[str] = (),
) -> Ended:
    """Carry a bisection out, or on, with a lab."""
    lines: list[str] = []
    wanted = kept.order
    found = found or suspects.again(wanted, lambda _: None)
    bench = Bench(kept.runs, parse(wanted.predicate), wanted.machines, shipped(), wanted.argv, wanted.repeat)
    bench = replace(bench, workers=workers)
    work = Bisecting(kept, found, bench, lab.attempts, Told(lines.append, lambda _: None))
    good_is = work.ends()
    first = found.touching(tuple(likely)) if likely and isinstance(found, Commits) else None
    answer = work.narrow(tuple(skips), first)
    work.prove(answer)
    made = outcome(answer, found, work.steps, good_is)
    return Ended(kept, answer, Story(wanted, work.steps, made), lines)


def begun(place: Path, wanted: Order) -> Bisection:
    return Bisection.create(place / "results", wanted)
