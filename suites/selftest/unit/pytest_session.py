"""Sessions of pytest as tests see them: each in a process of its own, that has all of ours imported."""

import gc
import multiprocessing
import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from ccsight.evidence.run import Run

TOP = Path(__file__).parents[3]
#: hypothesis' plugin takes as long to import as all else together, in the workers of a session too; labgrid's
#: cannot be there twice in a process.
_WITHOUT = ("-p", "no:cacheprovider", "-p", "no:hypothesispytest", "-p", "no:labgrid")


@dataclass(frozen=True)
class Session:
    """How a session ended, and what it printed."""

    returncode: int | None
    stdout: str


def pytest_on(run: Run, *args: str) -> Session:
    """Run pytest on a run's evidence, where the suites lie."""
    return pytest_in(TOP, "--evidence", str(run.folder), *args)


def pytest_in(folder: Path, *args: str) -> Session:
    """Run pytest in a folder. A fork has nothing to import, which takes longer than most sessions do."""
    with tempfile.TemporaryDirectory() as kept:
        said = Path(kept, "stdout")
        process = multiprocessing.get_context("fork").Process(target=_main, args=(folder, said, args))
        process.start()
        process.join(120)
        process.kill()
        process.join()
        return Session(process.exitcode, said.read_text())


def _main(folder: Path, said: Path, args: tuple[str, ...]) -> None:
    """Become pytest: what is there already is none of its garbage, and what it prints goes to a file."""
    gc.freeze()
    os.chdir(folder)
    os.environ["TMPDIR"] = tempfile.tempdir = str(said.parent)  # nothing tidies up when a fork ends
    for fd, name in enumerate((said, said.with_name("stderr")), start=1):
        os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT), fd)
    sys.stdout, sys.stderr = (os.fdopen(fd, "w", closefd=False) for fd in (1, 2))
    code = pytest.main([*_WITHOUT, *args])
    sys.stdout.flush()
    sys.exit(code)
