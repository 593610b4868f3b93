"""From a run, or a pair of captures, to what ``--json`` prints: see ``documents``."""

from collections.abc import Iterator, Sequence

import msgspec

from ccsight.arm64.caches import human_size, listed
from ccsight.arm64.kvm_ids import ccsidr_selector
from ccsight.evidence.cases import Case, Finding, PlannedCase
from ccsight.evidence.failure import Failure
from ccsight.evidence.model import SCHEMA, Capture
from ccsight.evidence.record import Hex, to_json
from ccsight.evidence.views import CARRIED, Cell, Vantage, View
from ccsight.kvm.behaviour import observed
from ccsight.kvm.meaning import caches
from ccsight.report.capability import capability
from ccsight.report.cpus import groups
from ccsight.report.documents import (
    CacheShown,
    CpuGroup,
    Difference,
    Document,
    Kernel,
    Machine,
    Migration,
    Planned,
    Run,
    Shown,
)
from ccsight.report.migrations import arrivals, boots, journeys
from ccsight.report.model import Result
from ccsight.report.remedies import advice
from ccsight.report.wording import behaviours, compares_kernels, meaning, measures
from ccsight.status import Status, exit_code


def document(result: Result) -> bytes:
    """Return a run as JSON: a :class:`Document`."""
    plan = result.plan
    kernels = tuple(
        Kernel(
            **msgspec.structs.asdict(kernel),
            behaviours=tuple(behaviour.name for behaviour in behaviours(result, kernel)),
        )
        for kernel in plan.kernels
    )
    return to_json(
        Document(
            schema=SCHEMA,
            run=Run(id=plan.id, created=plan.created, ccsight=plan.ccsight, argv=plan.argv),
            kernels=kernels,
            machines=tuple(_machine(result, machine) for machine in plan.machines),
            status=result.status,
            exit_code=exit_code(result.statuses),
        )
    )


def difference(old: Capture, new: Capture, cases: tuple[Case, ...]) -> bytes:
    """Return two captures compared, as JSON: a :class:`Difference`; ``cases`` are the comparisons of both."""
    return to_json(
        Difference(
            schema=SCHEMA,
            old=_shown(old),
            new=_shown(new),
            differences=_differences(cases),
            sentences=_sentences(cases),
            comparisons=cases,
        )
    )


def plan(cells: Sequence[Cell], cases: Sequence[PlannedCase]) -> bytes:
    """Return a plan as JSON: a :class:`Planned`."""
    return to_json(Planned(schema=SCHEMA, boots=boots(cells, cases), cells=tuple(cells), cases=tuple(cases)))


def _machine(result: Result, machine: str) -> Machine:
    lost = {cell.id: failure for cell, failure in result.unobserved(machine)}
    sides: list[Shown | None] = []
    present = []
    for kernel in result.plan.kernels[:2]:
        cell = result.plan.cell(machine, kernel.spec).id
        capture = result.captures.get(cell)
        present += [capture] if capture else []
        sides.append(_shown(capture) if capture else _unseen(result, cell, lost[cell]))
    sides += [None] * (2 - len(sides))
    cases = result.cases_of(machine)
    comparisons = tuple(case for case in cases if measures(case))
    return Machine(
        machine=machine,
        old=sides[0],
        new=sides[1],
        differences=_differences(comparisons),
        sentences=_sentences([case for case in comparisons if compares_kernels(case)]),
        cpu_groups=tuple(
            CpuGroup(cpus=group.cpus, core=group.core, midr=Hex(group.midr)) for group in groups(present)
        ),
        comparisons=comparisons,
        laws=tuple(case for case in cases if not measures(case)),
        migrations=tuple(_migrations(result, machine)),
        capability=capability(result, machine),
        remedies=advice(result, machine),
    )


def _migrations(result: Result, machine: str) -> Iterator[Migration]:
    for journey in (*journeys(result, machine), *arrivals(result, machine)):
        for vmm, (outcome, why) in journey.moved.outcomes.items():
            yield Migration(
                source=journey.source,
                destination=journey.destination,
                source_machine=journey.machines[0],
                destination_machine=journey.machines[1],
                how=journey.how,
                vmm=vmm,
                outcome=outcome,
                why=why,
            )


def _unseen(result: Result, cell: str, failure: Failure) -> Shown:
    row = result.boots.get(cell)
    return Shown(cell=cell, failure=failure, boots=row.boots if row else ())


def _differences(cases: Sequence[Case]) -> tuple[Finding, ...]:
    found = [finding for case in cases if case.check == "CR-009" for finding in case.findings]
    return tuple(finding for finding in found if finding.subject != "guest")


def _sentences(cases: Sequence[Case]) -> tuple[str, ...]:
    return tuple(sentence for case in cases if case.status is Status.DONE for sentence in meaning(case))


def _shown(capture: Capture) -> Shown:
    vcpus = capture.vcpus()
    guest = capture.view(Vantage.GUEST, vcpus[0]) if vcpus else None
    ids = capture.register_lists[0].ids if capture.register_lists else None
    return Shown(
        cell=capture.cell.id,
        kernel=capture.kernel,
        machine=capture.machine,
        behaviour=observed(capture).name,
        caches=_caches(guest) if guest else (),
        views=capture.views,
        writes=tuple(write for write in capture.writes if write.phase == CARRIED),
        registers_listed=None if ids is None else len(ids),
        ccsidr_listed=None if ids is None else sum(ccsidr_selector(kvm_id) is not None for kvm_id in ids),
        seconds=capture.seconds,
        failures=capture.failures,
        linux=capture.linux,
    )


def _caches(guest: View) -> tuple[CacheShown, ...]:
    shapes = caches(guest)
    found = []
    for cache in listed(guest.value("CLIDR_EL1") or 0):
        shape = shapes[cache.name]
        found.append(
            CacheShown(
                name=cache.name,
                level=cache.level,
                side=cache.side.name.lower(),
                selector=cache.selector,
                size=shape.size if shape else None,
                human_size=human_size(shape.size) if shape else "",
                line=shape.line if shape else None,
                ways=shape.ways if shape else None,
                sets=shape.sets if shape else None,
                fabricated=bool(shape and shape.is_fabricated),
            )
        )
    return tuple(found)
