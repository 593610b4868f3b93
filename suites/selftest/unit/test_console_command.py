"""A console that any command yields: what is kept of it, for how long, and what is said of the rest."""

import threading
import time

import pytest

from ccsight.errors import BootError, NoSpace, ToolMissing
from ccsight.machines import console_command
from ccsight.machines.console import GAP
from ccsight.machines.console_command import kept, story


@pytest.fixture
def console(tmp_path, monkeypatch):
    monkeypatch.setattr(console_command, "_PAUSE", 0.05)
    monkeypatch.setattr(console_command, "_SILENT", 0.2)
    monkeypatch.setattr(console_command, "_LAST", 0.5)
    monkeypatch.setattr(console_command, "_LEAVE", 0.3)
    return tmp_path / "consoles" / "cell-1.whole.log"


def shell(script: str) -> tuple[str, ...]:
    return ("sh", "-c", script)


def heard(console, words: str, least: int = 1) -> None:
    """Wait until a file has so many of these words."""
    for _ in range(2000):
        if console.exists() and console.read_text(errors="replace").count(words) >= least:
            return
        time.sleep(0.01)
    raise AssertionError(f"{words!r} never came: {console.read_text(errors='replace')!r}")


def test_both_streams_are_kept_and_its_input_stays_open(console):
    with kept(shell("echo one; echo two >&2; cat; echo end of input"), console):
        heard(console, "two")
        time.sleep(0.1)
        assert console.read_text() == "one\ntwo\n"
    assert console.read_text() == "one\ntwo\nend of input\n"
    assert GAP not in console.read_text()


def test_no_command_is_no_console(console):
    with kept((), console):
        pass
    assert not console.parent.exists()


def test_what_is_there_already_stays(console):
    console.parent.mkdir()
    console.write_text("before\n")
    with kept(shell("echo more; cat"), console):
        heard(console, "more")
    assert console.read_text() == "before\nmore\n"


def test_what_was_said_before_the_end_is_heard_to_the_end(console):
    lines = 20_000
    with kept(shell(f"i=0; while [ $i -lt {lines} ]; do echo line $i; i=$((i + 1)); done; cat"), console):
        heard(console, "line 0\n")
    assert console.read_text().splitlines() == [f"line {number}" for number in range(lines)]


def test_a_command_that_never_stops_is_ended(console):
    with kept(shell("trap '' TERM; while :; do echo on and on; sleep 0.01; done"), console):
        heard(console, "on and on")
    size = console.stat().st_size
    time.sleep(0.1)
    assert console.stat().st_size == size
    assert "the command was ended" in story(console).read_text()


def test_a_command_that_ends_is_started_again_and_what_was_missed_is_no_secret(console):
    with kept(shell("echo words; exit 3"), console):
        heard(console, "words", 3)
    found = console.read_text()
    assert found.startswith(f"words\n\n{GAP}\nwords\n\n{GAP}\n")
    told = story(console).read_text()
    assert told.count("the command began") >= 3
    assert "the command ended with status 3" in told


def test_words_of_the_command_are_written_down_nowhere(console):
    with kept(("sh", "-c", "echo words; exit 1", "ipmitool", "-P", "hunter2"), console):
        heard(console, "words", 2)
    assert "hunter2" not in console.read_text() + story(console).read_text()


def test_a_program_that_is_not_there_is_told_before_anything_begins(console):
    with pytest.raises(ToolMissing, match="no-such-program"), kept(("no-such-program",), console):
        raise AssertionError("it began")


def test_more_than_fits_is_cut_once_and_said(console):
    script = "i=0; while [ $i -lt 300 ]; do echo 0123456789; i=$((i + 1)); done; echo last; cat"
    with kept(shell(script), console, most=1000):
        heard(console, GAP)
    text = console.read_text()
    assert text.index(GAP) == 1001
    assert (text.count(GAP), "last" in text) == (1, False)
    assert "full" in story(console).read_text()


def test_a_disk_that_is_full_is_told_at_the_end_and_hides_no_other_error(tmp_path):
    full = tmp_path / "console.log"
    full.symlink_to("/dev/full")
    for raised, told in ((None, NoSpace), (BootError("it panicked"), BootError)):
        with pytest.raises(told):
            use(full, raised)


def use(console, raised):
    with kept(shell("echo words; cat"), console):
        time.sleep(0.2)
        if raised:
            raise raised


def test_nothing_is_left_behind(console):
    before = threading.active_count()
    for _ in range(3):
        with kept(shell("sleep 100 & sleep 100"), console):
            heard(story(console), "began")
    assert threading.active_count() == before


def test_twenty_at_once(console):
    """One controller, twenty machines: a thread and a process each, and all are gone after."""
    before = threading.active_count()

    def one(number: int) -> None:
        file = console.with_name(f"cell-{number}.whole.log")
        with kept(shell(f"echo machine {number}; cat"), file):
            heard(file, f"machine {number}\n")

    threads = [threading.Thread(target=one, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(list(console.parent.glob("*.whole.log"))) == 20
    assert threading.active_count() == before
