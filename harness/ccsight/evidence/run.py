"""A run's folder: the plan, what was observed, and what was judged.

    run.json                          the whole plan; written before anything boots
    cases.jsonl                       a log: one judgement a line, appended as it is made
    captures/CELL/BOOT/capture.json   what a boot said, parsed; beside it the raw streams
    captures/CELL/BOOT/failure.json   instead: why a boot said nothing
    captures/CELL/BOOT/boots.json     beside it, of a patched kernel: how it and its base then booted
    captures/CELL/BOOT/NAME.state     beside it: VMs that were saved
    captures/CELL/restore/            what became of other cells' VMs, in a boot of its own
    consoles/CELL-BOOT.log            the machine's console
    consoles/CELL-BOOT.N.log          that of the Nth of these boots

A cell that is tried again has another boot, so nothing that was observed is ever overwritten.

Verdicts are made anew from the captures whenever a run is read: a planned case without evidence is MISS, so a
killed run says of itself what it is.
"""

from pathlib import Path
from typing import TypeVar

import msgspec

from ccsight.errors import EvidenceError, UsageError, reason
from ccsight.evidence.boots import Boots
from ccsight.evidence.bundle import located, shown, unpacked
from ccsight.evidence.cases import Case
from ccsight.evidence.failure import Failure
from ccsight.evidence.model import READABLE, Arrivals, Capture
from ccsight.evidence.plan import Plan
from ccsight.evidence.record import T, from_json, to_json, to_json_line
from ccsight.evidence.views import Cell
from ccsight.store import explain, write_atomically

#: The boot of a cell in which states are only restored, where others have numbers.
RESTORE = "restore"


class Run:
    """One run's folder, open for reading and appending."""

    def __init__(self, folder: Path, plan: Plan) -> None:
        self.folder = folder
        self.plan = plan

    @classmethod
    def create(cls, results: Path, plan: Plan) -> "Run":
        """Make the folder and write the plan. Raises UsageError or NoSpace when that cannot be done."""
        run = cls(results / plan.id, plan)
        try:
            for name in ("captures", "consoles"):
                (run.folder / name).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise explain(error, results) from error
        write_atomically(run.folder / "run.json", to_json(plan))
        return run

    @classmethod
    def open(cls, folder: Path) -> "Run":
        """Open a run that is there. Raises EvidenceError when run.json is missing or malformed."""
        return cls(folder, _of_this_schema(_read(folder / "run.json", Plan), folder))

    def boot_folder(self, cell: Cell, boot: int | str = 1) -> Path:
        """Return the folder of one boot of a cell."""
        return self.folder / "captures" / cell.id / str(boot)

    def console(self, cell: Cell, boot: int | str = 1, control: int = 0) -> Path:
        """Return the file of one boot's console, or of a boot that was made as its control."""
        number = f"{boot}.{control}" if control else f"{boot}"
        return self.folder / "consoles" / f"{cell.id}-{number}.log"

    def ended(self, cell: Cell, boot: int) -> bool:
        """Tell whether a boot was made, and came to an end of which something was written down."""
        folder = self.boot_folder(cell, boot)
        return any((folder / name).is_file() for name in ("capture.json", "failure.json"))

    def last_boot(self, cell: Cell) -> int:
        """Return the number of a cell's last boot that has ended, 0 where there is none."""
        boot = 0
        while self.ended(cell, boot + 1):
            boot += 1
        return boot

    def boot(self, cell: Cell) -> int:
        """Return the boot that counts: the last one with a capture, or else the last one."""
        last = self.last_boot(cell)
        captured = (n for n in range(last, 0, -1) if (self.boot_folder(cell, n) / "capture.json").is_file())
        return next(captured, last) or 1

    def capture(self, cell: Cell) -> Capture | None:
        """Return all that is known of a cell, or None where there is no capture of it.

        Raises EvidenceError for evidence that is malformed, or another cell's.
        """
        found = self.own_capture(cell)
        arrivals = self.arrivals(cell) if found else None
        return found.and_arrived(arrivals) if found and arrivals else found

    def own_capture(self, cell: Cell) -> Capture | None:
        """Return a cell's capture without what its boot for restoring said. Raises EvidenceError."""
        path = self.boot_folder(cell, self.boot(cell)) / "capture.json"
        if not path.is_file():
            return None
        found = _of_this_schema(_read(path, Capture), path)
        return _of_this_cell(found, cell, path)

    def arrivals(self, cell: Cell) -> Arrivals | None:
        """Return what a cell's boot for restoring said, None where there was none yet.

        Raises EvidenceError for what is malformed, or another cell's.
        """
        path = self.folder / "captures" / cell.id / RESTORE / "arrivals.json"
        if not path.is_file():
            return None
        return _of_this_cell(_of_this_schema(_read(path, Arrivals), path), cell, path)

    def state(self, cell: Cell, file: str) -> Path:
        """Return where a VM lies that was saved in the boot of a cell that counts."""
        return self.boot_folder(cell, self.boot(cell)) / file

    def failure(self, cell: Cell, boot: int | None = None) -> Failure | None:
        """Return why a boot, mostly the one that counts, has no capture, or None where nothing says so."""
        folder = self.boot_folder(cell, boot or self.boot(cell))
        if (folder / "capture.json").is_file() or not (folder / "failure.json").is_file():
            return None
        return _read(folder / "failure.json", Failure)

    def boots(self, cell: Cell) -> Boots | None:
        """Return how a cell's kernel and its base booted, where the kernel did not come up, else None."""
        path = self.boot_folder(cell, self.boot(cell)) / "boots.json"
        return _of_this_schema(_read(path, Boots), path) if path.is_file() else None

    def write(self, cell: Cell, name: str, content: bytes, boot: int | str = 1) -> None:
        """Put a file into the folder of a cell's boot, whole or not at all."""
        folder = self.boot_folder(cell, boot)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise explain(error, self.folder) from error
        write_atomically(folder / name, content)

    def append(self, case: Case) -> None:
        """Log a judgement, on a line of its own even after the half line of a killed run."""
        try:
            with (self.folder / "cases.jsonl").open("ab") as file:
                file.write(b"\n" + to_json_line(case))
        except OSError as error:
            raise explain(error, self.folder) from error


