"""A machine of which there is one: who has it when, and what becomes of a run when it is lost."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest
from recorded import STREAMS

from ccsight.campaign import booting, cell, control, execute, restoring, tasks, turns
from ccsight.campaign.booting import DidNotBoot, Start, Stopwatch
from ccsight.campaign.cell import CellTask, capture_cell
from ccsight.campaign.planning import plan_comparison
from ccsight.deadline import Deadline
from ccsight.errors import BootError, DeadlineExceeded, HostLost, MachineLost, NoKvm, ToolMissing
from ccsight.evidence.boots import End
from ccsight.evidence.failure import Failure
from ccsight.evidence.model import Told
from ccsight.evidence.plan import PlannedKernel
from ccsight.evidence.run import Run
from ccsight.evidence.views import Cell
from ccsight.kernels.model import Kernel
from ccsight.kernels.spec import parse
from ccsight.machines import inventory
from ccsight.machines.host_keys import WrongHostKey
from ccsight.machines.lease import Taken
from ccsight.machines.local import LocalHost
from ccsight.machines.model import Booted
from ccsight.probes.identity import identity
from ccsight.probes.stream import parse as parse_stream
from ccsight.report.model import Result
from ccsight.status import Status

SEEN = identity(parse_stream((STREAMS / "neoverse-n1-6.12" / "identity.stream").read_bytes(), "test"))
TOKEN = SEEN.command_line.partition("ccsight.boot=")[2].split()[0]
KERNELS = ("deb:6.1", "deb-src:6.12", "deb-src:6.12,patch=my.mbox")
EMULATED = "emulated:cortex-a57"
NOT_BACK = MachineLost("altra did not come back", evidence="15 min")


@dataclass
class Lab:
    """A run on machines whose boots end as they are told to; ``booted`` are those that were tried."""

    run: Run
    #: errors of the next boots: on the way in and on the way out; none where all goes well
    ends: list = field(default_factory=list)
    booted: list = field(default_factory=list)

    def kernel(self, cell: Cell) -> Kernel:
        return Kernel(
            parse("deb:6.12"),
            cell.kernel,
            image=None,
            image_sha256="",
            release=SEEN.release,
            build_ids=frozenset({SEEN.build_id}),
        )

    def cell(self, machine: str, kernel: int) -> Cell:
        return Cell(machine=machine, kernel=KERNELS[kernel])

    def capture(self, machine: str, kernel: int, **others) -> Failure | None:
        found = self.cell(machine, kernel)
        return capture_cell(CellTask(self.run.folder, found, self.kernel(found), **others), lambda _: None)

    def machine(self, spec: str, table=None):
        return SimpleNamespace(spec=spec, seconds=600.0, boot=lambda *order: self._boot(spec, *order))

    @contextmanager
    def _boot(self, spec, order, deadline, report):
        self.booted.append((spec, order.kernel.label, deadline.seconds))
        on_entry, on_leaving = self.ends.pop(0) if self.ends else (None, None)
        if on_entry:
            raise on_entry
        yield Booted(LocalHost(), TOKEN, len(SEEN.cpus), here=True)
        if on_leaving:
            raise on_leaving


@pytest.fixture
def lab(tmp_path, monkeypatch):
    (tmp_path / "machines.toml").write_text("[altra]\naddress = 'x'\n[metal]\naddress = 'y'\n")
    monkeypatch.setenv(inventory.VARIABLE, str(tmp_path / "machines.toml"))
    kernels = [
        PlannedKernel(spec=spec, pin=spec, label=spec, release="6.12", image_sha256="0", base=base)
        for spec, base in zip(KERNELS, ("", "", KERNELS[1]), strict=True)
    ]
    plan = plan_comparison(kernels, ["altra", "metal", EMULATED], ("ccsight", "compare"))
    made = Lab(Run.create(tmp_path, plan))

    @contextmanager
    def at_hand(*_):
        yield SimpleNamespace(identify=lambda deadline: SEEN, programs={})

    monkeypatch.setattr(booting, "at_hand", at_hand)
    monkeypatch.setattr(booting.build, "built", lambda deadline: None)
    monkeypatch.setattr(cell.programs, "observe", lambda *_: Told())
    monkeypatch.setattr(control, "_base", lambda first, report: made.kernel(made.cell("altra", 1)))
    for module in (cell, restoring):
        monkeypatch.setattr(module.registry, "machine", made.machine)
    return made


@pytest.mark.parametrize(
    ("spec", "name"),
    [
        ("altra", "altra"),
        ("altra,force=on,attended=on", "altra"),
        ("rk3588-2.lab", "rk3588-2.lab"),
        ("emulated:neoverse-n1", ""),
        ("emulated:max,mte=on", ""),
        ("silicon:graviton3", ""),
        ("local", ""),
    ],
)
def test_a_machine_is_known_by_its_name_whatever_its_options(spec, name):
    assert turns.once(spec) == name


@dataclass(frozen=True)
class Step:
    """A task; all that may run at once meet at the gate, which opens for no fewer."""

    key: str
    machine: str
    gate: threading.Barrier | None
    seen: list
    after: frozenset[str] = frozenset()

    @property
    def cell(self):
        return Cell(machine=self.machine, kernel="deb:6.12")

    def carry_out(self, report):
        self.seen.append(("begin", self.machine.partition(",")[0]))
        if self.gate:
            self.gate.wait(timeout=20)
        self.seen.append(("end", self.machine.partition(",")[0]))


@pytest.fixture
def pools(monkeypatch):
    """How many workers each pool has that was made; they are threads."""
    made = []

    @contextmanager
    def pool(size, on_stage):
        made.append(size)
        with ThreadPoolExecutor(size) as executor:
            yield executor

    monkeypatch.setattr(execute, "local_pool", pool)
    monkeypatch.setattr(execute, "crew", lambda on_stage: pool(20, on_stage))
    return made


def test_tasks_of_one_machine_go_one_after_the_other_and_those_of_others_beside_it(pools):
    gate, seen = threading.Barrier(4), []
    rows = [
        Step("a", "altra", gate, seen),
        Step("b", "altra,force=on", None, seen),
        Step("c", "metal", gate, seen),
        Step("d", "altra", None, seen),
        Step("e", EMULATED, gate, seen),
        Step("f", EMULATED, gate, seen),
    ]
    ended = list(execute.collect(rows, 2, print))
    assert sorted(task.key for task, _ in ended) == list("abcdef")
    assert [failure for _, failure in ended] == [None] * 6
    assert [word for word, name in seen if name == "altra"] == ["begin", "end"] * 3
    assert pools == [20, 2], "a machine takes no worker from the emulated ones"


@pytest.mark.parametrize(
    ("machines", "sizes"), [((EMULATED,), [1]), (("altra", "altra,force=on"), [20]), ((), [])]
)
def test_no_worker_is_made_in_vain(pools, machines, sizes):
    rows = [Step(str(number), name, None, []) for number, name in enumerate(machines)]
    assert len(list(execute.collect(rows, 2, print))) == len(rows)
    assert pools == sizes


def test_what_has_to_wait_for_another_holds_up_nobody(pools):
    rows = [
        Step("a", "altra", None, [], after=frozenset({"c"})),
        Step("b", "altra", None, []),
        Step("c", "metal", None, []),
    ]
    assert {task.key for task, _ in execute.collect(rows, 2, print)} == set("abc")


@pytest.mark.parametrize(
    "error",
    [
        NOT_BACK,
        HostLost("altra does not take a login"),
        Taken("altra is taken by ann"),
        WrongHostKey("another key"),
        DeadlineExceeded("reboot did not end within 600 s"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_ends_a_machine_ends_it_for_the_cells_that_come_later(lab, error):
    lab.ends = [(error, None)]
    assert lab.capture("altra", 0).fact == error.fact
    later = lab.capture("altra", 1)
    assert later.status is Status.MISS
    assert later.fact == f"altra was given up with deb:6.1: {error.fact}; not tried"
    assert (later.evidence, bool(later.next_step)) == (error.evidence, True)
    assert lab.capture("altra", 2).fact == later.fact, "the first loss is the one that counts"
    assert len(lab.booted) == 1
    assert lab.capture("metal", 0) is None
    assert lab.capture(EMULATED, 0) is None


@pytest.mark.parametrize(
    "error",
    [BootError("it panicked"), NoKvm("no KVM"), ToolMissing("no gcc")],
    ids=lambda error: type(error).__name__,
)
def test_what_a_kernel_or_this_system_did_ends_no_machine(lab, error):
    lab.ends = [(error, None)]
    assert lab.capture("altra", 0).fact == error.fact
    assert lab.capture("altra", 1) is None


def test_an_emulated_machine_is_never_lost(lab):
    lab.ends = [(HostLost("gone"), None), (NOT_BACK, None)]
    assert lab.capture(EMULATED, 0).fact == "gone"
    assert lab.capture(EMULATED, 0, boot=2).fact == NOT_BACK.fact
    assert lab.capture(EMULATED, 1) is None


def test_a_machine_that_is_not_there_is_no_kernels_failure_to_boot(lab):
    start = Start(lab.run, lab.cell("altra", 0), lab.machine("altra"), lab.kernel(lab.cell("altra", 0)))
    lab.ends = [(HostLost("gone"), None)]
    with pytest.raises(HostLost), booting.proved(start, Stopwatch(print), Deadline(5)):
        pass
    emulated = Start(lab.run, lab.cell(EMULATED, 0), lab.machine(EMULATED), lab.kernel(lab.cell(EMULATED, 0)))
    lab.ends = [(HostLost("gone"), None)]
    with pytest.raises(DidNotBoot), booting.proved(emulated, Stopwatch(print), Deadline(5)):
        pass


def test_a_kernel_that_fell_silent_and_took_the_machine_with_it_is_not_tried_again(lab, monkeypatch):
    def silent(*_):
        raise HostLost("no answer")

    monkeypatch.setattr(booting, "prove", silent)
    found = lab.cell("altra", 2)

    @contextmanager
    def boot(order, deadline, report):
        try:
            yield Booted(LocalHost(), TOKEN, len(SEEN.cpus), here=True)
        finally:
            raise NOT_BACK

    monkeypatch.setattr(lab, "machine", None)
    monkeypatch.setattr(cell.registry, "machine", lambda *_: SimpleNamespace(seconds=0.0, boot=boot))
    assert lab.capture("altra", 2).fact == NOT_BACK.fact
    assert lab.run.boots(found) is None, "no control on a machine that is lost"


def test_what_was_seen_stays_when_the_machine_does_not_come_back(lab):
    lab.ends = [(None, NOT_BACK)]
    assert lab.capture("altra", 0) is None
    capture = lab.run.capture(lab.cell("altra", 0))
    assert capture.failures == {turns.WAY_BACK: Failure.of(NOT_BACK)}
    assert "was given up with deb:6.1: altra did not come back; not tried" in lab.capture("altra", 1).fact
    assert not tasks.complete(lab.run, lab.cell("altra", 0)), "--resume tries it again"
    result = Result.of(lab.run)
    assert [program for _, program, _ in result.incomplete("altra")] == [turns.WAY_BACK]


def test_a_run_that_is_resumed_tries_all_machines_again(lab, monkeypatch):
    lab.ends = [(NOT_BACK, None)]
    lab.capture("altra", 0)
    monkeypatch.setattr(execute, "collect", lambda tasks, workers, on_stage: (row for row in ()))
    kernels = {spec: lab.kernel(lab.cell("altra", number)) for number, spec in enumerate(KERNELS)}
    execute.execute(lab.run, kernels, 2, SimpleNamespace(stage=lambda *_: None))
    assert lab.capture("altra", 0, boot=2) is None
    assert turns.lost(lab.run, lab.cell("altra", 1)) is None


def test_the_control_ends_with_the_machine(lab):
    lab.ends = [(BootError("it panicked"), None), (None, NOT_BACK)]
    assert lab.capture("altra", 2).fact == "it panicked"
    row = lab.run.boots(lab.cell("altra", 2))
    assert [boot.end for boot in row.boots] == [End.DOWN, End.UP, End.UNTRIED]
    assert "altra was given up with" in row.boots[-1].failure.fact
    assert (len(lab.booted), row.convicts) == (2, False)


def test_a_control_convicts_on_a_machine_that_comes_back_each_time(lab):
    down = (BootError("it panicked"), None)
    lab.ends = [down, (None, None), down]
    lab.capture("altra", 2)
    assert lab.run.boots(lab.cell("altra", 2)).convicts
    assert lab.capture("altra", 0) is None


def test_a_cells_clock_has_what_its_machine_takes_on_top(lab):
    lab.ends = [(BootError("it panicked"), None)]
    lab.capture("altra", 2)
    seconds = [seconds for _, _, seconds in lab.booted]
    assert seconds == [cell.CELL_SECONDS + 600, *[control.BOOT_SECONDS + 600] * 2]


def test_what_is_restored_later_has_it_too_and_is_not_tried_on_a_machine_that_is_lost(lab, monkeypatch):
    found = lab.cell("altra", 0)
    lab.capture("altra", 0)
    monkeypatch.setattr(restoring, "lacking", lambda run, cell: ("a state",))
    monkeypatch.setattr(restoring, "every", lambda *_: ())
    monkeypatch.setattr(restoring, "restore_all", lambda *_: Told())
    task = restoring.RestoreTask(lab.run.folder, found, lab.kernel(found), frozenset())
    lab.ends = [(None, NOT_BACK)]
    assert task.carry_out(print) is None
    assert lab.run.arrivals(found).failures == {turns.WAY_BACK: Failure.of(NOT_BACK)}
    cells = len(lab.run.plan.cells)
    assert lab.booted[-1][2] == restoring.SECONDS + restoring.SOURCE_SECONDS * cells + 600
    assert "not tried" in task.carry_out(print).fact


def test_other_processes_wait_for_their_turn(lab):
    one, other, emulated = lab.cell("altra", 0), lab.cell("altra", 1), lab.cell(EMULATED, 0)
    with turns.turn(lab.run, one, one.id, 0.01):
        with pytest.raises(DeadlineExceeded), turns.turn(lab.run, other, other.id, 0.01):
            pass
        with turns.turn(lab.run, emulated, emulated.id, 0.01):
            pass
