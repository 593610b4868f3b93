"""Folders for a while: no process, however it ends, leaves one for good."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from ccsight.scratch import Scratch

#: A process that says where its folder is, and then waits to be killed.
HOLDER = """
import sys
from ccsight.scratch import Scratch
with Scratch() as name:
    open(f"{name}/file", "w").close()
    print(name, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Where temporary folders are made."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmp_path


@pytest.fixture
def holder(place):
    """A process that has a folder, and the folder."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    yield process, Path(process.stdout.readline().strip())
    process.kill()
    process.wait()


def aged(folder):
    """Make a folder as old as it takes to be taken for what somebody left."""
    then = time.time() - 600
    os.utime(folder, (then, then))


def test_a_folder_is_gone_when_it_is_left(place):
    with Scratch() as name:
        assert Path(name).parent == place
    assert list(place.iterdir()) == []


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_that_of_a_killed_process_goes_when_the_next_one_is_made(place, holder, end):
    process, folder = holder
    process.send_signal(end)
    process.wait()
    assert (folder / "file").exists()
    aged(folder)
    with Scratch() as name:
        assert list(place.iterdir()) == [Path(name)]


def test_that_of_a_living_process_stays_however_old(place, holder):
    process, folder = holder
    aged(folder)
    with Scratch():
        assert (folder / "file").exists()
    process.communicate()  # it reads the end of its input, and leaves
    assert list(place.iterdir()) == []


def test_one_that_was_just_made_may_not_be_locked_yet(place):
    young = place / "ccsight-scratch-young"
    young.mkdir()
    with Scratch():
        assert young.is_dir()


def test_what_is_not_ours_stays(place):
    (place / "kept").mkdir()
    for path in (place / "ccsight-notes", place / "ccsight-scratch-link"):
        path.symlink_to(place / "kept") if path.name.endswith("link") else path.mkdir()
    (place / "ccsight-scratch-file").touch()
    for path in place.iterdir():
        then = time.time() - 600
        os.utime(path, (then, then), follow_symlinks=False)
    with Scratch():
        pass
    names = {path.name for path in place.iterdir()}
    assert names == {"kept", "ccsight-notes", "ccsight-scratch-link", "ccsight-scratch-file"}
