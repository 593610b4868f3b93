"""README's commands can be typed: each verb is there, and has the options that it is shown with."""

import re
import shlex
from pathlib import Path

import click
import pytest

from ccsight.cli import ccsight
from ccsight.gate.policy_file import read

TOP = Path(__file__).parents[3]
README = (TOP / "README.md").read_text()
#: Where a command begins in a line of an example.
_BEGINS = re.compile(
    r"(?:^ {4,}|- (?:run: )?)(?:\.venv/bin/ccsight|\./harness/bootstrap|ccsight) ([a-z][^#\n]*)", re.MULTILINE
)
_OF_BOOTSTRAP = {"test"}
COMMANDS = [match[1] for match in _BEGINS.finditer(README)]


def words(command):
    """Return the words of a command; what stands behind two blanks is said of it."""
    said = re.split(r" {2,}|…|\||;", command)[0].replace("[", "").replace("]", "")
    return shlex.split(said)


def verb(command):
    """Return the command line's verb, and what is given to it."""
    found, rest = ccsight, words(command)
    context = click.Context(ccsight)
    while rest and isinstance(found, click.Group) and (next_one := found.get_command(context, rest[0])):
        found, rest = next_one, rest[1:]
    return found, rest


@pytest.mark.parametrize("command", dict.fromkeys(COMMANDS))
def test_a_command_of_readme_is_one(command):
    if command.split()[0] in _OF_BOOTSTRAP:
        return
    found, rest = verb(command)
    assert found is not ccsight, f"there is no verb {rest[0]}"
    known = {name for param in found.params for name in (*param.opts, *param.secondary_opts)}
    given = [word.partition("=")[0] for word in rest if re.match(r"--?[a-z]", word)]
    assert [word for word in given if word not in known] == []


def test_there_are_commands_of_every_verb():
    shown = {words(command)[0] for command in COMMANDS}
    assert len(COMMANDS) > 40
    assert set(ccsight.list_commands(click.Context(ccsight))) - shown == set()


def test_the_policy_that_readme_shows_is_one():
    (policy,) = re.findall(r"^    schema = 1\n(?:    .*\n)+", README, re.MULTILINE)
    assert read(re.sub("^    ", "", policy, flags=re.MULTILINE), "README").fleet[0].name == "graviton3"


def test_files_that_readme_names_are_there():
    named = set(re.findall(r"`((?:harness|guests|suites|kconfigs|results)/[\w./-]+\w)`", README))
    assert len(named) > 10
    assert [name for name in named if not (TOP / name).exists() and "baselines" not in name] == []
