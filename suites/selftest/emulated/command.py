"""Run ``ccsight`` as its user does: another process, real signals, real exit status."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ARGV = [sys.executable, "-c", "from ccsight.cli import main; main()"]


@dataclass(frozen=True)
class Said:
    """How a call ended."""

    code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> dict:
        return json.loads(self.stdout)


def ccsight(*args: str, cwd: Path, seconds: float = 300, prefix: tuple[str, ...] = (), **env: str) -> Said:
    """Run a verb to its end, below ``cwd``."""
    done = subprocess.run(
        [*prefix, *ARGV, *args],
        cwd=cwd,
        env=os.environ | env,
        capture_output=True,
        text=True,
        timeout=seconds,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    return Said(done.returncode, done.stdout, done.stderr)


def start(*args: str, cwd: Path) -> subprocess.Popen[str]:
    """Start a verb in a session of its own, to be interrupted."""
    return subprocess.Popen(
        [*ARGV, *args],
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )


def descendants(pid: int) -> list[int]:
    """Return the processes below a process, nearest first."""
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, task.read_text().split()):
            found += [child, *descendants(child)]
    return found


def running(pids: list[int]) -> list[int]:
    """Return those of the processes that still run; a zombie does not."""
    alive = []
    for pid in pids:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        alive += [pid] if state != "Z" else []
    return alive
