"""The console: errors as three lines, and a board that moves on terminals only."""

import contextlib
import os
import pty
import re
import sys
import threading

import pytest

from ccsight.errors import InfraError
from ccsight.report import console
from ccsight.report.blocks import Flow, spans
from ccsight.report.printable import printable

CELLS = ["emulated:neoverse-v1 deb:6.1", "emulated:max deb:6.12"]


def drain(controller: int) -> str:
    """Return all that was written to a terminal whose other end is closed by now."""
    chunks = []
    with contextlib.suppress(OSError):  # EIO is how a terminal ends
        while chunk := os.read(controller, 1 << 16):
            chunks.append(chunk)
    os.close(controller)
    return b"".join(chunks).decode()


def test_error_is_fact_evidence_next(capsys):
    console.show_error(InfraError("it is gone\x1b[2J", evidence="line 1\nline 2", next_step="look [here]"))
    assert capsys.readouterr().err.splitlines() == [
        "ccsight: it is gone\\x1b[2J",
        "  evidence  line 1",
        "            line 2",
        "  next      look [here]",
    ]


def test_board_off_a_terminal_is_a_line_a_cell(capsys):
    with console.board(CELLS) as board:
        board.stage(CELLS[0], "booting")
        threads = [threading.Thread(target=board.done, args=(cell, "captured", 2.91)) for cell in CELLS]
        for thread in threads:
            thread.start()
            thread.join()
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.splitlines() == [
        "[1/2] emulated:neoverse-v1 deb:6.1  captured  2.9 s",
        "[2/2] emulated:max deb:6.12         captured  2.9 s",
    ]


def test_a_cell_that_nobody_knew_of_at_first_counts(capsys):
    again = f"{CELLS[0]}, VMs arrive"
    with console.board(CELLS) as board:
        board.stage(again, "waiting")
        for cell in (*CELLS, again):
            board.done(cell, "captured", 2.91)
    heads = [line.partition(" ")[0] for line in capsys.readouterr().err.splitlines()]
    assert heads == ["[1/3]", "[2/3]", "[3/3]"]


def test_what_takes_long_is_told_off_a_terminal(capsys, monkeypatch):
    now = [0.0]
    monkeypatch.setattr("ccsight.report.board.time.monotonic", lambda: now[0])
    with console.board(CELLS) as board:
        for stage, now[0] in (("install", 0.0), ("boot", 5.0), ("return", 90.0)):
            board.stage(CELLS[0], stage)
    assert capsys.readouterr().err == "[0/2] emulated:neoverse-v1 deb:6.1  return  90.0 s\n"


def test_board_on_a_terminal_is_live(monkeypatch):
    controller, terminal = pty.openpty()
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "100")
    with os.fdopen(terminal, "w") as file:
        monkeypatch.setattr(sys, "stderr", file)
        with console.board(CELLS) as board:
            board.stage(CELLS[0], "booting")
            board.done(CELLS[1], "MISS", 8.0)
    seen = drain(controller)
    assert "booting" in seen
    assert re.search(r"✗.*emulated:max deb:6.12.*MISS", seen)
    assert "1 of 2 cells" in seen
    assert "\x1b[?25h" in seen, "the cursor is shown again"


@pytest.mark.parametrize("term", ["dumb", "unknown"])
def test_a_dumb_terminal_gets_plain_lines(monkeypatch, term):
    controller, terminal = pty.openpty()
    monkeypatch.setenv("TERM", term)
    with os.fdopen(terminal, "w") as file:
        monkeypatch.setattr(sys, "stderr", file)
        with console.board(CELLS) as board:
            board.done(CELLS[1], "captured", 1.0)
    seen = drain(controller)
    assert "[1/2] emulated:max deb:6.12" in seen
    assert "\x1b[?25" not in seen


def test_flow_breaks_only_between_phrases(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "20")
    console.output().print([Flow((spans("one two"), spans("three four five"), spans("six")), hang=2)])
    assert capsys.readouterr().out.splitlines() == ["one two", "  three four five", "  six"]


def test_a_locale_without_arrows_is_no_reason_to_crash(monkeypatch, tmp_path):
    path = tmp_path / "out"
    with path.open("w", encoding="latin-1") as file:
        monkeypatch.setattr(sys, "stdout", file)
        console.output().print([Flow((spans("2 → 1"),))])
    assert path.read_text(encoding="latin-1") == "2 ? 1\n"


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("a\tb\nc", "a b c"),
        ("\x1b]0;x\x07", "\\x1b]0;x\\x07"),
        ("\u202e", "\\u202e"),
        ("\udc80", "\\udc80"),
        ("é→", "é→"),
    ],
)
def test_printable(text, safe):
    assert printable(text) == safe
