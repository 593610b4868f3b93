"""VMs that go from machine to machine, on real boots: through the verb, and with a part of it lost."""

import dataclasses
import json
import shutil
from pathlib import Path

import pytest
from command import Said, ccsight

from ccsight.deadline import Deadline
from ccsight.evidence.failure import Failure
from ccsight.evidence.record import to_json
from ccsight.evidence.run import RESTORE, find_run
from ccsight.status import Status
from ccsight.store import locked

pytestmark = pytest.mark.emulated

#: Two that differ in nothing that a VM may notice, and one with another core.
LIKE, AS_WELL, OTHER = "emulated:neoverse-n1", "emulated:neoverse-n1,cpus=4", "emulated:neoverse-v1"
MACHINES = (LIKE, AS_WELL, OTHER)
WAYS = [(one, other) for one in MACHINES for other in MACHINES if one != other]


@pytest.fixture(scope="module")
def job(tmp_path_factory, request):
    """Move VMs between three machines once, however many workers there are."""
    base = tmp_path_factory.getbasetemp()
    shared = (base.parent if hasattr(request.config, "workerinput") else base) / "across"
    with locked(shared, Deadline(600)):
        if not shared.is_dir():
            shared.mkdir()
            on = [word for machine in MACHINES for word in ("--on", machine)]
            said = ccsight("migrate", "deb:6.12", *on, "--across", "--json", cwd=shared)
            (shared / "said.json").write_text(json.dumps(dataclasses.asdict(said)))
    return shared, Said(**json.loads((shared / "said.json").read_text()))


@pytest.fixture
def copy(job, tmp_path):
    """Return the run in a folder of its own, to be altered."""
    folder, _ = job
    shutil.copytree(folder / "results", tmp_path / "results")
    return tmp_path


def _cases(document) -> dict[tuple[str, str], dict]:
    cells = {machine["old"]["cell"]: machine["machine"] for machine in document["machines"]}
    return {
        tuple(cells[cell] for cell in case["cells"]): case
        for machine in document["machines"]
        for case in machine["comparisons"]
        if case["check"] == "CR-020"
    }


def _shown(folder: Path):
    """Return the cases of a run as they are judged now."""
    return _cases(ccsight("show", "--json", cwd=folder).json)


def test_three_cells_take_five_boots(job):
    folder, said = job
    assert said.code == 0, said.stderr
    assert "5 boots" in said.stderr
    assert len(list(folder.glob("results/*/consoles/*"))) == 5


@pytest.mark.parametrize("way", WAYS, ids=" to ".join)
def test_only_like_machines_take_each_others_vms(job, way):
    _, said = job
    case = _cases(said.json)[way]
    refusals = {finding["subject"] for finding in case["findings"] if "refuses it" in finding["said"]}
    assert case["status"] == "DONE"
    if OTHER in way:
        assert (case["outcome"], "MIDR_EL1" in refusals) == ("refused", True)
    else:
        assert (case["outcome"], refusals) == ("transparent", set())


def test_what_was_lost_of_a_restore_is_missed_and_resumed(copy):
    run = find_run(copy / "results")
    first = run.plan.cells[0]
    (run.folder / "captures" / first.id / RESTORE / "arrivals.json").unlink()
    missed = {way for way, case in _shown(copy).items() if case["status"] == "MISS"}
    assert missed == {way for way in WAYS if way[1] == LIKE}
    again = ccsight("compare", "--resume", "latest", "--json", cwd=copy)
    assert again.code == 0, again.stderr
    assert {case["status"] for case in _cases(again.json).values()} == {"DONE"}


def test_a_machine_without_a_capture_costs_the_ways_from_and_to_it(copy):
    run = find_run(copy / "results")
    lost = next(cell for cell in run.plan.cells if cell.machine == AS_WELL)
    folder = run.boot_folder(lost)
    (folder / "capture.json").unlink()
    failure = Failure(status=Status.MISS, fact="the emulated host never became ready")
    (folder / "failure.json").write_bytes(to_json(failure))
    for way, case in _shown(copy).items():
        assert case["status"] == ("MISS" if AS_WELL in way else "DONE"), way
        assert (failure.fact in case["reason"]) is (AS_WELL in way)
