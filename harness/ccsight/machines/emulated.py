"""An arm64 host emulated by QEMU, with EL2 and a real sshd: ``emulated:MODEL``. No KVM is needed here.

Every boot is a new machine: its own keys, initramfs and loopback port, and nothing of it is left on
this system but the console.
"""

import contextlib
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ccsight.arm64.suggest import nearest
from ccsight.deadline import Deadline
from ccsight.errors import BootError, DeadlineExceeded, HostLost, UsageError
from ccsight.kernels.model import Kernel
from ccsight.machines import initramfs, keys, ssh
from ccsight.machines.emulator import LOOPBACK, Emulator, PortTaken, memory_file
from ccsight.machines.model import Booted, Report
from ccsight.specs import Spec
from ccsight.toolbox.qemu import Qemu, models, qemu
from ccsight.toolbox.userland import userland

#: Seconds from the start of QEMU to the login; a loaded two-core system takes a tenth of it.
PATIENCE = 60.0
_PORT_ATTEMPTS = 5

#: A panic ends QEMU at once. The crypto self-tests of a distribution's kernel take 0.3 s of an emulated
#: boot. Nothing here may change what KVM shows: so no ``nokaslr``, which also decides about KPTI.
_COMMAND_LINE = ("console=ttyAMA0", "panic=-1", "cryptomgr.notests")

#: How ``mode=`` reads on the kernel's command line.
_MODES = {"": "", "nvhe": "kvm-arm.mode=nvhe", "protected": "kvm-arm.mode=protected"}

#: QEMU's own switch for pointer authentication that is quick to emulate; the other models have none.
_PROPERTIES = {"max": ",pauth-impdef=on"}


@dataclass(frozen=True)
class Board:
    """What the options of a spec ask for."""

    model: str
    cpus: int = 2
    memory: int = 512  #: MiB
    mte: bool = False
    mode: str = ""  #: "" is the kernel's own choice: VHE where the CPU has it


#: Option -> how its value is read. A new option is a row here and a field above.
_READERS: dict[str, Callable[[str], object]] = {
    "cpus": int,
    "memory": int,
    "mte": {"on": True, "off": False}.__getitem__,
    "mode": lambda text: next(mode for mode in _MODES if mode and mode == text),
}
OPTIONS = frozenset(_READERS)
_EXAMPLES = {"cpus": "1 to 8", "memory": "MiB, from 256", "mte": "on or off", "mode": "nvhe or protected"}


def board(spec: Spec) -> Board:
    """Return what a spec asks for. Raises UsageError."""
    values: dict[str, object] = {}
    for key, text in spec.options:
        try:
            values[key] = _READERS[key](text)
        except (ValueError, KeyError, StopIteration):
            raise _bad(key, text, spec) from None
    asked = Board(spec.value, **values)  # type: ignore[arg-type]  # the readers return what the fields hold
    if not 1 <= asked.cpus <= 8:
        raise _bad("cpus", str(asked.cpus), spec)
    if asked.memory < 256:
        raise _bad("memory", str(asked.memory), spec)
    return asked


def _bad(key: str, text: str, spec: Spec) -> UsageError:
    return UsageError(f"{key}={text} cannot be: in {spec.text!r}", next_step=f"{key}: {_EXAMPLES[key]}")


def known(deadline: Deadline, report: Report) -> list[str]:
    """Return the specs of all machines of this kind."""
    return [f"emulated:{model}" for model in models(qemu(deadline, report), deadline)]


class EmulatedMachine:
    """A machine by spec; it boots any number of times, also at the same time."""

    def __init__(self, spec: Spec, *, patience: float = PATIENCE) -> None:
        self._spec = spec
        self._board = board(spec)
        self._patience = patience

    @property
    def spec(self) -> str:
        """The spec that names this machine everywhere."""
        return self._spec.text

    def prepare(self, deadline: Deadline, report: Report) -> None:
        """See :class:`ccsight.machines.model.Machine`. Raises UsageError with the nearest model's name."""
        self._tools(deadline, report)

    def _tools(self, deadline: Deadline, report: Report) -> tuple[Qemu, Path]:
        tool = qemu(deadline, report)
        known = models(tool, deadline)
        if self._board.model not in known:
            raise UsageError(
                f"QEMU {tool.version_text} has no 64-bit CPU model {self._board.model!r}",
                evidence=nearest(self._board.model, known),
                next_step="ccsight machines",
            )
        return tool, userland(deadline, report)

    @contextlib.contextmanager
    def boot(self, kernel: Kernel, console: Path, deadline: Deadline, report: Report) -> Iterator[Booted]:
        """See :class:`ccsight.machines.model.Machine`. QEMU also ends with the thread that entered."""
        tool, programs = self._tools(deadline, report)
        secret = keys.fresh()
        token = secrets.token_hex(8)
        with contextlib.ExitStack() as stack:
            initrd = stack.enter_context(memory_file("initramfs"))
            initramfs.write(initrd, initramfs.layers(programs, kernel, deadline), secret)
            clock = deadline.within(self._patience)
            began = time.monotonic()
            report("boot")
            argv = self._argv(tool, kernel, token)
            emulator = self._started(argv, initrd, console, clock)
            stack.callback(emulator.end)
            ready = time.monotonic()
            report("ssh")
            host = self._login(emulator, secret, clock)
            stack.callback(host.close)
            seconds = {"boot": ready - began, "ssh": time.monotonic() - ready}
            yield Booted(
                host,
                token,
                self._board.cpus,
                f"QEMU {tool.version_text} ({tool.provenance})",
                emulator.argv,
                seconds,
            )

    def _started(self, argv: list[str], initrd: BinaryIO, console: Path, clock: Deadline) -> Emulator:
        """Return a QEMU whose guest is ready; another port is tried where somebody was quicker."""
        for attempt in range(_PORT_ATTEMPTS):
            emulator = Emulator(self.spec, argv, initrd, console)
            try:
                emulator.wait_ready(clock)
            except PortTaken:
                emulator.end()
                if attempt == _PORT_ATTEMPTS - 1:
                    raise
            except BaseException:
                emulator.end()
                raise
            else:
                return emulator
        raise AssertionError("the last attempt returns or raises")

    def _login(self, emulator: Emulator, secret: keys.BootKeys, clock: Deadline) -> ssh.SshHost:
        peer = ssh.Peer(
            self.spec, LOOPBACK, emulator.port, "root", secret.host_public, private_key=secret.client_private
        )
        try:
            return ssh.connect(peer, clock, emulator.why_lost)
        except (HostLost, DeadlineExceeded) as error:
            raise BootError(
                f"{self.spec} is up, but does not take a login", evidence=error.evidence or error.fact
            ) from error

    def _argv(self, tool: Qemu, kernel: Kernel, token: str) -> list[str]:
        asked = self._board
        ours = (*_COMMAND_LINE, f"ccsight.boot={token}", _MODES[asked.mode])
        return [
            *tool.argv,
            *("-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"),
            *("-M", f"virt,virtualization=on,gic-version=3,its=off,acpi=off{',mte=on' if asked.mte else ''}"),
            *("-accel", "tcg,thread=multi"),
            *("-cpu", asked.model + _PROPERTIES.get(asked.model, "")),
            *("-smp", str(asked.cpus), "-m", str(asked.memory)),
            *("-kernel", str(kernel.image), "-append", " ".join(filter(None, (*ours, kernel.append)))),
        ]
