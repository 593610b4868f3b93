"""An arm64 host emulated by QEMU, with EL2 and a real sshd: ``emulated:MODEL``. No KVM is needed here.

Every boot is a new machine: its own keys, initramfs and loopback port, and nothing of it is left on
this system but the console.
"""

import contextlib
import copy
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ccsight.arm64.silicon import SiliconMachine
from ccsight.arm64.suggest import nearest
from ccsight.deadline import Deadline
from ccsight.errors import BootError, DeadlineExceeded, HostLost, UsageError
from ccsight.kernels.model import Kernel
from ccsight.machines import initramfs, keys
from ccsight.machines.emulator import LOOPBACK, Emulator, PortTaken, Start, memory_file
from ccsight.machines.fittings import Fitting, joined
from ccsight.machines.model import Booted, BootOrder, Report
from ccsight.machines.overrides import Overrides
from ccsight.machines.tcg_plugin import plugin
from ccsight.specs import Spec
from ccsight.toolbox.qemu import Qemu, models, qemu
from ccsight.toolbox.userland import userland

if TYPE_CHECKING:
    from ccsight.machines.ssh import SshHost

#: Seconds from the start of QEMU to the login; a loaded two-core system takes a tenth of it.
PATIENCE = 60.0
_PORT_ATTEMPTS = 5

#: A panic ends QEMU at once. The crypto self-tests of a distribution's kernel take 0.3 s of an emulated
#: boot. Nothing here may change what KVM shows: so no ``nokaslr``, which also decides about KPTI.
_COMMAND_LINE = ("console=ttyAMA0", "panic=-1", "cryptomgr.notests")

#: How ``mode=`` reads on the kernel's command line.
_MODES = {mode: f"kvm-arm.mode={mode}" for mode in ("nvhe", "protected", "nested")} | {"": ""}

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
    modules: bool = True  #: our kernel module may be loaded


_SWITCH = {"on": True, "off": False}.__getitem__

#: Option -> how its value is read. A new option is a row here and a field above.
_READERS: dict[str, Callable[[str], object]] = {
    "cpus": int,
    "memory": int,
    "mte": _SWITCH,
    "mode": lambda text: next(mode for mode in _MODES if mode and mode == text),
    "modules": _SWITCH,
}
OPTIONS = frozenset(_READERS)
#: Those with which it has something to give to a VM.
_GIVE = {("mte", "on"), ("mode", "nested")}
_EXAMPLES = {
    "cpus": "1 to 8",
    "memory": "MiB, from 256",
    "mte": "on or off",
    "mode": "nvhe, protected or nested",
    "modules": "on or off",
}


def board(spec: Spec, silicon: SiliconMachine | None = None) -> Board:
    """Return what a spec asks for; model and CPUs are those of ``silicon`` where it is given.

    Raises UsageError.
    """
    values: dict[str, object] = {}
    for key, text in spec.options:
        if key not in _READERS:
            continue  # base= of silicon machines: who made ``silicon`` has read it
        try:
            values[key] = _READERS[key](text)
        except (ValueError, KeyError, StopIteration):
            raise _bad(key, text, spec) from None
    asked = Board(spec.value, **values)  # type: ignore[arg-type]  # the readers return what the fields hold
    if not 1 <= asked.cpus <= 8:
        raise _bad("cpus", str(asked.cpus), spec)
    if asked.memory < 256:
        raise _bad("memory", str(asked.memory), spec)
    return replace(asked, model=silicon.base, cpus=len(silicon.cores)) if silicon else asked


def gives(spec: Spec) -> bool:
    """Tell whether such a machine has something to give to a VM (``kvm.gifts``)."""
    return not _GIVE.isdisjoint(spec.options)


def _bad(key: str, text: str, spec: Spec) -> UsageError:
    return UsageError(f"{key}={text} cannot be: in {spec.text!r}", next_step=f"{key}: {_EXAMPLES[key]}")


def known(deadline: Deadline, report: Report) -> list[str]:
    """Return the specs of all machines of this kind."""
    return [f"emulated:{model}" for model in models(qemu(deadline, report), deadline)]


@dataclass(frozen=True)
class _Tools:
    """What a boot takes: QEMU, the programs of the root filesystem, and the plugin where it is wanted."""

    qemu: Qemu
    userland: Path
    plugin: Path | None


