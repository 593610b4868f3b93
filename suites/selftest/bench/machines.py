"""How long one machine takes from start to capture, as a ratio to another: alternating, in one run.

    python suites/selftest/bench/machines.py deb:6.1 emulated:neoverse-v1 silicon:graviton3

Prints the median ratio of each stage, each round being a pair. The cost of the silicon plugin is the ratio of
a row of the silicon table to its own base.
"""

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

from ccsight.campaign.cell import CellTask, capture_cell
from ccsight.campaign.compare import Request, start
from ccsight.evidence.run import Run
from ccsight.evidence.views import Cell
from ccsight.machines.silicon import shipped


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("kernel")
    parser.add_argument("machine", nargs=2)
    parser.add_argument("--rounds", type=int, default=7)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        seconds: list[list[dict[str, float]]] = [[], []]
        for _ in range(asked.rounds):
            run, kernels = start(
                Path(place), Request((asked.kernel,), tuple(asked.machine), ("bench",), shipped())
            )
            for number, cell in enumerate(run.plan.cells):
                seconds[number].append(_captured(run, cell, CellTask(run.folder, cell, kernels[cell.kernel])))
    for stage in [*seconds[0][0], "all"]:
        pairs = [(_of(one, stage), _of(other, stage)) for one, other in zip(*seconds, strict=True)]
        ratio = statistics.median(other / one for one, other in pairs)
        medians = [statistics.median(side) for side in zip(*pairs, strict=True)]
        print(f"{stage:10} {medians[0]:6.2f} s {medians[1]:6.2f} s   ratio {ratio:.2f}")
    return 0


def _captured(run: Run, cell: Cell, task: CellTask) -> dict[str, float]:
    failure = capture_cell(task, lambda stage: None)
    seen = run.capture(cell)
    if seen is None:
        sys.exit(f"{cell.title}: {failure.fact if failure else 'no capture'}")
    return seen.seconds


def _of(seconds: dict[str, float], stage: str) -> float:
    return sum(seconds.values()) if stage == "all" else seconds[stage]


if __name__ == "__main__":
    sys.exit(main())
