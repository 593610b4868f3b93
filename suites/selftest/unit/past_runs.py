"""Runs of the past: small ones, of recorded captures, written into a folder under ids of their own."""

from functools import cache
from pathlib import Path

from msgspec import structs
from recorded import bent
from report_samples import MACHINES, NEW, plan_of, sample

from ccsight.evidence.model import Capture
from ccsight.evidence.record import to_json
from ccsight.evidence.run import Run
from ccsight.evidence.views import Vantage

MACHINE = MACHINES[0]


@cache
def good(machine: str = MACHINE, kernel: str = NEW) -> Capture:
    """Return a capture of which every law holds."""
    return sample(machine, kernel)


@cache
def bad(machine: str = MACHINE) -> Capture:
    """Return one in which guest and userspace do not agree: CR-001 fails."""
    return bent(good(machine), Vantage.GUEST, 1, CLIDR_EL1=0x0A200023)


def built(capture: Capture, build_id: str) -> Capture:
    """Return a capture as that of another build of its kernel."""
    return structs.replace(capture, kernel=structs.replace(capture.kernel, build_id=build_id))


def emulated(capture: Capture, emulator: str) -> Capture:
    """Return a capture as that of a machine under another emulator."""
    return structs.replace(capture, machine=structs.replace(capture.machine, emulator=emulator))


def write(results: Path, day: int, *captures: Capture, checks: tuple[str, ...] = ()) -> Run:
    """Write a run of a day in November, of some checks or all; a cell may lack its capture."""
    kernels = tuple(dict.fromkeys(capture.cell.kernel for capture in captures))
    plan = plan_of([capture.cell.machine for capture in captures], kernels)
    plan = structs.replace(
        plan,
        id=f"2026-11-{day:02}-081201-7f3a",
        created=f"2026-11-{day:02}T08:12:01Z",
        cases=tuple(case for case in plan.cases if not checks or case.check in checks),
    )
    made = Run.create(results, plan)
    for capture in captures:
        made.write(capture.cell, "capture.json", to_json(capture))
    return made