class EmulatedMachine:
    """A machine by spec; it boots any number of times, also at the same time.

    Its CPUs read the registers of ``silicon``, where that is given.
    """

    def __init__(
        self, spec: Spec, *, silicon: SiliconMachine | None = None, patience: float = PATIENCE
    ) -> None:
        self._spec = spec
        self.board = board(spec, silicon)
        self._cores = silicon.cores if silicon else ()
        self._patience = patience
        self.fittings: tuple[Fitting, ...] = ()

    @property
    def spec(self) -> str:
        """The spec that names this machine everywhere."""
        return self._spec.text

    @property
    def seconds(self) -> float:
        """See :class:`ccsight.machines.model.Machine`: all clocks are made for this kind."""
        return 0.0

    def fitted(self, *fittings: Fitting) -> "EmulatedMachine":
        """Return this machine with more files or cables than its spec says."""
        other = copy.copy(self)
        other.fittings = (*self.fittings, *fittings)
        return other

    def prepare(self, deadline: Deadline, report: Report) -> None:
        """See :class:`ccsight.machines.model.Machine`. Raises UsageError with the nearest model's name."""
        self._tools(deadline, report)

    def _tools(self, deadline: Deadline, report: Report) -> _Tools:
        tool = qemu(deadline, report)
        known = models(tool, deadline)
        if self.board.model not in known:
            raise UsageError(
                f"QEMU {tool.version_text} has no 64-bit CPU model {self.board.model!r}",
                evidence=nearest(self.board.model, known),
                next_step="ccsight machines",
            )
        return _Tools(tool, userland(deadline, report), plugin(tool, deadline) if self._cores else None)

    def prove_may_boot(self, deadline: Deadline) -> None:
        """See :class:`ccsight.machines.model.Machine`: every boot makes another one."""

    @contextlib.contextmanager
    def boot(self, order: BootOrder, deadline: Deadline, report: Report) -> Iterator[Booted]:
        """See :class:`ccsight.machines.model.Machine`. QEMU also ends with the thread that entered."""
        tools = self._tools(deadline, report)
        secret = keys.fresh()
        token = secrets.token_hex(8)
        more = joined(self.fittings)
        with contextlib.ExitStack() as stack:
            initrd = stack.enter_context(memory_file("initramfs"))
            layers = [*initramfs.layers(tools.userland, order.kernel, deadline), *more.layers]
            image = order.kernel.image if order.guest_image else None
            initramfs.write(initrd, layers, secret, image)
            overrides = stack.enter_context(Overrides(self._cores, tools.plugin))
            clock = deadline.within(self._patience)
            began = time.monotonic()
            report("boot")
            argv = [*self.command(tools.qemu, order.kernel, token), *overrides.argv, *more.argv]
            inherits = (*overrides.descriptors, *more.descriptors)
            emulator = self._started(Start(self.spec, argv, initrd, order.console, inherits), clock)
            stack.callback(emulator.end)
            ready = time.monotonic()
            report("ssh")
            host = self._login(emulator, secret, clock)
            stack.callback(host.close)
            overrides.prove(self.spec)
            seconds = {"boot": ready - began, "ssh": time.monotonic() - ready}
            yield Booted(
                host,
                token,
                self.board.cpus,
                f"QEMU {tools.qemu.version_text} ({tools.qemu.provenance})",
                emulator.argv,
                seconds,
                declared=overrides.declared,
                papers=overrides.papers,
                takes_modules=self.board.modules,
                image=initramfs.IMAGE if order.guest_image else "",
            )
            overrides.prove(self.spec)  # of all that was read meanwhile

    def _started(self, start: Start, clock: Deadline) -> Emulator:
        """Return a QEMU whose guest is ready; another port is tried where somebody was quicker."""
        for attempt in range(_PORT_ATTEMPTS):
            emulator = Emulator(start)
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

    def _login(self, emulator: Emulator, secret: keys.BootKeys, clock: Deadline) -> "SshHost":
        from ccsight.machines import ssh  # here: what captures this very machine needs no paramiko

        peer = ssh.Peer(
            self.spec, LOOPBACK, emulator.port, "root", secret.host_public, private_key=secret.client_private
        )
        try:
            return ssh.connect(peer, clock, emulator.why_lost)
        except (HostLost, DeadlineExceeded) as error:
            raise BootError(
                f"{self.spec} is up, but does not take a login", evidence=error.evidence or error.fact
            ) from error

    def command(self, tool: Qemu, kernel: Kernel, token: str) -> list[str]:
        """Return the arguments with which a QEMU is this machine, and boots a kernel."""
        asked = self.board
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
