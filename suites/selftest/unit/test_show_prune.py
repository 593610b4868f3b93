"""``ccsight show --prune``: what goes, and all that has to stay."""

import json
import os
from datetime import UTC, datetime, timedelta

import pytest
from past_runs import good, write

from ccsight.cli import run
from ccsight.deadline import Deadline
from ccsight.evidence.old_runs import Limits, old_runs, remove
from ccsight.evidence.run import find_run
from ccsight.status import ExitCode
from ccsight.store import locked

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def aged(folder):
    """Make all that is in a folder as old as nobody writes to it any more."""
    for path in (*folder.rglob("*"), folder):
        os.utime(path, (0, 0), follow_symlinks=False)
    return folder


@pytest.fixture(autouse=True)
def wide(monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture
def results(tmp_path):
    """Five runs: of the 1st, 5th, 10th, 15th and 20th of November."""
    for day in (1, 5, 10, 15, 20):
        aged(write(tmp_path, day, good(), checks=("CR-001",)).folder)
    return tmp_path


def run_id(day):
    return f"2026-11-{day:02}-081201-7f3a"


def days(runs):
    return [int(run.name[8:10]) for run in runs if not run.stays]


def why(results, limits):
    return {run.name: run.stays for run in old_runs(results, limits, NOW)}


@pytest.mark.parametrize(
    ("limits", "go"),
    [
        (Limits(days=10), [1, 5, 10]),
        (Limits(days=0), [1, 5, 10, 15]),
        (Limits(days=365), []),
        (Limits(keep=2), [1, 5, 10]),
        (Limits(keep=1), [1, 5, 10, 15]),
        (Limits(keep=100), []),
        (Limits(keep=4, days=10), [1]),
        (Limits(keep=1, days=10), [1, 5, 10]),
    ],
)
def test_age_and_number_both_have_to_allow_it(results, limits, go):
    assert days(old_runs(results, limits, NOW)) == go


def test_the_latest_stays_however_old(results):
    assert why(results, Limits(days=0))[run_id(20)] == "the latest"
    (results / "latest").symlink_to(results / run_id(5))
    assert why(results, Limits(keep=1))[run_id(5)] == "the latest"


def test_a_run_whose_lock_is_held_stays(results):
    folder = results / run_id(1)
    (folder / ".locks").mkdir()
    with locked(folder / ".locks" / "cell", Deadline(1)):
        assert why(results, Limits(keep=1))[run_id(1)] == "it is being written"
    aged(folder)
    assert why(results, Limits(keep=1))[run_id(1)] == ""


def test_a_lock_that_is_taken_meanwhile_saves_the_run(results):
    (first, *_) = old_runs(results, Limits(keep=1), NOW)
    (first.folder / ".locks").mkdir()
    with locked(first.folder / ".locks" / "cell", Deadline(1)):
        assert not remove(first)
    assert (first.folder / "run.json").is_file()
    assert remove(first)
    assert not first.folder.exists()


def test_a_run_that_was_written_to_just_now_stays(results):
    console = results / run_id(1) / "consoles" / "cell-1.log"
    console.touch()
    moment = (NOW - timedelta(minutes=5)).timestamp()
    os.utime(console, (moment, moment))
    assert why(results, Limits(keep=1))[run_id(1)] == "it was written to just now"


def test_only_runs_are_removed(results, capsys):
    for name in ("baselines/a", "2026-01-01-000000-bbbb/steps", "schema", "2026-11-02-notes"):
        (results / name).mkdir(parents=True)
    (results / "2026-01-01-000000-bbbb" / "bisect.json").write_text("{}")
    (results / "baselines" / "a" / "run.json").write_text("{}")
    (results / "2026-11-01-081201-7f3a.ccsight").write_text("bundle")
    (results / run_id(10)).rename(results / "2026-11-10-to-keep")
    (results / run_id(5) / "run.json").write_text("{")
    elsewhere = (results / run_id(15)).rename(results / "elsewhere")
    (results / run_id(15)).symlink_to(elsewhere)
    before = {path for path in results.rglob("*") if run_id(1) + "/" not in f"{path}/"}
    assert run(["show", "--prune", "--keep", "1", "--out", str(results)]) == 0
    assert set(results.rglob("*")) == before
    page = capsys.readouterr().out
    assert page.count("cannot be read as the run of that name") == 3
    assert "removed 1 run, " in page


def test_a_dry_run_removes_nothing(results, capsys):
    before = set(results.rglob("*"))
    assert run(["show", "--prune", "--older-than", "1", "--dry-run", "--out", str(results), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert set(results.rglob("*")) == before
    assert document["dry_run"] is True
    assert run(["show", "--prune", "--older-than", "1", "--out", str(results), "--json"]) == 0
    done = json.loads(capsys.readouterr().out)
    assert done["removed"] == document["removed"]
    assert done["size"] == sum(each["size"] for each in done["removed"]) > 0
    assert not any((results / each["run"]).exists() for each in done["removed"])
    assert find_run(results).plan.id == run_id(20)


def test_what_a_killed_one_left_is_removed(results):
    (results / f".{run_id(3)}.doomed" / "captures").mkdir(parents=True)
    assert run(["show", "--prune", "--keep", "9", "--out", str(results)]) == 0
    assert not list(results.glob(".*"))


def test_nothing_to_do_and_nothing_to_go_by(tmp_path, results):
    assert run(["show", "--prune", "--keep", "1", "--out", str(tmp_path / "none")]) == 0
    assert run(["show", "--prune", "--out", str(results)]) == ExitCode.USAGE


@pytest.mark.parametrize(
    ("argv", "fact"),
    [
        (["--names"], "--names does not go with showing a run"),
        (["--mail", "--ktap"], "--ktap does not go with --mail"),
        (["--dry-run"], "--dry-run does not go with showing a run"),
        (["RUN", "--history", "CR-001"], "RUN does not go with --history"),
        (["--ktap", "--json"], "--json does not go with --ktap"),
        (["--keep", "3", "--older-than", "3"], "--keep and --older-than do not go with showing a run"),
    ],
)
def test_options_of_another_job_are_refused(argv, fact, tmp_path, capsys):
    assert run(["show", *argv, "--out", str(tmp_path)]) == ExitCode.USAGE
    said = capsys.readouterr().err
    assert set(fact.split()) <= set(said.splitlines()[0].split())
