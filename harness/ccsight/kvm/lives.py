"""Which lives of vCPUs are observed: of VMs of some sizes, with and without values that a VMM has written.

A life begins with a VM whose boot vCPU runs, while the others wait powered off. Then come the moments, one
after the other; behind each of them userspace and the guest look at every vCPU.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from ccsight.evidence.views import BEFORE, LIFE, Vantage

#: How many vCPUs the VMs are made with.
SIZES = (1, 2, 8)
#: The most that there can be, with those that come late.
MOST = 8

#: What a VMM writes to vCPU 0 before it runs, and what to the VM beside. No CPU has such caches, and
#: kernels that let a VMM choose take them: lines of 256 bytes, LoC and LoUIS that promise nothing.
OVERRIDES = {"CLIDR_EL1": 0x0C200923, "CCSIDR_EL1[0]": 0x0007E01C, "CCSIDR_EL1[2]": 0x007FE03C}
BESIDE = {"CLIDR_EL1": 0x0B200123, "CCSIDR_EL1[0]": 0x0003E01C, "CCSIDR_EL1[2]": 0x003FE03C}

#: Where the values of one vCPU are unlike those of another: CLIDR_EL1.ICB, CCSIDR_EL1.NumSets.
_OWN = {"CLIDR_EL1": 30, "CCSIDR_EL1[0]": 13, "CCSIDR_EL1[2]": 13}


def overrides(vcpu: int) -> dict[str, int]:
    """Return what a VMM writes to a vCPU: to each something else, so that none can stand for another."""
    return {name: value ^ vcpu << _OWN[name] for name, value in OVERRIDES.items()}


def was_reset(moment: str, vcpu: int) -> bool:
    """Tell whether a vCPU was reset since its values were written: by CPU_ON, or by KVM_ARM_VCPU_INIT."""
    if moment == BEFORE:
        return False
    return vcpu > 0 or LIFE.index(moment) >= LIFE.index("re-init")


@dataclass(frozen=True)
class Life:
    """The life of a VM of one size; with or without what a VMM has written."""

    size: int
    overridden: bool

    @property
    def program(self) -> str:
        """What its views and writes go by: ``life-8-overridden``."""
        return f"life-{self.size}" + "-overridden" * self.overridden

    @property
    def moments(self) -> tuple[str, ...]:
        """The moments of this life, in their order, from that before all others on."""
        impossible = {"cpu-on", "cpu-off-on"} if self.size == 1 else set()
        impossible |= {"late"} if self.size == MOST else set()
        return (BEFORE, *(moment for moment in LIFE if moment not in impossible))

    def vcpus(self, moment: str) -> range:
        """Return the vCPUs that there are at a moment."""
        return range(self.size + (moment == "late"))

    def places(self) -> Iterator[tuple[Vantage, str, int]]:
        """Yield from where, when and of which vCPU there is a view; before CPU_ON the guest is on one."""
        for moment in self.moments:
            for vcpu in self.vcpus(moment):
                yield Vantage.USERSPACE, moment, vcpu
                if moment != BEFORE or vcpu == 0:
                    yield Vantage.GUEST, moment, vcpu
                    yield Vantage.GUEST_EL0, moment, vcpu
