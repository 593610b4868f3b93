"""One step: whose fault it is when a suspect cannot be asked, what is tried again, and what never is."""

from contextlib import suppress
from dataclasses import replace
from types import SimpleNamespace

import pytest
from msgspec import structs
from recorded import capture

from ccsight.campaign import trying, turns
from ccsight.campaign.trying import ATTEMPTS, Bench, Trial, attempt, depth
from ccsight.checks.predicates import parse
from ccsight.errors import ArchiveError, MachineLost, NoSpace, UsageError
from ccsight.evidence.bisection import Verdict
from ccsight.evidence.boots import Boot, Boots, End, Role
from ccsight.evidence.failure import Failure
from ccsight.evidence.model import SCHEMA
from ccsight.evidence.plan import Depth, PlannedKernel
from ccsight.evidence.record import to_json
from ccsight.evidence.run import Run
from ccsight.kernels import spec as kernel_specs
from ccsight.kernels.built import BrokenByPatch
from ccsight.kernels.watch import CompileError, MakeFailed
from ccsight.machines import inventory
from ccsight.machines.silicon import shipped
from ccsight.status import Status
from ccsight.toolbox.packages import PackageGone

MACHINE, KERNEL = "emulated:cortex-a57", "git:/linux,ref=0123"
ASK = "guest.CLIDR_EL1.LoC == 1"
MISS, ERROR = (Failure(status=status, fact="no") for status in (Status.MISS, Status.ERROR))
DOWN, UP = End.DOWN, End.UP


class Machines:
    """What each boot in turn comes to: a capture's failures, or rows of boots where nothing came up."""

    def __init__(self, *ends):
        self.ends, self.boots = list(ends), 0

    def tasks(self, run, kernels):
        for cell in run.plan.cells:
            if not trying.complete(run, cell):
                yield SimpleNamespace(carry_out=lambda report, cell=cell: self._boot(run, cell))

    def _boot(self, run, cell):
        self.boots += 1
        end, number = self.ends.pop(0), run.last_boot(cell) + 1
        if isinstance(end, dict):
            made = structs.replace(
                capture("cortex-a57", "6.12"), cell=cell, failures=end, seconds={"boot": 1.5}
            )
            made = structs.replace(made, views=() if "view" in end else made.views)
            run.console(cell, number).write_text("Linux version 6.12\n")
            run.write(cell, "capture.json", to_json(made), number)
            return
        rows = [
            Boot(role=role, kernel="k", end=how, console="c")
            for role, how in zip((Role.PATCHED, Role.BASE, Role.PATCHED), end, strict=False)
        ]
        run.write(cell, "boots.json", to_json(Boots(schema=SCHEMA, cell=cell, boots=tuple(rows))), number)
        run.write(cell, "failure.json", to_json(Failure(status=Status.MISS, fact="it panics")), number)


@pytest.fixture
def bench(tmp_path, monkeypatch):
    kernel = SimpleNamespace(spec=kernel_specs.parse(KERNEL), label="k")
    planned = PlannedKernel(spec=KERNEL, pin="built:ab", label="k", release="6.12", image_sha256="0")
    monkeypatch.setattr(trying.kernel_specs, "resolve", lambda spec, deadline, report: kernel)
    monkeypatch.setattr(trying.kernel_specs, "pin", lambda kernel: "built:ab")
    monkeypatch.setattr(trying, "planned_kernel", lambda kernel: planned)
    monkeypatch.setattr(trying, "pinned_kernels", lambda plan: {KERNEL: kernel})
    return Bench(tmp_path, parse(ASK), (MACHINE,), shipped(), ("ccsight", "bisect"), control="built:good")


def tried(bench, monkeypatch, *ends):
    machines = Machines(*ends)
    monkeypatch.setattr(trying, "tasks", machines.tasks)
    return attempt(bench, Trial("01-0123", KERNEL), lambda _: None), machines


@pytest.mark.parametrize(
    ("error", "trouble"),
    [
        (CompileError("no"), Verdict.SKIP),
        (MakeFailed("no"), Verdict.SKIP),
        (BrokenByPatch("no"), Verdict.SKIP),
        (PackageGone("no"), Verdict.SKIP),
        (UsageError("the patch does not apply"), Verdict.SKIP),
        (NoSpace("no"), Verdict.INFRA),
        (ArchiveError("no"), Verdict.INFRA),
    ],
)
def test_what_does_not_build_is_skipped_unless_this_system_is_to_blame(bench, monkeypatch, error, trouble):
    def fail(*_):
        raise error

    monkeypatch.setattr(trying.kernel_specs, "resolve", fail)
    found, machines = tried(bench, monkeypatch)
    assert (found.trouble, found.why, machines.boots) == (trouble, error.fact, 0)


def test_a_boot_answers(bench, monkeypatch):
    found, machines = tried(bench, monkeypatch, {})
    (look,) = found.looks
    assert (found.trouble, found.pin, machines.boots) == (None, "built:ab", 1)
    assert (look.truth, look.machine, look.run, look.seconds) == (True, MACHINE, "01-0123", 1.5)
    assert "LoC" in look.seen[0]
    assert Run.open(bench.folder / "01-0123").plan.kernels[0].base == "built:good"


