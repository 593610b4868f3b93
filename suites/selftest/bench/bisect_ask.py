"""What the script of ``git bisect run`` asks of a kernel: 0 where a predicate holds, 1 for all else.

    python suites/selftest/bench/bisect_ask.py IMAGE MACHINE PREDICATE

One boot, by the machinery of ccsight: the same emulator, the same programs in it as a bisection runs.
"""

import sys
import tempfile
from pathlib import Path

from ccsight.campaign.compare import Request, start
from ccsight.campaign.tasks import tasks
from ccsight.campaign.trying import depth
from ccsight.checks.answers import Subject, ask
from ccsight.checks.predicates import parse
from ccsight.machines.silicon import shipped


def main(image: str, machine: str, text: str) -> int:
    """Boot and ask."""
    predicate = parse(text)
    with tempfile.TemporaryDirectory() as place:
        request = Request((f"image:{image}",), (machine,), ("bench",), shipped(), depth(predicate))
        run, kernels = start(Path(place), request)
        for task in tasks(run, kernels):
            task.carry_out(lambda stage: None)
        (cell,) = run.plan.cells
        capture = run.capture(cell)
        if capture is None:
            return 1
        console = run.console(cell, run.boot(cell)).read_text(errors="replace")
        return 0 if ask(predicate, Subject(capture, console, {}, {})).truth else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
