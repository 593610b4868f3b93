"""A bisection's folder: the order, and the steps that were made of it.

    bisect.json          the order; written before anything is built
    steps.jsonl          a log: one step a line, appended as it is judged
    steps/NAME[.N]/      the evidence: an ordinary run for each step, and for each repeat of it
    bisect.txt           what came of it, for a mail
    bisect.log           the same for ``git bisect replay``, where it is commits

A step that is in the log is never made again; one that is not is found half done in its run.
"""

from enum import StrEnum
from pathlib import Path

import msgspec

from ccsight.errors import EvidenceError, UsageError
from ccsight.evidence.model import READABLE
from ccsight.evidence.record import Record, from_json, to_json, to_json_line
from ccsight.store import explain, write_atomically

ORDER, STEPS = "bisect.json", "steps.jsonl"


class Verdict(StrEnum):
    """What a step says of its suspect."""

    GOOD = "good"
    BAD = "bad"
    SKIP = "skip"  #: it cannot be asked: it does not build, or does not boot, and that is its own fault
    INFRA = "infra"  #: it was not asked: lab or harness trouble; says nothing of it


class Role(StrEnum):
    """What a step is made for."""

    GOOD_END = "good end"
    BAD_END = "bad end"
    STEP = "step"
    PARENT = "parent"  #: the proof: what was before the first bad one
    COMMIT = "commit"  #: ... and the first bad one, once more
    REVERT = "revert"  #: ... and the bad end without it


class Look(Record, frozen=True):
    """What one boot on one machine answered. ``run`` is its evidence, below the bisection's folder.

    ``truth`` is None where nothing was observed, and ``why`` then says why; ``seen`` is the evidence in
    words, most telling first.
    """

    machine: str
    run: str
    truth: bool | None
    seen: tuple[str, ...] = ()
    seconds: float = 0.0
    why: str = ""


class Step(Record, frozen=True):
    """One suspect that was tried. ``build`` is in seconds; ``why`` is for skip and infra.

    ``cpu`` are the seconds of CPU that its build and boots took, 0 where nobody measured, ``width`` how many
    were tried at once. ``pin`` is the spec that gives this very kernel again, "" where there is none.
    ``flaky`` is one whose boots did not all answer the same.
    """

    name: str
    role: Role
    suspect: str
    spec: str
    title: str
    verdict: Verdict
    why: str = ""
    flaky: bool = False
    looks: tuple[Look, ...] = ()
    build: float = 0.0
    cpu: float = 0.0
    width: int = 1
    pin: str = ""

    @property
    def seconds(self) -> float:
        """How long its boots took."""
        return sum(look.seconds for look in self.looks)


class Order(Record, frozen=True):
    """What is bisected. ``good`` and ``bad`` are the ends as asked for, ``first`` and ``last`` what they are.

    ``machines`` are asked in every step, ``confirm`` only at the ends and for the proof. ``silicon`` is the
    text of the user's own silicon table.
    """

    schema: int
    id: str
    created: str
    ccsight: str
    argv: tuple[str, ...]
    predicate: str
    good: str
    bad: str
    first: str
    last: str
    machines: tuple[str, ...]
    confirm: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    repeat: int = 1
    silicon: str = ""


class Bisection:
    """One bisection's folder, open for reading and appending."""

    def __init__(self, folder: Path, order: Order) -> None:
        self.folder = folder
        self.order = order

    @classmethod
    def create(cls, results: Path, order: Order) -> "Bisection":
        """Make the folder and write the order. Raises UsageError or NoSpace when that cannot be done."""
        made = cls(results / order.id, order)
        try:
            made.runs.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise explain(error, results) from error
        write_atomically(made.folder / ORDER, to_json(order))
        return made

    @classmethod
    def find(cls, results: Path, name: str) -> "Bisection":
        """Open one by its id, its folder, or ``latest``. Raises UsageError or EvidenceError."""
        known = sorted(path.parent for path in results.glob(f"*/{ORDER}"))
        if name == "latest" and known:
            return cls._open(known[-1])
        for folder in (Path(name), results / name):
            if (folder / ORDER).is_file():
                return cls._open(folder)
        evidence = f"the newest: {', '.join(path.name for path in known[-3:])}" if known else ""
        raise UsageError(
            f"there is no bisection {name!r} in {results}",
            evidence=evidence,
            next_step="name one of these, or begin one: ccsight bisect --help"
            if known
            else "ccsight bisect --help",
        )

    @classmethod
    def _open(cls, folder: Path) -> "Bisection":
        path = folder / ORDER
        try:
            order = from_json(path.read_bytes(), Order)
        except (OSError, msgspec.MsgspecError, ValueError) as error:
            raise EvidenceError(f"{path} is no order of this ccsight", evidence=str(error)) from error
        if order.schema not in READABLE:
            raise EvidenceError(f"{path} has schema {order.schema}; this ccsight reads up to {READABLE[-1]}")
        return cls(folder, order)

    @property
    def runs(self) -> Path:
        """The folder of the steps' runs."""
        return self.folder / "steps"

    def steps(self) -> tuple[Step, ...]:
        """Return the steps so far; the half line of a killed run is none. Raises EvidenceError."""
        path = self.folder / STEPS
        found = []
        for number, line in enumerate(path.read_bytes().split(b"\n") if path.is_file() else [], 1):
            try:
                found += [from_json(line, Step)] if line.strip() else []
            except msgspec.ValidationError as error:
                raise EvidenceError(f"{path}, line {number}, is no step", evidence=str(error)) from error
            except msgspec.DecodeError:
                continue
        return tuple(found)

    def append(self, step: Step) -> None:
        """Log a step, on a line of its own even after the half line of a killed run."""
        try:
            with (self.folder / STEPS).open("ab") as file:
                file.write(b"\n" + to_json_line(step))
        except OSError as error:
            raise explain(error, self.folder) from error

    def write(self, name: str, text: str) -> None:
        """Put a report into the folder."""
        write_atomically(self.folder / name, text.encode())
