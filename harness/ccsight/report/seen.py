"""Every register of every view of a capture, each view once: views that saw the same are one."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from ccsight.arm64.caches import Layout
from ccsight.evidence.model import Capture
from ccsight.evidence.views import Vantage, View
from ccsight.kvm.hosts import cpu_list
from ccsight.report.decoded import Decoded, decode_reading

#: What a vantage is called in a heading.
SAYS = {
    Vantage.HARDWARE: "host kernel (MRS)",
    Vantage.USERSPACE: "userspace (KVM_GET_ONE_REG)",
    Vantage.GUEST: "guest (MRS at EL1)",
    Vantage.GUEST_EL0: "guest (MRS at EL0)",
    Vantage.GUEST_EL2: "guest (MRS at EL2)",
    Vantage.GUEST_AARCH32: "guest (AArch32)",
}


@dataclass(frozen=True)
class Register:
    """One reading of a view: a value or a problem, taken apart where its fields are known."""

    name: str
    said: str
    decoded: Decoded | None


@dataclass(frozen=True)
class Seen:
    """What one vantage saw, of all vCPUs and in all phases that agree, on the CPUs where it looked."""

    vantage: str
    place: str
    program: str
    phase: str
    registers: tuple[Register, ...]


def seen(capture: Capture) -> Iterator[Seen]:
    """Yield each view once, with all the vCPUs and phases of which it is true."""
    layout = Layout.of(next((view.value("ID_AA64MMFR2_EL1") or 0 for view in capture.launch), 0))
    left = list(capture.views)
    while left:
        first = left[0]
        same = [view for view in left if _alike(view, first)]
        left = [view for view in left if not _alike(view, first)]
        yield Seen(
            vantage=SAYS[first.vantage],
            place=_place(same),
            program=first.program,
            phase=", ".join(dict.fromkeys(view.phase for view in same)),
            registers=tuple(_registers(first, layout)),
        )


def _place(views: list[View]) -> str:
    vcpus = dict.fromkeys(str(view.vcpu) for view in views if view.vcpu is not None)
    numbers = {view.cpu for view in views if view.cpu is not None}
    return ", ".join([f"vCPU {', '.join(vcpus)}"] * bool(vcpus) + [cpu_list(numbers)] * bool(numbers))


def _alike(view: View, other: View) -> bool:
    return (view.vantage, view.program, view.readings) == (other.vantage, other.program, other.readings)


#: A capture has the same few values in hundreds of views.
_decoded = lru_cache(maxsize=1 << 12)(decode_reading)


def _registers(view: View, layout: Layout) -> Iterator[Register]:
    for name, reading in view.readings.items():
        if reading.value is None:
            yield Register(name, reading.problem, None)
        else:
            yield Register(name, f"{reading.value:#x}", _decoded(name, reading.value, layout))
