"""``ccsight bisect`` from request to report: plan, begin, go on, and say what came of it."""

import os
import statistics
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

from ccsight import __version__
from ccsight.campaign import pace, quorum, readiness, suspects, trying
from ccsight.campaign.bisecting import Answer, Bisecting, Told
from ccsight.campaign.compare import SET_UP_SECONDS
from ccsight.campaign.rows import Row, Series
from ccsight.campaign.search import Among, Found, rounds, steps
from ccsight.campaign.suspects import GIT_SECONDS, Commits, Suspects
from ccsight.checks.predicates import parse
from ccsight.deadline import Deadline
from ccsight.errors import CcsightError, Interrupted, UsageError
from ccsight.evidence.bisection import Bisection, Order, Step
from ccsight.evidence.model import SCHEMA
from ccsight.evidence.plan import new_run_id, now
from ccsight.kernels import spec as kernel_specs
from ccsight.machines import registry, silicon
from ccsight.machines.silicon import Table
from ccsight.probes import build
from ccsight.report import bisection as report
from ccsight.report import bisection_text as texts
from ccsight.report import console
from ccsight.report.bisection import Estimate, Outcome, Story, Suspect, Word
from ccsight.store import locked

MAIL, LOG = "bisect.txt", "bisect.log"


@dataclass(frozen=True)
class Request:
    """What the user asked for; ``argv`` is the command that repeats it."""

    good: str
    bad: str
    predicate: str
    machines: tuple[str, ...]
    argv: tuple[str, ...]
    table: Table
    confirm: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    repeat: int = 1


@dataclass(frozen=True)
class Manner:
    """How a bisection is carried out and shown. ``skips`` are suspects to be left out."""

    workers: int
    as_json: bool
    verbose: bool = False
    skips: tuple[str, ...] = ()


def start(results: Path, request: Request) -> Bisection:
    """Make a bisection's folder. Raises UsageError for what can be known to be wrong without a build.

    A machine whose configuration is taken is asked here, while it runs its own kernel.
    """
    deadline = Deadline(SET_UP_SECONDS)
    good, bad = (kernel_specs.settled(end, deadline, console.narrate) for end in (request.good, request.bad))
    request = replace(request, good=good, bad=bad)
    found = _checked(request)
    order = Order(
        schema=SCHEMA,
        id=new_run_id(),
        created=now(),
        ccsight=__version__,
        argv=request.argv,
        predicate=request.predicate,
        good=request.good,
        bad=request.bad,
        first=found.spec(found.first),
        last=found.spec(found.last),
        machines=request.machines,
        confirm=request.confirm,
        paths=request.paths,
        repeat=request.repeat,
        silicon=request.table.text,
    )
    return Bisection.create(results, order)


def _checked(request: Request) -> Commits | Row | Series:
    """Return what is between the ends, once all else is known to make sense."""
    predicate = parse(request.predicate)
    machines = (*request.machines, *request.confirm)
    for kernel, machine in product((request.good, request.bad, *predicate.sources), machines):
        registry.prove_fit(kernel_specs.parse(kernel), registry.parse(machine))
        registry.machine(machine, request.table)
    for file in predicate.files:
        if not Path(file).exists():
            raise UsageError(
                f"there is no capture {file}",
                evidence=request.predicate,
                next_step="name a capture.json of a run: results/RUN/captures/…",
            )
    found = suspects.between(request.good, request.bad, request.paths, console.narrate)
    if not found.left([found.first], found.last):
        raise UsageError(
            "no commit between the ends touches these paths",
            evidence=" ".join(request.paths),
            next_step="leave the paths out, or see: git log GOOD..BAD -- PATH",
        )
    return found


def show_plan(results: Path, request: Request, workers: int, *, as_json: bool) -> int:
    """Print what a bisection would take, and do nothing. Returns the exit status."""
    found = _checked(request)
    left = len(found.left([found.first], found.last))
    everywhere = len(dict.fromkeys((*request.machines, *request.confirm)))
    one = 2 * len(parse(request.predicate).sources) + 1  # of N kernels whose VMs move, all but one come twice
    earlier = [step for each in _earlier(results) for step in each if step.looks]
    known, cpus = pace.pace(earlier, built_here=found.built_here), os.cpu_count() or 1
    width = pace.width(left, workers, cpus, known)
    tries = rounds(left, width) * width
    boots = request.repeat * one * (5 * everywhere + tries * len(dict.fromkeys(request.machines)))
    estimate = Estimate(
        schema=SCHEMA,
        suspects=left,
        steps=steps(left),
        width=width,
        rounds=rounds(left, width),
        builds=tries + 5,
        boots=boots,
        build=_median([step.build for step in earlier]),
        boot=_median([look.seconds for step in earlier for look in step.looks]),
        seconds=round(rounds(left, width) * known.round(width, cpus) + 5 * known.seconds, 1)
        if known
        else None,
    )
    if as_json:
        console.write_bytes(report.estimated(estimate))
    else:
        console.output().print(report.estimate_page(estimate))
    return 0


