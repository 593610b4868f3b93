"""Captures of two machines between which VMs went: made of recorded ones of a single machine."""

import msgspec
from recorded import capture

from ccsight.evidence.migrations import Left, Way
from ccsight.evidence.model import Capture
from ccsight.evidence.record import Hex
from ccsight.evidence.views import Cell, Reading

#: Machines that differ in their names only.
HERE, THERE = "emulated:neoverse-n1", "emulated:neoverse-n1,cpus=4"
OLD, NEW = "deb:6.1", "deb:6.12"


def left_from(kernel: str) -> Capture:
    """Return the capture of the machine that VMs leave."""
    return capture("neoverse-n1", kernel.partition(":")[2])


def arrived_on(kernel: str, *odd: Left) -> Capture:
    """Return the capture of the machine where they arrive, all of them: ``odd`` is what else did not.

    VMs of the other kernel end as they did when they were recorded; those of the same one arrive whole.
    """
    found = capture("neoverse-n1", kernel.partition(":")[2])
    own = [each for each in found.restored if each.source.kernel == kernel]
    others = [each for each in found.restored if each.source.kernel != kernel]
    listed = len(found.register_lists[0].ids)
    every = [
        msgspec.structs.replace(each, way=way, listed=listed, left=each.left + odd)
        for each in own
        for way in Way
    ]
    return msgspec.structs.replace(
        found, cell=Cell(machine=THERE, kernel=kernel), restored=(*every, *others), saved=()
    )


def left_behind(kvm_id: int, *, problem: str = "", saved: int = 1, now: int = 2) -> Left:
    """Return a register of vCPU 0 that did not arrive."""
    return Left(
        vcpu=0,
        kvm_id=Hex(kvm_id),
        saved=Reading(value=Hex(saved)),
        problem=problem,
        now=Reading(value=Hex(now)),
    )
