"""CTR_EL0 as the host's kernel keeps it for all its CPUs, and when it calls them mismatched. Pure.

Linux arch/arm64/kernel/cpufeature.c (ftr_ctr[], arm64_ftr_safe_value()) and cpu_errata.c
(has_mismatched_cache_type()). Registers come in pairs of CTR_EL0 and CLIDR_EL1, CPU by CPU in the order
in which they came up.
"""

from collections.abc import Callable, Sequence

from ccsight.arm64.caches import effective_idc
from ccsight.arm64.registers import CTR_EL0

_VIPT = 2
#: read_cpuid_cachetype() returns a u32: TminLine is neither kept nor compared.
_KEPT = 0xFFFF_FFFF


def _higher_or_zero(one: int, other: int) -> int:
    return max(one, other) if one and other else 0


#: Which of two different values is safe for everybody.
_SAFE: dict[str, Callable[[int, int], int]] = {
    "IminLine": min,
    "L1Ip": lambda one, other: _VIPT,
    "DminLine": min,
    "ERG": _higher_or_zero,
    "CWG": _higher_or_zero,
    "IDC": min,
    "DIC": min,
}
#: The only field that may differ (FTR_NONSTRICT): Linux copes with any instruction cache policy.
_STRICT = _KEPT & ~CTR_EL0.field("L1Ip").mask


def sanitised_ctr(cpus: Sequence[tuple[int, int]]) -> int:
    """Return the host's CTR_EL0: field by field what is safe on every CPU, with each one's effective IDC."""
    first, *others = (_effective(*cpu) for cpu in cpus)
    kept = first & sum(CTR_EL0.field(name).mask for name in _SAFE) | CTR_EL0.res1
    for ctr in others:
        kept = _merged(kept, ctr)
    return kept


def first_mismatch(cpus: Sequence[tuple[int, int]]) -> int | None:
    """Return which CPU is the first that makes the host mismatched (ARM64_MISMATCHED_CACHE_TYPE), or None.

    A CPU is judged before it is merged (secondary_start_kernel()): neither its raw nor its effective
    CTR_EL0 agrees with what those before it have in common.
    """
    for number, (ctr, clidr) in enumerate(cpus[1:], 1):
        kept = sanitised_ctr(cpus[:number]) & _STRICT
        if kept not in (ctr & _STRICT, _effective(ctr, clidr) & _STRICT):
            return number
    return None


def _effective(ctr: int, clidr: int) -> int:
    return ctr & _KEPT | effective_idc(ctr, clidr) << CTR_EL0.field("IDC").lo


def _merged(kept: int, ctr: int) -> int:
    for name, safe in _SAFE.items():
        field = CTR_EL0.field(name)
        one, other = field.extract(kept), field.extract(ctr)
        if one != other:
            kept = kept & ~field.mask | safe(one, other) << field.lo
    return kept
