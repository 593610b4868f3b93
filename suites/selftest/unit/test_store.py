"""The cache: entries appear whole or not at all, once, whoever asks and whoever dies."""

import errno
import multiprocessing
import os
import signal
import time
from pathlib import Path

import pytest

from ccsight import store
from ccsight.deadline import Deadline
from ccsight.errors import DeadlineExceeded, InfraError, NoSpace, UsageError


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "ccsight"


def _fill(folder: Path) -> None:
    with (folder.parent / "fills").open("a") as file:
        file.write("x")
    time.sleep(0.3)
    (folder / "content").write_text("whole")


def _ask() -> None:
    assert (store.entry("kind", "key", _fill, Deadline(20)) / "content").read_text() == "whole"


def _hang(folder: Path) -> None:
    (folder / "content").write_text("half")
    (folder.parent / "hanging").touch()
    time.sleep(60)


def test_two_processes_fill_an_entry_once(cache):
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_ask) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(20)
        assert process.exitcode == 0
    assert (cache / "kind" / "fills").read_text() == "x"


def test_a_killed_fill_leaves_nothing_that_counts(cache):
    context = multiprocessing.get_context("fork")
    process = context.Process(target=store.entry, args=("kind", "key", _hang, Deadline(20)))
    process.start()
    end = Deadline(20)
    while not (cache / "kind" / "hanging").exists() and not end.passed:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.join(20)
    assert not (cache / "kind" / "key").exists()
    _ask()
    assert not list((cache / "kind").glob(".*.draft"))


def test_a_failed_fill_leaves_nothing(cache):
    def fail(folder: Path) -> None:
        (folder / "half").touch()
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(NoSpace):
        store.entry("kind", "key", fail, Deadline(5))
    assert {path.name for path in (cache / "kind").iterdir()} <= {"key.lock"}


def test_a_lock_that_is_held_too_long_says_so(cache):
    with store.locked(cache / "kind" / "key", Deadline(5)):
        context = multiprocessing.get_context("fork")
        with context.Pool(1) as pool, pytest.raises(DeadlineExceeded, match="another process holds key"):
            pool.apply(store.entry, ("kind", "key", _fill, Deadline(0.2)))


def test_a_cache_that_is_a_file_is_bad_usage(cache):
    cache.write_text("in the way")
    with pytest.raises(UsageError, match="cannot write below"):
        store.entry("kind", "key", _fill, Deadline(5))


def test_a_write_that_fails_names_the_file_that_was_asked_for(tmp_path):
    path = tmp_path / "none" / "file"
    with pytest.raises(InfraError) as failed:
        store.write_atomically(path, b"x")
    assert failed.value.fact == f"cannot write below {path.parent}"
    assert failed.value.evidence == f"{path}: No such file or directory"
    assert failed.value.next_step


def test_atomic_writes_replace(tmp_path):
    path = tmp_path / "file"
    store.write_atomically(path, b"old")
    store.write_atomically(path, b"new")
    assert path.read_bytes() == b"new"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]
