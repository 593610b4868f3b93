"""Which boots are made when a kernel does not come up, what is repeated by --resume, and what never is."""

from contextlib import contextmanager
from types import SimpleNamespace

import msgspec
import pytest
from recorded import capture

from ccsight.campaign import cell, control, tasks
from ccsight.campaign.booting import DidNotBoot, Start
from ccsight.campaign.cell import CellTask, capture_cell
from ccsight.campaign.planning import plan_comparison
from ccsight.errors import HostLost, ToolMissing, WrongKernel
from ccsight.evidence.boots import End
from ccsight.evidence.failure import Failure
from ccsight.evidence.plan import PlannedKernel
from ccsight.evidence.record import to_json
from ccsight.evidence.run import Run
from ccsight.report.model import Result
from ccsight.status import Status

BASE, PATCHED = "deb-src:6.12", "deb-src:6.12,patch=my.mbox"
MACHINE = "emulated:cortex-a57"
DOWN, WRONG, LACKING = (
    DidNotBoot("the kernel panicked: no"),
    WrongKernel("another one"),
    ToolMissing("no QEMU"),
)
GONE = Failure(status=Status.MISS, fact="the machine is gone")


@pytest.fixture
def run(tmp_path) -> Run:
    kernels = [
        PlannedKernel(spec=spec, pin=spec, label=spec, release="6.12", image_sha256="0", base=base)
        for spec, base in ((BASE, ""), (PATCHED, BASE))
    ]
    return Run.create(tmp_path, plan_comparison(kernels, [MACHINE], ("ccsight", "compare")))


@pytest.fixture
def boots(monkeypatch):
    """Let the next boots end so: an error, or None for one that comes up; return who was booted."""
    made = []

    def let(*ends):
        left = list(ends)

        @contextmanager
        def proved(start, watch, deadline):
            made.append((start.kernel, start.console.name))
            end = left.pop(0)
            if end:
                raise end
            yield SimpleNamespace(identity=SimpleNamespace(release="6.12", build_id="ab", boot_id="cd"))

        monkeypatch.setattr(control, "proved", proved)
        monkeypatch.setattr(cell, "proved", proved)
        monkeypatch.setattr(control, "_base", lambda first, report: "the base")
        return made

    return let


def patched(run: Run):
    return run.plan.cells[1]


def task(run: Run, boot: int = 1) -> CellTask:
    return CellTask(run.folder, patched(run), "the patched one", boot=boot)


def quiet(stage: str) -> None:
    pass


@pytest.mark.parametrize(
    ("ends", "row", "convicts"),
    [
        ((DOWN, None, DOWN), (End.DOWN, End.UP, End.DOWN), True),
        ((DOWN, None, None), (End.DOWN, End.UP, End.UP), False),
        ((DOWN, None, WRONG), (End.DOWN, End.UP, End.UNTRIED), False),
        ((DOWN, DOWN), (End.DOWN, End.DOWN), False),
        ((DOWN, LACKING), (End.DOWN, End.UNTRIED), False),
    ],
)
def test_the_base_is_booted_between_and_nothing_is_booted_in_vain(run, boots, ends, row, convicts):
    made = boots(*ends)
    assert capture_cell(task(run), quiet).fact == DOWN.fact
    found = run.boots(patched(run))
    assert (tuple(boot.end for boot in found.boots), found.convicts) == (row, convicts)
    assert [kernel for kernel, _ in made] == ["the patched one", "the base", "the patched one"][: len(row)]
    assert [name.rpartition("-")[2] for _, name in made] == ["1.log", "1.1.log", "1.2.log"][: len(row)]
    assert [boot.console for boot in found.boots] == [f"consoles/{name}" for _, name in made]
    status = {case.check: case.status for case in Result.of(run).cases if case.cells == (patched(run).id,)}
    assert status.pop("CR-019") is (Status.FAIL if convicts else Status.MISS)
    assert set(status.values()) == {Status.MISS}


def test_a_second_worker_boots_nothing(run, boots):
    made = boots(DOWN, None, DOWN)
    capture_cell(task(run), quiet)
    assert capture_cell(task(run), quiet).fact == DOWN.fact
    assert len(made) == 3


