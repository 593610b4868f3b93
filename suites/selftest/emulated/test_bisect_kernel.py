"""A bisection of real kernels, as its user does it: a fault that was planted is found, and proven."""

import json
from pathlib import Path

import pytest
from history import of
from tiny_source import fingerprint

from ccsight.cli import run
from ccsight.deadline import Deadline
from ccsight.kernels import tree
from ccsight.paths import data_dir

pytestmark = [pytest.mark.emulated, pytest.mark.long]

SOURCE, N1 = "deb-src:6.12", "emulated:neoverse-n1"
FAULT = "KVM: arm64: Make CLIDR_EL1 up again when a vCPU is reset"


@pytest.fixture
def history(monkeypatch):
    """Eight commits on the source package; the sixth wipes CLIDR_EL1. They share its build folder."""
    monkeypatch.setattr(tree, "family", lambda place: "deb-6.12")
    made = of(SOURCE, "bisect", Deadline(300))
    for number in range(5):
        made.write(f"doc: note {number}", {f"Documentation/note-{number}.txt": f"{number}\n"})
    made.apply(FAULT, data_dir("suites") / "control/CR-004-reset-wipes-clidr.patch")
    for number in range(5, 7):
        made.write(f"doc: note {number}", {f"Documentation/note-{number}.txt": f"{number}\n"})
    return made


def test_a_planted_fault_is_found_and_proven(history, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    before = fingerprint(history.place)
    first, *_, last = history.commits
    ends = ("--good", f"git:{history.place},ref={first}", "--bad", f"git:{history.place},ref={last}")
    code = run(["bisect", *ends, "check CR-004", "--on", N1, "--json"])
    said = capfd.readouterr()
    assert code == 0, said.err
    found = json.loads(said.out)
    (suspect,) = found["outcome"]["suspects"]
    assert (suspect["id"], suspect["title"], found["proven"]) == (history.commits[6], FAULT, True)
    verdicts = {step["role"]: step["verdict"] for step in found["steps"]}
    assert verdicts.pop("step") in ("good", "bad")
    assert verdicts == {
        "good end": "good",
        "bad end": "bad",
        "parent": "good",
        "commit": "bad",
        "revert": "good",
    }
    assert len(found["steps"]) == 2 + 3 + 3
    assert fingerprint(history.place) == before
    (folder,) = Path("results").iterdir()
    assert max(map(len, (folder / "bisect.txt").read_text().splitlines())) <= 76
    assert run(["bisect", "--resume", folder.name]) == 0
    assert not list(folder.glob("steps/*/captures/*/2")), "something was booted again"
    assert FAULT in capfd.readouterr().out
    step = next(folder.glob("steps/01-*"))
    assert run(["show", str(step)]) in (0, 1)
