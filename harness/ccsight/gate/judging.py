"""From a run's folder to what the decision needs of it: a machine at a time, and nothing of it is kept."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from ccsight.checks import AGREEMENTS, LAWS, LAWS_ON_REQUEST, RULES, TRIALS
from ccsight.checks.answers import Subject, ask
from ccsight.checks.predicates import Predicate
from ccsight.checks.registry import NotObserved
from ccsight.checks.verdict import judged as verdict
from ccsight.evidence.cases import Case, PlannedCase
from ccsight.evidence.decision import Kind
from ccsight.evidence.model import Capture, KernelFacts, Substrate
from ccsight.evidence.plan import USUAL
from ccsight.evidence.run import Run
from ccsight.evidence.views import Cell
from ccsight.gate import baseline, facts
from ccsight.gate.comparing import comparisons, safely
from ccsight.gate.log import Log
from ccsight.gate.policy import WORTH, Policy
from ccsight.gate.seen import Judged, Seen
from ccsight.gate.site import Site, observe
from ccsight.status import Status

_USUAL = {*LAWS, *(law.id for law in LAWS_ON_REQUEST.values() if USUAL.runs(law.program))}
_LAWS = LAWS.keys() | LAWS_ON_REQUEST.keys() | AGREEMENTS.keys() | TRIALS.keys() | RULES.keys()
_LOST = (Status.MISS, Status.ERROR)


def sightings(
    run: Run, policy: Policy, baselines: Mapping[str, str], log: Log, machines: Iterable[str]
) -> Iterator[Seen]:
    """Yield what a run says of each of these machines; nothing where it is not of the new kernel."""
    build_ids = _build_ids(run) if policy.old.build_id or policy.new.build_id else {}
    old, new = (kernel.among(run.plan, build_ids) for kernel in (policy.old, policy.new))
    if not new:
        return
    for machine in machines:
        site = observe(run, run.plan.cell(machine, old) if old else None, run.plan.cell(machine, new))
        members = [member.name for member in policy.fleet if member.has(machine, site.captures)]
        for member in members or [""]:
            found = _judged(site, policy, log, fleet=bool(member))
            shown = _values(site, policy)
            if member and policy.baseline and shown:
                found = (*found, _baseline(shown, baselines.get(member)))
            yield _seen(site, member, found, shown)


def _build_ids(run: Run) -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for cell in run.plan.cells:
        capture = observe(run, None, cell).captures.get(cell.id)
        if capture:
            found.setdefault(cell.kernel, set()).add(capture.kernel.build_id)
    return {spec: frozenset(ids) for spec, ids in found.items()}


def _seen(site: Site, member: str, found: tuple[Judged, ...], shown: tuple[str, ...]) -> Seen:
    run, new = site.run, site.captures.get(site.new.id)
    old = site.captures.get(site.old.id) if site.old else None
    return Seen(
        run=run.plan.id,
        created=run.plan.created,
        member=member,
        machine=site.new.machine,
        cells=(site.old.id if site.old else "", site.new.id),
        file=_file(run, site.new),
        substrate=max(
            (capture.machine.substrate for capture in site.captures.values()),
            key=WORTH.index,
            default=Substrate.UNKNOWN,
        ),
        old=_identity(old.kernel if old else None),
        new=_identity(new.kernel if new else None),
        boot=new.machine.boot_id if new else "",
        ccsight=run.plan.ccsight,
        judged=found,
        values=shown,
        release=new.kernel.release if new else "",
        again=(_again(site, site.old), _again(site, site.new)),
    )


def _again(site: Site, cell: Cell | None) -> str:
    arrived = site.arrivals.get(cell.id) if cell else None
    return _identity(arrived.kernel if arrived else None)


def _file(run: Run, cell: Cell) -> Path:
    folder = run.boot_folder(cell, run.boot(cell))
    names = ("capture.json", "boots.json", "failure.json")
    return next((folder / name for name in names if (folder / name).is_file()), run.folder / "run.json")


def _identity(kernel: KernelFacts | None) -> str:
    """Return what tells a kernel from any other: its build-id; its banner where it has none."""
    return kernel.build_id or kernel.banner if kernel else ""


def _judged(site: Site, policy: Policy, log: Log, *, fleet: bool) -> tuple[Judged, ...]:
    """Return all that is asked of a machine; of one that is of no fleet, whether laws fail."""
    if site.new.id not in site.captures:
        failure = site.failures.get(site.new.id)
        said = failure.fact if failure else "it never ran: the run was interrupted"
        trials = (_law(site, check, log) for check in sorted(site.boots and TRIALS.keys()))
        return (*trials, Judged(Kind.UNOBSERVED, "new", missed=f"{policy.new.text}: {said}"))
    found = [_law(site, check, log) for check in _required(site.new, policy, log)]
    if fleet:
        found += _lost(site)
        found += comparisons(site, policy, log)
        found += [_predicate(site, predicate) for predicate in policy.predicates]
    return tuple(found)


def _required(cell: Cell, policy: Policy, log: Log) -> list[str]:
    if policy.laws:
        return list(policy.laws)
    planned = {case.check for case in log.planned.get(cell.id, []) if case.check in _LAWS}
    return sorted(_USUAL | planned)


def _lost(site: Site) -> Iterator[Judged]:
    """Yield the programs that observed nothing on either kernel: no law may have missed them."""
    for capture in site.captures.values():
        for program, failure in capture.failures.items():
            if failure.status in _LOST or failure.status is Status.FAIL:
                yield Judged(Kind.UNOBSERVED, program, missed=f"{program}: {failure.fact}")


def _law(site: Site, check: str, log: Log) -> Judged:
    return safely(Kind.LAW, check, check, lambda: _of_case(_case(site, check, log), log))


def _of_case(case: Case, log: Log) -> Judged:
    lost = case.reason if case.status in _LOST else ""
    skipped = case.reason if case.status is Status.SKIP else ""
    failed = facts.of_law(case) if case.status is Status.FAIL else ()
    return Judged(Kind.LAW, case.check, case.check, failed, lost, skipped, log.denies(case), log.lacks(case))


def _case(site: Site, check: str, log: Log) -> Case:
    if check in AGREEMENTS:
        return _agreement(site, check, log)
    cells = site.pair if check in RULES else (site.new.id,)
    return verdict(PlannedCase(check=check, cells=cells), site.captures, site.failures, site.boots)


def _agreement(site: Site, check: str, log: Log) -> Case:
    """Return the case of two machines of the plan with the new kernel, of which this is the second."""
    plan = site.run.plan
    for planned in log.planned.get(site.new.id, []):
        if planned.check == check:
            other = next(cell for cell in plan.cells if cell.id == planned.cells[0])
            both = observe(site.run, other, site.new)
            return verdict(planned, both.captures, both.failures)
    raise NotObserved(
        f"{check} was not judged here: it takes two machines that differ in what must not matter"
    )


def _predicate(site: Site, predicate: Predicate) -> Judged:
    def judge() -> Judged:
        capture, path = site.shown, site.run.console(site.new, site.run.boot(site.new))
        console = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
        answer = ask(predicate, Subject(capture, console, _by_name(site)))
        said = answer.seen[0] if answer.seen else "nothing was seen"
        if answer.truth is None:
            return Judged(Kind.PREDICATE, f"{predicate}", missed=f"{predicate}: {said}")
        held = () if answer.truth else (facts.Fact("", "no", f"{predicate}: {said}"),)
        return Judged(Kind.PREDICATE, f"{predicate}", facts=held)

    return safely(Kind.PREDICATE, f"{predicate}", "", judge)


def _by_name(site: Site) -> dict[str, Capture]:
    """Return the old kernel's capture by each of its names."""
    if site.old is None or site.old.id not in site.captures:
        return {}
    kernel = site.run.plan.kernel(site.old.kernel)
    return dict.fromkeys((kernel.label, kernel.pin, kernel.spec), site.captures[site.old.id])


def _values(site: Site, policy: Policy) -> tuple[str, ...]:
    new = site.captures.get(site.new.id)
    return baseline.values(new) if new and policy.baseline else ()


def _baseline(shown: tuple[str, ...], committed: str | None) -> Judged:
    if committed is None:
        return Judged(Kind.BASELINE, "baseline", missed="there is no baseline")
    return Judged(Kind.BASELINE, "baseline", facts=baseline.differences(committed, shown))
