"""Who has a machine: one controller at a time, known by name, on the machine itself.

A lock of the machine's kernel says that somebody has it, for as long as a program there has its input open:
it goes with the controller, however that ends, and with the network between. A file beside it says who, and
outlasts a reboot, which the lock does not. Nothing goes by the time of day, which may jump: time is counted
by the machine's uptime.
"""

import getpass
import re
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Annotated

import msgspec
from msgspec.structs import replace

from ccsight.deadline import Deadline
from ccsight.errors import CcsightError, HostRefused, InfraError
from ccsight.evidence.record import Record, from_json, to_json_line
from ccsight.machines.beat import SILENCE
from ccsight.machines.model import Holding

#: On every machine the same, so that controllers meet which do not know each other.
PLACE = "/var/lib/ccsight/lease"
#: Seconds after which a lease ends though its controller is still there.
LONGEST = 4 * 3600
#: What the machine says: the lock is ours, somebody else's, or there can be none for this user.
HELD, BUSY, NONE = "held", "busy", "none"
#: Seconds to take one, or to give it back.
_SECONDS = 30.0
#: Characters of an owner, and of a purpose.
_LONGEST_WORD = 200
_Word = Annotated[str, msgspec.Meta(max_length=_LONGEST_WORD)]
_Count = Annotated[int, msgspec.Meta(ge=0, lt=1 << 32)]
_LINE = re.compile(rb"(held|busy|none) ([0-9a-f-]{36}) ([0-9]{1,12}) ([0-9]{1,10}) ([^\n]{0,2000})\n")
#: Takes the lock and says so, with boot-id, uptime, and what the file says; then waits for the end of its
#: input, or of what comes now and then. It tries twice: of whoever has just let go a shell may still end. No
#: child has the lock's descriptor: it goes with this shell.
_KEEP = """
[ -e "$1" ] || (umask 0; mkdir -m 755 -p "${1%/*}" && : >>"$1") 2>/dev/null
word=none
if [ -r "$1" ] && [ -w "$1" ] && command -v flock >/dev/null && exec 9<"$1"; then
	word=busy
	flock -n 9 || { sleep 1 && flock -n 9; } && word=held
fi
read -r boot </proc/sys/kernel/random/boot_id
read -r up _ </proc/uptime
printf '%s %s %s %s ' $word "$boot" "${up%.*}" $$
head -c 2000 "$1" 2>/dev/null | tr -d '\\n'
echo
[ $word != held ] || timeout "$2" sh -c 'while [ -n "$(timeout "$0" head -c 1)" ]; do :; done' "$3" 9<&-
"""
#: Kills who holds the lock, if it still is the one that was seen: a number may have been given anew.
_BREAK = """
exec 9<"$1"
flock -n 9 && exit
grep -qF "\\"$2\\"" "$1" && grep -qsaF "$1" "/proc/$3/cmdline" && kill "$3" && flock -w 5 9
"""
_WRITE = 'printf %s "$2" >"$1"'


class Holder(Record, frozen=True):
    """Who has a machine, as it is written down there.

    ``away`` is for how many seconds of uptime it is awaited after a reboot that it announced when ``uptime``
    seconds had passed in the boot ``boot_id``; 0 while it is there. ``process`` is what holds the lock.
    """

    id: _Word
    owner: _Word
    purpose: _Word
    boot_id: _Word
    uptime: _Count
    process: _Count
    away: _Count = 0

    def __str__(self) -> str:
        return f"{self.owner}, for {self.purpose}"


@dataclass(frozen=True)
class Seen:
    """What a machine says of its lease: how the lock was found, and who is written down there."""

    word: str
    boot_id: str
    uptime: int
    process: int
    holder: Holder | None

    @property
    def awaited(self) -> int:
        """For how many more seconds somebody who rebooted the machine may yet come back to it."""
        if self.holder is None:
            return 0
        since = self.holder.uptime if self.holder.boot_id == self.boot_id else 0
        return max(0, self.holder.away - (self.uptime - since))


class Taken(InfraError):
    """Somebody else has the machine."""


class Lease:
    """A machine that is ours as long as the context lasts that gave us this. ``before`` is who left it."""

    def __init__(self, place: "Place", holder: Holder, before: Holder | None) -> None:
        self._place = place
        self.holder = holder
        self.before = before

    def leave(self, seconds: int, deadline: Deadline) -> None:
        """Write down that we reboot the machine, and are back within so many seconds of its uptime."""
        self.holder = replace(self.holder, away=seconds)
        self._place.write(self.holder, deadline)


