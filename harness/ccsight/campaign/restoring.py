"""Another boot of a cell, for VMs of other cells that were not there yet when it was captured: no more.

What was saved before is restored in the cell's own boot; so N kernels of a machine, or C cells whose VMs go
across machines, take one of these less than there are of them.
"""

from dataclasses import dataclass
from pathlib import Path

from msgspec import structs

from ccsight.campaign import turns
from ccsight.campaign.booting import Start, Stopwatch, proved
from ccsight.campaign.facts import kernel_facts, machine_facts
from ccsight.campaign.migrating import arriving, kinds, sources
from ccsight.campaign.programs import every, restore_all
from ccsight.deadline import Deadline
from ccsight.errors import CcsightError
from ccsight.evidence.failure import Failure
from ccsight.evidence.model import SCHEMA, Arrivals
from ccsight.evidence.record import to_json
from ccsight.evidence.run import RESTORE, Run
from ccsight.evidence.views import Cell
from ccsight.kernels.model import Kernel
from ccsight.machines import registry, silicon
from ccsight.machines.model import Report
from ccsight.probes.restoring import State

#: Seconds that the boot may take on an emulated machine, whatever happens ...
SECONDS = 120.0
#: ... and how many more for the VMs of each cell that they come from.
SOURCE_SECONDS = 30.0


@dataclass(frozen=True)
class RestoreTask:
    """A cell that may have to be booted again. Travels to the worker, so everything pickles.

    ``after`` are the keys of the tasks that must have ended before: the captures of all that VMs come from.
    """

    run: Path
    cell: Cell
    kernel: Kernel
    after: frozenset[str]

    @property
    def key(self) -> str:
        """A name that no other task of the run has."""
        return f"{self.cell.id}/{RESTORE}"

    def carry_out(self, report: Report) -> Failure | None:
        """Restore the VMs that were not restored yet; return why it could not be done, or None."""
        run = Run.open(self.run)
        try:
            if not lacking(run, self.cell):
                return None
            machine = registry.machine(self.cell.machine, silicon.table(run.plan.silicon))
            seconds = SECONDS + SOURCE_SECONDS * len(run.plan.cells) + machine.seconds
            with turns.turn(run, self.cell, f"{self.cell.id}-{RESTORE}", 2 * seconds):
                missing = lacking(run, self.cell)
                if not missing:
                    return None
                start = Start(run, self.cell, machine, self.kernel, RESTORE)
                found = _arrivals(start, missing, report, Deadline(seconds))
                start.keep("arrivals.json", to_json(_joined(run.arrivals(self.cell), found)))
                return found.failures.get(RESTORE)
        except CcsightError as error:
            return Failure.of(error)


def lacking(run: Run, cell: Cell) -> tuple[State, ...]:
    """Return the VMs of other cells that come here, were saved, and not restored on this one yet."""
    capture = run.capture(cell)
    if capture is None:
        return ()
    before, later = sources(run.plan, cell)
    known = {(restored.source, restored.strategy, restored.sha256) for restored in capture.restored}
    return tuple(
        state
        for state in arriving(run, (*before, *later))
        if (state.source, state.strategy, state.sha256) not in known
    )


def _arrivals(start: Start, states: tuple[State, ...], report: Report, deadline: Deadline) -> Arrivals:
    watch = Stopwatch(report)
    try:
        with proved(start, watch, deadline) as up:
            with watch.stage(RESTORE):
                cpus, depth = kinds(up.identity), start.run.plan.depth
                asked = [(state, every(state, cpus, depth)) for state in states]
                told = restore_all(up.probe, asked, deadline)
            found = Arrivals(
                schema=SCHEMA,
                cell=start.cell,
                kernel=kernel_facts(start.cell.kernel, start.kernel, up.identity),
                machine=machine_facts(start.cell.machine, up.identity, up.booted, up.booted.declared()),
                restored=told.restored,
                seconds={
                    stage: round(spent, 3) for stage, spent in (up.booted.seconds | watch.seconds).items()
                },
            )
        not_back = turns.not_back(start.run, start.cell)
        return structs.replace(found, failures=told.failures | not_back)
    except CcsightError as error:
        return Arrivals(schema=SCHEMA, cell=start.cell, failures={RESTORE: Failure.of(error)})


def _joined(earlier: Arrivals | None, found: Arrivals) -> Arrivals:
    """Return what both boots said; only failures of the last one count."""
    return structs.replace(found, restored=(earlier.restored if earlier else ()) + found.restored)
