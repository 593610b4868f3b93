"""What stands in a VM's way to another machine: of the caches, and of all else. Pure.

Cores differ in many registers. Which values of the caches a VMM has to choose is one question; whether it has
to hide features, or another core altogether, is another, which no cache register answers.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from ccsight.arm64.kvm_ids import name
from ccsight.arm64.registers import ID_AA64MMFR2_EL1, Field, base_name, in_short
from ccsight.checks.migration import Moved
from ccsight.evidence.migrations import Left
from ccsight.evidence.views import Vantage

_CACHES = frozenset({"CTR_EL0", "CLIDR_EL1", "CCSIDR_EL1", "CSSELR_EL1"})
_CCIDX = ID_AA64MMFR2_EL1.field("CCIDX")
#: The registers that have it: the other is AArch32's name for the same.
_FIELDS = {ID_AA64MMFR2_EL1.name: _CCIDX, "ID_MMFR4_EL1": Field("CCIDX", 27, 24, _CCIDX.meaning)}
#: Where a finding is from that a guest noticed.
BY_GUESTS = frozenset(map(str, (Vantage.GUEST, Vantage.GUEST_EL0)))


@dataclass(frozen=True)
class Hurdles:
    """What does not arrive, or is noticed, in short words; "" where there is nothing."""

    caches: str
    others: str


def hurdles(moved: Moved) -> Hurdles:
    """Return what stands in the way of one state at its destination."""
    caches: dict[str, dict[str, None]] = {}
    others: dict[str, dict[str, None]] = {}
    for subject, why, is_cache in _all(moved):
        (caches if is_cache else others).setdefault(why, {})[subject] = None
    return Hurdles(_said(caches), _said(others))


def _said(found: dict[str, dict[str, None]]) -> str:
    return "; ".join(f"{in_short(names)} {why}" for why, names in found.items())


def _all(moved: Moved) -> Iterator[tuple[str, str, bool]]:
    """Yield each register, why it is in the way, and whether that is about caches."""
    named = {name(left.kvm_id) for left in moved.left}
    for left in sorted(moved.left, key=lambda left: left.kvm_id):
        why = left.problem or ("not listed there" if left.unlisted else "reads otherwise")
        yield name(left.kvm_id), why, of_caches(left)
    for finding in moved.findings:
        register = finding.subject.partition(".")[0]
        if finding.where in BY_GUESTS and register not in named:
            yield register, "noticed by the guest", seen_of_caches(finding.subject)


def of_caches(left: Left) -> bool:
    """Tell whether a register is about caches; one that has CCIDX is where that does not arrive.

    Where nobody knows what the destination has there, it is.
    """
    register = base_name(name(left.kvm_id))
    field = _FIELDS.get(register)
    if field is None:
        return register in _CACHES
    before, now = left.saved.value, left.now.value if left.now else None
    return before is None or now is None or field.extract(before) != field.extract(now)


def seen_of_caches(subject: str) -> bool:
    """Tell whether what a guest notices is about caches: a register of theirs, or CCIDX of another."""
    register, _, field = subject.partition(".")
    return base_name(register) in _CACHES or field == _CCIDX.name
