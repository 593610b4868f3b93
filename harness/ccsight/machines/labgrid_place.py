"""A machine that labgrid lends: its place at a coordinator, acquired while we have it.

A coordinator never ends that by itself. So what we acquired is written down here, on the only system where we
are the same HOST/USER: after a kill it is found, used, and given back; what the user acquired by hand is not.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import msgspec

from ccsight.arm64.suggest import nearest
from ccsight.deadline import Deadline
from ccsight.errors import CcsightError, DeadlineExceeded, UsageError
from ccsight.evidence.record import Record, from_json, to_json
from ccsight.machines import labgrid_client, lease
from ccsight.machines.inventory import Entry
from ccsight.machines.labgrid_client import Client, LabgridFailed
from ccsight.machines.lease import Holder, Taken
from ccsight.machines.model import Report
from ccsight.paths import cache_dir
from ccsight.process import ProcessFailed
from ccsight.store import locked, write_atomically

#: Seconds that somebody is waited for, and half of the time that is left at most; and to give a place back.
PATIENCE = 300.0
_RETURN = 30.0
#: What labgrid does not say of whoever has a place, or reserved one.
_UNTOLD, _RESERVED = "a purpose that labgrid is not told", "a reservation"


class _Note(Record, frozen=True):
    """That we acquired a place: ``changed`` is when, as the coordinator has it."""

    changed: str
    purpose: str


@dataclass(frozen=True)
class Held:
    """A place that is ours. ``before`` is whom of our own it was left by."""

    before: Holder | None = None


@dataclass(frozen=True)
class LabgridPlace:
    """The place of an entry; see ``lease_model.Leases``. ``report`` is told what ended badly."""

    entry: Entry
    report: Report
    patience: float = field(default=PATIENCE)

    def look(self, deadline: Deadline) -> lease.Seen:
        """Return who has the place, or reserved it. Raises UsageError where there is none of that name."""
        seen = self._seen(deadline)
        whose, why = seen.acquired, _UNTOLD
        if not whose and seen.reservation:
            whose, why = self._client.owner(seen.reservation, deadline), _RESERVED
        if whose == labgrid_client.myself() and (note := self._note()):
            why = note.purpose
        holder = _holder(whose, why) if whose else None
        return lease.Seen(lease.BUSY if holder else lease.HELD, "", 0, 0, holder)

    @contextmanager
    def leased(self, own: str, purpose: str, deadline: Deadline) -> Iterator[Held]:
        """Have the place while the context lasts, waiting for it as far as the deadline allows. Raises Taken.

        What somebody of our HOST/USER acquired by hand is used, and stays acquired.
        """
        wait = Deadline(min(self.patience, deadline.remaining / 2))
        with ExitStack() as stack:
            try:  # the coordinator cannot tell two of us apart that run on one system
                stack.enter_context(locked(self._file, wait))
            except DeadlineExceeded:
                raise self.taken(self.look(deadline)) from None
            seen = self._seen(deadline)
            mine = seen.acquired == labgrid_client.myself()
            note = self._note()
            left = mine and note is not None and note.changed == seen.changed
            if not mine:
                stack.callback(self._give_back)
                self._acquire(purpose, wait, deadline)
            elif left:
                stack.callback(self._give_back)
            yield Held(_holder(seen.acquired, note.purpose) if left and note else None)

    def take_away(self, holder: Holder, deadline: Deadline) -> None:
        """Release the place from whoever has it, or reserved it. Raises Taken for somebody else."""
        seen = self._seen(deadline)
        if seen.acquired:
            self._client.release(self.entry.labgrid, holder.id, deadline)
        elif seen.reservation and self._client.owner(seen.reservation, deadline) == holder.id:
            self._client.cancel(seen.reservation, deadline)
        after = self.look(deadline)
        if after.holder:
            raise self.taken(after)

    def taken(self, seen: lease.Seen) -> Taken:
        """Return the error that says who has it."""
        who = seen.holder or "somebody who has given it back by now"
        return Taken(
            f"{self.entry.name} is taken by {who}",
            evidence=f"place {self.entry.labgrid} of labgrid's coordinator {self._client.address}",
            next_step=f"wait for them, or take it: ccsight machines release {self.entry.name} --force",
        )

    def _acquire(self, purpose: str, wait: Deadline, deadline: Deadline) -> None:
        """Acquire the place, at once or by a reservation, and write down that it was us."""
        self._file.unlink(missing_ok=True)
        why = self._client.acquire(self.entry.labgrid, deadline)
        if why and (holder := self.look(deadline).holder):
            self._queue(holder, wait, deadline)
        elif why and (why := self._client.acquire(self.entry.labgrid, deadline)):  # it was not just let go
            raise LabgridFailed(
                f"{self.entry.name}: labgrid does not give its place, though nobody has it", evidence=why
            )
        # what is written down last is what changed last: our own acquiring
        note = _Note(changed=self._seen(deadline).changed, purpose=purpose)
        write_atomically(self._file, to_json(note))

    def _queue(self, holder: Holder, wait: Deadline, deadline: Deadline) -> None:
        self.report(f"{self.entry.name}: waiting for {holder}")
        token = self._client.reserve(self.entry.labgrid, deadline)
        try:
            self._client.wait(token, wait)
            why = self._client.acquire(self.entry.labgrid, deadline)
        except (DeadlineExceeded, ProcessFailed):
            why = "it did not become free"
        finally:
            with suppress(CcsightError):  # it ends by itself, a minute after the last who asked
                self._client.cancel(token, Deadline(_RETURN))
        if why:
            raise self.taken(self.look(deadline))

    def _give_back(self) -> None:
        """Release the place if it is ours. That it cannot be is reported: what was observed is whole."""
        whose = labgrid_client.myself()
        try:
            clock = Deadline(_RETURN)
            now = self._seen(clock).acquired
            if now == whose:
                self._client.release(self.entry.labgrid, whose, clock)
            elif self._note():
                self.report(f"{self.entry.name} was taken away meanwhile; it is {_named(now)} now")
            self._file.unlink(missing_ok=True)
        except CcsightError as error:
            self.report(
                f"{self.entry.name}: its place {self.entry.labgrid} may still be acquired by {whose}, "
                f"and the next run gives it back: {error.fact}"
            )

    def _seen(self, deadline: Deadline) -> labgrid_client.Seen:
        name = self.entry.labgrid
        seen = self._client.place(name, deadline)
        if seen is None:
            names = self._client.names(deadline)
            raise UsageError(
                f"labgrid at {self._client.address} has no place {name!r}",
                evidence=nearest(name, names) if names else "it has none at all",
                next_step=f"mend labgrid = … in {self.entry.place}",
            )
        return seen

    def _note(self) -> _Note | None:
        try:
            return from_json(self._file.read_bytes(), _Note)
        except (OSError, msgspec.MsgspecError):
            return None

    @property
    def _client(self) -> Client:
        return Client(self.entry.labgrid_coordinator)

    @property
    def _file(self) -> Path:
        """Where it is written down that we acquired it; its lock tells two of us apart."""
        names = (labgrid_client.myself(), self._client.address, self.entry.labgrid)
        return cache_dir() / "labgrid" / quote(" ".join(names), safe=" ")


def _holder(whose: str, purpose: str) -> Holder:
    host, _, user = whose.partition("/")
    return Holder(id=whose, owner=f"{user}@{host}", purpose=purpose, boot_id="", uptime=0, process=0)


def _named(whose: str) -> str:
    return f"acquired by {whose}" if whose else "free"
