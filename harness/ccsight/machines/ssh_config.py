"""What the user's own configuration of OpenSSH says of a host.

It is asked of ``ssh -G``, so that Include and Match count.
"""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from ccsight import process
from ccsight.deadline import Deadline
from ccsight.errors import ToolMissing, UsageError

#: Seconds: a ``Match exec`` of the user's may ask the network.
_SECONDS = 30.0
_NONE = "none"
_SSH_PORT = 22
_TOKEN = re.compile(r"%([%dhinpru])")


@dataclass(frozen=True)
class Settings:
    """What ssh would do to reach a host. ``agent`` is the path of a socket, "" for none.

    ``alias`` is the name that known_hosts has it under, "" for its own. ``jumps`` are in the order of the
    way.
    """

    host: str
    port: int
    user: str
    keys: tuple[Path, ...]
    agent: str
    jumps: tuple[str, ...]
    known_hosts: tuple[Path, ...]
    alias: str

    def known_as(self, port: int) -> str:
        """Return what known_hosts calls the host at a port: an alias stands without."""
        return self.alias or (self.host if port == _SSH_PORT else f"[{self.host}]:{port}")


def settings(address: str, deadline: Deadline, *, user: str = "", port: int | None = None) -> Settings:
    """Return what ssh_config has for an address; ``user`` and ``port`` are what is known already.

    Raises ToolMissing, or UsageError for what ssh itself refuses, and for a ProxyCommand.
    """
    argv = ["ssh", "-G", *(["-l", user] if user else []), *(["-p", str(port)] if port else []), "--", address]
    try:
        said = process.run(argv, deadline.within(_SECONDS)).text
    except ToolMissing as error:
        raise ToolMissing(
            "ssh is not on this system: its configuration says how hosts are reached",
            next_step="install OpenSSH's client: apt install openssh-client",
        ) from error
    except process.ProcessFailed as error:
        raise UsageError(
            f"ssh refuses its configuration for {address}", evidence=error.evidence, next_step=error.next_step
        ) from error
    return parse(said, address)


def parse(said: str, address: str) -> Settings:
    """Return what a text of ``ssh -G`` says. Raises UsageError."""
    values: dict[str, list[str]] = {}
    for line in said.splitlines():
        key, _, value = line.partition(" ")
        values.setdefault(key.lower(), []).append(value.strip())

    def one(key: str, usual: str = "") -> str:
        value = values.get(key, [usual])[0]
        return "" if value.lower() == _NONE else value

    if one("proxycommand"):
        raise UsageError(
            f"ssh reaches {address} by a ProxyCommand, which is not supported",
            evidence=one("proxycommand"),
            next_step='name the hosts on the way: jump = ["HOST"] in its entry, or ProxyJump',
        )
    host, user, port = one("hostname", address), one("user"), int(one("port", "22"))
    tokens = {"%": "%", "d": str(Path.home()), "h": host, "n": address, "p": str(port), "r": user, "u": _me()}
    tokens["i"] = str(os.getuid())

    def expanded(text: str) -> str:
        return os.path.expandvars(_TOKEN.sub(lambda token: tokens[token[1]], text))

    files = " ".join((one("userknownhostsfile"), one("globalknownhostsfile"))).split()
    return Settings(
        host=host,
        port=port,
        user=user,
        keys=tuple(
            Path(expanded(key)).expanduser() for key in values.get("identityfile", []) if key != _NONE
        ),
        agent=_agent(expanded(one("identityagent", "SSH_AUTH_SOCK"))),
        jumps=tuple(filter(None, one("proxyjump").split(","))),
        known_hosts=tuple(Path(expanded(file)).expanduser() for file in files),
        alias=expanded(one("hostkeyalias")),
    )


def _me() -> str:
    return os.environ.get("USER", "")


def _agent(word: str) -> str:
    return (
        os.environ.get("SSH_AUTH_SOCK", "")
        if word == "SSH_AUTH_SOCK"
        else str(Path(word).expanduser())
        if word
        else ""
    )