@pytest.mark.parametrize("error", [WRONG, LACKING, HostLost("gone")])
def test_what_is_no_failure_to_boot_takes_no_control(run, boots, error):
    made = boots(error)
    assert capture_cell(task(run), quiet).fact == error.fact
    assert (len(made), run.boots(patched(run))) == (1, None)


def test_a_kernel_without_a_base_takes_no_control(run, boots):
    made = boots(DOWN)
    first = run.plan.cells[0]
    capture_cell(CellTask(run.folder, first, "the base"), quiet)
    assert (len(made), run.boots(first)) == (1, None)


def test_a_base_of_another_source_is_no_control(run, monkeypatch):
    monkeypatch.setattr(
        control.kernel_specs, "resolve", lambda *args: SimpleNamespace(build=facts("another"))
    )
    plan = msgspec.structs.replace(
        run.plan,
        kernels=tuple(msgspec.structs.replace(kernel, build=facts("one")) for kernel in run.plan.kernels),
    )
    start = Start(Run(run.folder, plan), patched(run), None, "the patched one")
    found = control.boots(start, GONE, quiet)
    assert [boot.end for boot in found.boots] == [End.DOWN, End.UNTRIED]
    assert "another source" in found.boots[1].failure.fact


def facts(source: str):
    return msgspec.convert(
        {
            **dict.fromkeys(("source", "tree", "config_sha256", "toolchain", "code_sha256"), "x"),
            "provenance": [("folder", source)],
            "patches": [],
            "fragments": [],
        },
        PlannedKernel.__annotations__["build"],
    )


def seen(run: Run, number: int, failures: dict[str, Failure]) -> bytes:
    found = capture("cortex-a57", "6.12")
    return to_json(msgspec.structs.replace(found, cell=run.plan.cells[number], failures=failures))


def test_what_is_complete_is_never_repeated(run, boots):
    first, second = run.plan.cells
    assert not tasks.complete(run, first)
    run.write(first, "capture.json", seen(run, 0, {}))
    assert tasks.complete(run, first)
    boots(DOWN, None, DOWN)
    capture_cell(task(run), quiet)
    assert tasks.complete(run, second)


@pytest.mark.parametrize(
    ("status", "complete"), [(Status.MISS, False), (Status.ERROR, True)], ids=["infrastructure", "our code"]
)
def test_a_capture_without_a_program_is_repeated_where_infrastructure_was_in_the_way(run, status, complete):
    first = run.plan.cells[0]
    run.write(first, "capture.json", seen(run, 0, {"life": Failure(status=status, fact="no")}))
    assert tasks.complete(run, first) is complete


def test_the_old_evidence_stays_until_the_new_one_is_there(run, boots):
    first = run.plan.cells[0]
    run.write(first, "capture.json", seen(run, 0, {"life": GONE}))
    assert run.last_boot(first) == 1
    boots(DOWN)
    again = CellTask(run.folder, first, "the base", boot=2)
    assert capture_cell(again, quiet).fact == DOWN.fact
    assert (run.last_boot(first), run.boot(first), run.failure(first)) == (2, 1, None)
    assert run.capture(first).failures == {"life": GONE}
    run.write(first, "capture.json", seen(run, 0, {}), boot=3)
    assert (run.boot(first), run.capture(first).failures) == (3, {})
    assert (run.boot_folder(first, 1) / "capture.json").is_file()


def test_a_boot_that_saw_less_does_not_replace_one_that_saw_more(run, monkeypatch):
    first = run.plan.cells[0]
    run.write(first, "capture.json", seen(run, 0, {"life": GONE}))
    worse = msgspec.json.decode(seen(run, 0, {"life": GONE, "sweep": GONE}))
    found = msgspec.convert(worse, type(run.capture(first)), dec_hook=lambda kind, text: kind(int(text, 16)))
    monkeypatch.setattr(cell, "_captured", lambda start, report, deadline: found)
    capture_cell(CellTask(run.folder, first, "the base", boot=2), quiet)
    assert run.boot(first) == 1
    assert b"observed less" in (run.boot_folder(first, 2) / "failure.json").read_bytes()
