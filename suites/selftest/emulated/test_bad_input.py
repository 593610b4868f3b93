"""Guests that misbehave, a probe that is killed, a host that dies: each costs but its own evidence."""

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from ccsight.campaign import programs
from ccsight.campaign.cell import CellTask, capture_cell
from ccsight.campaign.compare import Request, publish, start
from ccsight.campaign.programs import PROGRAMS, Asked, Program
from ccsight.campaign.tasks import complete
from ccsight.deadline import Deadline
from ccsight.evidence.model import Told
from ccsight.evidence.plan import Depth
from ccsight.evidence.run import Run
from ccsight.machines import silicon
from ccsight.paths import data_dir
from ccsight.probes import build
from ccsight.probes.runner import Probe
from ccsight.probes.script import Script
from ccsight.report.model import Result
from ccsight.status import Status

pytestmark = pytest.mark.emulated

GUESTS = Path(__file__).parent / "guests"
#: What each guest that misbehaves is told to be.
TOLD = {
    "spins": "guest-does-not-end",
    "waits": "guest-does-not-end",
    "faults": "unexpected-exception",
    "strays": "guest-mmio",
    "floods": "guest-says-too-much",
    "endless": "guest-line-too-long",
    "half": "guest-line-unfinished",
}


def run_guest(probe: Probe, guest: str, deadline: Deadline) -> Told:
    script = Script()
    script.vm(1)
    script.init(0)
    script.load(guest)
    script.start(0)
    script.run(0)
    probe.script(guest, script, deadline)
    return Told()


def misbehaving(guest: str) -> Program:
    return Program(guest, lambda asked, deadline: run_guest(asked.probe, guest, deadline))


def shell(asked: Asked, words: str) -> None:
    asked.booted.host.run(["sh", "-c", words], Deadline(20))


def killed(asked: Asked, deadline: Deadline) -> Told:
    """Kill the probe while a guest of its runs."""
    shell(asked, "(sleep 2; kill -9 $(pidof ccprobe)) >/dev/null 2>&1 </dev/null &")
    return run_guest(asked.probe, "spins", deadline)


def panics(asked: Asked, deadline: Deadline) -> Told:
    """Let the host's kernel panic while a guest runs."""
    shell(asked, "(sleep 2; echo c > /proc/sysrq-trigger) >/dev/null 2>&1 </dev/null &")
    return run_guest(asked.probe, "spins", deadline)


def forbidden(asked: Asked, deadline: Deadline) -> Told:
    """Take /dev/kvm away from everybody but root, and look as somebody else."""
    shell(asked, f"chmod 600 /dev/kvm; chmod 755 {asked.probe.place}")
    shell(asked, "echo somebody:x:1000:1000::/tmp:/bin/sh >> /etc/passwd")
    somebody = replace(asked.probe, host=As(asked.booted.host))
    return Told(views=somebody.observe(deadline).views)


@dataclass(frozen=True)
class As:
    """A host on which every command is run by a user who is not root."""

    host: object

    def run(self, argv, deadline, **options):
        program, *arguments = argv
        as_somebody = ["start-stop-daemon", "-S", "-q", "-c", "somebody", "-x", program, "--"]
        return self.host.run([*as_somebody, *arguments], deadline, **options)


@pytest.fixture
def captured(tmp_path, monkeypatch):
    """Capture a cell with other programs, and our guests beside the usual ones."""
    tree = tmp_path / "guests"
    shutil.copytree(data_dir("guests"), tree)
    for path in GUESTS.glob("*.c"):
        shutil.copy(path, tree / "bare")
    monkeypatch.setattr(build, "data_dir", lambda name: tree)

    def capture(*rows: Program) -> tuple[Run, Result]:
        monkeypatch.setattr(programs, "PROGRAMS", rows)
        table = silicon.load(None)
        order = Request(("deb:6.12",), ("emulated:neoverse-n1",), ("pytest",), table, Depth(fuzz=0))
        run, kernels = start(tmp_path / "results", order)
        (cell,) = run.plan.cells
        capture_cell(CellTask(run.folder, cell, kernels[cell.kernel]), lambda stage: None)
        return run, publish(run)

    return capture


def statuses(result: Result) -> dict[str, Status]:
    return {case.check: case.status for case in result.cases}


def row(name: str) -> Program:
    return next(program for program in PROGRAMS if program.name == name)


def test_a_guest_that_misbehaves_costs_nothing_but_what_it_would_have_said(captured):
    bad = [misbehaving(guest) for guest in TOLD]
    run, result = captured(row("view"), row("sweep"), *bad, Program("killed", killed), row("life"))
    (capture,) = result.captures.values()
    assert capture.failures.keys() == {*TOLD, "killed"}, capture.failures
    for guest, what in TOLD.items():
        failure = capture.failures[guest]
        assert failure.status is Status.ERROR
        assert what in failure.fact + failure.evidence, failure
    lost = capture.failures["killed"]
    assert (lost.status, "was killed on the machine" in lost.fact) == (Status.MISS, True), lost
    assert not complete(run, capture.cell), "--resume boots it again"
    assert {view.program.partition("-")[0] for view in capture.views} == {"view", "sweep", "life"}
    status = statuses(result)
    judged = ("CR-001", "CR-002", "CR-003", "CR-004", "CR-017")
    assert {check: status[check] for check in judged} == dict.fromkeys(judged, Status.PASS)
    assert status["CR-012"] is Status.ERROR, "the guests selectors and setway did not run"
    kept = {path.stem for path in run.boot_folder(capture.cell).glob("*.stream")}
    assert kept >= TOLD.keys(), "what they said is kept"


def test_a_host_that_panics_keeps_what_was_seen_before(captured):
    run, result = captured(row("view"), row("sweep"), Program("panics", panics), row("life"))
    (capture,) = result.captures.values()
    assert {name: failure.status for name, failure in capture.failures.items()} == {
        "panics": Status.MISS,
        "life": Status.MISS,
    }
    assert "panicked" in capture.failures["panics"].evidence, capture.failures
    assert "was not asked" in capture.failures["life"].fact
    status = statuses(result)
    judged = ("CR-001", "CR-002", "CR-003")
    assert {check: status[check] for check in judged} == dict.fromkeys(judged, Status.PASS)
    assert (status["CR-004"], status["CR-017"]) == (Status.MISS, Status.FAIL)
    assert not complete(run, capture.cell), "--resume boots it again"


def test_somebody_who_may_not_open_kvm_is_told_so(captured):
    _, result = captured(Program("forbidden", forbidden), row("sweep"))
    (failure,) = result.failures.values()
    assert set(statuses(result).values()) == {Status.MISS}
    assert "EACCES" in failure.fact + failure.evidence, failure
    assert "usermod" in failure.next_step


def test_kvm_that_goes_away_keeps_what_was_seen_before(captured):
    _, result = captured(row("view"), Program("forbidden", forbidden), row("sweep"))
    (capture,) = result.captures.values()
    assert [failure.status for failure in capture.failures.values()] == [Status.MISS] * 2
    assert statuses(result)["CR-001"] is Status.PASS
