"""``ccsight show --history``: a check through all runs, what changed it, and what only flaps."""

import json
import tracemalloc

import pytest
from msgspec import structs
from past_runs import MACHINE, bad, built, emulated, good, write
from report_samples import MACHINES, NASTY, NEW, OLD

from ccsight.cli import run
from ccsight.evidence.failure import Failure
from ccsight.evidence.record import to_json
from ccsight.report.history import history
from ccsight.report.history_page import render
from ccsight.status import ExitCode, Status

LAW = ("CR-001",)


@pytest.fixture(autouse=True)
def wide(monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")


def told(results, captures, check="CR-001"):
    """Write a run a day, and return the history."""
    for day, capture in enumerate(captures, 1):
        write(results, day, capture, checks=LAW)
    return history(results, check)


def text(found):
    """Return the words of a page, a line for each block that has no grid."""
    return "\n".join(repr(block) for block in render(found))


def run_id(day):
    return f"2026-11-{day:02}-081201-7f3a"


def test_a_check_is_followed_from_the_oldest_run_to_the_newest(tmp_path):
    found = told(tmp_path, [built(good(), "aa"), built(good(), "bb"), built(bad(), "cc"), built(bad(), "dd")])
    (course,) = found.courses
    assert (course.machines, course.kernels) == ((MACHINE,), (NEW,))
    assert [row.run for row in course.rows] == [run_id(day) for day in (1, 2, 3, 4)]
    assert [row.word for row in course.rows] == ["PASS", "PASS", "FAIL", "FAIL"]
    assert course.rows[0].date == "2026-11-01T08:12:01Z"
    assert course.rows[0].releases == ("6.12.95+deb12-arm64",)
    assert course.rows[2].said.startswith("CLIDR_EL1: ")
    assert (course.first_bad, course.last_good) == (run_id(3), run_id(2))
    (change,) = course.changes
    assert (change.words, change.why) == (("PASS", "FAIL"), "another kernel")
    assert found.flaps == ()
    assert found.exit_code == ExitCode.FAIL


@pytest.mark.parametrize(
    ("captures", "why"),
    [
        ([good(), bad(), good()], "flapping"),
        ([good(), emulated(bad(), "QEMU 12")], "another emulator"),
        ([good(), structs.replace(bad(), programs={"ccprobe": "ef" * 32})], "other programs of ours"),
    ],
)
def test_the_same_kernel_with_several_verdicts_is_told_apart(tmp_path, captures, why):
    found = told(tmp_path, captures)
    (flap,) = found.flaps
    assert (flap.why, flap.build_ids) == (why, (good().kernel.build_id,))
    assert set(flap.verdicts) == {"PASS", "FAIL"}
    assert {change.why for change in found.courses[0].changes} == {why}


def test_a_fail_that_comes_and_goes_is_no_success(tmp_path):
    found = told(tmp_path, [good(), bad(), good()])
    assert found.courses[0].rows[-1].status is Status.PASS
    assert found.exit_code == ExitCode.FAIL
    assert told(tmp_path / "b", [built(bad(), "aa"), built(good(), "bb")]).exit_code == ExitCode.OK


def test_what_was_not_observed_is_no_verdict(tmp_path):
    write(tmp_path, 1, good(), checks=LAW)
    lost = write(tmp_path, 2, good(), checks=LAW)
    folder = lost.boot_folder(good().cell)
    (folder / "capture.json").unlink()
    (folder / "failure.json").write_bytes(to_json(Failure(status=Status.MISS, fact="no power")))
    write(tmp_path, 3, good(), checks=LAW)
    found = history(tmp_path, "CR-001")
    assert [row.word for row in found.courses[0].rows] == ["PASS", "MISS", "PASS"]
    assert "no power" in found.courses[0].rows[1].said
    assert (found.courses[0].changes, found.flaps) == ((), ())
    assert history(tmp_path, "CR-002").exit_code == ExitCode.INCONCLUSIVE


def test_the_newest_run_counts_also_when_it_observed_nothing(tmp_path):
    told(tmp_path, [good()])
    made = write(tmp_path, 2, good(), checks=LAW)
    (made.boot_folder(good().cell) / "capture.json").unlink()
    assert history(tmp_path, "CR-001").exit_code == ExitCode.NOT_OBSERVED


@pytest.mark.parametrize("content", [b"", b"{", b'{"schema": 99}', b"[" * 100_000, b"\xff\xfe"])
def test_a_damaged_run_is_a_row_that_says_so(tmp_path, content):
    damaged = write(tmp_path, 1, good(), checks=LAW)
    (damaged.folder / "run.json").write_bytes(content)
    write(tmp_path, 2, good(), checks=LAW)
    found = history(tmp_path, "CR-001")
    (row,) = found.damaged
    assert (row.run, row.status) == (run_id(1), Status.ERROR)
    assert "run.json" in row.said
    assert len(found.courses[0].rows) == 1
    assert found.exit_code == ExitCode.OK
    assert "runs that cannot be read" in text(found)


def test_a_newest_run_that_is_damaged_is_no_success(tmp_path):
    write(tmp_path, 1, good(), checks=LAW)
    (write(tmp_path, 2, good(), checks=LAW).folder / "run.json").write_bytes(b"{")
    assert history(tmp_path, "CR-001").exit_code == ExitCode.NOT_OBSERVED


def test_damaged_evidence_is_an_error_in_its_place(tmp_path):
    made = write(tmp_path, 1, good(), checks=LAW)
    (made.boot_folder(good().cell) / "capture.json").write_bytes(b"{}")
    (row,) = history(tmp_path, "CR-001").courses[0].rows
    assert row.word == "ERROR"
    assert "capture.json" in row.said


def test_a_comparison_is_followed_by_its_outcome(tmp_path):
    for day in (1, 2):
        write(tmp_path, day, good(kernel=OLD), good(), checks=("CR-009",))
    (course,) = history(tmp_path, "CR-009").courses
    assert course.kernels == (OLD, NEW)
    assert [row.word for row in course.rows] == ["differs", "differs"]
    assert course.rows[0].said.startswith("new guests find another cache topology")
    assert len(course.rows[0].build_ids) == 2
    assert course.first_bad == ""


def test_machines_can_be_chosen(tmp_path, capsys):
    write(tmp_path, 1, good(), good(MACHINES[1]), checks=LAW)
    assert len(history(tmp_path, "CR-001").courses) == 2
    (course,) = history(tmp_path, "CR-001", [MACHINES[1]]).courses
    assert course.machines == (MACHINES[1],)
    code = run(["show", "--history", "CR-001", "--on", "emulated:none", "--out", str(tmp_path)])
    assert code == ExitCode.INCONCLUSIVE
    assert "asked in 0 of 1 run" in capsys.readouterr().out


def test_the_verb_says_it_all(tmp_path, capsys):
    told(tmp_path, [good(), bad(), built(bad(), "f00d" * 10)])
    assert run(["show", "--history", "CR-001", "--out", str(tmp_path)]) == 1
    page = capsys.readouterr().out
    assert f"first bad  {run_id(2)}, the last good one {run_id(1)}" in page
    assert f"PASS → FAIL  {run_id(1)} → {run_id(2)}: flapping" in page
    assert f"flapping  {MACHINE}, build-id {good().kernel.build_id[:12]}" in page
    assert run(["show", "--history", "CR-001", "--json", "--out", str(tmp_path)]) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["courses"][0]["rows"][1]["status"] == "FAIL"
    assert document["flaps"][0]["verdicts"] == {"PASS": [run_id(1)], "FAIL": [run_id(2)]}
    assert (document["runs"], document["exit_code"]) == (3, 1)


def test_a_check_that_there_is_not_is_a_wrong_call(tmp_path, capsys):
    assert run(["show", "--history", "CR-0O1", "--out", str(tmp_path)]) == ExitCode.USAGE
    assert "there is no check" in capsys.readouterr().err


def test_hostile_text_stays_on_its_line(tmp_path, capsys):
    made = write(tmp_path, 1, good(), checks=LAW)
    folder = made.boot_folder(good().cell)
    (folder / "capture.json").unlink()
    (folder / "failure.json").write_bytes(
        to_json(Failure(status=Status.MISS, fact=f"{NASTY}\n\u2028\r" + "x" * 10_000))
    )
    run(["show", "--history", "CR-001", "--out", str(tmp_path)])
    page = capsys.readouterr().out
    assert not set(page) & {"\x1b", "\u202e", "\u2028", "\r"}
    assert len(page) < 3000


def test_memory_does_not_grow_with_the_number_of_runs(tmp_path):
    def peak():
        tracemalloc.start()
        history(tmp_path, "CR-001")
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    told(tmp_path, [good()] * 2)
    few = peak()
    told(tmp_path, [good()] * 8)
    assert peak() < 1.5 * few
