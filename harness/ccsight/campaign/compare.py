"""The main job from request to report: what ``ccsight compare`` does, in order."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from ccsight.campaign.execute import execute
from ccsight.campaign.planning import cases_of, cells_of, plan_comparison
from ccsight.deadline import Deadline
from ccsight.errors import EvidenceError, Interrupted
from ccsight.evidence.run import Plan, PlannedKernel, Run, find_run
from ccsight.kernels import spec as kernel_specs
from ccsight.kernels.model import Kernel
from ccsight.machines import registry
from ccsight.probes import build
from ccsight.report import as_json as json_report
from ccsight.report import console, html, junit, terminal
from ccsight.report.model import Result
from ccsight.status import exit_code

#: Seconds for everything that may have to be downloaded or built first.
SET_UP_SECONDS = 1800.0


@dataclass(frozen=True)
class Request:
    """What the user asked for: kernel specs (old one first), machine specs, the command to repeat it."""

    kernels: tuple[str, ...]
    machines: tuple[str, ...]
    again: tuple[str, ...]


def show_plan(request: Request, *, as_json: bool) -> int:
    """Print what the request would do, and do nothing. Returns the exit status."""
    for machine in request.machines:
        registry.machine(machine)
    for kernel in request.kernels:
        kernel_specs.parse(kernel)
    cells = cells_of(request.kernels, request.machines)
    cases = cases_of(request.kernels, request.machines)
    if as_json:
        console.write_bytes(json_report.plan(cells, cases))
    else:
        console.output().print(terminal.render_plan(cells, cases))
    return 0


def start(results: Path, request: Request) -> Run:
    """Make a run: machines and kernels are looked up first, so that a wrong one costs nothing."""
    deadline = Deadline(SET_UP_SECONDS)
    machines = [registry.machine(machine) for machine in request.machines]
    for kernel in request.kernels:
        kernel_specs.parse(kernel)
    for machine in machines:
        machine.prepare(deadline, console.narrate)
    kernels = [kernel_specs.resolve(kernel, deadline, console.narrate) for kernel in request.kernels]
    build.built(deadline)
    plan = plan_comparison([_planned(kernel) for kernel in kernels], request.machines, request.again)
    return Run.create(results, plan)


def _planned(kernel: Kernel) -> PlannedKernel:
    return PlannedKernel(
        spec=kernel.spec.text,
        pin=kernel_specs.pin(kernel),
        label=kernel.label,
        release=kernel.release,
        image_sha256=kernel.image_sha256,
        packages=kernel.packages,
    )


def reopen(results: Path, name: str) -> Run:
    """Open a run to finish it."""
    return find_run(results, name)


def carry_out(run: Run, *, workers: int, as_json: bool, verbose: bool) -> int:
    """Execute what the run's folder lacks, write the reports and print one. Returns the exit status."""
    kernels = pinned_kernels(run.plan)
    terminal.announce(run.plan)
    try:
        with console.board([cell.title for cell in run.plan.cells]) as board:
            execute(run, kernels, workers, board)
    except KeyboardInterrupt:
        done = sum(run.capture(cell) is not None for cell in run.plan.cells)
        raise Interrupted(
            f"interrupted; {done} of {len(run.plan.cells)} cells are complete",
            evidence=str(run.folder),
            next_step=f"finish it: ccsight compare --resume {run.plan.id}",
        ) from None
    result = Result.of(run)
    junit.write(result, run.folder / "junit.xml")
    html.write(result, run.folder / "report.html")
    return present(result, run.folder, as_json=as_json, verbose=verbose)


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
                next_step=f"start anew: {' '.join(plan.argv)}",
            )
        kernels[planned.spec] = replace(kernel, label=planned.label)
    return kernels


def present(result: Result, folder: Path, *, as_json: bool, verbose: bool) -> int:
    """Print a result and return the exit status that it stands for."""
    if as_json:
        console.write_bytes(json_report.document(result))
    else:
        console.output().print(terminal.render(result, folder, verbose=verbose))
    return exit_code(case.status for case in result.cases)
