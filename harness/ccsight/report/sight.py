"""What one capture saw of one vCPU, and of the physical CPUs below it."""

from ccsight.arm64.caches import Layout, listed
from ccsight.arm64.registers import ccsidr
from ccsight.evidence.model import Capture
from ccsight.evidence.views import Reading, Vantage, View
from ccsight.kvm.hosts import whole

#: What the silicon table makes a CPU say: a source beside the vantages, which nobody observed.
DECLARED = "declared"


class Sight:
    """What one capture saw of one vCPU: the first view of each vantage."""

    def __init__(self, capture: Capture, vcpu: int) -> None:
        self.views: dict[Vantage, View] = {}
        self.hardware = {view.cpu: view for view in capture.views if view.vantage is Vantage.HARDWARE}
        self.declared = {row.cpu: row.registers for row in capture.machine.declared}
        for view in capture.launch:
            if view.vcpu == vcpu:
                self.views.setdefault(view.vantage, view)

    def reading(self, vantage: Vantage, name: str) -> Reading | None:
        """Return a reading, or None where the vantage did not look or the register was not read."""
        view = self.views.get(vantage)
        return view.readings.get(name) if view else None

    def value(self, vantage: Vantage, name: str) -> int | None:
        """Return a value, or None where there is none."""
        reading = self.reading(vantage, name)
        return reading.value if reading else None

    def physical(self, source: str, name: str) -> dict[int, int]:
        """Return what the CPUs hold by one source, by their numbers."""
        if source == DECLARED:
            return {cpu: registers[name] for cpu, registers in self.declared.items() if name in registers}
        found = {cpu: view.value(name) for cpu, view in self.hardware.items() if cpu is not None}
        return {cpu: value for cpu, value in found.items() if value is not None}

    def layout_of(self, source: str, cpu: int) -> Layout:
        """Return the layout of CCSIDR_EL1 on a CPU, by one source."""
        if source == DECLARED:
            return Layout.of(whole(self.declared.get(cpu, {})).get("ID_AA64MMFR2_EL1", 0))
        return Layout.of(self.physical(source, "ID_AA64MMFR2_EL1").get(cpu, 0))

    @property
    def layout(self) -> Layout:
        """The layout of CCSIDR_EL1 that the guest is told."""
        return Layout.of(self.value(Vantage.GUEST, "ID_AA64MMFR2_EL1") or 0)

    def lists(self, name: str) -> bool:
        """Tell whether the guest's CLIDR_EL1 lists the cache of a CCSIDR_EL1 reading."""
        caches = listed(self.value(Vantage.GUEST, "CLIDR_EL1") or 0)
        return name in {ccsidr(cache.selector) for cache in caches}
