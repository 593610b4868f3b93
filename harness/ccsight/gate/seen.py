"""What is left of a run once it is judged: of each machine what was asked for, and no capture."""

from dataclasses import dataclass
from pathlib import Path

from ccsight.evidence.bundle import shown
from ccsight.evidence.decision import Kind, Pointer
from ccsight.evidence.model import Substrate
from ccsight.gate.facts import Fact


@dataclass(frozen=True)
class Judged:
    """One thing that was asked for: what is held against the kernel, or why nothing is known.

    ``name`` tells it from others of its kind: a check, or a predicate. ``missed`` says why it was not
    observed, ``skipped`` why it does not apply. ``denied`` is what the run's log has, where that is another
    verdict; ``unlogged`` that it has none, of a case that was planned.
    """

    kind: Kind
    name: str
    check: str = ""
    facts: tuple[Fact, ...] = ()
    missed: str = ""
    skipped: str = ""
    denied: str = ""
    unlogged: bool = False


@dataclass(frozen=True)
class Seen:
    """What a run says of one machine; ``member`` is that of the fleet, "" where it is of none.

    ``substrate`` is the lesser of both boots'. ``old`` and ``new`` identify what ran, "" where nothing did;
    ``boot`` is the new kernel's boot-id. ``again`` identifies, in the same order, what ran where VMs were
    restored in boots of their own. ``values`` is what a fresh launch shows, a line each.
    """

    run: str
    created: str
    member: str
    machine: str
    cells: tuple[str, str]
    file: Path
    substrate: Substrate
    old: str
    new: str
    boot: str
    ccsight: str
    judged: tuple[Judged, ...]
    values: tuple[str, ...] = ()
    release: str = ""
    again: tuple[str, str] = ("", "")

    def pointer(self, check: str = "") -> Pointer:
        """Return where this lies."""
        return Pointer(run=self.run, file=str(shown(self.file)), cell=self.cells[1], check=check)


@dataclass(frozen=True)
class Control:
    """Whether a check noticed the fault that a run seeded for it, and passed without."""

    run: str
    created: str
    ccsight: str
    check: str
    noticed: bool
