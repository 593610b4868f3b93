"""A boot up to where it has proved itself: the machine is up, and runs the kernel that it was given.

What is seen before that point counts for nothing; what goes wrong before it is the boot's failure.
"""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from ccsight.campaign import turns
from ccsight.deadline import Deadline
from ccsight.errors import BootError, CcsightError, HostLost, InfraError, WrongKernel
from ccsight.evidence.run import Run
from ccsight.evidence.views import Cell
from ccsight.kernels.model import Kernel
from ccsight.machines.emulator import PortTaken
from ccsight.machines.model import Booted, BootOrder, Machine, Report
from ccsight.probes import build
from ccsight.probes.identity import Identity
from ccsight.probes.library import at_hand
from ccsight.probes.runner import Probe, placed


class DidNotBoot(BootError):
    """The machine did not come up with the kernel: it panicked, hung, or took no login.

    Whose fault that is, one boot cannot tell. A wrong kernel and a lab without tools are other errors.
    """


@dataclass
class Stopwatch:
    """How long each stage took; every stage that begins is told to ``report``."""

    report: Report
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time one stage."""
        self.report(name)
        start = time.monotonic()
        try:
            yield
        finally:
            self.seconds[name] = time.monotonic() - start


@dataclass(frozen=True)
class Start:
    """What is booted, and where its files go: the number of a cell's boot, and of the control beside it."""

    run: Run
    cell: Cell
    machine: Machine
    kernel: Kernel
    boot: int | str = 1
    control: int = 0

    @property
    def console(self) -> Path:
        """The file of this boot's console."""
        return self.run.console(self.cell, self.boot, self.control)

    def keep(self, name: str, content: bytes) -> None:
        """Put a file into the boot's folder; a control's have a name of their own."""
        unlike = f"control-{self.control}-" if self.control else ""
        self.run.write(self.cell, unlike + name, content, self.boot)


@dataclass(frozen=True)
class Proved:
    """A machine that runs what it was given, the probe on it, and what it said of itself."""

    booted: Booted
    probe: Probe
    identity: Identity


@contextmanager
def proved(start: Start, watch: Stopwatch, deadline: Deadline) -> Iterator[Proved]:
    """Boot a kernel; leaving the context ends what was started.

    Raises DidNotBoot, WrongKernel, or what says why it could not be tried. A machine that is lost when all
    was seen takes nothing of that away: it is written down (:func:`turns.lost`), and not raised.
    """
    built = build.built(deadline)
    seen = False
    try:
        with turns.kept(start.run, start.cell), ExitStack() as held:
            booted = _up(held, start, watch, deadline)
            try:
                with watch.stage("push"):
                    lay_out = at_hand if booted.here else placed
                    probe = held.enter_context(lay_out(booted.host, built, deadline, start.keep))
                with watch.stage("identify"):
                    identity = probe.identify(deadline)
                    prove(identity, start.kernel, booted)
            except WrongKernel:
                raise
            except (BootError, HostLost) as error:
                raise _down(error) from error
            yield Proved(booted, probe, identity)
            seen = True
    except InfraError:
        if not (seen and turns.lost(start.run, start.cell)):
            raise


def _up(held: ExitStack, start: Start, watch: Stopwatch, deadline: Deadline) -> Booted:
    """Boot a kernel; ``held`` ends it. A machine that is not there to be booted is no kernel's failure."""
    order = BootOrder(start.kernel, start.console, guest_image=start.run.plan.depth.linux)
    try:
        return held.enter_context(start.machine.boot(order, deadline, watch.report))
    except (WrongKernel, PortTaken):
        raise
    except BootError as error:
        raise _down(error) from error
    except HostLost as error:
        if turns.once(start.cell.machine):
            raise
        raise _down(error) from error


def _down(error: CcsightError) -> DidNotBoot:
    return DidNotBoot(error.fact, evidence=error.evidence, next_step=error.next_step)


def prove(identity: Identity, kernel: Kernel, booted: Booted) -> None:
    """Raise unless the running system says of itself that it is this kernel, in this boot."""
    token = booted.boot_token
    if not token or (token not in identity.command_line and token != identity.boot_id):
        raise BootError(
            "another system answers where the machine was started",
            evidence=f"its command line lacks {token}: {identity.command_line!r}; "
            f"nor is that its boot-id: {identity.boot_id}",
            next_step="nothing that it said was used; see what else listens there, and boot it again",
        )
    if len(identity.cpus) != booted.cpus:
        raise BootError(
            f"the machine has {len(identity.cpus)} CPUs online instead of {booted.cpus}",
            evidence=f"MIDRs {', '.join(f'{cpu.midr:#x}' for cpu in identity.cpus)}",
            next_step="its console says which CPU did not come up",
        )
    if identity.release != kernel.release or identity.build_id not in kernel.build_ids:
        raise WrongKernel(
            f"the machine runs another kernel than {kernel.spec.text}",
            evidence=f"booted {identity.release} (build-id {identity.build_id or 'none'}), "
            f"expected {kernel.release} (build-id {' or '.join(sorted(kernel.build_ids)) or 'none'})",
            next_step="get it anew, ccsight kernels prune --older-than 0, or give the right image",
        )