def test_what_was_seen_is_not_booted_again(bench, monkeypatch):
    tried(bench, monkeypatch, {})
    found, machines = tried(bench, monkeypatch)
    assert (machines.boots, found.looks[0].truth) == (0, True)


@pytest.mark.parametrize("rows", [(DOWN, UP, DOWN)])
def test_what_does_not_boot_with_a_control_in_between_is_skipped(bench, monkeypatch, rows):
    found, machines = tried(bench, monkeypatch, rows)
    assert (found.trouble, machines.boots) == (Verdict.SKIP, 1)
    assert "it panics" in found.why


@pytest.mark.parametrize("rows", [(DOWN, DOWN), (DOWN, UP, UP), (DOWN, End.UNTRIED)])
def test_what_does_not_boot_and_cannot_be_blamed_is_tried_again_and_then_not_observed(
    bench, monkeypatch, rows
):
    found, machines = tried(bench, monkeypatch, *[rows] * ATTEMPTS)
    assert (found.trouble, machines.boots) == (None, ATTEMPTS)
    assert (found.looks[0].truth, found.looks[0].why) == (None, "it panics")
    found, machines = tried(bench, monkeypatch, rows, {})
    assert (machines.boots, found.looks[0].truth) == (2, True)


def test_a_program_that_infrastructure_kept_from_seeing_is_asked_again(bench, monkeypatch):
    found, machines = tried(bench, monkeypatch, {"view": MISS}, {})
    assert (machines.boots, found.looks[0].truth) == (2, True)


def test_a_program_of_ours_that_failed_is_no_answer_and_is_not_asked_again(bench, monkeypatch):
    found, machines = tried(bench, monkeypatch, {"view": ERROR})
    assert (machines.boots, found.looks[0].truth) == (1, None)
    assert found.looks[0].why == "view: no"


def test_repeats_are_runs_of_their_own(bench, monkeypatch):
    found, machines = tried(replace(bench, repeat=3), monkeypatch, {}, {}, {})
    assert [look.run for look in found.looks] == ["01-0123", "01-0123.2", "01-0123.3"]
    assert machines.boots == 3


@pytest.mark.parametrize(
    ("text", "only", "migrate"),
    [
        (ASK, ("view", "sweep"), False),
        ("migrate(deb:6.1 -> this) is transparent", ("view", "save", "restore"), True),
    ],
)
def test_only_what_the_predicate_needs_is_asked(text, only, migrate):
    found = depth(parse(text))
    assert (set(only) <= set(found.only), found.migrate, found.fuzz) == (True, migrate, 0)
    assert not {"writes", "linux"} & set(found.only)


def test_what_a_program_needs_is_asked_as_well():
    assert depth(parse("guest(program=life).CLIDR_EL1.LoC == 1")).only == ("sweep", "life")


def test_all_is_asked_where_nobody_knows_what_is_needed():
    assert depth(parse("check CR-004")) == Depth(fuzz=0, migrate=True)


def test_a_kernel_that_vms_come_from_is_another_cell_than_the_same_one_as_a_suspect(bench, monkeypatch):
    asked = []
    monkeypatch.setattr(trying.kernel_specs, "resolve", lambda spec, *_: asked.append(spec) or fail())

    def fail():
        raise CompileError("no")

    moving = replace(bench, predicate=parse("migrate(deb:6.1=6.1.1-1 -> this) is transparent"))
    attempt(moving, Trial("good", "deb:6.1=6.1.1-1"), lambda _: None)
    attempt(moving, Trial("bad", "deb:6.1=6.1.2-1"), lambda _: None)
    assert asked == ["deb:6.1=6.1.1-1,name=this", "deb:6.1=6.1.2-1"]


def test_suspects_take_turns_on_a_machine_of_which_there_is_one(bench, monkeypatch):
    monkeypatch.setattr(trying, "local_pool", None)
    monkeypatch.setattr(trying, "attempt", lambda bench, trial, report: trial.name)
    trials = (Trial("01-a", KERNEL), Trial("01-b", KERNEL))
    assert trying.attempts(replace(bench, machines=(MACHINE, "altra")), trials, print) == ("01-a", "01-b")
    assert not bench.in_turn


def test_a_machine_that_was_lost_is_tried_again_by_no_attempt_but_when_the_step_is_resumed(
    bench, monkeypatch, tmp_path
):
    (tmp_path / "machines.toml").write_text("[altra]\naddress = 'x'\n")
    monkeypatch.setenv(inventory.VARIABLE, str(tmp_path / "machines.toml"))
    booted = []

    def lose(run, kernels):
        def carry_out(report):
            booted.append(run.plan.cells[0])
            with suppress(MachineLost), turns.kept(run, run.plan.cells[0]):
                raise MachineLost("it did not come back")

        yield SimpleNamespace(carry_out=carry_out)

    monkeypatch.setattr(trying, "tasks", lose)
    for number in (1, 2):
        found = attempt(replace(bench, machines=("altra",)), Trial("01-0123", KERNEL), lambda _: None)
        assert (found.looks[0].truth, len(booted)) == (None, number)
