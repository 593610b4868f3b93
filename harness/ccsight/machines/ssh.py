"""The one door to paramiko: a host that is reached over SSH. It knows nothing of how the host was booted.

paramiko waits for ever in several places (the answer to a channel request, an exit status), and its
keepalive never notices that the peer is gone. So every wait here has a clock of its own, and a
transport that a clock had to cut is not used again.
"""

import contextlib
import io
import logging
import secrets
import select
import shlex
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import paramiko

from ccsight import process
from ccsight.deadline import Deadline
from ccsight.errors import HostLost, InfraError
from ccsight.process import Completed, OutputTooLong

#: What is quickest to compute for a host whose CPU is emulated; each is in every sshd of the last decade.
_KEX = ("curve25519-sha256@libssh.org",)
_CIPHERS = ("aes128-ctr", "aes256-ctr")
#: A host key's type, where its signatures go by other names.
_SIGNATURES = {"ssh-rsa": ("rsa-sha2-512", "rsa-sha2-256")}
_READ_SIZE = 1 << 16
_TICK = 0.25
_REASON_WITHIN = 0.5
_TROUBLE = (paramiko.SSHException, EOFError, OSError)
#: Seconds without an answer after which the kernel gives up a TCP peer that vanished.
_PEER_SILENCE = 20

logging.getLogger("paramiko").addHandler(logging.NullHandler())  # its tracebacks are not for users
logging.getLogger("paramiko").propagate = False


class WrongHostKey(InfraError):
    """Somebody else than the machine answered."""


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


def connect(peer: Peer, deadline: Deadline, why_lost: Callable[[], str] = str) -> "SshHost":
    """Log in. ``why_lost`` is asked for the reason when the host does not answer any more ("" if unknown).

    Raises HostLost, WrongHostKey (nothing was sent to that host but the key exchange) or
    DeadlineExceeded.
    """
    key_type, blob = peer.host_key.split()[:2]
    try:
        link = _socket(peer, deadline)
        transport = _transport(link, key_type)
        with _cut_at(transport, deadline):
            transport.start_client(timeout=deadline.remaining)
            offered = transport.get_remote_server_key()
            if (offered.get_name(), offered.get_base64()) != (key_type, blob):
                transport.close()
                raise WrongHostKey(
                    f"{peer.name} shows another host key than the one it was given",
                    evidence=f"{peer.address}:{peer.port} shows {offered.get_name()} {offered.get_base64()}",
                    next_step="nothing was sent to it; see who listens there",
                )
            transport.auth_publickey(peer.user, _private_key(peer.private_key))
    except _TROUBLE as error:
        deadline.check(f"logging in to {peer.name}")
        raise HostLost(
            f"{peer.name} does not take a login", evidence=_reason(why_lost) or _said(error)
        ) from error
    return SshHost(peer.name, transport, why_lost)


def _socket(peer: Peer, deadline: Deadline) -> socket.socket:
    link = socket.create_connection((peer.address, peer.port), timeout=max(deadline.remaining, 0.1))
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    link.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, _PEER_SILENCE // 4)
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, _PEER_SILENCE // 4)
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _PEER_SILENCE * 1000)
    return link


def _transport(link: socket.socket, key_type: str) -> paramiko.Transport:
    transport = paramiko.Transport(link)
    options = transport.get_security_options()
    options.kex = [name for name in _KEX if name in options.kex] or options.kex
    options.ciphers = _CIPHERS
    options.key_types = _SIGNATURES.get(key_type, (key_type,))
    transport.banner_timeout = transport.auth_timeout = 3600  # ours is the earlier clock
    return transport


def _private_key(text: str) -> paramiko.PKey:
    return paramiko.Ed25519Key.from_private_key(io.StringIO(text))


@contextlib.contextmanager
def _cut_at(transport: paramiko.Transport, deadline: Deadline) -> Iterator[None]:
    """Close the transport at the deadline, which ends whatever paramiko waits for."""
    timer = threading.Timer(deadline.remaining, transport.close)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _reason(why_lost: Callable[[], str]) -> str:
    """Ask why the host is gone; whoever knows may notice a moment after the connection broke."""
    clock = Deadline(_REASON_WITHIN)
    while not (reason := why_lost()) and not clock.passed:
        process.pause(0.02, clock)
    return reason


def _said(error: BaseException) -> str:
    return str(error) or type(error).__name__


