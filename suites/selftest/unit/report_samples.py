"""Results made of recorded captures of Debian's 6.1 and 6.12 on QEMU's CPU models, judged for real."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import asymmetric
import msgspec
from recorded import bent, capture

from ccsight.checks import COMPARISONS, LAWS
from ccsight.checks.verdict import judged
from ccsight.evidence.cases import PlannedCase
from ccsight.evidence.failure import Failure
from ccsight.evidence.model import SCHEMA, Capture, Package
from ccsight.evidence.plan import Plan, PlannedKernel
from ccsight.evidence.views import Cell, Vantage
from ccsight.report import html
from ccsight.report.model import Result
from ccsight.status import Status

FOLDER = Path("results/2026-11-22-081201-7f3a")
OLD, NEW = "deb:6.1", "deb:6.12"
MACHINES = ("emulated:cortex-a57", "emulated:neoverse-n1", "emulated:neoverse-v1")
NASTY = "\x1b[31m<script>alert(1)</script>[bold]\u202e]]>&"

_RELEASES = {OLD: ("6.1.0-50-arm64", "6.1.176-1"), NEW: ("6.12.95+deb12-arm64", "6.12.95-1")}
_NORMALISED = [0x2] * 14


def sample(machine: str, kernel: str, *, like: str = "", release: str = "") -> Capture:
    """Return the capture of a cell with its provenance; ``like`` names the machine whose values it has."""
    seen = capture((like or machine).partition(":")[2], kernel.partition(":")[2])
    return placed(seen, machine, kernel, release)


def placed(seen: Capture, machine: str, kernel: str, release: str = "") -> Capture:
    """Return a capture as that of a cell, with its provenance."""
    return msgspec.structs.replace(
        seen,
        cell=Cell(machine=machine, kernel=kernel),
        restored=tuple(
            msgspec.structs.replace(each, source=Cell(machine=machine, kernel=each.source.kernel))
            for each in seen.restored
        ),
        kernel=msgspec.structs.replace(
            seen.kernel, release=release or seen.kernel.release, packages=_packages(kernel)
        ),
        machine=msgspec.structs.replace(
            seen.machine,
            spec=machine,
            emulator="QEMU emulator version 11.1.0",
            argv=("qemu-system-aarch64", "-M", "virt,virtualization=on,gic-version=3", "-m", "1G"),
        ),
        programs={"ccprobe": "ab" * 32, "caches": "cd" * 32},
        seconds={"boot": 1.9, "probe": 0.4, "total": 2.9},
    )


def _packages(kernel: str) -> tuple[Package, ...]:
    release, version = _RELEASES[kernel]
    return (Package(name=f"linux-image-{release}", version=version, sha256="77" * 32),)


@cache
def page(of: Callable[[], Result]) -> str:
    """Return the HTML page of a sample, which takes as long to make as to judge it."""
    return html.document(of()).decode()


def result_of(
    captures: list[Capture],
    failures: dict[Cell, Failure] | None = None,
    kernels: tuple[str, ...] = (OLD, NEW),
) -> Result:
    """Judge captures as a run over their machines and the kernels would."""
    failures = failures or {}
    machines = [*(c.cell.machine for c in captures), *(cell.machine for cell in failures)]
    plan = plan_of(machines, kernels)
    by_cell = {capture.cell.id: capture for capture in captures}
    failed = {cell.id: failure for cell, failure in failures.items()}
    return Result(
        plan=plan,
        folder=FOLDER,
        cases=tuple(judged(case, by_cell, failed) for case in plan.cases),
        captures=by_cell,
        failures=failed,
    )


def plan_of(names: list[str], kernels: tuple[str, ...]) -> Plan:
    """Return the plan of a run over machines, named in any number, and kernels."""
    machines = dict.fromkeys(names)
    cells = tuple(Cell(machine=machine, kernel=kernel) for machine in machines for kernel in kernels)
    planned = [PlannedCase(check=check, cells=(cell.id,)) for cell in cells for check in sorted(LAWS)]
    for machine in machines:
        pair = tuple(Cell(machine=machine, kernel=kernel).id for kernel in kernels)
        planned += [PlannedCase(check=check, cells=pair) for check in sorted(COMPARISONS) if len(pair) > 1]
    return _plan(tuple(machines), cells, tuple(planned), kernels)


def _plan(
    machines: tuple[str, ...], cells: tuple[Cell, ...], cases: tuple[PlannedCase, ...], specs: tuple[str, ...]
) -> Plan:
    kernels = tuple(
        PlannedKernel(
            spec=kernel,
            label=kernel,
            release=_RELEASES[kernel][0],
            image_sha256="91aa" * 16,
            packages=_packages(kernel),
            pin=f"{kernel}={_RELEASES[kernel][1]}",
        )
        for kernel in specs
    )
    return Plan(
        schema=SCHEMA,
        id="2026-11-22-081201-7f3a",
        created="2026-11-22T08:12:01Z",
        ccsight="0.1.0",
        argv=("ccsight", "compare" if len(specs) > 1 else "capture", *specs),
        kernels=kernels,
        machines=machines,
        cells=cells,
        cases=cases,
    )


@cache
def good() -> Result:
    """Three machines, everything observed, every law holds."""
    return result_of([sample(machine, kernel) for machine in MACHINES for kernel in (OLD, NEW)])


@cache
def alone() -> Result:
    """One kernel on a machine with CPUs of two kinds and on one without, as ``ccsight capture`` has it."""
    cells = [
        ("silicon:apple-m2", asymmetric.declared(asymmetric.m2_native())),
        (MACHINES[2], capture(MACHINES[2].partition(":")[2], "6.1")),
    ]
    return result_of([placed(seen, machine, OLD) for machine, seen in cells], kernels=(OLD,))


@cache
def one_good() -> Result:
    """As :func:`good`, one machine of the three: a section of a page for each takes a browser long."""
    return result_of([sample(MACHINES[1], kernel) for kernel in (OLD, NEW)])


def _trouble() -> tuple[list[Capture], dict[Cell, Failure]]:
    """A machine whose new kernel fails a law, and one that lost its new kernel."""
    wrong = sample("emulated:cortex-a72", NEW, like=MACHINES[0])
    captures = [
        sample("emulated:cortex-a72", OLD, like=MACHINES[0]),
        bent(wrong, Vantage.GUEST, 1, CLIDR_EL1=0x0A200023),
        sample("emulated:max", OLD, like=MACHINES[2]),
    ]
    failure = Failure(
        status=Status.MISS,
        fact="the emulated host never became ready",
        evidence='last console line after 8 s: "Kernel panic - not syncing: No working init found."\n'
        "consoles/emulated_max--deb_6.12-1.log:212",
        next_step="ccsight capture deb:6.12 --on emulated:max -v",
    )
    return captures, {Cell(machine="emulated:max", kernel=NEW): failure}


@cache
def troubled() -> Result:
    """As :func:`good`, and a machine whose new kernel fails a law, and one that lost its new kernel."""
    captures, failures = _trouble()
    return result_of(
        [sample(machine, kernel) for machine in MACHINES for kernel in (OLD, NEW)] + captures, failures
    )


@cache
def only_troubled() -> Result:
    """As :func:`troubled`, without the machines that are good."""
    return result_of(*_trouble())


@cache
def unlike() -> Result:
    """Two machines with CPUs of two kinds: one whose table declares them, one whose kernels were asked."""
    cells = [
        ("silicon:apple-m2", OLD, asymmetric.declared(asymmetric.m2_native())),
        ("silicon:apple-m2", NEW, asymmetric.declared(asymmetric.normalised())),
        ("emulated:pair", OLD, asymmetric.looked_into(asymmetric.mismatched_native())),
        ("emulated:pair", NEW, asymmetric.looked_into(asymmetric.normalised(mismatched=True))),
    ]
    return result_of([placed(seen, machine, kernel) for machine, kernel, seen in cells])


@cache
def hostile() -> Result:
    """A machine that says everything it can to be taken for markup or a control sequence."""
    machine = MACHINES[2]
    captures = [sample(machine, OLD, release=NASTY), sample(machine, NEW)]
    failures = {
        Cell(machine=f"emulated:{NASTY}", kernel=NEW): Failure(status=Status.MISS, fact=NASTY, evidence=NASTY)
    }
    return result_of(captures, failures)
