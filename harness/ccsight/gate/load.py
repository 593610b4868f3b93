"""The runs that a gate is given: each folder once; one that cannot be read is said to be, never left out."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ccsight.errors import EvidenceError
from ccsight.evidence.failure import Failure
from ccsight.evidence.run import Run, find_run
from ccsight.status import Status


@dataclass(frozen=True)
class Loaded:
    """A run, or why its folder is none."""

    folder: Path
    run: Run | None = None
    problem: Failure | None = None


def load(names: Iterable[str], results: Path) -> Iterator[Loaded]:
    """Yield each run that is named, by folder, bundle, id or ``latest``, once.

    Raises UsageError where there is none, EvidenceError for a bundle that was altered.
    """
    seen: set[Path] = set()
    for name in names:
        folder = next((path for path in (Path(name), results / name) if path.is_dir()), None)
        if folder is None:
            folder = find_run(results, name).folder
        if folder.resolve() not in seen:
            seen.add(folder.resolve())
            yield _open(folder)


def _open(folder: Path) -> Loaded:
    try:
        run = Run.open(folder)
    except EvidenceError as error:
        return Loaded(folder, problem=Failure.of(error))
    odd = _odd(run)
    if odd:
        return Loaded(folder, problem=Failure(status=Status.ERROR, fact=f"{folder / 'run.json'}: {odd}"))
    return Loaded(folder, run)


def _odd(run: Run) -> str:
    """Say what does not fit together in a plan: then it is not known what was to be observed."""
    plan = run.plan
    specs = {kernel.spec for kernel in plan.kernels}
    wanted = {(machine, spec) for machine in plan.machines for spec in specs}
    cells = {(cell.machine, cell.kernel) for cell in plan.cells}
    ids = {cell.id for cell in plan.cells}
    if not cells or cells != wanted:
        return "its cells are not its machines with its kernels"
    if not all(ids.issuperset(case.cells) and case.cells for case in plan.cases):
        return "a case is of a cell that the plan does not have"
    return ""
