"""Whom to log in to: a host that we started ourselves, or one on the way to a machine of the user's."""

from dataclasses import dataclass, field
from pathlib import Path

from ccsight.machines.host_keys import Trust


@dataclass(frozen=True)
class Peer:
    """Whom to log in to. ``name`` is for messages; keys are in OpenSSH's formats.

    ``host_key`` ("ssh-ed25519 AAAA…") is the only one that is accepted.
    """

    name: str
    address: str
    port: int
    user: str
    host_key: str
    private_key: str = field(repr=False)


@dataclass(frozen=True)
class Stop:
    """A host on the way to a machine, or the machine: where it is, what it must show, and who we are there.

    ``keys`` are files of private keys, ``agent`` is the path of an agent's socket, "" for none. No key leaves
    this system: what is sent are signatures.
    """

    name: str
    address: str
    port: int
    user: str
    trust: Trust
    keys: tuple[Path, ...] = ()
    agent: str = ""

    @property
    def where(self) -> str:
        """The address, for messages."""
        return f"{self.address}:{self.port}"