def _median(values: list[float]) -> float | None:
    return round(statistics.median(values), 1) if values else None


def _earlier(results: Path) -> Iterator[tuple[Step, ...]]:
    """Yield the steps of the bisections that lie in a folder: how long they took is what is known."""
    for path in sorted(results.glob("*/bisect.json")):
        try:
            yield Bisection.find(results, path.parent.name).steps()
        except CcsightError:
            continue


def carry_out(kept: Bisection, manner: Manner) -> int:
    """Do what a bisection lacks, write its reports, and print one. Returns the exit status."""
    with locked(kept.folder / "bisecting", Deadline(1)):
        console.narrate(f"{kept.folder}  {' '.join(kept.order.machines)}")
        try:
            found = suspects.again(kept.order, console.narrate)
            story = _searched(kept, found, manner)
        except KeyboardInterrupt:
            raise Interrupted(
                f"interrupted after {len(kept.steps())} steps",
                next_step=f"go on: ccsight bisect --resume {kept.folder}",
            ) from None
        kept.write(MAIL, texts.mail(story))
        if isinstance(found, Commits):
            kept.write(LOG, texts.log(kept.order, story.steps, story.outcome))
    if manner.as_json:
        console.write_bytes(report.document(story))
    else:
        console.output().print(texts.page(story))
        console.narrate(f"for a mail: {kept.folder / MAIL}")
    return story.exit_code


def _searched(kept: Bisection, found: Commits | Row | Series, manner: Manner) -> Story:
    order = kept.order
    bench = _bench(kept, manner.workers)
    quiet = console.narrate if manner.verbose else lambda _: None
    work = Bisecting(kept, found, bench, trying.attempts, Told(console.narrate, quiet))
    good_is = work.ends()
    skips = tuple(suspects.named(found, each) for each in manner.skips)
    answer = work.narrow(skips, suspects.likely(found, work.steps))
    work.prove(answer)
    return Story(order, work.steps, outcome(answer, found, work.steps, good_is))


def _bench(kept: Bisection, workers: int) -> trying.Bench:
    order = kept.order
    table = silicon.table(order.silicon)
    _prepare(order, table)
    return trying.Bench(
        folder=kept.runs,
        predicate=parse(order.predicate),
        machines=order.machines,
        table=table,
        argv=order.argv,
        repeat=order.repeat,
        workers=workers,
    )


def _prepare(order: Order, table: Table) -> None:
    """Fetch and build what machines need, before any kernel is."""
    deadline = Deadline(SET_UP_SECONDS)
    machines = [registry.machine(name, table) for name in dict.fromkeys((*order.machines, *order.confirm))]
    readiness.prepare(machines, deadline, console.narrate, boots=True)
    build.built(deadline)


def outcome(answer: Answer, found: Suspects, made: tuple[Step, ...], good_is: bool) -> Outcome:
    """Return what a search came to, for readers."""
    confidence = quorum.confidence(made)
    if isinstance(answer, Found):
        return Outcome(
            word=Word.FOUND,
            good_is=good_is,
            suspects=(_suspect(found, answer.suspect, whole=True),),
            confidence=confidence,
        )
    if isinstance(answer, Among):
        rows = tuple(_suspect(found, each) for each in answer.suspects)
        return Outcome(word=Word.AMONG, good_is=good_is, suspects=rows, confidence=confidence)
    return Outcome(word=Word.NOWHERE, good_is=good_is, confidence=confidence)


def _suspect(found: Suspects, suspect: str, *, whole: bool = False) -> Suspect:
    if not isinstance(found, Commits):
        return Suspect(id=suspect, title=found.title(suspect))
    commit = found.commit(suspect)
    stat = found.history.stat(suspect, Deadline(GIT_SECONDS)) if whole else ()
    return Suspect(id=suspect, title=commit.subject, author=commit.author, date=commit.date, stat=stat)
