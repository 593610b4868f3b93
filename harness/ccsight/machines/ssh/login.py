"""From an address to a host: the key exchange, whether it is the host, the login; also through others."""

import contextlib
import socket
from collections.abc import Callable, Iterator, Sequence

import paramiko

from ccsight.deadline import Deadline
from ccsight.errors import HostLost, InfraError
from ccsight.machines.host_keys import HostKey, Trust
from ccsight.machines.ssh.clocks import PEER_SILENCE, TROUBLE, cut_at, hang_up, key_of, said_of, why_gone
from ccsight.machines.ssh.credentials import authenticate, private_key_of
from ccsight.machines.ssh.host import SshHost
from ccsight.machines.ssh.stop import Peer, Stop

#: What is quickest to compute for a host whose CPU is emulated; each is in every sshd of the last decade.
_KEX = ("curve25519-sha256@libssh.org",)
_CIPHERS = ("aes128-ctr", "aes256-ctr")
#: A host key's type, where its signatures go by other names.
_SIGNATURES = {"ssh-rsa": ("rsa-sha2-512", "rsa-sha2-256")}


def connect(peer: Peer, deadline: Deadline, why_lost: Callable[[], str] = str) -> SshHost:
    """Log in. ``why_lost`` is asked for the reason when the host does not answer any more ("" if unknown).

    Raises HostLost, WrongHostKey (nothing was sent to that host but the key exchange) or
    DeadlineExceeded.
    """
    pinned = HostKey(" ".join(peer.host_key.split()[:2]), "what it was given")
    stop = Stop(peer.name, peer.address, peer.port, peer.user, Trust((pinned,)))
    with _login(stop, deadline, why_lost):
        transport = paramiko.Transport(_socket(stop, deadline))
        _be_quick(transport)
        with cut_at(transport, deadline):
            _prove(_greet(transport, stop, deadline), transport, stop)
            transport.auth_publickey(peer.user, private_key_of(peer.private_key))
    return SshHost(peer.name, transport, why_lost)


def connect_through(stops: Sequence[Stop], deadline: Deadline) -> SshHost:
    """Log in to the last of these, each through the one before it, of which only a connection is asked.

    Raises as :func:`connect` does, and UnknownHostKey, naming the host.
    """
    way: list[paramiko.Transport] = []
    try:
        for stop in stops:
            with _login(stop, deadline):
                link = _tunnel(way[-1], stop, deadline) if way else _socket(stop, deadline)
                way.append(paramiko.Transport(link))
                with cut_at(way[-1], deadline):
                    _prove(_greet(way[-1], stop, deadline), way[-1], stop)
                    authenticate(way[-1], stop, deadline)
    except BaseException:
        hang_up(way)
        raise
    return SshHost(stops[-1].name, way[-1], through=tuple(way[:-1]))


def shown(stops: Sequence[Stop], deadline: Deadline) -> HostKey:
    """Return the host key that the last of these shows; it is told nothing, and no login is tried there.

    Raises as :func:`connect_through` does, for the hosts before it.
    """
    *before, last = stops
    with (
        contextlib.closing(connect_through(before, deadline)) if before else contextlib.nullcontext() as host
    ):
        with _login(last, deadline):
            link = _tunnel(host.transport, last, deadline) if host else _socket(last, deadline)
            transport = paramiko.Transport(link)
            try:
                with cut_at(transport, deadline):
                    return _greet(transport, last, deadline)
            finally:
                transport.close()


@contextlib.contextmanager
def _login(stop: Stop, deadline: Deadline, why_lost: Callable[[], str] = str) -> Iterator[None]:
    try:
        yield
    except TROUBLE as error:
        deadline.check(f"logging in to {stop.name}")
        raise HostLost(
            f"{stop.name} does not take a login",
            evidence=why_gone(why_lost) or f"{stop.where}: {said_of(error)}",
            next_step=f"see whether it is up, and that is its address: ssh -v -p {stop.port} {stop.address}",
        ) from error


def _socket(stop: Stop, deadline: Deadline) -> socket.socket:
    link = socket.create_connection((stop.address, stop.port), timeout=max(deadline.remaining, 0.1))
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    link.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, PEER_SILENCE // 4)
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, PEER_SILENCE // 4)
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, PEER_SILENCE * 1000)
    return link


def _tunnel(before: paramiko.Transport, stop: Stop, deadline: Deadline) -> paramiko.Channel:
    to, whence = (stop.address, stop.port), ("127.0.0.1", 0)
    return before.open_channel("direct-tcpip", to, whence, timeout=max(deadline.remaining, 0.1))


def _be_quick(transport: paramiko.Transport) -> None:
    options = transport.get_security_options()
    options.kex = [name for name in _KEX if name in options.kex] or options.kex
    options.ciphers = _CIPHERS


def _greet(transport: paramiko.Transport, stop: Stop, deadline: Deadline) -> HostKey:
    """Exchange keys, and return the host's own: one that is known of it, where it has that."""
    options = transport.get_security_options()
    kinds = [name for kind in stop.trust.kinds for name in _SIGNATURES.get(kind, (kind,))]
    options.key_types = [kind for kind in kinds if kind in options.key_types] or options.key_types
    transport.banner_timeout = transport.auth_timeout = 3600  # ours is the earlier clock
    transport.start_client(timeout=deadline.remaining)
    return key_of(transport)


def _prove(offered: HostKey, transport: paramiko.Transport, stop: Stop) -> None:
    """Hang up unless it is the host: until here it was told nothing."""
    try:
        stop.trust.judge(offered, stop.name, stop.where)
    except InfraError:
        transport.close()
        raise
