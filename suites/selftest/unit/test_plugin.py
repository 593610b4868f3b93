"""The pytest plugin on an evidence folder: no machine, no kernel, the same judgements."""

import re
import shutil

import pytest
from pytest_session import TOP, pytest_in, pytest_on
from recorded import MODELS, SERIES, capture

from ccsight.campaign.planning import plan_comparison
from ccsight.checks import COMPARISONS, LAWS
from ccsight.evidence.plan import PlannedKernel
from ccsight.evidence.record import to_json
from ccsight.evidence.run import Run

CHECKS = [
    check
    for file in (TOP / "suites/launch").glob("test_*.py")
    for check in re.findall(r'mark\.check\("(.+)"\)', file.read_text())
]
#: What is judged of one cell by the suite, and what of both cells of a machine.
ALONE, PAIRED = sum(check in LAWS for check in CHECKS), sum(check in COMPARISONS for check in CHECKS)
#: CR-011 on the cells of two models, which have no AArch32 at EL1.
SKIPPED = 2 * len(SERIES)
#: CR-019, which no plan without a patched kernel has.
UNPLANNED = 1


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Run:
    """A run that sessions only read."""
    kernels = [
        PlannedKernel(spec=f"deb:{s}", pin=f"deb:{s}", label=f"deb:{s}", release=s, image_sha256="0" * 64)
        for s in SERIES
    ]
    run = Run.create(
        tmp_path_factory.mktemp("results"),
        plan_comparison(kernels, [f"emulated:{m}" for m in MODELS], ("pytest",)),
    )
    for model in MODELS:
        for series in SERIES:
            seen = capture(model, series)
            run.write(seen.cell, "capture.json", to_json(seen))
    return run


@pytest.mark.parametrize("workers", ["0", "2"])
def test_all_cases_of_the_plan_become_tests(run, workers):
    done = pytest_on(run, "suites/launch", "-n", workers)
    assert done.returncode == 0, done.stdout
    passed = len(MODELS) * (2 * ALONE + PAIRED) - SKIPPED
    assert f"{passed} passed, {SKIPPED + UNPLANNED} skipped" in done.stdout


def test_the_collection_reads_like_a_table_of_contents(run):
    done = pytest_on(run, "suites/launch", "--collect-only", "-q")
    assert done.returncode == 0
    assert "test_guest_reads_what_userspace_is_told[case: emulated:neoverse-n1 deb:6.1]" in done.stdout
    assert "test_what_a_fresh_launch_shows[case: emulated:cortex-a57 deb:6.1 to deb:6.12]" in done.stdout


@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_capture_that_is_not_there_fails_its_tests_as_miss(run, workers, tmp_path):
    run = Run.open(shutil.copytree(run.folder, tmp_path / run.folder.name))
    (run.boot_folder(run.plan.cells[0]) / "capture.json").unlink()
    done = pytest_on(run, "suites/launch", "-n", workers)
    assert done.returncode == 1
    lost = ALONE + PAIRED
    assert f"{lost} failed, {len(MODELS) * (2 * ALONE + PAIRED) - lost - SKIPPED} passed" in done.stdout
    assert "MISS CR-001 emulated_cortex-a57--deb_6.1" in done.stdout


def test_a_law_that_does_not_apply_is_skipped(run):
    """CR-011: most cores have no AArch32 at EL1."""
    done = pytest_on(run, "suites/launch", "-rs")
    assert done.returncode == 0, done.stdout
    assert f"{SKIPPED + UNPLANNED} skipped" in done.stdout
    assert "there is no AArch32" in done.stdout


def test_nothing_selected_is_a_failure(run):
    assert pytest_on(run, "suites/launch", "-k", "no_such_test").returncode == 5


@pytest.mark.parametrize("workers", ["0", "2"])
def test_everything_skipped_is_a_failure(run, workers, tmp_path):
    (tmp_path / "test_skips.py").write_text(
        'import pytest\n@pytest.mark.check("CR-001")\ndef test_it(case):\n    pytest.skip("no reason")\n'
    )
    done = pytest_on(run, str(tmp_path / "test_skips.py"), "-n", workers)
    assert done.returncode == 1
    assert "MISS: nothing was observed" in done.stdout


def test_what_a_crashed_worker_never_ran_is_miss(run, tmp_path):
    (tmp_path / "test_crash.py").write_text(
        'import os, pytest\n@pytest.mark.check("CR-001")\ndef test_it(case):\n    os._exit(1)\n'
    )
    done = pytest_on(run, str(tmp_path / "test_crash.py"), "-n", "2", "--max-worker-restart=0")
    assert done.returncode != 0
    assert "planned tests never ran" in done.stdout


def test_a_folder_that_is_no_run_is_said_so(tmp_path, run):
    done = pytest_on(run, "--evidence", str(tmp_path / "elsewhere"), "suites/launch")
    assert done.returncode == 2
    assert "there is no run" in done.stdout


def test_other_peoples_sessions_are_left_alone(tmp_path):
    (tmp_path / "test_theirs.py").write_text("import pytest\ndef test_it():\n    pytest.skip('fine')\n")
    done = pytest_in(tmp_path, "-q", "test_theirs.py")
    assert done.returncode == 0
    assert "ccsight" not in done.stdout
