"""Bisections of real kernels, as their user does them: a fault that was planted is found, and proven."""

import json
import time
from pathlib import Path

import pytest
from bisect_count import counted
from history import planned
from history_faults import FAULTS
from history_plan import Plan, near
from tiny_source import fingerprint

from ccsight.cli import run
from ccsight.deadline import Deadline

pytestmark = [pytest.mark.emulated]

SEEDS = range(10)


class Bisected:
    """A planned history, and what ``ccsight bisect`` says of it, in the working folder."""

    def __init__(self, plan: Plan, name: str) -> None:
        self.plan = plan
        self.history = planned(plan, name, Deadline(300))
        self.place, self.ids = self.history.place, self.history.commits

    def begin(self, capfd: pytest.CaptureFixture[str]) -> dict:
        """Bisect it, and return the document. It is said what that took."""
        ends = ("--good", self.history.spec(0), "--bad", self.history.spec(len(self.ids) - 1))
        began = time.monotonic()
        fault = self.plan.fault
        self.code = run(["bisect", *ends, fault.predicate, "--on", fault.machine, "--json"])
        seconds = time.monotonic() - began
        said = capfd.readouterr()
        (self.folder,) = Path("results").iterdir()
        assert self.code in (0, 1), said.err
        found = json.loads(said.out)
        self.answer = {self.ids.index(each["id"]) for each in found["outcome"]["suspects"]}
        with capfd.disabled():
            answer = ", ".join(map(str, sorted(self.answer)))
            print(f"\n{fault.name}: {seconds:.0f} s; {counted(self.folder)}; answer {answer}")
        return found


@pytest.mark.matrix
@pytest.mark.parametrize("seed", SEEDS)
def test_the_answer_is_the_first_bad_commit_or_the_smallest_range(seed, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    plan = near(seed, FAULTS[seed % len(FAULTS)])
    made = Bisected(plan, f"seed-{seed}")
    found = made.begin(capfd)
    assert made.answer == plan.answer
    exactly = len(plan.answer) == 1
    assert (found["outcome"]["word"], found["proven"], made.code) == (
        ("found", True, 0) if exactly else ("among", False, 1)
    )
    judged = {made.ids.index(step["suspect"]): step["verdict"] for step in found["steps"]}
    skipped = {number for number, verdict in judged.items() if verdict == "skip"}
    assert skipped == {number for number in judged if not plan.changes[number].asked}


@pytest.mark.long
def test_a_planted_fault_is_found_and_proven(tmp_path, monkeypatch, capfd):
    """A short one in full, what does not build in the way: nothing is touched, all can be read again."""
    monkeypatch.chdir(tmp_path)
    plan = near(5, FAULTS[0], 24)
    made = Bisected(plan, "bisect")
    before = fingerprint(made.place)
    found = made.begin(capfd)
    (suspect,) = found["outcome"]["suspects"]
    assert suspect["id"] == made.ids[plan.culprit]
    assert (suspect["title"], found["proven"], made.code) == (plan.fault.subject, True, 0)
    verdicts = {step["role"]: step["verdict"] for step in found["steps"] if step["role"] != "step"}
    assert verdicts == {
        "good end": "good",
        "bad end": "bad",
        "parent": "good",
        "commit": "bad",
        "revert": "good",
    }
    assert fingerprint(made.place) == before
    assert max(map(len, (made.folder / "bisect.txt").read_text().splitlines())) <= 76
    assert run(["bisect", "--resume", made.folder.name]) == 0
    assert not list(made.folder.glob("steps/*/captures/*/2")), "something was booted again"
    assert plan.fault.subject in capfd.readouterr().out
    step = next(made.folder.glob("steps/[0-9]*"))
    assert run(["show", str(step)]) in (0, 1)
