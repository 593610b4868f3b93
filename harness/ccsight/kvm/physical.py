"""A host's physical CPUs: which are alike, what their registers hold, and what its kernel makes of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from ccsight.arm64.registers import ID_AA64MMFR2_EL1
from ccsight.evidence.views import View
from ccsight.kvm.sanitised import first_mismatch, sanitised_ctr

#: What the kernel's log says where ARM64_MISMATCHED_CACHE_TYPE is set, and where ARM64_HAS_EVT is
#: (Linux c876c3f182a5, v6.5).
MISMATCHED = "Mismatched cache type (CTR_EL0)"
ENHANCED_TRAPS = "Enhanced Virtualization Traps"


@dataclass(frozen=True)
class PhysicalCpu:
    """One CPU: ``registers`` holds what is known of it, from ``source``: ``hardware``, ``declared`` or ""."""

    number: int
    core: str
    midr: int
    revidr: int
    source: str
    registers: Mapping[str, int]

    def alike(self, other: "PhysicalCpu") -> bool:
        """Tell whether nothing that is known sets the two CPUs apart."""
        return self.kind == other.kind and self.registers == other.registers

    @property
    def kind(self) -> tuple[str, int, int]:
        """What core it is, by name and identification registers."""
        return self.core, self.midr, self.revidr


@dataclass(frozen=True)
class Physical:
    """A host's CPUs; what a VMM was ``told`` on each, by number; the features in the kernel's log, if any.

    ``kept_ctr`` is CTR_EL0 as the host's kernel keeps it, where that is known and the CPUs' own are not.
    """

    cpus: tuple[PhysicalCpu, ...]
    told: Mapping[int, View]
    features: tuple[str, ...] | None
    kept_ctr: int | None = None

    def own(self, cpu: int | None, reading: str) -> tuple[int, ...]:
        """Return what a register holds on a CPU, or with None on any; nothing unless all of it is known."""
        cpus = [each for each in self.cpus if cpu is None or each.number == cpu]
        found = {each.registers[reading]: None for each in cpus if reading in each.registers}
        return tuple(found) if all(reading in each.registers for each in cpus) else ()

    def differ(self, one: int | None, other: int | None) -> bool:
        """Tell whether two CPUs are of different kinds; where either is not known, whether any are."""
        cpus = [each for each in self.cpus if each.number in (one, other)]
        pairs = pairwise(cpus if None not in (one, other) else self.cpus)
        return any(not a.alike(b) for a, b in pairs)

    @cached_property
    def ctr(self) -> int | None:
        """CTR_EL0 as the host's kernel keeps it, where that or every CPU's registers are known."""
        return sanitised_ctr(self._cache_types) if self._cache_types else self.kept_ctr

    @cached_property
    def first_mismatch(self) -> int | None:
        """The CPU whose CTR_EL0 does not fit those before it, None where all fit or nothing is known."""
        return first_mismatch(self._cache_types)

    @property
    def mismatched(self) -> bool | None:
        """Whether ARM64_MISMATCHED_CACHE_TYPE is set: as logged, else as CTR_EL0 tells; None if unknown."""
        if self.features is not None:
            return self._logged(MISMATCHED)
        return self.first_mismatch is not None if self._cache_types else None

    @property
    def enhanced_traps(self) -> bool | None:
        """Whether ARM64_HAS_EVT is set: as logged; None if the log is lost, unless a CPU lacks FEAT_EVT."""
        if self.features is not None:
            return self._logged(ENHANCED_TRAPS)
        found = self.own(None, "ID_AA64MMFR2_EL1")
        return None if all(ID_AA64MMFR2_EL1.field("EVT").extract(value) for value in found) else False

    def _logged(self, words: str) -> bool:
        """Tell whether the log has a feature; newer kernels add on which CPUs they found it."""
        return any(feature.startswith(words) for feature in self.features or ())

    @cached_property
    def _cache_types(self) -> list[tuple[int, int]]:
        names = ("CTR_EL0", "CLIDR_EL1")
        if not all(name in cpu.registers for cpu in self.cpus for name in names):
            return []
        return [(cpu.registers["CTR_EL0"], cpu.registers["CLIDR_EL1"]) for cpu in self.cpus]
