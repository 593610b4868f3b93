"""Judging side by side says what judging one after the other does; a lost process is no verdict."""

from concurrent.futures import BrokenExecutor, Executor, Future, ThreadPoolExecutor

import msgspec
import pytest
from gate_samples import N1, NEW, NOW, OLD, gated, good, lawless, lean, made, of, text

from ccsight.campaign.pool import local_pool
from ccsight.errors import InfraError
from ccsight.evidence.decision import Verdict
from ccsight.evidence.views import Cell
from ccsight.gate import panel


class Lost(Executor):
    """An executor whose processes die."""

    def submit(self, *_args, **_more):
        future = Future()
        future.set_exception(BrokenExecutor("a child process terminated abruptly"))
        return future


@pytest.fixture
def few(monkeypatch):
    """Ask others from the second machine on."""
    monkeypatch.setattr(panel, "_ALONE", 1)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Runs of which one fails a law, one is damaged, one is there twice, and one has several machines."""
    place = tmp_path_factory.mktemp("results")
    names = [f"{N1},name=m{number}" for number in range(3)]
    several = [on(lean(N1, kernel), name) for name in names for kernel in (OLD, NEW)]
    found = [
        made(place, good(), "2026-11-22-000000-0000"),
        made(place, of(*several), "2026-11-22-000001-0000"),
        made(place, of(lean(N1, OLD), lawless()), "2026-11-22-000002-0000"),
        made(place / "again", good(), "2026-11-22-000000-0000"),
        made(place, good(), "2026-11-22-000003-0000"),
    ]
    (found[-1] / "run.json").write_text("{")
    (found[1] / "cases.jsonl").write_text("{")
    return found


def on(seen, machine):
    moved = tuple(
        msgspec.structs.replace(each, source=Cell(machine=machine, kernel=each.source.kernel))
        for each in seen.restored
    )
    return msgspec.structs.replace(seen, cell=Cell(machine=machine, kernel=seen.cell.kernel), restored=moved)


POLICY = text(
    ('"emulated:neoverse-n1"', ", ".join(f'"{each}"' for each in (N1, f"{N1},name=m0", f"{N1},name=m2"))),
    ('substrate = "emulated"', 'substrate = "emulated"\ncontrol = true'),
)


def test_others_say_the_same_in_the_same_order(folders, few):
    alone = gated(POLICY, *folders, now=NOW)
    assert alone.verdict is Verdict.REVERT
    assert len(alone.notes) > 1
    with ThreadPoolExecutor(3) as executor:
        assert gated(POLICY, *folders, now=NOW, executor=executor) == alone


def test_so_do_processes(folders, few):
    with local_pool(2, lambda *_: None) as pool:
        assert gated(POLICY, *folders, now=NOW, executor=pool) == gated(POLICY, *folders, now=NOW)


def test_few_machines_are_nothing_to_ask_others_for(folders):
    assert gated(POLICY, *folders, now=NOW, executor=Lost()).verdict is Verdict.REVERT


def test_a_process_that_dies_is_no_verdict(folders, few):
    with pytest.raises(InfraError, match="a process died that judged"):
        gated(POLICY, *folders, now=NOW, executor=Lost())


def test_a_large_run_is_taken_in_parts(folders, few, monkeypatch):
    monkeypatch.setattr(panel, "_PARTS", 2)
    asked = []

    class Counted(ThreadPoolExecutor):
        def submit(self, work, /, *args, **more):
            asked.append(args[1])
            return super().submit(work, *args, **more)

    with Counted(1) as executor:
        gated(POLICY, folders[0], folders[1], now=NOW, executor=executor)
    assert asked == [(0, 2), (2, 4)]
