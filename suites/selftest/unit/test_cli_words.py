"""The words of the command line: one form for every error, whoever found it, and help that fits."""

import click
import pytest

from ccsight.cli import ccsight, run

MISUSES = [
    (["frobnicate"], "there is no verb 'frobnicate'", "ccsight --help"),
    (["--nope"], "no such option '--nope'", "ccsight --help"),
    (["compare", "a", "b", "c"], "got unexpected extra argument (c)", "ccsight compare --help"),
    (["capture", "deb:6.1", "--fuzz", "x"], "'x' is not a valid number", "ccsight capture --help"),
    (["capture", "deb:6.1", "--workers", "0"], "0 is not in the range x>=1", "ccsight capture --help"),
    (["capture", "deb:6.1", "--on"], "option '--on' requires an argument", "ccsight capture --help"),
    (["kernels", "prune", "--older-than", "x"], "not a valid number of days", "ccsight kernels prune --help"),
    (["profile", "captur"], "no such command 'captur'", "ccsight profile --help"),
    (["decode", "CLYDR_EL1", "3"], "there is no register 'CLYDR_EL1'", "ccsight decode --help has examples"),
]


@pytest.mark.parametrize(("argv", "fact", "next_step"), MISUSES)
def test_a_wrong_command_line_is_an_error_like_any_other(argv, fact, next_step, capsys):
    assert run(argv) == 2
    first, *rest = capsys.readouterr().err.splitlines()
    assert first.startswith("ccsight: ")
    assert fact in first
    assert rest[-1] == f"  next      {next_step}"


def test_what_was_meant_is_evidence(capsys):
    assert run(["compare", "--nope"]) == 2
    assert "  evidence  did you mean '--on'?" in capsys.readouterr().err


def test_a_verb_of_verbs_alone_shows_its_help(capsys):
    assert run(["profile"]) == 2
    assert capsys.readouterr().err.startswith("Usage: ccsight profile")


def test_what_a_resumed_run_ignores_is_named_as_it_is_written(capsys):
    argv = ["compare", "deb:6.1", "--resume", "latest", "--dry-run", "--no-migrate", "--native-cap", "3"]
    assert run(argv) == 2
    assert capsys.readouterr().err.splitlines() == [
        "ccsight: --resume goes on with the run as it was begun",
        "  evidence  given as well: OLD, --no-migrate, --native-cap, --dry-run",
        "  next      leave that out, or begin anew without --resume",
    ]


@pytest.mark.parametrize(
    "verb", [["capture", "deb:6.1", "--on", "emulated:max"], ["common", "silicon:graviton3"]]
)
def test_a_file_that_cannot_be_made_is_refused_before_anything_boots(verb, tmp_path, capsys):
    assert run(["profile", *verb, "--out", str(tmp_path / "none" / "a.toml")]) == 2
    assert f"there is no folder {tmp_path / 'none'}" in capsys.readouterr().err


def verbs(command: click.Command, words: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Return the words of a command and of all below it."""
    found = [words]
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            found += verbs(below, (*words, name)) if below else []
    return found


@pytest.mark.parametrize("words", verbs(ccsight), ids=" ".join)
def test_help_fits_a_terminal_and_cuts_nothing_off(words, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert run([*words, "--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert not [line for line in lines if len(line) > 80]
    assert not [line for line in lines if line.endswith("...") and not line.startswith("Usage:")]
    assert not [line for line in lines if " TEXT" in line and "TEXT..." not in line and words != ("explain",)]
