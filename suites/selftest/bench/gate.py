"""How long a gate takes for many cells, from disk: runs of 50 machines with two kernels each.

    python suites/selftest/bench/gate.py [CELLS] [--whole]

Captures are recorded ones, as they say what a launch shows and how VMs move; with --whole with all that a
usual run asks, a megabyte each. What judging takes is shown beside what reading JSON alone takes.
"""

import argparse
import resource
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "unit"))

import msgspec
from gate_samples import N1, NEW, NOW, OLD, gated, lean, made, of, text
from report_samples import sample

from ccsight.evidence.model import Capture
from ccsight.evidence.record import from_json
from ccsight.evidence.views import Cell
from ccsight.gate.load import load

MACHINES = 50


def main(cells: int, *, whole: bool) -> int:
    """Make runs of so many cells, gate them, and say what it took."""
    capture = sample if whole else lean
    laws = ["CR-001", "CR-002", "CR-004", "CR-005", "CR-006"] if whole else ["CR-001", "CR-002", "CR-006"]
    machines = [f"{N1},name=m{number}" for number in range(min(MACHINES, cells // 2))]
    with tempfile.TemporaryDirectory() as place:
        own = of(*(_on(capture(N1, kernel), machine) for machine in machines for kernel in (OLD, NEW)))
        for number in range(cells // (2 * len(machines))):
            made(Path(place), own, f"2026-11-22-{number:06}-0000")
        folders = sorted(Path(place).iterdir())
        specs = ", ".join(f'"{machine}"' for machine in machines)
        policy = text(('"emulated:neoverse-n1"', specs), laws=laws)
        size = sum(path.stat().st_size for path in Path(place).rglob("*.json")) / cells
        reading = _seconds(lambda: _read(folders[0])) * len(folders)
        spent = _seconds(lambda: print(gated(policy, *folders, now=NOW).verdict))
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{cells} cells of {size / 1000:.0f} kB: {spent:.1f} s, {most:.0f} MB at most")
    print(f"reading their JSON alone {reading:.1f} s: the gate takes {spent / reading:.1f} times as long")
    return 0


def _on(seen: Capture, machine: str) -> Capture:
    """Return a capture as of another machine, its VMs included."""
    moved = tuple(
        msgspec.structs.replace(each, source=Cell(machine=machine, kernel=each.source.kernel))
        for each in seen.restored
    )
    cell = Cell(machine=machine, kernel=seen.cell.kernel)
    return msgspec.structs.replace(seen, cell=cell, restored=moved)


def _seconds(work: object) -> float:
    before = time.perf_counter()
    work()
    return time.perf_counter() - before


def _read(folder: Path) -> None:
    (loaded,) = load([str(folder)], folder)
    assert loaded.run
    for path in folder.rglob("capture.json"):
        from_json(path.read_bytes(), Capture)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("cells", type=int, nargs="?", default=10_000)
    parser.add_argument("--whole", action="store_true")
    given = parser.parse_args()
    sys.exit(main(given.cells, whole=given.whole))
