"""What an emulated machine has beside its board: more files in its root filesystem, and cables to others."""

import contextlib
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ccsight.deadline import Deadline
from ccsight.errors import InfraError
from ccsight.machines.model import Host

#: Behind the network card that the machine is reached by, which stays the first one.
_SLOT = "0x8"
#: Addresses that are nobody's (RFC 5737), one for each end.
_ADDRESSES = ("192.0.2.1", "192.0.2.2")
_UP = (
    'for card in /sys/class/net/*; do [ "$(cat "$card/address")" = "$0" ] && '
    'exec ifconfig "${card##*/}" "$1" netmask 255.255.255.0 up; done; exit 1'
)


@dataclass(frozen=True)
class Fitting:
    """Layers of the initramfs, options of QEMU, and the descriptors that these name."""

    layers: tuple[Path, ...] = ()
    argv: tuple[str, ...] = ()
    descriptors: tuple[int, ...] = ()


def joined(fittings: Sequence[Fitting]) -> Fitting:
    """Return all of them as one."""
    return Fitting(
        tuple(layer for fitting in fittings for layer in fitting.layers),
        tuple(word for fitting in fittings for word in fitting.argv),
        tuple(descriptor for fitting in fittings for descriptor in fitting.descriptors),
    )


@dataclass(frozen=True)
class End:
    """An end of a cable: what its machine is fitted with, and the address that the machine gets there."""

    fitting: Fitting
    mac: str
    address: str

    def up(self, host: Host, deadline: Deadline) -> None:
        """Give the booted machine its address. Raises InfraError when it has no such network card."""
        done = host.run(["sh", "-c", _UP, self.mac, self.address], deadline)
        if done.returncode:
            raise InfraError(
                f"no network card {self.mac} on the machine",
                evidence=done.stderr.decode(errors="replace")[-300:].strip(),
                next_step="its kernel needs CONFIG_VIRTIO_NET",
            )


@contextlib.contextmanager
def cable() -> Iterator[tuple[End, End]]:
    """Yield the ends of a cable between two machines; nothing else of this system is on it.

    It is a pair of sockets: no port that somebody could take, no way out, and it ends with its machines.
    """
    with contextlib.ExitStack() as stack:
        ends = [stack.enter_context(end) for end in socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)]
        one, other = (_end(*plug) for plug in zip(ends, _ADDRESSES, strict=True))
        yield one, other


def _end(plug: socket.socket, address: str) -> End:
    mac = f"52:54:00:cc:51:0{address[-1]}"
    argv = (
        *("-netdev", f"dgram,id=cable,local.type=fd,local.str={plug.fileno()}"),
        *("-device", f"virtio-net-pci,netdev=cable,addr={_SLOT},mac={mac},romfile="),
    )
    return End(Fitting(argv=argv, descriptors=(plug.fileno(),)), mac, address)
