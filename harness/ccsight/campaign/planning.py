"""What a run promises, before anything boots. Pure: kernels and machines in, cells and cases out."""

from collections.abc import Iterable, Sequence
from itertools import pairwise

import msgspec

from ccsight.checks import COMPARISONS, LAWS
from ccsight.evidence.cases import PlannedCase
from ccsight.evidence.model import Cell
from ccsight.evidence.run import Plan, PlannedKernel, new_run_id, plan

#: What ``ccsight compare`` and the suites take when nothing else is asked for: a kernel from before
#: the normalization and one from after it, on a core without FEAT_CCIDX or IDC, one with IDC, one with both.
DEFAULT_KERNELS = ("deb:6.1", "deb:6.12")
DEFAULT_MACHINES = ("emulated:cortex-a57", "emulated:neoverse-n1", "emulated:neoverse-v1")


def cells_of(kernels: Iterable[str], machines: Iterable[str]) -> tuple[Cell, ...]:
    """Return every machine with every kernel, machine by machine, without repeats."""
    distinct = list(dict.fromkeys(kernels))
    return tuple(
        Cell(machine=machine, kernel=kernel) for machine in dict.fromkeys(machines) for kernel in distinct
    )


def cases_of(kernels: Sequence[str], machines: Iterable[str]) -> tuple[PlannedCase, ...]:
    """Return every law on every cell, and every comparison on each pair of neighbouring kernels."""
    cases: list[PlannedCase] = []
    for machine in dict.fromkeys(machines):
        cells = cells_of(kernels, [machine])
        cases += [PlannedCase(check=check, cells=(cell.id,)) for cell in cells for check in sorted(LAWS)]
        cases += [
            PlannedCase(check=check, cells=(old.id, new.id))
            for old, new in pairwise(cells)
            for check in sorted(COMPARISONS)
        ]
    return tuple(cases)


def plan_comparison(
    kernels: Sequence[PlannedKernel], machines: Sequence[str], argv: tuple[str, ...], silicon: str = ""
) -> Plan:
    """Return the plan of a run that compares kernels, the old one first, on machines.

    ``silicon`` is the text of the user's silicon table.
    """
    specs = [kernel.spec for kernel in kernels]
    promised = plan(
        run_id=new_run_id(),
        argv=argv,
        kernels=tuple(kernels),
        machines=tuple(dict.fromkeys(machines)),
        cells=cells_of(specs, machines),
        cases=cases_of(specs, machines),
    )
    return msgspec.structs.replace(promised, silicon=silicon)
