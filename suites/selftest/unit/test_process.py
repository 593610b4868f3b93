"""The door to processes: bounded, clocked, and nothing outlives us."""

import contextlib
import os
import signal
import subprocess
import sys
import time

import pytest

from ccsight import process
from ccsight.deadline import Deadline
from ccsight.errors import DeadlineExceeded, ToolMissing


def _gone(pid: int, within: float = 10) -> bool:
    end = Deadline(within)
    while not end.passed:
        try:
            with open(f"/proc/{pid}/stat") as stat:  # noqa: PTH123
                if stat.read().rpartition(")")[2].split()[0] == "Z":
                    return True
        except OSError:
            return True
        time.sleep(0.02)
    return False


def test_both_streams_and_the_status_come_back():
    done = process.run(["sh", "-c", "echo out; echo err >&2; exit 3"], Deadline(10), expect=(3,))
    assert (done.stdout, done.stderr, done.returncode) == (b"out\n", b"err\n", 3)


def test_an_unexpected_status_shows_the_last_lines_and_the_command():
    with pytest.raises(process.ProcessFailed) as caught:
        process.run(["sh", "-c", "echo why >&2; exit 1"], Deadline(10))
    assert caught.value.evidence == "why"
    assert "sh -c" in caught.value.next_step


def test_a_variable_is_added_or_taken_away(monkeypatch):
    monkeypatch.setenv("OURS", "x")
    said = process.run(["sh", "-c", "echo ${OURS-none} $MORE"], Deadline(10), env={"OURS": None, "MORE": "y"})
    assert said.text == "none y\n"


def test_much_output_on_both_streams_does_not_hang():
    script = "head -c 3000000 /dev/zero >&2 & head -c 3000000 /dev/zero; wait"
    done = process.run(["sh", "-c", script], Deadline(20))
    assert (len(done.stdout), len(done.stderr)) == (3000000, 3000000)


def test_output_is_bounded():
    with pytest.raises(process.OutputTooLong):
        process.run(["cat", "/dev/zero"], Deadline(10), limit=1 << 20)


def test_the_deadline_kills_the_whole_group(tmp_path):
    note = tmp_path / "pid"
    with pytest.raises(DeadlineExceeded):
        process.run(["sh", "-c", f"sleep 60 & echo $! > {note}; wait"], Deadline(1))
    assert _gone(int(note.read_text()))


def test_stdin_is_closed():
    assert process.run(["cat"], Deadline(5)).stdout == b""


def test_a_missing_program_is_named():
    with pytest.raises(ToolMissing, match="no-such-program"):
        process.run(["no-such-program"], Deadline(5))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_child_dies_with_its_parent_however_that_dies(number):
    code = (
        "from ccsight import process; import time\n"
        "child = process.spawn(['sleep', '60']); print(child.pid, flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    child = int(parent.stdout.readline())
    for _ in range(10):  # Python may swallow a KeyboardInterrupt that comes while it destroys something
        os.kill(parent.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            parent.wait(2)
            break
    assert parent.poll() is not None
    assert _gone(child)