class SshHost:
    """A host over one SSH connection; use it from one thread at a time.

    A command's exit status is 128 + N when signal N ended it, as a shell says it.
    """

    def __init__(self, name: str, transport: paramiko.Transport, why_lost: Callable[[], str] = str) -> None:
        self._name = name
        self.transport = transport
        self._why_lost = why_lost
        self._files: paramiko.SFTPClient | None = None

    def close(self) -> None:
        """Hang up."""
        self.transport.close()

    def run(self, argv: Sequence[str], deadline: Deadline, *, limit: int = 64 << 20) -> Completed:
        """See :class:`ccsight.machines.model.Host`."""
        # The shell's own exit makes that a status comes back in any case: paramiko drops the message
        # that a server sends instead of it for a command that a signal ended.
        line = f"{shlex.join(argv)}; exit $?".encode(errors="surrogateescape")
        with self._watched(f"{argv[0]} on {self._name}", deadline):
            channel = self.transport.open_session(timeout=max(deadline.remaining, 0.1))
            channel.exec_command(line)
            channel.shutdown_write()  # stdin is empty
        try:
            stdout, stderr = self._drain(channel, argv[0], deadline, limit)
            status = channel.exit_status
        finally:
            channel.close()
        if status < 0:
            raise self._gone("the connection ended before the command did")
        return Completed(tuple(argv), status, stdout, stderr)

    def push(self, local: Path, remote: str, deadline: Deadline, *, mode: int = 0o755) -> None:
        """See :class:`ccsight.machines.model.Host`."""
        target = PurePosixPath(remote)
        draft = str(target.with_name(f".{target.name}.{secrets.token_hex(4)}"))
        with self._watched(f"copying {local.name} to {self._name}", deadline):
            files = self._sftp()
            try:
                files.put(str(local), draft, confirm=True)  # compares the sizes
                files.chmod(draft, mode)
                files.posix_rename(draft, remote)
            except OSError:
                with contextlib.suppress(OSError):
                    files.remove(draft)
                raise

    def fetch(self, remote: str, deadline: Deadline, *, limit: int = 64 << 20) -> bytes:
        """See :class:`ccsight.machines.model.Host`."""
        content = bytearray()
        with self._watched(f"reading {remote} on {self._name}", deadline):
            with self._sftp().open(remote, "rb") as source:
                size = source.stat().st_size or 0
                if size > _READ_SIZE:  # files of /proc say 0 and are read until they end
                    source.prefetch(min(size, limit + 1))
                while chunk := source.read(_READ_SIZE):
                    content += chunk
                    if len(content) > limit:
                        raise OutputTooLong(f"{remote} on {self._name} has more than {limit} bytes")
        return bytes(content)

    def _drain(
        self, channel: paramiko.Channel, program: str, deadline: Deadline, limit: int
    ) -> tuple[bytes, bytes]:
        """Read both streams together until they and the command have ended.

        A stream that nobody reads fills its window (2 MiB), and then the other one stops, too.
        """
        out, err = bytearray(), bytearray()
        readable = channel.fileno()
        ended = False
        while not ended:
            ended = channel.closed or (channel.eof_received and channel.status_event.is_set())
            while channel.recv_ready():
                out += channel.recv(_READ_SIZE)
            while channel.recv_stderr_ready():
                err += channel.recv_stderr(_READ_SIZE)
            if max(len(out), len(err)) > limit:
                raise OutputTooLong(f"{program} on {self._name} said more than {limit} bytes")
            if not ended:
                self._wait(channel, readable, program, deadline)
        return bytes(out), bytes(err)

    def _wait(self, channel: paramiko.Channel, readable: int, program: str, deadline: Deadline) -> None:
        if channel.eof_received:  # the descriptor stays readable from here on: wait for the status
            channel.status_event.wait(min(_TICK, deadline.remaining))
        else:
            select.select([readable], [], [], min(_TICK, deadline.remaining))
        if reason := self._why_lost():
            raise self._gone(reason)
        deadline.check(f"{program} on {self._name}")

    def _sftp(self) -> paramiko.SFTPClient:
        if self._files is None:
            self._files = paramiko.SFTPClient.from_transport(self.transport)
        if self._files is None:
            raise self._gone("it does not open a channel for files")
        return self._files

    @contextlib.contextmanager
    def _watched(self, what: str, deadline: Deadline) -> Iterator[None]:
        """Give paramiko's waits a clock, and its exceptions a meaning."""
        if not self.transport.is_active():
            raise self._gone("the connection has ended")
        try:
            with _cut_at(self.transport, deadline):
                yield
        except _TROUBLE as error:
            deadline.check(what)
            if self.transport.is_active():
                raise InfraError(f"{what} failed", evidence=_said(error)) from error
            raise self._gone(_said(error)) from error

    def _gone(self, what: str) -> HostLost:
        return HostLost(f"{self._name} does not answer any more", evidence=_reason(self._why_lost) or what)
