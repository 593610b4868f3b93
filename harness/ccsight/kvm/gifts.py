"""What a VM may be given that must not change its caches, as rows: memory tags (MTE), EL2, both. Pure.

KVM says by a capability whether it has something to give; then it is enabled for the VM, or asked for as
a feature of each vCPU. A new one is a new row.
"""

from dataclasses import dataclass

#: The phase of the view that has what KVM says of each capability.
ASKED = "asked"


@dataclass(frozen=True)
class Capability:
    """One of KVM's, by its number; ``feature`` are the bits of KVM_ARM_VCPU_INIT that ask for it.

    Without any it is asked for by KVM_ENABLE_CAP.
    """

    name: str
    number: int
    feature: int = 0


#: Numbers and bits of Linux include/uapi/linux/kvm.h and arch/arm64/include/uapi/asm/kvm.h. Since v6.16
#: (KVM_CAP_ARM_EL2) a vCPU may have EL2; it has HCR_EL2.E2H set for good unless E2H0 is asked for, too.
MTE = Capability("KVM_CAP_ARM_MTE", 205)
EL2 = Capability("KVM_CAP_ARM_EL2", 240, feature=1 << 7)
E2H0 = Capability("KVM_CAP_ARM_EL2_E2H0", 241, feature=1 << 8)
CAPABILITIES = (MTE, EL2, E2H0)


@dataclass(frozen=True)
class Gift:
    """What a VM is given; its views have ``phase``. Nothing is given to the one that others are held to."""

    phase: str
    says: str
    takes: tuple[Capability, ...] = ()

    @property
    def features(self) -> int:
        """The bits for KVM_ARM_VCPU_INIT."""
        return sum(capability.feature for capability in self.takes)

    @property
    def enabled(self) -> tuple[Capability, ...]:
        """What must be enabled for the VM before it has vCPUs."""
        return tuple(capability for capability in self.takes if not capability.feature)

    @property
    def has_el2(self) -> bool:
        """Whether its guest is entered at EL2."""
        return EL2 in self.takes


NOTHING = Gift("given-nothing", "nothing")
OTHERS = (
    Gift("given-mte", "MTE", (MTE,)),
    Gift("given-el2", "EL2", (EL2,)),
    Gift("given-el2-e2h0", "EL2 without E2H", (EL2, E2H0)),
    Gift("given-mte-el2", "MTE and EL2", (MTE, EL2)),
)
GIFTS = (NOTHING, *OTHERS)
_BY_PHASE = {gift.phase: gift for gift in GIFTS}


def gift(phase: str) -> Gift:
    """Return what the VM of a phase was given: nothing in all that are not about it."""
    return _BY_PHASE.get(phase, NOTHING)
