"""From an entry of the inventory to a host: the way to it, whose keys are known on it, and the connection.

What the inventory says wins over what ssh_config says.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from ccsight.deadline import Deadline
from ccsight.errors import ToolMissing, UsageError
from ccsight.machines import host_keys, inventory, ssh_config
from ccsight.machines.host_keys import Trust
from ccsight.machines.inventory import Entry
from ccsight.machines.ssh_config import Settings

if TYPE_CHECKING:
    from ccsight.machines.ssh import SshHost, Stop

#: Seconds until a login has to stand, however many hosts are on the way.
PATIENCE = 30.0
_MOST_JUMPS = 8


def connect(entry: Entry, deadline: Deadline) -> "SshHost":
    """Log in to a machine, through the hosts on the way.

    Raises HostLost, WrongHostKey, UnknownHostKey, DeadlineExceeded, ToolMissing or UsageError.
    """
    clock = deadline.within(PATIENCE)
    return along(stops(entry, clock), clock)


def along(way: Sequence["Stop"], deadline: Deadline) -> "SshHost":
    """Log in to the last host of a way. Raises as :func:`connect` does."""
    from ccsight.machines import ssh  # here: who never leaves this system needs no paramiko

    return ssh.connect_through(way, deadline.within(PATIENCE))


def stops(entry: Entry, deadline: Deadline) -> tuple["Stop", ...]:
    """Return the hosts on the way to a machine, and at last the machine."""
    way: list[tuple[Entry, Settings]] = []
    for each in _way(entry, deadline):
        way.append(each)
        if len(way) > _MOST_JUMPS:
            names = " → ".join(step.name for step, _ in reversed(way))
            raise UsageError(
                f"the way to {entry.name} is too long",
                evidence=names,
                next_step=f"take some out of jump, or of ProxyJump: {_MOST_JUMPS - 1} may be on the way",
            )
    return tuple(_stop(step, settings, deadline) for step, settings in reversed(way))


def _way(entry: Entry, deadline: Deadline) -> Iterator[tuple[Entry, Settings]]:
    """Yield the machine, and then backwards each host before it: as ssh, by the first one's own way."""
    settings = ssh_config.settings(entry.address, deadline, user=entry.user, port=entry.port)
    yield entry, settings
    jumps = entry.jumps
    if jumps is None:
        jumps = tuple(inventory.hop(text) for text in settings.jumps)
    for number, jump in reversed(tuple(enumerate(jumps))):
        if number:
            yield jump, ssh_config.settings(jump.address, deadline, user=jump.user, port=jump.port)
        else:
            yield from _way(jump, deadline)


def _stop(entry: Entry, settings: Settings, deadline: Deadline) -> "Stop":
    from ccsight.machines.ssh import Stop

    return Stop(
        entry.name,
        settings.host,
        entry.port or settings.port,
        entry.user or settings.user,
        _trust(entry, settings, deadline),
        keys=(entry.key,) if entry.key else settings.keys,
        agent="" if entry.key else _agent(entry, settings),
    )


def _trust(entry: Entry, settings: Settings, deadline: Deadline) -> Trust:
    """Return the keys of the inventory, or else those of known_hosts; what is revoked there is so anyway."""
    name = settings.known_as(entry.port or settings.port)
    known = host_keys.known(name, settings.known_hosts, deadline)
    return replace(known, keys=entry.host_keys or known.keys, entry=entry.place)


def _agent(entry: Entry, settings: Settings) -> str:
    if entry.agent and not settings.agent:
        raise ToolMissing(
            f"{entry.name} is logged in to with an agent, and none is there",
            evidence="SSH_AUTH_SOCK is not set, and ssh_config names no IdentityAgent",
            next_step='eval "$(ssh-agent)" && ssh-add; or key = FILE in its entry',
        )
    return settings.agent
