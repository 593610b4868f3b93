"""What a run promises, before anything boots. Pure: kernels and machines in, cells and cases out."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations, pairwise, permutations

from ccsight import __version__
from ccsight.checks import AGREEMENTS, COMPARISONS, CROSSINGS, LAWS, LAWS_ON_REQUEST, RULES, TRIALS
from ccsight.checks.registry import Comparison, Law
from ccsight.evidence.cases import PlannedCase
from ccsight.evidence.model import SCHEMA
from ccsight.evidence.plan import USUAL, Depth, Plan, PlannedKernel, new_run_id, now
from ccsight.evidence.views import Cell
from ccsight.kernels import spec as kernel_specs
from ccsight.machines.registry import gives, parse
from ccsight.specs import Spec

#: What ``ccsight compare`` and the suites take when nothing else is asked for: a kernel from before
#: the normalization and one from after it, on a core without FEAT_CCIDX or IDC, one with IDC, one with both.
DEFAULT_KERNELS = ("deb:6.1", "deb:6.12")
DEFAULT_MACHINES = ("emulated:cortex-a57", "emulated:neoverse-n1", "emulated:neoverse-v1")


#: Options of a machine that must not matter to a VM.
_MUST_NOT_MATTER = ("mode", "mte")


def cells_of(kernels: Iterable[str], machines: Iterable[str]) -> tuple[Cell, ...]:
    """Return every machine with every kernel, machine by machine, without repeats."""
    distinct = list(dict.fromkeys(kernels))
    return tuple(
        Cell(machine=machine, kernel=kernel) for machine in dict.fromkeys(machines) for kernel in distinct
    )


def cases_of(
    kernels: Sequence[str], machines: Sequence[str], depth: Depth = USUAL
) -> tuple[PlannedCase, ...]:
    """Return every law on every cell, every agreement, every comparison on neighbouring kernels.

    Trials are of kernels that have a base. Where only some programs run, what needs others is not planned,
    and VMs are compared between all kernels; across machines, between all cells of different ones.
    """
    laws = sorted(check for check, law in (LAWS | LAWS_ON_REQUEST).items() if _asked(law, depth))
    comparisons = sorted(check for check, each in COMPARISONS.items() if _asked(each, depth))
    rules = sorted(RULES) if depth.rules and depth.migrate else []
    cases: list[PlannedCase] = []
    for machine in dict.fromkeys(machines):
        cells = cells_of(kernels, [machine])
        cases += [PlannedCase(check=check, cells=(cell.id,)) for cell in cells for check in laws]
        patched = [cell for cell in cells if kernel_specs.base(cell.kernel)]
        trials = [] if depth.only else sorted(TRIALS)
        cases += [PlannedCase(check=check, cells=(cell.id,)) for cell in patched for check in trials]
        cases += [
            PlannedCase(check=check, cells=(old.id, new.id))
            for old, new in _pairs(cells, depth)
            for check in comparisons + rules
        ]
    for one, other in [] if depth.only else twins(machines):
        pairs = zip(cells_of(kernels, [one]), cells_of(kernels, [other]), strict=True)
        cases += [
            PlannedCase(check=check, cells=(a.id, b.id)) for a, b in pairs for check in sorted(AGREEMENTS)
        ]
    return (*cases, *_crossings(cells_of(kernels, machines), depth))


def _crossings(cells: Sequence[Cell], depth: Depth) -> Iterator[PlannedCase]:
    """Yield each way from a cell to one of another machine, where VMs go such ways."""
    checks = [check for check, each in CROSSINGS.items() if depth.across and _asked(each, depth)]
    for source, destination in permutations(cells, 2):
        if source.machine != destination.machine:
            yield from (PlannedCase(check=check, cells=(source.id, destination.id)) for check in checks)


def _asked(check: Law | Comparison, depth: Depth) -> bool:
    """Tell whether a check has what it needs; which programs those without a name need is not known here."""
    return depth.runs(check.program) if check.program else not depth.only


def _pairs(cells: Sequence[Cell], depth: Depth) -> Iterable[tuple[Cell, Cell]]:
    return combinations(cells, 2) if depth.only else pairwise(cells)


def twins(machines: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield machines that differ only in KVM's mode or in MTE: the plainest one with each of the others.

    One that has no other, but may have something to give to a VM, is its own twin.
    """
    groups: dict[tuple[object, ...], list[Spec]] = {}
    for spec in map(parse, dict.fromkeys(machines)):
        rest = tuple(option for option in spec.options if option[0] not in _MUST_NOT_MATTER)
        groups.setdefault((spec.kind, spec.value, rest), []).append(spec)
    for group in groups.values():
        plainest, *others = sorted(group, key=lambda spec: len(spec.options))
        for other in others:
            yield plainest.text, other.text
        if not others and gives(plainest):
            yield plainest.text, plainest.text


def plan_comparison(
    kernels: Sequence[PlannedKernel],
    machines: Sequence[str],
    argv: tuple[str, ...],
    silicon: str = "",
    depth: Depth = USUAL,
) -> Plan:
    """Return the plan of a run that compares kernels, the old one first, on machines.

    ``silicon`` is the text of the user's silicon table.
    """
    specs = [kernel.spec for kernel in kernels]
    return Plan(
        schema=SCHEMA,
        id=new_run_id(),
        created=now(),
        ccsight=__version__,
        argv=argv,
        kernels=tuple(kernels),
        machines=tuple(dict.fromkeys(machines)),
        cells=cells_of(specs, machines),
        cases=cases_of(specs, machines, depth),
        silicon=silicon,
        depth=depth,
    )
