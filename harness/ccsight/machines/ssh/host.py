"""A host over one SSH connection: commands with exact arguments, files, and programs that are held."""

import contextlib
import secrets
import select
import shlex
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePosixPath

import paramiko

from ccsight.deadline import Deadline
from ccsight.errors import HostLost, HostRefused
from ccsight.machines.beat import Beat
from ccsight.machines.host_keys import HostKey
from ccsight.machines.local import LINE_MAX
from ccsight.machines.ssh.clocks import PEER_SILENCE, TROUBLE, cut_at, hang_up, key_of, said_of, why_gone
from ccsight.process import Completed, OutputTooLong

_READ_SIZE = 1 << 16
#: Bytes of a file that goes in with a command, and of a command line: dropbear takes 9000.
_SMALL = 1 << 20
_LINE_MAX = 8000
#: Its words are a draft, the file, and the mode; what goes into it is its input.
_LAY_DOWN = """
(umask 077 && cat >"$0") && chmod "$2" "$0" && mv -f "$0" "$1" && exit
rm -f "$0"
exit 1
"""
_TICK = 0.25


#: The shell's own exit makes that a status comes back in any case: paramiko drops the message that a server
#: sends instead of it for a command that a signal ended.
_EXIT = b"; exit $?"
#: The same for a command that is sent its input: it has ended only once all of that is there. A server hangs
#: up on whoever says something of a channel that it has closed, and paramiko does, late by a moment.
_READ_ON = b"; set -- $?; cat >/dev/null; exit $1"


def _told(line: bytes, content: bytes) -> tuple[bytes, bytes]:
    """Return a command that ends with its status, and what of its input is still to be sent.

    A short text goes with the command: else that waits until the host has said that it runs it.
    """
    if not content:
        return line + b" </dev/null" + _EXIT, b""
    with contextlib.suppress(UnicodeDecodeError):
        piped = b"printf %s " + shlex.quote(content.decode("ascii")).encode() + b" | " + line + _EXIT
        if b"\0" not in content and len(piped) <= _LINE_MAX:
            return piped, b""
    return line + _READ_ON, content


def _last_words(done: Completed) -> str:
    return done.stderr.decode(errors="replace")[-500:].strip()


class _Ahead(threading.Thread):
    """Opens the channel of the next command while one runs: that is a round trip less."""

    def __init__(self, transport: paramiko.Transport) -> None:
        super().__init__(daemon=True)
        self._transport = transport
        self._channel: paramiko.Channel | None = None
        self.start()

    def run(self) -> None:
        with contextlib.suppress(*TROUBLE):  # whoever takes it finds out
            self._channel = self._transport.open_session(timeout=PEER_SILENCE)

    def taken(self, deadline: Deadline) -> paramiko.Channel | None:
        """Return the channel; None where there is none."""
        self.join(deadline.remaining)
        return self._channel if self._channel and not self._channel.closed else None


class SshHost:
    """A host over one SSH connection; use it from one thread at a time.

    A command's exit status is 128 + N when signal N ended it, as a shell says it.
    """

    def __init__(
        self,
        name: str,
        transport: paramiko.Transport,
        why_lost: Callable[[], str] = str,
        through: tuple[paramiko.Transport, ...] = (),
    ) -> None:
        self._name = name
        self.transport = transport
        self._why_lost = why_lost
        self._way = (*through, transport)
        self._files: paramiko.SFTPClient | None = None
        self._ahead: _Ahead | None = None

    @property
    def host_key(self) -> HostKey:
        """The key by which the host has proved who it is."""
        return key_of(self.transport)

    def close(self) -> None:
        """Hang up, and so do all hosts on the way."""
        hang_up(self._way)

    def run(self, argv: Sequence[str], deadline: Deadline, *, limit: int = 64 << 20) -> Completed:
        """See :class:`ccsight.machines.model.Host`."""
        return self.feed(argv, b"", deadline, limit=limit)

    def feed(
        self, argv: Sequence[str], content: bytes, deadline: Deadline, *, limit: int = 64 << 20
    ) -> Completed:
        """See :class:`ccsight.machines.model.Feeding`."""
        line, rest = _told(shlex.join(argv).encode(errors="surrogateescape"), content)
        with self._watched(f"{argv[0]} on {self._name}", deadline):
            channel = self._channel(deadline)
            self._ahead = _Ahead(self.transport)
            channel.exec_command(line)
            if rest:
                channel.sendall(rest)
                channel.shutdown_write()
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
        if local.is_file() and local.stat().st_size <= _SMALL:
            self._push_small(local, target, deadline, mode)
            return
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
        try:
            done = self.run(["cat", "--", remote], deadline, limit=limit)
        except OutputTooLong:
            raise OutputTooLong(f"{remote} on {self._name} has more than {limit} bytes") from None
        if done.returncode:
            raise HostRefused(f"reading {remote} on {self._name} failed", evidence=_last_words(done))
        return done.stdout

    def _push_small(self, local: Path, target: PurePosixPath, deadline: Deadline, mode: int) -> None:
        """Lay a file down with the one command that makes it whole: SFTP takes five round trips."""
        draft = str(target.with_name(f".{target.name}.{secrets.token_hex(4)}"))
        argv = ["sh", "-c", _LAY_DOWN, draft, str(target), f"{mode:o}"]
        done = self.feed(argv, local.read_bytes(), deadline)
        if done.returncode:
            raise HostRefused(f"copying {local.name} to {self._name} failed", evidence=_last_words(done))

    def _channel(self, deadline: Deadline) -> paramiko.Channel:
        """Return the channel that was opened while the last command ran, or a new one."""
        ahead, self._ahead = self._ahead, None
        channel = ahead.taken(deadline) if ahead else None
        return channel or self.transport.open_session(timeout=max(deadline.remaining, 0.1))

    @contextlib.contextmanager
    def hold(self, argv: Sequence[str], deadline: Deadline) -> Iterator[bytes]:
        """See :class:`ccsight.machines.model.Holding`."""
        with self._watched(f"{argv[0]} on {self._name}", deadline):
            channel = self.transport.open_session(timeout=max(deadline.remaining, 0.1))
            channel.exec_command(shlex.join(argv).encode(errors="surrogateescape"))
        with Beat(channel.sendall), contextlib.closing(channel):
            yield self._first_line(channel, argv[0], deadline)

    def _first_line(self, channel: paramiko.Channel, program: str, deadline: Deadline) -> bytes:
        said = b""
        while not said.endswith(b"\n"):
            while not channel.recv_ready():
                if channel.closed or channel.eof_received or len(said) > LINE_MAX:
                    raise HostRefused(f"{program} on {self._name} said no line", evidence=repr(said[:200]))
                self._wait(channel, channel.fileno(), program, deadline)
            said += channel.recv(1)  # what follows the line is nobody's
        return said

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
            with cut_at(self.transport, deadline):
                yield
        except TROUBLE as error:
            deadline.check(what)
            if self.transport.is_active():
                raise HostRefused(f"{what} failed", evidence=said_of(error)) from error
            raise self._gone(said_of(error)) from error

    def _gone(self, what: str) -> HostLost:
        return HostLost(f"{self._name} does not answer any more", evidence=why_gone(self._why_lost) or what)
