"""What decides on a write to a cache register: what was there before, and how the kernel took other writes.

Which registers a kernel lets a VMM change is read off the writes themselves, never off its version.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from ccsight.arm64 import kvm_ids
from ccsight.arm64.registers import CTR_EL0, ID_AA64MMFR2_EL1, Register
from ccsight.evidence.views import (
    LAUNCH,
    PINNED,
    RAN,
    UNINITIALISED,
    UNREADABLE,
    Evidence,
    Reading,
    Vantage,
    View,
    Write,
)

PROGRAM = "writes"

#: What a VMM may lower of a VM's CTR_EL0 (Linux 2843cae26644, v6.11: .val of its ID_WRITABLE()).
LOWERABLE = sum(CTR_EL0.field(name).mask for name in ("IDC", "DIC", "IminLine", "DminLine"))
#: Later kernels let a PIPT cache be called VIPT, and look at the policy first (set_ctr_el0()).
POLICY, VIPT = CTR_EL0.field("L1Ip"), 2
_NV = ID_AA64MMFR2_EL1.field("NV")


@dataclass(frozen=True)
class Written:
    """What decides on a write: what was read before any, which sizes KVM lists, what other writes showed."""

    views: Mapping[tuple[Vantage, int | None], View]
    selectors: frozenset[int]
    writes: tuple[Write, ...]

    def before(self, vantage: Vantage, write: Write) -> Reading | None:
        """Return what a VM that nobody wrote to shows of the register on the write's CPU; None if unknown."""
        view = self.views.get((vantage, write.cpu)) or self.views.get((vantage, None))
        return view.readings.get(write.name) if view else None

    def told(self, write: Write) -> int | None:
        """Return the register's value for userspace before the write."""
        reading = self.before(Vantage.USERSPACE, write)
        return None if reading is None else reading.value

    @cached_property
    def ctr(self) -> int | None:
        """CTR_EL0 as the host's kernel keeps it: a VM starts with it."""
        views = [view for (vantage, _), view in self.views.items() if vantage is Vantage.USERSPACE]
        return views[0].value("CTR_EL0") if views else None

    @cached_property
    def lowers_ctr(self) -> bool | None:
        """Whether the kernel takes a lowered CTR_EL0; None where nobody tried."""
        tried = [
            not write.problem
            for write, told in self._changes("CTR_EL0")
            if write.phase != RAN and is_lowered(CTR_EL0, told, write.value, LOWERABLE)
        ]
        return any(tried) if tried else None

    @cached_property
    def writes_policy(self) -> bool | None:
        """Whether the kernel takes another instruction cache policy; None where nobody tried VIPT alone."""
        tried = [
            not write.problem
            for write, told in self._changes("CTR_EL0")
            if write.phase != RAN and write.value == told & ~POLICY.mask | VIPT << POLICY.lo
        ]
        return any(tried) if tried else None

    @cached_property
    def lowered_features(self) -> int:
        """The bits of ID_AA64MMFR2_EL1 in whose fields a lower number was taken."""
        taken = [
            changed_fields(ID_AA64MMFR2_EL1, told, stands_for(self, write))
            for write, told in self._changes("ID_AA64MMFR2_EL1")
            if not write.problem
        ]
        return _union(taken)

    @cached_property
    def fixed_features(self) -> int:
        """The bits of ID_AA64MMFR2_EL1 in whose fields, changed alone, a lower number was refused."""
        alone = [
            field.mask
            for write, told in self._changes("ID_AA64MMFR2_EL1")
            for field in ID_AA64MMFR2_EL1.fields
            if write.problem
            and write.phase != RAN
            and is_lowered(ID_AA64MMFR2_EL1, told, write.value, field.mask)
        ]
        return _union(alone)

    @cached_property
    def busy(self) -> bool:
        """Whether ID_AA64MMFR2_EL1 is refused with EBUSY after the first KVM_RUN (set_id_reg(), v6.5)."""
        changes = self._changes("ID_AA64MMFR2_EL1")
        return any(write.phase == RAN and write.problem == "EBUSY" for write, _ in changes)

    def _changes(self, name: str) -> list[tuple[Write, int]]:
        """Return the writes of other values to a register by its own id, each with the value before."""
        own = [write for write in self.writes if write.name == name and _is_plain(write)]
        known = [(write, told) for write in own if (told := self.told(write)) is not None]
        return [(write, told) for write, told in known if write.value != told]


def written(capture: Evidence) -> Written:
    """Return what decides on the writes that there are."""
    views: dict[tuple[Vantage, int | None], View] = {}
    for view in capture.views:
        if view.phase in (LAUNCH, PINNED):
            views.setdefault((view.vantage, view.cpu), view)
    ids = capture.register_lists[0].ids if capture.register_lists else ()
    selectors = {kvm_ids.ccsidr_selector(kvm_id) for kvm_id in ids} - {None}
    return Written(
        views,
        frozenset(selector for selector in selectors if selector is not None),
        tuple(write for write in capture.writes if write.program == PROGRAM),
    )


def stands_for(host: Written, write: Write) -> int:
    """Return the value that a write asks for: without NV, where a kernel takes that but does not keep it.

    KVM showed it to all guests, and takes the host's own back without a word (set_id_aa64mmfr2_el1()).
    """
    told = host.told(write)
    if write.name != "ID_AA64MMFR2_EL1" or write.problem or told is None or told & _NV.mask:
        return write.value
    kept = write.value & ~_NV.mask
    return kept if write.after.value == kept else write.value


def _is_plain(write: Write) -> bool:
    """Tell whether a write reached its register: by its id, from readable memory, in an initialised vCPU."""
    return write.kvm_id is None and write.phase not in (UNINITIALISED, UNREADABLE)


def is_lowered(register: Register, before: int, after: int, mask: int) -> bool:
    """Tell whether nothing outside the mask changed, and no field rose."""
    if (before ^ after) & ~mask:
        return False
    fields = (field.mask for field in register.fields if field.mask & mask)
    return all(after & bits <= before & bits for bits in fields)


def changed_fields(register: Register, before: int, after: int) -> int:
    """Return the bits of all fields that differ."""
    return _union(field.mask for field in register.fields if field.mask & (before ^ after))


def _union(masks: Iterable[int]) -> int:
    found = 0
    for mask in masks:
        found |= mask
    return found
