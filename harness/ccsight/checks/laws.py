"""Laws: what must hold on any one kernel, the behaviour it is known to have taken into account."""

from collections.abc import Iterator

from ccsight.arm64.caches import Layout, geometry, listed
from ccsight.arm64.registers import CLIDR_EL1, SELECTORS, ccsidr
from ccsight.checks.registry import law, need, need_reading, need_value, need_vcpus
from ccsight.evidence.cases import Finding
from ccsight.evidence.model import Capture
from ccsight.evidence.views import Reading, Vantage, View
from ccsight.kvm.behaviour import observed
from ccsight.kvm.hosts import physical
from ccsight.kvm.known import Difference

_BOTH = (Vantage.USERSPACE, Vantage.GUEST)


@law(
    "CR-001",
    "the guest reads what userspace is told",
    "a VMM saves or checks values that its guest never saw",
)
def guest_view_is_userspace_view(capture: Capture) -> Iterator[Finding]:
    """CTR_EL0, CLIDR_EL1 and every CCSIDR_EL1 index agree between KVM_GET_ONE_REG and the guest's MRS."""
    behaviour, cpus = observed(capture), physical(capture)
    for vcpu in need_vcpus(capture):
        userspace, guest = (need(capture, vantage, vcpu) for vantage in _BOTH)
        for name in ("CTR_EL0", "CLIDR_EL1"):
            need_value(userspace, name)
            need_value(guest, name)
        for name in ("CTR_EL0", "CLIDR_EL1", "ID_AA64MMFR2_EL1", *map(ccsidr, SELECTORS)):
            told, seen = need_reading(userspace, name), need_reading(guest, name)
            if _differ(told, seen):
                yield Finding(
                    subject=name,
                    where=f"vCPU {vcpu}",
                    said=f"userspace gets {_say(told)}, the guest {_say(seen)}",
                    before=_say(told),
                    after=_say(seen),
                    known=behaviour.excuse("CR-001", Difference(name, userspace, guest, cpus)),
                )


def _differ(told: Reading, seen: Reading) -> bool:
    return told.value != seen.value or bool(told.problem) != bool(seen.problem)


def _say(reading: Reading) -> str:
    return reading.problem or f"{reading.value:#x}"


@law(
    "CR-002",
    "every cache that CLIDR_EL1 lists has a CCSIDR_EL1 that can exist",
    "a guest that walks CLIDR_EL1 faults, or sizes its set/way loops by nonsense",
)
def listed_caches_are_described(capture: Capture) -> Iterator[Finding]:
    """Each listed cache's CCSIDR_EL1 can be read, sets no bits outside its fields, and fits DC CISW."""
    for vcpu in need_vcpus(capture):
        for view in (need(capture, vantage, vcpu) for vantage in _BOTH):
            where = f"{view.vantage}, vCPU {vcpu}"
            clidr = need_value(view, "CLIDR_EL1")
            layout = Layout.of(need_value(view, "ID_AA64MMFR2_EL1"))
            for level in range(1, 8):
                ctype = CLIDR_EL1.field(f"Ctype{level}").extract(clidr)
                if ctype > 4:
                    yield Finding(
                        subject=f"CLIDR_EL1.Ctype{level}", where=where, said=f"{ctype} is a reserved value"
                    )
            for cache in listed(clidr):
                problem = _problem(view, ccsidr(cache.selector), layout)
                if problem:
                    yield Finding(subject=cache.name, where=where, said=f"listed by CLIDR_EL1, but {problem}")


def _problem(view: View, name: str, layout: Layout) -> str:
    value = need_reading(view, name).value
    if value is None:
        return f"its {name} cannot be read ({view.readings[name].problem})"
    if stray := value & ~layout.register.mask:
        return f"its {name} {value:#x} sets bits {stray:#x}, which the {layout.value} layout does not have"
    if not geometry(value, layout).fits_set_way:
        return f"its {name} {value:#x} has more sets and ways than a set/way operation can name"
    return ""
