"""Two emulated hosts on a cable, each with another kernel, with QEMU and the probe on both."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from ccsight.deadline import Deadline
from ccsight.evidence.views import Cell
from ccsight.kernels.spec import resolve
from ccsight.machines import initramfs
from ccsight.machines.fittings import Fitting, cable
from ccsight.machines.model import BootOrder
from ccsight.machines.registry import machine
from ccsight.probes import build
from ccsight.probes.live import Setup, Side, bare
from ccsight.probes.runner import placed
from ccsight.probes.vmm import unpacked
from ccsight.toolbox.arm64_qemu import arm64_qemu

#: For all of a test: two hosts boot, and QEMU starts, on a system that may be busy.
LIMIT = 900


@contextlib.contextmanager
def sides(spec: str, kernels: tuple[str, str], layers: list[Path], folder: Path) -> Iterator[dict[str, Side]]:
    """Yield the hosts by their kernels; what the probe says on one is kept below ``folder/KERNEL``."""
    deadline = Deadline(LIMIT)
    with contextlib.ExitStack() as stack:
        found = {}
        for kernel, end in zip(kernels, stack.enter_context(cable()), strict=True):
            keep = folder / kernel
            keep.mkdir()
            fitted = machine(spec).fitted(Fitting(tuple(layers)), end.fitting)
            image = resolve(kernel, deadline, print)
            booted = stack.enter_context(fitted.boot(BootOrder(image, keep / "console.log"), deadline, print))
            end.up(booted.host, deadline)
            probe = stack.enter_context(placed(booted.host, build.built(deadline), deadline, _keeper(keep)))
            found[kernel] = Side(Cell(machine=spec, kernel=kernel), probe, end.address)
        yield found


def _keeper(folder: Path):
    def keep(name: str, raw: bytes) -> None:
        (folder / name).write_bytes(raw)

    return keep


def qemu(series: str) -> Path:
    """Return the layer of a QEMU."""
    deadline = Deadline(LIMIT)
    return initramfs.layer(arm64_qemu(series, deadline, print), f"opt/qemu-{series}", deadline)


def setup(series: str, *capabilities: str, cpu: str = "host") -> Setup:
    """Return a QEMU on our guest."""
    return Setup(unpacked(f"/opt/qemu-{series}"), lambda probe: bare(probe, cpu), capabilities)