def find_run(results: Path, name: str = "latest") -> Run:
    """Open a run by its id, its folder, a bundle of it, or ``latest``: the newest one in ``results``."""
    for place in (Path(name), results / name):
        folder = unpacked(place) if place.is_file() else place
        if (folder / "run.json").is_file():
            return Run.open(folder)
    found = runs(results)
    if Path(name).name == "latest" and found:
        return Run.open(found[-1])
    known = ", ".join(run.name for run in found[-3:])
    raise UsageError(
        f"there are no runs in {results}" if Path(name).name == "latest" else f"there is no run {name!r}",
        evidence=f"the newest: {known}" if known else "",
        next_step="name one of these, or make one: ccsight compare" if found else "make one: ccsight compare",
    )


def runs(results: Path) -> list[Path]:
    """Return the folders of the runs that there are, oldest first; ``latest`` is the last one."""
    return sorted(path.parent for path in results.glob("[0-9]*/run.json"))


def read_capture(path: Path) -> Capture:
    """Return the capture in a file or a boot's folder, which may lie in a bundle. Raises EvidenceError."""
    path = located(path)
    path = path / "capture.json" if path.is_dir() else path
    return _of_this_schema(_read(path, Capture), path)


Versioned = TypeVar("Versioned", Plan, Capture, Boots, Arrivals)


def _of_this_schema(evidence: Versioned, where: Path) -> Versioned:
    if evidence.schema not in READABLE:
        raise EvidenceError(
            f"{shown(where)} has schema {evidence.schema}; "
            f"this ccsight reads {READABLE[0]} to {READABLE[-1]}",
            next_step="read it with the ccsight that wrote it",
        )
    return evidence


Celled = TypeVar("Celled", Capture, Arrivals)


def _of_this_cell(evidence: Celled, cell: Cell, where: Path) -> Celled:
    if evidence.cell != cell:
        raise EvidenceError(f"{shown(where)} is of another cell", evidence=f"it is of {evidence.cell.title}")
    return evidence


def _read(path: Path, kind: type[T]) -> T:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise EvidenceError(
            f"{shown(path)} cannot be read",
            evidence=reason(error),
            next_step="name a capture.json or its folder: results/RUN/captures/CELL/BOOT",
        ) from error
    return _parse(content, kind, str(shown(path)))


def _parse(content: bytes, kind: type[T], where: str) -> T:
    try:
        return from_json(content, kind)
    except (msgspec.MsgspecError, ValueError) as error:
        raise EvidenceError(
            f"{where} is not a {kind.__name__.lower()} of this ccsight",
            evidence=str(error),
            next_step="it was altered, cut off, or written by a newer version",
        ) from error
