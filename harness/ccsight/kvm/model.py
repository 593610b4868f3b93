"""The reference model: what KVM must show of CTR_EL0, CLIDR_EL1 and CCSIDR_EL1, given the physical CPUs.

A model is a function from what is known of the CPUs and from a view (its vantage, its CPU) to the readings
that are right for each register. What cannot be known is left out, never guessed.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping

from ccsight.arm64.caches import Side, listed, minimum_line
from ccsight.arm64.registers import CLIDR_EL1, CTR_EL0, ID_AA64MMFR2_EL1, SELECTORS, ccsidr
from ccsight.evidence.record import Hex
from ccsight.evidence.views import Reading, Vantage, View
from ccsight.kvm.gifts import MTE, Gift, gift
from ccsight.kvm.physical import Physical

GUESTS = (Vantage.GUEST, Vantage.GUEST_EL0, Vantage.GUEST_EL2)
#: For each reading the answers that are right; more than one where the kernel's choice cannot be known.
Expected = Mapping[str, tuple[Reading, ...]]
Model = Callable[[Physical, View], Expected]

#: KVM_GET_ONE_REG carries 32 bits of a CCSIDR_EL1, and so did get_ccsidr() where it was trapped (Linux v6.2).
_U32 = 0xFFFF_FFFF
#: What access_ccsidr() cleared of a data or unified cache: all but the line size and bits 31:28.
_GEOMETRY = 0x0FFF_FFF8
_ENOENT = (Reading(problem="ENOENT"),)
#: The one field of an ID register that is about caches, as a reading of its own.
CCIDX = "ID_AA64MMFR2_EL1.CCIDX"
_CCIDX = ID_AA64MMFR2_EL1.field("CCIDX")


def native(cpus: Physical, view: View) -> Expected:
    """Return what Linux up to v6.2 shows (arch/arm64/kvm/sys_regs.c, asm/kvm_emulate.h)."""
    if view.vantage is Vantage.USERSPACE:
        return _known(_native_userspace(cpus, view))
    if view.vantage not in GUESTS or cpus.mismatched is None:
        return {}
    found = dict(_native_guest(cpus, view.cpu, trapped=cpus.mismatched))
    return _known([("CTR_EL0", found["CTR_EL0"])] if view.vantage is Vantage.GUEST_EL0 else found.items())


def _native_userspace(cpus: Physical, view: View) -> Iterator[tuple[str, Iterable[int] | None]]:
    """CTR and CLIDR are latched when KVM starts, on whichever CPU that was; sizes are the ioctl's CPU's."""
    yield "CTR_EL0", _one(cpus.ctr)
    yield "CLIDR_EL1", cpus.own(None, "CLIDR_EL1")
    yield CCIDX, shown_ccidx(cpus)
    clidr = view.value("CLIDR_EL1")
    if clidr is None:
        return
    selectors = {cache.selector for cache in listed(clidr)}
    for selector in SELECTORS:
        values = [value & _U32 for value in cpus.own(view.cpu, ccsidr(selector))]
        yield ccsidr(selector), values if selector in selectors else None


def _native_guest(
    cpus: Physical, cpu: int | None, *, trapped: bool
) -> Iterator[tuple[str, Iterable[int] | None]]:
    """The guest reads the CPU it runs on; with HCR_EL2.TID2, what KVM makes of it (access_ccsidr())."""
    yield "CTR_EL0", _one(cpus.ctr) if trapped else cpus.own(cpu, "CTR_EL0")
    yield "CLIDR_EL1", cpus.own(cpu, "CLIDR_EL1")
    yield CCIDX, shown_ccidx(cpus)
    for selector in SELECTORS:
        values = cpus.own(cpu, ccsidr(selector))
        yield ccsidr(selector), [trapped_size(selector, value) for value in values] if trapped else values


def shown_ccidx(cpus: Physical) -> set[int]:
    """Return what a guest may be told of the layout: the CPUs' own, or the narrow one.

    Some vendors' v6.1 hide FEAT_CCIDX as newer kernels do (Linux bf48040cd9b0, v6.3).
    """
    own = [_CCIDX.extract(value) for value in cpus.own(None, "ID_AA64MMFR2_EL1")]
    return {0, min(own)} if own else set()


def trapped_size(selector: int, value: int) -> int:
    """Return what a trapped guest of Linux up to v6.2 reads of a size: one set of one way of a data cache."""
    return value & _U32 & ~(0 if selector & 1 else _GEOMETRY)


def normalised(cpus: Physical, view: View) -> Expected:
    """Return what Linux shows since 7af0c2534f4c (v6.3): everything is made of the host's CTR_EL0."""
    if cpus.ctr is None or view.vantage not in (Vantage.USERSPACE, *GUESTS):
        return {}
    ctr: tuple[int, ...] = (cpus.ctr,)
    if view.vantage in GUESTS and cpus.enhanced_traps is not False and not cpus.mismatched:
        # With HCR_EL2.TID4 instead of TID2, CTR_EL0 is not trapped (Linux c876c3f182a5, v6.5).
        own = cpus.own(view.cpu, "CTR_EL0")
        ctr = own if cpus.enhanced_traps else (*own, *ctr)
    found: dict[str, Iterable[int] | None] = {"CTR_EL0": ctr}
    if view.vantage is not Vantage.GUEST_EL0:
        found[CCIDX] = [0]  # hidden: what is made up has the narrow layout (Linux bf48040cd9b0, v6.3)
        found["CLIDR_EL1"] = _fabricated_clidrs(cpus.ctr, gift(view.phase))
        found |= {ccsidr(selector): [fabricated_size(cpus.ctr, selector)] for selector in SELECTORS}
    return _known(found.items())


