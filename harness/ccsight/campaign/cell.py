"""One cell: boot it, prove that it is what was asked for, let every probe program run, write it down.

This is the function that an executor runs, in whatever process or machine.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from ccsight.arm64.registers import REGISTERS
from ccsight.campaign import programs
from ccsight.deadline import Deadline
from ccsight.errors import BootError, CcsightError, ProbeError, WrongKernel
from ccsight.evidence.failure import Failure
from ccsight.evidence.model import (
    SCHEMA,
    Capture,
    Cell,
    Declared,
    KernelFacts,
    MachineFacts,
    Substrate,
    Vantage,
    View,
)
from ccsight.evidence.record import to_json
from ccsight.evidence.run import Run
from ccsight.kernels.model import Kernel
from ccsight.machines import console as consoles
from ccsight.machines import registry, silicon
from ccsight.machines.model import Booted, Report
from ccsight.probes import build, fuzz
from ccsight.probes.identity import Identity
from ccsight.probes.runner import placed
from ccsight.store import locked

#: Seconds that one cell may take, whatever happens; a boot has its own, shorter clock.
CELL_SECONDS = 180.0


@dataclass(frozen=True)
class CellTask:
    """A cell to capture, and where its run lies. Travels to the worker, so everything pickles."""

    run: Path
    cell: Cell
    kernel: Kernel
    seconds: float = CELL_SECONDS
    fuzz: int = fuzz.VALUES


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


def capture_cell(task: CellTask, report: Callable[[str], None]) -> Failure | None:
    """Capture a cell unless its run has it already; return why it could not be, or None.

    The capture is memoised in the run's folder under a lock: however many workers ask, one boots.
    """
    run = Run.open(task.run)
    deadline = Deadline(task.seconds)
    try:
        with locked(run.folder / ".locks" / task.cell.id, deadline):
            if run.capture(task.cell) is None and run.failure(task.cell) is None:
                _capture(run, task, report, deadline)
            return run.failure(task.cell)
    except CcsightError as error:
        failure = Failure.of(error)
        run.write(task.cell, "failure.json", to_json(failure))
        return failure


def _capture(run: Run, task: CellTask, report: Report, deadline: Deadline) -> None:
    watch = Stopwatch(report)
    machine = registry.machine(task.cell.machine, silicon.table(run.plan.silicon))
    with ExitStack() as held:
        booted = held.enter_context(machine.boot(task.kernel, run.console(task.cell), deadline, report))
        with watch.stage("push"):
            keep = partial(run.write, task.cell)
            probe = held.enter_context(placed(booted.host, build.built(deadline), deadline, keep))
        with watch.stage("identify"):
            identity = probe.identify(deadline)
            prove(identity, task.kernel, booted)
        # The boot's id is the seed: every boot tries other values, and the capture has it.
        asked = programs.Asked(task.kernel, booted, probe, identity.boot_id, task.fuzz)
        told = programs.observe(asked, watch.stage, deadline)
        declared, papers = booted.declared(), booted.papers()
        _prove_declared(declared, tuple(view for view in told.views if view.vantage is Vantage.HARDWARE))
    # Only now: a splat may have come with the last thing that the programs did.
    console = run.console(task.cell)
    capture = Capture(
        schema=SCHEMA,
        cell=task.cell,
        kernel=_kernel_facts(task, identity),
        machine=_machine_facts(task.cell.machine, identity, booted, declared),
        views=told.views,
        register_lists=told.register_lists,
        writes=told.writes,
        programs=probe.programs,
        seconds={stage: round(spent, 3) for stage, spent in (booted.seconds | watch.seconds).items()},
        console=consoles.observed(console, str(console.relative_to(run.folder))),
        failures=told.failures,
    )
    for name, content in papers.items():
        run.write(task.cell, name, content)
    run.write(task.cell, "capture.json", to_json(capture))


def _prove_declared(declared: tuple[Declared, ...], hardware: tuple[View, ...]) -> None:
    """Raise unless every CPU reads what the silicon table declares of it, where the host's kernel looked."""
    for row, view in zip(declared, hardware, strict=False):
        for name, wanted in row.registers.items():
            found = _read(view, name)
            if found not in (None, wanted):
                raise ProbeError(
                    f"CPU {row.cpu} does not read what the silicon table declares",
                    evidence=f"{name} is {found:#x}, declared {wanted:#x}",
                    next_step="the plugin for silicon: machines is at fault; see silicon.json of this boot",
                )


def _read(view: View, name: str) -> int | None:
    """Return what a view has of a register, or of a ``REGISTER.FIELD``; None where it was not read."""
    register, _, field = name.partition(".")
    value = view.value(register)
    if value is None or not field:
        return value
    return REGISTERS[register].field(field).extract(value) if register in REGISTERS else None


def prove(identity: Identity, kernel: Kernel, booted: Booted) -> None:
    """Raise unless the running system says of itself that it is this kernel, in this boot."""
    if not booted.boot_token or booted.boot_token not in identity.command_line:
        raise BootError(
            "another system answers where the machine was started",
            evidence=f"its command line lacks {booted.boot_token}: {identity.command_line!r}",
        )
    if len(identity.cpus) != booted.cpus:
        raise BootError(
            f"the machine has {len(identity.cpus)} CPUs online instead of {booted.cpus}",
            evidence=f"MIDRs {', '.join(f'{cpu.midr:#x}' for cpu in identity.cpus)}",
        )
    if identity.release != kernel.release or identity.build_id not in kernel.build_ids:
        raise WrongKernel(
            f"the machine runs another kernel than {kernel.spec.text}",
            evidence=f"booted {identity.release} (build-id {identity.build_id or 'none'}), "
            f"expected {kernel.release} (build-id {' or '.join(sorted(kernel.build_ids)) or 'none'})",
            next_step="empty the cache's kernels folder, or give the right image",
        )


def _kernel_facts(task: CellTask, identity: Identity) -> KernelFacts:
    kernel = task.kernel
    return KernelFacts(
        spec=task.cell.kernel,
        label=kernel.label,
        release=identity.release,
        banner=identity.banner,
        build_id=identity.build_id,
        image_sha256=kernel.image_sha256,
        packages=kernel.packages,
        build=kernel.build,
    )


def _machine_facts(
    spec: str, identity: Identity, booted: Booted, declared: tuple[Declared, ...]
) -> MachineFacts:
    # A system under emulation cannot see that it is; whoever started the emulator can.
    substrate = Substrate.EMULATED if booted.emulator else identity.substrate
    return MachineFacts(
        spec=spec,
        substrate=substrate,
        compatible=identity.compatible,
        boot_id=identity.boot_id,
        command_line=identity.command_line,
        cpus=identity.cpus,
        emulator=booted.emulator,
        argv=booted.argv,
        cpu_features=identity.cpu_features,
        declared=declared,
    )
