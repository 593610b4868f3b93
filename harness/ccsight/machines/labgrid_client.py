"""The one door to labgrid: its own client, a process for each question.

labgrid is never imported: its sessions bring a loop and gRPC's threads into a process that forks workers.
What the client says is read only where it lists what it knows; whether something was done, its exit status
says.
"""

import getpass
import os
import re
import shutil
import socket
from dataclasses import dataclass

from ccsight import process
from ccsight.deadline import Deadline
from ccsight.errors import InfraError, ToolMissing
from ccsight.machines.labgrid_command import command, default, program
from ccsight.process import Completed

#: Seconds that one answer may take: the client itself waits for ever for a coordinator that hangs.
_SECONDS = 20.0
_SAID_MAX = 1 << 20
_TITLE = re.compile(r"^Place '(.*)':$", re.MULTILINE)
_FIELD = re.compile(r"^  (acquired|changed|reservation|owner|token): (.+)$", re.MULTILINE)
_TOKEN = re.compile(r"^export LG_TOKEN=(\w+)$", re.MULTILINE)
#: What an environment of the user's would add to each call: another place, or another state.
_PLAIN = {"LG_ENV": None, "LG_STATE": None, "LG_INITIAL_STATE": None, "STATE": None, "LG_TOKEN": None}


class LabgridFailed(InfraError):
    """labgrid did not do what it was asked."""

    advice = "see whether labgrid-coordinator runs there, and the exporter of that place"


@dataclass(frozen=True)
class Seen:
    """A place as its coordinator has it. ``acquired`` is ``HOST/USER``, or "" where it is free."""

    acquired: str
    changed: str
    reservation: str


@dataclass(frozen=True)
class Client:
    """Asks a coordinator about places. All methods raise LabgridFailed, DeadlineExceeded or ToolMissing."""

    coordinator: str = ""

    @property
    def address(self) -> str:
        """Which coordinator that is."""
        return self.coordinator or default()

    def place(self, name: str, deadline: Deadline) -> Seen | None:
        """Return a place; None where there is none of exactly that name."""
        done = self._ask(deadline, name, "show")
        title = _TITLE.search(done.text)
        if done.returncode or not title or title[1] != name:
            return None  # the client also takes half a name, and would give back another machine
        said = dict(_FIELD.findall(done.text))
        acquired = said.get("acquired", "None")
        return Seen(
            "" if acquired == "None" else acquired, said.get("changed", ""), said.get("reservation", "")
        )

    def names(self, deadline: Deadline) -> list[str]:
        """Return the names of all places."""
        lines = self._told("its places are listed", deadline, "", "places").splitlines()
        return [line.split()[0] for line in lines if line.strip()]

    def acquire(self, name: str, deadline: Deadline) -> str:
        """Take a place; return "", or why it was not given."""
        done = self._ask(deadline, name, "acquire")
        return _last_words(done) if done.returncode else ""

    def release(self, name: str, whose: str, deadline: Deadline) -> None:
        """Give a place back, if it is ``whose`` still: ``HOST/USER``."""
        self._told(f"{name} is given back", deadline, name, "release-from", whose)

    def reserve(self, name: str, deadline: Deadline) -> str:
        """Queue for a place; return a reservation's token. Who does not wait for it loses it in a minute."""
        said = self._told(f"{name} is reserved", deadline, "", "reserve", "--shell", f"name={name}")
        found = _TOKEN.search(said)
        if not found:
            raise LabgridFailed(f"labgrid at {self.address} gave no token", evidence=repr(said[:200]))
        token: str = found[1]
        return token

    def wait(self, token: str, deadline: Deadline) -> None:
        """Wait until a reservation is no more waiting. Raises DeadlineExceeded."""
        argv = command(self.address, "", "wait", token)
        process.run(argv, deadline, env=_PLAIN, limit=_SAID_MAX)

    def cancel(self, token: str, deadline: Deadline) -> None:
        """Take a reservation back; a place that was acquired by it stays acquired."""
        self._told("a reservation is taken back", deadline, "", "cancel-reservation", token)

    def owner(self, token: str, deadline: Deadline) -> str:
        """Return whose a reservation is, as ``HOST/USER``; "" where it is no more."""
        said = self._told("its reservations are listed", deadline, "", "reservations")
        for part in said.split("Reservation '"):
            fields = dict(_FIELD.findall(part))
            if fields.get("token") == token:
                return str(fields.get("owner", ""))
        return ""

    def _told(self, what: str, deadline: Deadline, *words: str) -> str:
        done = self._ask(deadline, *words)
        if done.returncode:
            raise LabgridFailed(
                f"labgrid at {self.address} does not answer as it should when {what}",
                evidence=_last_words(done),
            )
        return done.text

    def _ask(self, deadline: Deadline, name: str, *words: str) -> Completed:
        prove_here()
        argv = command(self.address, name, *words)
        return process.run(argv, deadline.within(_SECONDS), env=_PLAIN, expect=None, limit=_SAID_MAX)


def prove_here() -> None:
    """Raise ToolMissing where labgrid is not installed."""
    if not shutil.which(program()):
        raise ToolMissing(
            "labgrid is not here, whose client asks for a place",
            evidence=f"no {program()} beside Python, nor in PATH",
            next_step="pip install 'ccsight[labgrid]'",
        )


def myself() -> str:
    """Return who we are to labgrid: ``HOST/USER``, with the variables by which it says otherwise."""
    host = os.environ.get("LG_HOSTNAME") or socket.gethostname()
    return f"{host}/{os.environ.get('LG_USERNAME') or getpass.getuser()}"


def _last_words(done: Completed) -> str:
    lines = (done.stderr or done.stdout).decode(errors="replace").strip().splitlines()
    return "\n".join(lines[-3:]) or f"status {done.returncode}"
