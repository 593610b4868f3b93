"""The VMs that are saved and restored: of what type they are, what they are given, what their guest says.

The guest remembers what it read at first, and goes on wherever its VM is restored.
"""

from dataclasses import dataclass, replace

from ccsight.deadline import Deadline
from ccsight.errors import ProbeError
from ccsight.evidence.migrations import Given
from ccsight.evidence.record import Hex
from ccsight.evidence.views import Reading, Vantage, View
from ccsight.probes import outcome, states
from ccsight.probes.outcome import GIVEN_BACK, Ran
from ccsight.probes.runner import Probe
from ccsight.probes.script import PMU_V3, PSCI_0_2, Results, Script, Step

GUEST = "remember"
PROGRAM = "save"
VCPUS = 2
#: What our VMs are made of, wherever they are saved and restored.
TYPE = states.Type(features=(PSCI_0_2,) * VCPUS, gic=3, guest=GUEST)
#: ... and with a PMU, which QEMU gives to its VMs, where KVM has one, unless it is told not to.
WITH_PMU = replace(TYPE, features=(PSCI_0_2 | PMU_V3,) * VCPUS)
#: KVM_CAP_ARM_PMU_V3 (Linux include/uapi/linux/kvm.h).
_CAP_PMU = 126


@dataclass(frozen=True)
class Capability:
    """What a VMM enables by KVM_ENABLE_CAP, of the VM before it has vCPUs, or of each vCPU."""

    number: int
    argument: int = 0
    each_vcpu: bool = False


def capabilities(number: int) -> tuple[Capability, ...]:
    """Return a capability of which nobody knows whether the VM or each vCPU has it: KVM refuses the other."""
    return Capability(number), Capability(number, each_vcpu=True)


#: Each capability, on which vCPU (None: the VM), and the step that enables it.
Gifts = tuple[tuple[Capability, int | None, Step[outcome.Given]], ...]


def possible(probe: Probe, deadline: Deadline) -> states.Type:
    """Return what VMs are made of here: with a PMU where KVM has one. Raises as ``Probe.script`` does."""
    script = Script()
    script.vm(0)
    asked = script.check(_CAP_PMU)
    script.drop()
    says = probe.script("pmu", script, deadline)[asked].says
    return WITH_PMU if says.value else TYPE


def make(script: Script, cpu: int, capabilities: tuple[Capability, ...], made_of: states.Type) -> Gifts:
    """Make a VM on a physical CPU as every VMM does, and enable what there is."""
    script.pin(cpu)
    script.vm(0)
    given: list[tuple[Capability, int | None, Step[outcome.Given]]] = [
        (each, None, script.give(each.number, each.argument)) for each in capabilities if not each.each_vcpu
    ]
    for vcpu in range(VCPUS):
        script.late_vcpu()
        script.init(vcpu, features=made_of.features[vcpu])
        given += [
            (each, vcpu, script.give_vcpu(vcpu, each.number, each.argument))
            for each in capabilities
            if each.each_vcpu
        ]
    script.gic()
    if made_of == WITH_PMU:
        script.pmu()
    return tuple(given)


def given_of(given: Gifts, results: Results) -> tuple[Given, ...]:
    """Return what came of each capability."""
    return tuple(
        Given(
            number=each.number,
            argument=Hex(each.argument),
            vcpu=vcpu,
            problem=results[step].problem,
        )
        for each, vcpu, step in given
    )


def require_given_back(ran: Ran, vcpu: int) -> None:
    """Raise ProbeError unless the guest ended as it shall before its VM is saved, and behind."""
    if ran.end != GIVEN_BACK:
        raise ProbeError(f"the guest {GUEST} on vCPU {vcpu} does not give control back: {ran.end}")


def view_of(vantage: Vantage, vcpu: int, phase: str, readings: dict[str, Reading]) -> View:
    """Return a view of a VM that moves."""
    return View(vantage=vantage, vcpu=vcpu, program=PROGRAM, phase=phase, readings=readings)
