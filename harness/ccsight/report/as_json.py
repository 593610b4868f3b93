"""What ``--json`` prints: one object on stdout, register values as 0x-hex strings.

``compare`` and ``show`` print a :class:`Document`:

    run          id, created (UTC), ccsight's version, argv that repeats it
    kernels      the old one first: as planned, and the behaviours that were observed of it
    machines     a :class:`Machine` each: what was shown under the old and the new kernel, what differs,
                 its physical CPUs by what they show, and every comparison and law with its findings
    status       the worst status of all; exit_code is what the shell gets

``diff`` prints a :class:`Difference`, ``compare --dry-run`` a :class:`Planned`. Field names are those
of the evidence types (``ccsight.evidence``), registers and fields those of the Arm ARM.
"""

from collections.abc import Iterator, Sequence

import msgspec

from ccsight.arm64.caches import human_size, listed
from ccsight.arm64.kvm_ids import ccsidr_selector
from ccsight.evidence.boots import Boot
from ccsight.evidence.cases import Case, Finding, PlannedCase
from ccsight.evidence.failure import Failure
from ccsight.evidence.linux import LinuxGuest
from ccsight.evidence.model import SCHEMA, Capture, KernelFacts, MachineFacts
from ccsight.evidence.plan import PlannedKernel
from ccsight.evidence.record import Hex, Record, to_json
from ccsight.evidence.views import CARRIED, Cell, Vantage, View, Write
from ccsight.kvm.behaviour import observed
from ccsight.kvm.meaning import caches
from ccsight.report.capability import capability
from ccsight.report.cpus import groups
from ccsight.report.migrations import arrivals, boots, journeys
from ccsight.report.model import Result
from ccsight.report.remedies import Advice, advice
from ccsight.report.wording import behaviours, compares_kernels, meaning, measures
from ccsight.status import Status, exit_code


class Run(Record, frozen=True):
    """Which run it is, and the command that repeats it."""

    id: str
    created: str
    ccsight: str
    argv: tuple[str, ...]


class Kernel(PlannedKernel, frozen=True, kw_only=True):
    """A kernel as planned, and the names of the behaviours that were observed of it (mostly one)."""

    behaviours: tuple[str, ...]


class CacheShown(Record, frozen=True):
    """A cache that the guest finds, in bytes, ways and sets; null where its CCSIDR_EL1 cannot be read.

    ``fabricated`` is true where KVM made the size up: one set of one way.
    """

    name: str
    level: int
    side: str
    selector: int
    size: int | None
    human_size: str
    line: int | None
    ways: int | None
    sets: int | None
    fabricated: bool


class Shown(Record, frozen=True):
    """What a machine showed under one kernel; or, with ``failure``, why nothing was observed.

    ``failures`` says why single programs observed nothing, by their names; ``boots`` how the kernel and its
    base booted, where it did not come up. ``linux`` are Linux guests, where they were asked for.
    ``views`` have the physical CPU to which they were pinned, ``writes`` are what a VM carried from CPU to
    CPU; ``machine.declared`` is what the silicon table makes the CPUs say, observed by nobody.
    """

    cell: str
    kernel: KernelFacts | None = None
    machine: MachineFacts | None = None
    behaviour: str = ""
    caches: tuple[CacheShown, ...] = ()
    views: tuple[View, ...] = ()
    writes: tuple[Write, ...] = ()
    registers_listed: int | None = None
    ccsidr_listed: int | None = None
    seconds: dict[str, float] = msgspec.field(default_factory=dict)
    failure: Failure | None = None
    failures: dict[str, Failure] = msgspec.field(default_factory=dict)
    boots: tuple[Boot, ...] = ()
    linux: tuple[LinuxGuest, ...] = ()


class CpuGroup(Record, frozen=True):
    """Physical CPUs that are of one kind, and look the same under every kernel."""

    cpus: tuple[int, ...]
    core: str
    midr: Hex


class Migration(Record, frozen=True):
    """A VM that went from one kernel to another: how it was launched, and what becomes of it with a VMM.

    ``source_machine`` and ``destination_machine`` are the same, unless it left its machine.
    """

    source: str
    destination: str
    source_machine: str
    destination_machine: str
    how: str
    vmm: str
    outcome: str
    why: str


class Machine(Record, frozen=True):
    """One machine: both sides, what differs field by field, in sentences, and all judgements.

    ``capability`` says which kernel has the one that a run asked for, ``remedies`` what mends a roll-back.
    """

    machine: str
    old: Shown | None
    new: Shown | None
    differences: tuple[Finding, ...]
    sentences: tuple[str, ...]
    cpu_groups: tuple[CpuGroup, ...]
    comparisons: tuple[Case, ...]
    laws: tuple[Case, ...]
    migrations: tuple[Migration, ...] = ()
    capability: tuple[str, ...] = ()
    remedies: tuple[Advice, ...] = ()


class Document(Record, frozen=True):
    """A whole run."""

    schema: int
    run: Run
    kernels: tuple[Kernel, ...]
    machines: tuple[Machine, ...]
    status: Status
    exit_code: int


class Difference(Record, frozen=True):
    """Two captures compared."""

    schema: int
    old: Shown
    new: Shown
    differences: tuple[Finding, ...]
    sentences: tuple[str, ...]
    comparisons: tuple[Case, ...]


class Planned(Record, frozen=True):
    """What a run would do."""

    schema: int
    boots: int
    cells: tuple[Cell, ...]
    cases: tuple[PlannedCase, ...]


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
