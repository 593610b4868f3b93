"""How long a gate takes for many cells, from disk: runs of 50 machines with two kernels each.

    python suites/selftest/bench/gate.py [CELLS] [--whole] [--alike] [--workers N]

Captures are recorded ones, as they say what a launch shows and how VMs move; with --whole with all that a
usual run asks, a megabyte each. No two are alike: each has a boot-id of its own, and every value of a
register that did not arrive is there once, so that nothing that is remembered of one helps with another;
with --alike they are as recorded. What judging takes is shown beside what reading JSON alone takes.
"""

import argparse
import os
import resource
import secrets
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "unit"))

import msgspec
from gate_samples import N1, NEW, NOW, OLD, gated, lean, made, of, text
from report_samples import sample

from ccsight.campaign.pool import local_pool
from ccsight.evidence.migrations import Left
from ccsight.evidence.model import Capture
from ccsight.evidence.record import Hex, from_json, to_json
from ccsight.evidence.run import read_capture
from ccsight.evidence.views import Cell, Reading
from ccsight.gate.load import load

MACHINES = 50
_ALL = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)


def main(cells: int, workers: int, *, whole: bool, alike: bool) -> int:
    """Make runs of so many cells, gate them, and say what it took."""
    capture = sample if whole else lean
    laws = ["CR-001", "CR-002", "CR-004", "CR-005", "CR-006"] if whole else ["CR-001", "CR-002", "CR-006"]
    machines = [f"{N1},name=m{number}" for number in range(min(MACHINES, cells // 2))]
    with tempfile.TemporaryDirectory() as place:
        own = of(*(_on(capture(N1, kernel), machine) for machine in machines for kernel in (OLD, NEW)))
        for number in range(cells // (2 * len(machines))):
            run = made(Path(place), own, f"2026-11-22-{number:06}-0000")
            for path in () if alike else run.rglob("capture.json"):
                path.write_bytes(to_json(_unlike(read_capture(path))))
        folders = sorted(Path(place).iterdir())
        specs = ", ".join(f'"{machine}"' for machine in machines)
        policy = text(('"emulated:neoverse-n1"', specs), laws=laws)
        size = sum(path.stat().st_size for path in Path(place).rglob("*.json")) / cells
        reading = _spent(lambda: _read(folders[0])) * len(folders)
        start = time.perf_counter()
        spent = _spent(lambda: print(_gated(policy, folders, workers)))
        clock = time.perf_counter() - start
    own, theirs = (resource.getrusage(who).ru_maxrss / 1024 for who in _ALL)
    print(f"{cells} cells of {size / 1000:.0f} kB: {clock:.1f} s, of CPU {spent:.1f} s")
    print(
        f"at most {own:.0f} MB here, and {theirs:.0f} MB in each of {workers if workers > 1 else 0} workers"
    )
    print(f"reading their JSON alone {reading:.1f} s of CPU: it takes {spent / reading:.1f} times as long")
    return 0


def _on(seen: Capture, machine: str) -> Capture:
    """Return a capture as of another machine, its VMs included."""
    moved = tuple(
        msgspec.structs.replace(each, source=Cell(machine=machine, kernel=each.source.kernel))
        for each in seen.restored
    )
    cell = Cell(machine=machine, kernel=seen.cell.kernel)
    return msgspec.structs.replace(seen, cell=cell, restored=moved)


def _unlike(seen: Capture) -> Capture:
    """Return a capture as no other one is."""
    machine = msgspec.structs.replace(seen.machine, boot_id=f"{uuid.uuid4()}")
    restored = tuple(
        msgspec.structs.replace(each, left=tuple(map(_once, each.left))) for each in seen.restored
    )
    return msgspec.structs.replace(seen, machine=machine, restored=restored)


def _once(left: Left) -> Left:
    return msgspec.structs.replace(left, saved=Reading(value=Hex(secrets.randbits(64))))


def _gated(policy: str, folders: list[Path], workers: int) -> str:
    if workers == 1:
        return gated(policy, *folders, now=NOW).verdict
    with local_pool(workers, lambda *_: None) as pool:
        return gated(policy, *folders, now=NOW, executor=pool).verdict


def _spent(work: Callable[[], object]) -> float:
    """Return how long CPUs worked on something, here and in processes that have ended."""
    before = _cpu()
    work()
    return _cpu() - before


def _cpu() -> float:
    return sum(usage.ru_utime + usage.ru_stime for usage in map(resource.getrusage, _ALL))


def _read(folder: Path) -> None:
    (loaded,) = load([str(folder)], folder)
    assert loaded.run
    for path in folder.rglob("capture.json"):
        from_json(path.read_bytes(), Capture)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("cells", type=int, nargs="?", default=10_000)
    parser.add_argument("--whole", action="store_true")
    parser.add_argument("--alike", action="store_true")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    given = parser.parse_args()
    sys.exit(main(given.cells, given.workers, whole=given.whole, alike=given.alike))
