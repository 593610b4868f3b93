"""Logging in with a key: of a file, or of an agent, which only signs. No key leaves this system."""

import contextlib
import io
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path

import paramiko

from ccsight.deadline import Deadline
from ccsight.errors import HostLost
from ccsight.machines.ssh.clocks import said_of
from ccsight.machines.ssh.stop import Stop


def authenticate(transport: paramiko.Transport, stop: Stop, deadline: Deadline) -> None:
    """Log in with a key of the agent or of a file; those of the agent first that a file names."""
    refused: list[str] = []
    with _agent(stop.agent, deadline) as held:
        for name, key in (*_held(held, stop.keys), *_in_files(stop.keys, refused)):
            try:
                if not transport.auth_publickey(stop.user, key):
                    return
                refused.append(f"{name}: the host wants more than a key")
            except paramiko.BadAuthenticationType as error:
                refused.append(f"the host takes no keys, only {', '.join(error.allowed_types)}")
                break
            except paramiko.SSHException as error:
                refused.append(f"{name}: {said_of(error)}")
                if not transport.is_active():
                    break
    deadline.check(f"logging in to {stop.name}")
    raise HostLost(
        f"{stop.name} does not take a login of {stop.user}",
        evidence="\n".join([f"at {stop.where}", *refused]) if refused else "there is no key to log in with",
        next_step="key = FILE in its entry, or agent = true; on the machine: ~/.ssh/authorized_keys",
    )


class _Agent(paramiko.agent.AgentSSH):  # type: ignore[misc]  # paramiko has no types
    """An agent at a socket of any name: paramiko's own looks at SSH_AUTH_SOCK only."""

    def __init__(self, link: socket.socket) -> None:
        super().__init__()
        self._connect(link)


@contextlib.contextmanager
def _agent(path: str, deadline: Deadline) -> Iterator[Sequence[paramiko.PKey]]:
    """Yield the keys of an agent, as long as it may sign with them; none where there is no agent."""
    if not path or not Path(path).is_socket():
        yield ()
        return
    with socket.socket(socket.AF_UNIX) as link:
        link.settimeout(max(deadline.remaining, 0.1))
        link.connect(path)
        yield _Agent(link).get_keys()


def _held(held: Sequence[paramiko.PKey], files: Sequence[Path]) -> list[tuple[str, paramiko.PKey]]:
    named = {words[1] for file in files if len(words := _public(file).split()) > 1}
    first = sorted(held, key=lambda key: key.get_base64() not in named)
    return [(f"{key.get_name()} of the agent", key) for key in first]


def _public(file: Path) -> str:
    try:
        return file.with_name(f"{file.name.removesuffix('.pub')}.pub").read_text()
    except (OSError, UnicodeDecodeError):
        return ""


def _in_files(files: Sequence[Path], refused: list[str]) -> Iterator[tuple[str, paramiko.PKey]]:
    for file in files:
        if file.suffix == ".pub" or not file.exists():
            continue
        try:
            yield str(file), paramiko.PKey.from_path(file)
        except (TypeError, paramiko.PasswordRequiredException):
            refused.append(f"{file}: encrypted; give it to an agent: ssh-add {file}, and agent = true")
        except (ValueError, paramiko.SSHException, OSError) as error:
            refused.append(f"{file}: {said_of(error)}")


def private_key_of(text: str) -> paramiko.PKey:
    """Return the key of a text, which is ours: ed25519, in OpenSSH's format."""
    return paramiko.Ed25519Key.from_private_key(io.StringIO(text))
