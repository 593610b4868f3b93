"""The main job from request to report: what ``ccsight compare`` does, in order."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

from ccsight.campaign import readiness
from ccsight.campaign.execute import execute
from ccsight.campaign.planning import cases_of, cells_of, plan_comparison
from ccsight.deadline import Deadline
from ccsight.errors import EvidenceError, Interrupted, UsageError
from ccsight.evidence.bundle import origin
from ccsight.evidence.plan import USUAL, Depth, Plan, PlannedKernel
from ccsight.evidence.run import Run, find_run
from ccsight.kernels import spec as kernel_specs
from ccsight.kernels.model import Kernel
from ccsight.kernels.running import RUNNING
from ccsight.machines import registry
from ccsight.machines.model import Machine
from ccsight.machines.silicon import Table
from ccsight.probes import build
from ccsight.report import as_json as json_report
from ccsight.report import console, junit, terminal
from ccsight.report.model import Result
from ccsight.status import exit_code

#: Seconds for everything that may have to be downloaded or built first: on two cores, half an hour for a
#: kernel with the configuration of a distribution (kconfig=machine:NAME).
SET_UP_SECONDS = 5400.0


@dataclass(frozen=True)
class Request:
    """What the user asked for: kernel specs (old one first), machine specs, the command to repeat it.

    ``table`` is where ``silicon:`` machines are looked up, ``depth`` what is asked in each cell.
    """

    kernels: tuple[str, ...]
    machines: tuple[str, ...]
    again: tuple[str, ...]
    table: Table
    depth: Depth = USUAL


def checked(request: Request) -> list[Machine]:
    """Return the machines asked for. Raises UsageError for what can be known to be wrong without any work."""
    if len(set(request.kernels)) < len(request.kernels):
        raise UsageError(
            f"the old and the new kernel are the same: {request.kernels[0]}",
            next_step="name two, or give one of them another name: ,name=AGAIN",
        )
    for kernel in request.kernels:
        kernel_specs.parse(kernel)
    for kernel, machine in product(request.kernels, request.machines):
        registry.prove_fit(kernel_specs.parse(kernel), registry.parse(machine), linux=request.depth.linux)
    return [registry.machine(machine, request.table) for machine in request.machines]


def show_plan(request: Request, *, as_json: bool) -> int:
    """Print what the request would do, and do nothing. Returns the exit status."""
    checked(request)
    cells = cells_of(request.kernels, request.machines)
    cases = cases_of(request.kernels, request.machines, request.depth)
    if as_json:
        console.write_bytes(json_report.plan(cells, cases))
    else:
        console.output().print(terminal.render_plan(cells, cases))
    return 0


def start(results: Path, request: Request) -> tuple[Run, Mapping[str, Kernel]]:
    """Make a run, and return it with its kernels by spec.

    Machines and kernels are looked up first, so that a wrong one costs nothing.
    """
    deadline = Deadline(SET_UP_SECONDS)
    boots = any(kernel_specs.parse(kernel).kind != RUNNING for kernel in request.kernels)
    readiness.prepare(checked(request), deadline, console.narrate, boots=boots)
    kernels = [kernel_specs.resolve(kernel, deadline, console.narrate) for kernel in request.kernels]
    build.built(deadline)
    planned = [planned_kernel(kernel) for kernel in kernels]
    plan = plan_comparison(planned, request.machines, request.again, request.table.text, request.depth)
    return Run.create(results, plan), {kernel.spec.text: kernel for kernel in kernels}


def planned_kernel(kernel: Kernel) -> PlannedKernel:
    """Return what a plan says of a kernel."""
    return PlannedKernel(
        spec=kernel.spec.text,
        pin=kernel_specs.pin(kernel),
        label=kernel.label,
        release=kernel.release,
        image_sha256=kernel.image_sha256,
        packages=kernel.packages,
        build=kernel.build,
        base=kernel_specs.base_of(kernel),
    )


def reopen(results: Path, name: str) -> tuple[Run, Mapping[str, Kernel]]:
    """Open a run to finish it, and return it with its kernels by spec."""
    run = find_run(results, name)
    if packed := origin(run.folder):
        raise UsageError(
            f"{packed} is a bundle, which is only read",
            evidence="what a resumed run observes is written into its folder",
            next_step=f"resume the folder where it lies, or begin anew: {shlex.join(run.plan.argv)}",
        )
    return run, pinned_kernels(run.plan)


@dataclass(frozen=True)
class Manner:
    """How a run is carried out and shown."""

    workers: int
    as_json: bool
    verbose: bool


def carry_out(run: Run, kernels: Mapping[str, Kernel], manner: Manner) -> int:
    """Execute what the run's folder lacks, write the reports and print one. Returns the exit status."""
    terminal.announce(run.plan)
    try:
        with console.board([run.plan.title(cell) for cell in run.plan.cells]) as board:
            execute(run, kernels, manner.workers, board)
    except KeyboardInterrupt:
        done = sum(run.capture(cell) is not None for cell in run.plan.cells)
        raise Interrupted(
            f"interrupted; {done} of {len(run.plan.cells)} cells are complete",
            next_step=f"finish it: ccsight compare --resume {run.folder}",
        ) from None
    return present(publish(run), as_json=manner.as_json, verbose=manner.verbose)


def pinned_kernels(plan: Plan) -> Mapping[str, Kernel]:
    """Return the very kernels of a plan, by spec. Raises EvidenceError when one is another by now."""
    deadline = Deadline(SET_UP_SECONDS)
    kernels = {}
    for planned in plan.kernels:
        kernel = kernel_specs.resolve(planned.pin, deadline, console.narrate)
        if kernel.image_sha256 != planned.image_sha256:
            raise EvidenceError(
                f"{planned.spec} is another kernel than when the run was planned",
                evidence=f"SHA-256 {kernel.image_sha256[:16]}…, planned {planned.image_sha256[:16]}…",
                next_step=f"start anew: {shlex.join(plan.argv)}",
            )
        kernels[planned.spec] = replace(kernel, label=planned.label)
    return kernels


def publish(run: Run) -> Result:
    """Judge what a run's folder holds, and write the reports into it."""
    result = Result.of(run)
    from ccsight.report import html  # with all templates, which few of a session's workers need

    junit.write(result, run.folder / "junit.xml")
    html.write(result, run.folder / "report.html")
    return result


def present(result: Result, *, as_json: bool, verbose: bool) -> int:
    """Print a result and return the exit status that it stands for."""
    if as_json:
        console.write_bytes(json_report.document(result))
    else:
        console.output().print(terminal.render(result, verbose=verbose))
    return exit_code(result.statuses)
