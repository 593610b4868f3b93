"""Kernels that do not come up, and the control that tells whose fault it is: on real boots, nothing built."""

import dataclasses
import json
import struct

import pytest
from command import ccsight

from ccsight.campaign import cell, control
from ccsight.campaign.cell import CellTask, capture_cell
from ccsight.campaign.planning import plan_comparison
from ccsight.deadline import Deadline
from ccsight.evidence.boots import End
from ccsight.evidence.plan import PlannedKernel
from ccsight.evidence.run import Run
from ccsight.kernels.spec import resolve
from ccsight.machines import registry
from ccsight.machines.emulated import EmulatedMachine
from ccsight.report.model import Result
from ccsight.status import Status

pytestmark = pytest.mark.emulated

MACHINE = "emulated:cortex-a57"
BASE, PATCHED = "deb-src:6.12", "deb-src:6.12,patch=my.mbox"
#: Seconds for a boot of a kernel that never says a word.
PATIENCE = 30.0
_BRANCH_TO_ITSELF = 0x14000000


@pytest.fixture(scope="module")
def good():
    return resolve("deb:6.12", Deadline(600), print)


@pytest.fixture
def tried(tmp_path, monkeypatch):
    """Capture a cell with a kernel in the patched one's place, and another one in its base's."""

    def capture(patched, base) -> tuple[Run, Result]:
        kernels = [
            PlannedKernel(
                spec=PATCHED, pin=PATCHED, label=PATCHED, release="6.12", image_sha256="0", base=BASE
            )
        ]
        run = Run.create(tmp_path, plan_comparison(kernels, [MACHINE], ("pytest",)))
        monkeypatch.setattr(control, "_base", lambda first, report: base)
        machine = EmulatedMachine(registry.parse(MACHINE), patience=PATIENCE)
        monkeypatch.setattr(cell.registry, "machine", lambda *args: machine)
        capture_cell(CellTask(run.folder, run.plan.cells[0], patched), lambda stage: None)
        return run, Result.of(run)

    return capture


def without_init(kernel):
    return dataclasses.replace(kernel, append="rdinit=/nonexistent")


def hung(kernel, folder):
    """Return a kernel that is nothing but an arm64 Image's head: it branches to itself before any banner."""
    image = folder / "Image"
    head = struct.pack("<II5Q", _BRANCH_TO_ITSELF, 0, 0, 0x10000, 0xA, 0, 0) + struct.pack(
        "<Q4sI", 0, b"ARMd", 0
    )
    image.write_bytes(head.ljust(0x10000, b"\0"))
    return dataclasses.replace(kernel, image=image)


def ends(run: Run) -> list[End]:
    return [boot.end for boot in run.boots(run.plan.cells[0]).boots]


def trial(result: Result):
    return next(case for case in result.cases if case.check == "CR-019")


def test_a_panic_is_the_kernel_s_fault_where_its_base_boots(tried, good):
    run, result = tried(without_init(good), good)
    assert ends(run) == [End.DOWN, End.UP, End.DOWN]
    assert trial(result).status is Status.FAIL
    assert {case.status for case in result.cases if case.check != "CR-019"} == {Status.MISS}
    boots = run.boots(run.plan.cells[0]).boots
    assert (boots[1].release, boots[1].build_id in good.build_ids) == (good.release, True)
    shown = [(run.folder / boot.console).read_text() for boot in boots]
    assert ["Kernel panic" in text for text in shown] == [True, False, True]


def test_a_panic_is_nobody_s_fault_where_the_base_panics_too(tried, good):
    run, result = tried(without_init(good), without_init(good))
    assert ends(run) == [End.DOWN, End.DOWN]
    assert (trial(result).status, "so did its base" in trial(result).reason) == (Status.MISS, True)


@pytest.mark.long
def test_a_hang_before_the_banner_is_judged(tried, good, tmp_path):
    run, result = tried(hung(good, tmp_path), good)
    assert ends(run) == [End.DOWN, End.UP, End.DOWN]
    assert trial(result).status is Status.FAIL
    assert f"the kernel printed nothing within {PATIENCE:.0f} s" in trial(result).findings[0].said


def test_a_kernel_that_boots_passes_without_a_control(tried, good):
    run, result = tried(good, None)
    assert (run.boots(run.plan.cells[0]), trial(result).status) == (None, Status.PASS)


def test_resume_repeats_a_cell_that_lost_a_program_and_keeps_what_it_had(tmp_path):
    first = ccsight("capture", "deb:6.12", "--on", MACHINE, cwd=tmp_path)
    assert first.code == 0, first.stderr
    (path,) = tmp_path.glob("results/*/captures/*/1/capture.json")
    seen = json.loads(path.read_text())
    seen["views"] = [view for view in seen["views"] if not view["program"].startswith("life")]
    gone = {"status": "MISS", "fact": "life did not end within 60 s", "evidence": "", "next_step": ""}
    path.write_text(json.dumps(seen | {"failures": {"life": gone}}))
    shown = ccsight("show", cwd=tmp_path)
    assert shown.code == 3
    assert f"MISS  deb:6.12  life  {gone['fact']}" in shown.stdout
    assert "compare --resume" in shown.stdout
    before = path.read_bytes()
    again = ccsight("compare", "--resume", "latest", cwd=tmp_path)
    assert again.code == 0, again.stderr
    assert path.read_bytes() == before
    second = path.parent.parent / "2" / "capture.json"
    was = second.stat().st_mtime_ns
    assert ccsight("compare", "--resume", "latest", cwd=tmp_path).code == 0
    assert second.stat().st_mtime_ns == was, "a complete cell was booted again"
    assert not (path.parent.parent / "3").exists()
