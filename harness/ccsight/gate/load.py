"""The runs that a gate is given: each folder once; one that cannot be read is said to be, never left out."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ccsight.errors import EvidenceError
from ccsight.evidence.failure import Failure
from ccsight.evidence.manifest import PLAN
from ccsight.evidence.run import Run, find_run
from ccsight.status import Status

#: What lies beside runs in a folder of results, and is none.
_BESIDE = ("README.md", "schema", "baselines")
_BISECTION = "bisect.json"


@dataclass(frozen=True)
class Loaded:
    """A run, or why its folder is none; ``passed`` says why nothing was expected of it."""

    folder: Path
    run: Run | None = None
    problem: Failure | None = None
    passed: str = ""


def load(names: Iterable[str], results: Path) -> Iterator[Loaded]:
    """Yield each run that is named, by folder, bundle, id or ``latest``, once.

    What else lies in a folder of results is passed over, so that ``results/*`` names its runs. Raises
    UsageError where there is none, EvidenceError for a bundle that was altered.
    """
    for folder in folders(names, results):
        passed = _passed(folder)
        yield Loaded(folder, passed=passed) if passed else _open(folder)


def folders(names: Iterable[str], results: Path) -> Iterator[Path]:
    """Yield the folder, or what else it is, behind each name, once. Raises as ``load``."""
    seen: set[Path] = set()
    for name in names:
        path = Path(name)
        folder = next((place for place in (path, results / name) if place.is_dir()), None)
        if folder is None:
            folder = path if path.is_file() and _passed(path) else find_run(results, name).folder
        if folder.resolve() not in seen:
            seen.add(folder.resolve())
            yield folder


def _passed(path: Path) -> str:
    """Say what something is that lies beside runs, "" for what should be one."""
    if (path / PLAN).exists():
        return ""
    if path.name in _BESIDE:
        return "no run, but one of the things that lie beside runs"
    return "a bisection, whose steps are runs" if (path / _BISECTION).is_file() else ""


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
