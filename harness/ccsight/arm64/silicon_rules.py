"""Which cores cannot be. Pure: every rule cites what demands it, DDI 0487 being the Arm ARM.

A rule is a function of a core and its base that yields what breaks it. Legal and strange is allowed:
LoC may be less than the number of levels, and larger; levels may have any sides; IDC and DIC are free.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from ccsight.arm64.caches import geometry, listed, minimum_line
from ccsight.arm64.registers import CLIDR_EL1, CTR_EL0, Register, ccsidr
from ccsight.arm64.silicon import Base, Core

#: How many CPUs a machine may have: the GICv3 of the emulated board takes more, a test needs fewer.
CPUS = range(1, 9)


@dataclass(frozen=True)
class Breach:
    """A rule that a row breaks: the key of the row, its value, the rule in words, and what demands it."""

    key: str
    value: str
    rule: str
    demanded_by: str


def breaches(core: Core, base: Base) -> tuple[Breach, ...]:
    """Return every rule that a core on this base breaks, the most basic one first."""
    return tuple(breach for rule in _RULES for breach in rule(core, base))


def machine_breaches(cores: Sequence[Core]) -> tuple[Breach, ...]:
    """Return every rule that cores break as the CPUs of one machine."""
    found = []
    if len(cores) not in CPUS:
        rule = f"a machine has {CPUS[0]} to {CPUS[-1]} CPUs"
        found.append(Breach("cpus", f"{len(cores)} names", rule, "the emulated board"))
    bases = sorted({core.base for core in cores})
    if len(bases) > 1:
        rule = "all cores of a machine have one base"
        found.append(Breach("cpus", ", ".join(bases), rule, "QEMU: all CPUs of a machine are of one model"))
    return tuple(found)


def _ctr(core: Core, base: Base) -> Iterator[Breach]:
    yield from _stray("ctr", core.ctr, CTR_EL0)
    if not core.ctr & CTR_EL0.res1:
        yield _breach("ctr", core.ctr, "bit 31 is 1: RES1", CTR_EL0)
    number = {field.name: field.extract(core.ctr) for field in CTR_EL0.fields}
    if number["L1Ip"] == 1:
        yield _breach("ctr", core.ctr, "L1Ip is not 1: reserved since Armv8", CTR_EL0)
    for name, reserved in (("ERG", {1}), ("CWG", set[int]())):
        if number[name] > 9 or number[name] in reserved:
            yield _breach("ctr", core.ctr, f"{name} is not {number[name]}: reserved", CTR_EL0)
    if number["TminLine"] and not base.mte:
        yield _breach("ctr", core.ctr, f"TminLine needs FEAT_MTE2, which {base.name} lacks", CTR_EL0)


def _clidr(core: Core, base: Base) -> Iterator[Breach]:
    yield from _stray("clidr", core.clidr, CLIDR_EL1)
    ctypes = [CLIDR_EL1.field(f"Ctype{level}").extract(core.clidr) for level in range(1, 8)]
    for level, ctype in enumerate(ctypes, 1):
        if ctype > 4:
            yield _breach("clidr", core.clidr, f"Ctype{level} is not {ctype}: reserved", CLIDR_EL1)
    end = ctypes.index(0) if 0 in ctypes else len(ctypes)
    if any(ctypes[end:]):
        rule = f"there is no cache beyond level {end + 1}, the first without one"
        yield _breach("clidr", core.clidr, rule, CLIDR_EL1)
    if any(CLIDR_EL1.field(f"Ttype{level}").extract(core.clidr) for level in range(1, 8)) and not base.mte:
        yield _breach("clidr", core.clidr, f"Ttype needs FEAT_MTE2, which {base.name} lacks", CLIDR_EL1)


def _levels(core: Core, base: Base) -> Iterator[Breach]:
    loc = CLIDR_EL1.field("LoC").extract(core.clidr)
    for name in ("LoUIS", "LoUU"):
        level = CLIDR_EL1.field(name).extract(core.clidr)
        if level > loc:
            rule = f"{name} is not above LoC: unification is not beyond coherency, {level} > {loc}"
            yield _breach("clidr", core.clidr, rule, CLIDR_EL1)
        if level and base.fwb:
            rule = f"{name} is 0 with FEAT_S2FWB, which {base.name} has"
            yield _breach("clidr", core.clidr, rule, CLIDR_EL1)


def _each_cache_has_a_size(core: Core, base: Base) -> Iterator[Breach]:
    caches = {cache.selector: cache for cache in listed(core.clidr)}
    for selector in sorted(caches.keys() - core.ccsidr.keys()):
        rule = f"every cache that clidr lists has a size here: {caches[selector].name} lacks one"
        yield _breach("clidr", core.clidr, rule, CLIDR_EL1)
    for selector in sorted(core.ccsidr.keys() - caches.keys()):
        yield Breach(
            "ccsidr",
            f"{core.ccsidr[selector]:#x}",
            f"every cache that has a size here is listed by clidr: {ccsidr(selector)} is not",
            _cite("CCSIDR_EL1"),
        )


def _sizes(core: Core, base: Base) -> Iterator[Breach]:
    for cache in listed(core.clidr):
        value = core.ccsidr.get(cache.selector)
        if value is None:
            continue
        key, register = f"ccsidr.{cache.name}", core.layout.register
        if value >> 32 and not core.ccidx:
            yield _breach(key, value, "bits above 31 need ccidx = true: RES0", register)
        yield from _stray(key, value & 0xFFFF_FFFF if not core.ccidx else value, register)
        shape = geometry(value, core.layout)
        if not shape.fits_set_way:
            rule = f"set and way fit into the 32 bits of a set/way operation: {shape} does not"
            yield Breach(key, f"{value:#x}", rule, "DDI 0487 C5.3, DC CISW")
        least = minimum_line(core.ctr, cache.side)
        if shape.line < least:
            rule = f"no line is below the smallest that ctr promises: {shape.line} B < {least} B"
            yield _breach(key, value, rule, CTR_EL0)


def _identity(core: Core, base: Base) -> Iterator[Breach]:
    if core.midr >> 32:
        yield Breach("midr", f"{core.midr:#x}", "bits above 31 are 0: RES0", _cite("MIDR_EL1"))
    if not core.midr >> 24 & 0xFF:
        rule = "the implementer, bits 31:24, is not 0: reserved for software"
        yield Breach("midr", f"{core.midr:#x}", rule, _cite("MIDR_EL1"))
    if core.midr >> 16 & 0xF != 0xF:
        rule = "the architecture, bits 19:16, is 0xf"
        yield Breach("midr", f"{core.midr:#x}", rule, _cite("MIDR_EL1"))


def _features(core: Core, base: Base) -> Iterator[Breach]:
    if core.evt > base.evt:
        rule = f"evt is at most what the base has: {base.name} traps as {base.evt}"
        yield Breach("evt", str(core.evt), rule, "QEMU: a trap cannot be added; HCR_EL2.TID4")
    if base.aarch32 and core.ccidx != base.ccidx:
        rule = f"ccidx is the base's where EL1 has AArch32: {base.name}'s ID_MMFR4_EL1 would contradict"
        yield Breach("ccidx", str(core.ccidx).lower(), rule, "DDI 0487 G8.2, ID_MMFR4.CCIDX")
    if core.dczid is not None and core.dczid != base.dczid:
        rule = f"dczid is the base's: DC ZVA zeroes the blocks of {base.name}, {base.dczid:#x}"
        yield Breach("dczid", f"{core.dczid:#x}", rule, "DDI 0487 D24.2, DCZID_EL0.BS")


_RULES: tuple[Callable[[Core, Base], Iterator[Breach]], ...] = (
    _ctr,
    _clidr,
    _levels,
    _each_cache_has_a_size,
    _sizes,
    _identity,
    _features,
)


def _stray(key: str, value: int, register: Register) -> Iterator[Breach]:
    if stray := value & ~register.mask & ~register.res1:
        yield _breach(key, value, f"bits of no field are 0: RES0, but {stray:#x} is set", register)


def _breach(key: str, value: int, rule: str, register: Register) -> Breach:
    return Breach(key, f"{value:#x}", rule, _cite(register.name))


def _cite(register: str) -> str:
    return f"DDI 0487 D24.2, {register}"
