"""A predicate names the programs that its answer needs: a real boot with no others answers it."""

import pytest

from ccsight.campaign.compare import Request, start
from ccsight.campaign.execute import execute
from ccsight.checks.answers import Subject, ask
from ccsight.checks.predicates import parse
from ccsight.evidence.plan import Depth
from ccsight.machines import silicon
from ccsight.report import console

pytestmark = pytest.mark.emulated

MACHINE, KERNEL = "emulated:cortex-a57", "deb:6.12"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("guest(phase=launch).CLIDR_EL1 == 0x09200003", {"view"}),
        ("guest(phase=cpu-on).CLIDR_EL1.LoC == 1 and guest == userspace", {"view", "sweep", "life"}),
        ("guest_aarch32.CTR_EL0.DminLine == 4", {"guests"}),
        ("check CR-006", {"view", "save", "restore"}),
    ],
)
def test_the_programs_that_are_named_suffice(tmp_path, text, told):
    predicate = parse(text)
    assert predicate.programs == told
    depth = Depth(fuzz=0, migrate=bool(predicate.requests), only=tuple(sorted(predicate.programs)))
    request = Request((KERNEL,), (MACHINE,), ("test",), silicon.load(None), depth)
    run, kernels = start(tmp_path / "results", request)
    with console.board([cell.title for cell in run.plan.cells]) as board:
        execute(run, kernels, 1, board)
    capture = run.capture(run.plan.cells[0])
    assert told <= capture.seconds.keys()
    assert not {"writes", "features", "hardware"} & capture.seconds.keys()
    answer = ask(predicate, Subject(capture))
    assert answer.truth, answer.seen
