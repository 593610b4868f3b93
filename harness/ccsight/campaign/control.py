"""The control that blame takes: a patched kernel that did not come up, its base, and the patched one again.

All on the machine of the cell, one after the other. Only what comes of it is written down here; whose fault
it is, is judged by CR-019.
"""

from collections.abc import Callable
from dataclasses import replace

from msgspec import structs

from ccsight.campaign.booting import DidNotBoot, Start, Stopwatch, proved
from ccsight.deadline import Deadline
from ccsight.errors import CcsightError, InfraError
from ccsight.evidence.boots import Boot, Boots, End, Role
from ccsight.evidence.failure import Failure
from ccsight.evidence.model import SCHEMA
from ccsight.evidence.plan import Plan
from ccsight.kernels import spec as kernel_specs
from ccsight.kernels import stored
from ccsight.kernels.model import Kernel
from ccsight.machines.model import Machine, Report

#: Seconds for a base that nobody has built yet, and for each boot on an emulated machine, whatever happens.
BASE_SECONDS, BOOT_SECONDS = 1800.0, 120.0


def seconds(machine: Machine) -> float:
    """Return how long all of it may take on a machine."""
    return BASE_SECONDS + 2 * (BOOT_SECONDS + machine.seconds)


def boots(first: Start, failure: Failure, report: Report) -> Boots:
    """Return how the kernel of ``first``, which did not come up, then its base, then it again booted."""
    return tried(first, failure, lambda: _base(first, report), report)


def tried(first: Start, failure: Failure, base: Callable[[], Kernel], report: Report) -> Boots:
    """Return the same with any base; ``base`` may raise what says why there is none.

    The row ends as soon as nobody can be blamed any more: where the base does not come up, either.
    """
    spec = first.cell.kernel
    row = [Boot(role=Role.PATCHED, kernel=spec, end=End.DOWN, console=_name(first), failure=failure)]
    row.append(_boot(replace(first, control=1), Role.BASE, base, report))
    if row[-1].end is End.UP:
        row.append(_boot(replace(first, control=2), Role.PATCHED, lambda: first.kernel, report))
    return Boots(schema=SCHEMA, cell=first.cell, boots=tuple(row))


def _boot(start: Start, role: Role, kernel: Callable[[], Kernel], report: Report) -> Boot:
    report(f"control: {role}")
    planned = start.run.plan.kernel(start.cell.kernel)
    spec = planned.base if role is Role.BASE else planned.spec
    boot = Boot(role=role, kernel=spec, end=End.UNTRIED, console=_name(start))
    try:
        given = replace(start, kernel=kernel())
        deadline = Deadline(BOOT_SECONDS + start.machine.seconds)
        with proved(given, Stopwatch(lambda stage: None), deadline) as up:
            found = up.identity
    except CcsightError as error:
        end = End.DOWN if isinstance(error, DidNotBoot) else End.UNTRIED
        return structs.replace(boot, end=end, failure=Failure.of(error))
    return structs.replace(
        boot, end=End.UP, release=found.release, build_id=found.build_id, boot_id=found.boot_id
    )


def _base(first: Start, report: Report) -> Kernel:
    """Return the base of a cell's kernel: the plan's, or one that is looked up and built now.

    Raises InfraError where its source is no longer what the patched kernel was made from; a kernel that is
    named by its place in the store (a bisection's good end) cannot change, and may be of another source.
    """
    plan = first.run.plan
    planned = plan.kernel(first.cell.kernel)
    base = kernel_specs.resolve(_pin(plan, planned.base), Deadline(BASE_SECONDS), report)
    if kernel_specs.parse(planned.base).kind == stored.BUILT:
        return base
    sources = [build.provenance if build else () for build in (planned.build, base.build)]
    if sources[0] != sources[1]:
        raise InfraError(
            f"{planned.base} is another source by now than when it was patched",
            evidence=" / ".join(", ".join(word for _, word in source) for source in sources),
            next_step="start anew: nothing was booted of it",
        )
    return base


def _pin(plan: Plan, base: str) -> str:
    return next((planned.pin for planned in plan.kernels if planned.spec == base), base)


def _name(start: Start) -> str:
    return str(start.console.relative_to(start.run.folder))