@dataclass(frozen=True)
class Place:
    """Where a machine's lease lies, for whoever may write there; ``name`` is the machine's."""

    name: str
    host: Holding
    file: str = field(default_factory=lambda: PLACE)

    def look(self, deadline: Deadline) -> Seen:
        """Return who has the machine, taking nothing."""
        with self._held(deadline) as seen:
            return seen

    @contextmanager
    def leased(self, own: str, purpose: str, deadline: Deadline) -> Iterator[Lease | None]:
        """Have the machine while the context lasts; None where nothing can be written down.

        ``own`` is the :func:`mark` of whoever asks, the same again after a reboot. Raises Taken, which names
        who has it.
        """
        with self._held(deadline) as seen:
            if seen.word == NONE:
                yield None
                return
            before = seen.holder if seen.holder and seen.holder.id != own else None
            if seen.word == BUSY or (seen.awaited and before):
                raise self.taken(seen)
            holder = Holder(
                id=own,
                owner=me(),
                purpose=purpose[:_LONGEST_WORD],
                boot_id=seen.boot_id,
                uptime=seen.uptime,
                process=seen.process,
            )
            self.write(holder, deadline)
            lease = Lease(self, holder, before)
            try:
                yield lease
            finally:
                if not lease.holder.away:
                    with suppress(CcsightError):  # the lock goes in any case, and what is left reads as stale
                        self.write(None, Deadline(_SECONDS))

    def take_away(self, holder: Holder, deadline: Deadline) -> None:
        """End the lease of somebody, who is told nothing: what holds the lock is killed.

        Raises Taken when somebody else has it by now.
        """
        script = ["sh", "-c", _BREAK, "sh", self.file, holder.id, str(holder.process)]
        self.host.run(script, deadline)
        with self._held(deadline) as seen:
            if seen.word != HELD:
                raise self.taken(seen)
            self.write(None, deadline)

    def write(self, holder: Holder | None, deadline: Deadline) -> None:
        """Write down who has the machine; for whoever holds the lock. Raises InfraError."""
        text = to_json_line(holder).decode().strip() if holder else ""
        done = self.host.run(["sh", "-c", _WRITE, "sh", self.file, text], deadline)
        if done.returncode:
            raise InfraError(
                f"{self.name}: who has it cannot be written down",
                evidence=f"{self.file}: {done.stderr.decode(errors='replace').strip()}",
                next_step="see that file system; nothing was changed",
            )

    @contextmanager
    def _held(self, deadline: Deadline) -> Iterator[Seen]:
        argv = ["sh", "-c", _KEEP, "sh", self.file, str(LONGEST), str(SILENCE)]
        with self.host.hold(argv, deadline.within(_SECONDS)) as line:
            yield parse(line)

    def taken(self, seen: Seen) -> Taken:
        """Return the error that says who has it."""
        gone = f"who rebooted it, and is awaited for {seen.awaited} s more"
        ours = seen.word != BUSY and seen.holder and seen.holder.owner == me()
        wait = "if that run has ended, you need not wait" if ours else "wait for them, or take it"
        return Taken(
            f"{self.name} is taken by {seen.holder or 'somebody who has not said who'}",
            evidence=f"{self.file} there: {'whose controller is connected' if seen.word == BUSY else gone}",
            next_step=f"{wait}: ccsight machines release {self.name} --force",
        )


def parse(line: bytes) -> Seen:
    """Return what a machine said of its lease. Raises InfraError for what cannot be meant."""
    match = _LINE.fullmatch(line)
    if match is None:
        raise HostRefused("what the machine says of its lease cannot be read", evidence=repr(line[:200]))
    word, boot_id, uptime, process, rest = match.groups()
    try:
        holder = from_json(rest, Holder) if rest.strip() else None
    except msgspec.MsgspecError:  # it may be half of one, of a machine that lost its power
        holder = None
    return Seen(word.decode(), boot_id.decode(), int(uptime), int(process), holder)


def mark() -> str:
    """Return what tells a lease of ours from all others, over reboots of the machine."""
    return secrets.token_hex(8)


def me() -> str:
    """Return who asks: user and system."""
    return f"{getpass.getuser()}@{socket.gethostname()}"[:_LONGEST_WORD]
