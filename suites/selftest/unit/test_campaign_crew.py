"""One process for machines that are only waited for: what it does at once, and what happens when it dies."""

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

import pytest

from ccsight.campaign.crew import crew
from ccsight.campaign.execute import collect
from ccsight.campaign.pool import tell
from ccsight.evidence.views import Cell


@dataclass(frozen=True)
class Step:
    """A task of a machine of the inventory, which ends when all are there."""

    key: str
    folder: Path
    all: int
    dies: bool = False
    after: frozenset[str] = frozenset()

    @property
    def cell(self):
        return Cell(machine=f"machine-{self.key}", kernel="deb:6.12")

    def carry_out(self, report):
        report("there")
        met(self.key, self.folder, self.all)
        if self.dies and not (self.folder / "died").exists():
            (self.folder / "died").touch()
            os.kill(os.getpid(), signal.SIGKILL)


def met(name: str, folder: Path, all_of_them: int) -> int:
    """Wait until so many are in a folder."""
    (folder / f"step-{name}").touch()
    for _ in range(3000):
        if len(list(folder.glob("step-*"))) >= all_of_them:
            return os.getpid()
        time.sleep(0.01)
    raise AssertionError("the others never came")


def fail(words: str) -> None:
    raise ValueError(words)


def unsendable():
    return threading.Lock()


def staged(name: str) -> None:
    tell(name, "there")


def test_twenty_are_carried_out_at_once_in_one_process_and_none_is_left(tmp_path):
    before = threading.active_count()
    with crew(print) as executor:
        futures = [executor.submit(met, str(number), tmp_path, 20) for number in range(20)]
        processes = {future.result() for future in futures}
    assert len(processes) == 1
    assert threading.active_count() == before
    with pytest.raises(ProcessLookupError):
        os.kill(processes.pop(), 0)


def test_what_goes_wrong_in_one_is_its_own(tmp_path):
    told = []
    with crew(lambda task, stage: told.append((task, stage))) as executor:
        failed, odd, good = (executor.submit(*call) for call in ((fail, "no"), (unsendable,), (staged, "a")))
        assert good.result() is None
        with pytest.raises(RuntimeError, match="ValueError\\('no'\\)"):
            failed.result()
        with pytest.raises(RuntimeError, match="pickle"):
            odd.result()
    assert told == [("a", "there")]


def test_who_waits_for_a_process_that_died_is_told(tmp_path):
    with crew(print) as executor:
        waiting = executor.submit(met, "0", tmp_path, 2)
        os.kill(executor.submit(os.getpid).result(), signal.SIGKILL)
        with pytest.raises(BrokenProcessPool):
            waiting.result(timeout=30)
        with pytest.raises(BrokenProcessPool):
            executor.submit(os.getpid).result(timeout=30)


def test_who_leaves_early_waits_for_nobody(tmp_path):
    processes = []

    def leave():
        with crew(print) as executor:
            processes.append(executor.submit(os.getpid).result())
            executor.submit(met, "0", tmp_path, 2)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        leave()
    with pytest.raises(ProcessLookupError):
        os.kill(processes[0], 0)


def test_it_dies_with_its_controller():
    """``kill -9`` of ccsight: whoever has a machine must not outlive it."""
    words = "import test_campaign_crew; test_campaign_crew.main()"
    child = subprocess.Popen(
        [sys.executable, "-c", words], cwd=Path(__file__).parent, stdout=subprocess.PIPE, text=True
    )
    process = int(child.stdout.readline())
    child.kill()
    child.communicate()
    for _ in range(1000):
        if not alive(process):
            return
        time.sleep(0.01)
    raise AssertionError("it lives on")


def main() -> None:
    """What that process does."""
    with crew(print) as executor:
        print(executor.submit(os.getpid).result(), flush=True)
        executor.submit(time.sleep, 100).result()


def alive(process: int) -> bool:
    """Tell whether a process runs; one that nobody has reaped does not."""
    try:
        return "(zombie)" not in Path(f"/proc/{process}/status").read_text()
    except FileNotFoundError:
        return False


def test_a_crew_that_died_costs_its_tasks_a_new_try(tmp_path):
    steps = [Step(str(number), tmp_path, 3, dies=number == 1) for number in range(3)]
    ended = list(collect(steps, 2, lambda key, stage: None))
    assert sorted(task.key for task, _ in ended) == ["0", "1", "2"]
    assert [failure for _, failure in ended] == [None] * 3