def _fabricated_clidrs(ctr: int, given: Gift) -> tuple[int, ...]:
    """Return what is right of a VM that was given this: with tags, there were kernels that shifted them."""
    plain = fabricated_clidr(ctr)
    if MTE not in given.takes:
        return (plain,)
    return fabricated_clidr(ctr, mte=True), tags_shifted_as_int(plain)


def tags_shifted_as_int(clidr: int) -> int:
    """Return what became of a made-up CLIDR_EL1 in a VM with MTE before c6c167afa090 (v6.12 and stable).

    ``2 << CLIDR_TTYPE_SHIFT(loc)`` was an int: the CPU shifts a register of 32 bits by 33 or 35 modulo 32,
    and so the tags went into the type of the cache at that level.
    """
    ttype = CLIDR_EL1.field(f"Ttype{CLIDR_EL1.field('LoC').extract(clidr)}")
    return clidr | 2 << ttype.lo % 32


def fabricated_clidr(ctr: int, *, mte: bool = False) -> int:
    """Return the CLIDR_EL1 that KVM makes of the host's CTR_EL0 (reset_clidr()); ``mte``: the VM has it.

    Without IDC one level is enough to say that data must be cleaned; with IDC but not DIC a unified cache
    moves to level 2, to leave room for the instruction cache.
    """
    idc, dic = (CTR_EL0.field(name).extract(ctr) for name in ("IDC", "DIC"))
    level = 2 if idc and not dic else 1
    fields = {"LoC": level}
    if idc:
        fields[f"Ctype{level}"] = 4
        fields |= {} if dic else {"Ctype1": 1}
    else:
        fields |= {"LoUU": 1, "LoUIS": 1, "Ctype1": 2 if dic else 3}
    fields |= {f"Ttype{level}": 2} if mte else {}
    return sum(number << CLIDR_EL1.field(name).lo for name, number in fields.items())


def fabricated_size(ctr: int, selector: int) -> int:
    """Return the CCSIDR_EL1 that KVM makes of the host's CTR_EL0 (get_ccsidr()): a line, nothing else."""
    line = minimum_line(ctr, Side.INSTRUCTION if selector & 1 else Side.DATA)
    return line.bit_length() - 1 - 4


def _one(value: int | None) -> Iterable[int]:
    return () if value is None else (value,)


def _known(found: Iterable[tuple[str, Iterable[int] | None]]) -> Expected:
    """Return values as readings; None is a register that KVM does not have. What has no value is unknown."""
    answers = {name: _ENOENT if values is None else _readings(values) for name, values in found}
    return {name: readings for name, readings in answers.items() if readings}


def _readings(values: Iterable[int]) -> tuple[Reading, ...]:
    return tuple(Reading(value=Hex(value)) for value in dict.fromkeys(values))
