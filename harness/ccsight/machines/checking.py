"""Looks at a machine of the inventory: one connection, one command there, and nothing is changed."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass

from ccsight.deadline import Deadline
from ccsight.errors import CcsightError
from ccsight.machines import equipment, leasing, reach
from ccsight.machines.abilities import Ability, Word, abilities
from ccsight.machines.host_keys import UnknownHostKey, WrongHostKey
from ccsight.machines.inventory import Entry
from ccsight.machines.lease_model import Leases
from ccsight.machines.model import Host
from ccsight.machines.sudo import SudoHost

#: Seconds for one machine, and how many are looked at at once.
_SECONDS = 60.0
_AT_ONCE = 8


@dataclass(frozen=True)
class Checked:
    """A machine, by its name, and what it can be used for."""

    name: str
    abilities: tuple[Ability, ...]

    @property
    def usable(self) -> bool:
        """Whether something can be captured there."""
        return all(ability.word is Word.YES for ability in self.abilities if ability.needed)


def check(entries: Sequence[Entry]) -> list[Checked]:
    """Look at machines, several at once. One that cannot be reached is one of the answers."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return list(pool.map(lambda entry: Checked(entry.name, tuple(_looked(entry))), entries))


def _looked(entry: Entry) -> Iterator[Ability]:
    deadline = Deadline(_SECONDS)
    if lender := leasing.outside(entry, lambda said: None):
        yield _lent(entry, lender, deadline)
    try:
        stops = reach.stops(entry, deadline)
        with closing(reach.along(stops, deadline)) as host:
            way = "".join(f", through {stop.name}" for stop in stops[:-1])
            yield Ability("reach", Word.YES, f"{stops[-1].user}@{stops[-1].where}{way}", needed=True)
            key = next(key for key in stops[-1].trust.keys if key.same(host.host_key))
            yield Ability("host key", Word.YES, f"{key.kind} {key.fingerprint}, {key.place}", needed=True)
            yield from _surveyed(entry, SudoHost(host) if entry.sudo else host, deadline)
    except (WrongHostKey, UnknownHostKey) as error:
        yield Ability("host key", Word.NO, _why(error), error.next_step, needed=True)
    except CcsightError as error:
        yield Ability("reach", Word.NO, _why(error), error.next_step, needed=True)


def _lent(entry: Entry, lender: Leases, deadline: Deadline) -> Ability:
    """Return whether labgrid would lend a machine now; it may be reached without, and is not used then."""
    try:
        holder = lender.look(deadline).holder
    except CcsightError as error:
        return Ability("labgrid", Word.NO, _why(error), error.next_step)
    why = f"place {entry.labgrid} is had by {holder}" if holder else f"place {entry.labgrid} is free"
    return Ability("labgrid", Word.NO if holder else Word.YES, why)


def _surveyed(entry: Entry, host: Host, deadline: Deadline) -> Iterator[Ability]:
    try:
        found = equipment.look(host, entry.name, deadline)
    except CcsightError as error:
        yield Ability("answers", Word.UNKNOWN, _why(error), error.next_step, needed=True)
    else:
        yield from abilities(entry, found)


def _why(error: CcsightError) -> str:
    return f"{error.fact}: {error.evidence}" if error.evidence else error.fact
