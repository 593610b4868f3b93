"""What a new kernel lets userspace know of the registers that an old one showed, field by field. Pure.

The old kernel is taken to show guests the physical CPU (Linux up to v6.2). What is KNOWN was read, or
follows from what was read by the code of the kernel; what is INFERRED is likely, and has been wrong on real
machines; TABLE is the silicon table's row for this MIDR_EL1; UNKNOWN is not guessed.
"""

from dataclasses import dataclass, field

from ccsight.arm64.caches import Side
from ccsight.arm64.registers import CTR_EL0, ID_AA64MMFR2_EL1, ccsidr
from ccsight.arm64.silicon import Core
from ccsight.kvm.guess_table import contradictions, from_table
from ccsight.kvm.guesses import Guess, Leaf, Seen, Sure

_FIELDS = ("LineSize", "Associativity", "NumSets")
_SIDES = {Side.INSTRUCTION: 1, Side.DATA: 2, Side.UNIFIED: 4}
#: Fields of CTR_EL0 in which CPUs that are not mismatched agree (ftr_ctr[], FTR_STRICT).
_STRICT = ("IminLine", "DminLine", "ERG", "CWG", "DIC")
_VIPT = 2


@dataclass
class _Book:
    """The guesses so far, by place."""

    seen: Seen
    found: dict[str, Guess] = field(default_factory=dict)

    def note(self, place: tuple[str, str], value: int | None, sure: Sure, why: str) -> None:
        guess = Guess(*place, value, Sure.UNKNOWN if value is None else sure, why)
        self.found[guess.place] = guess

    def value(self, place: str) -> int | None:
        guess = self.found.get(place)
        return guess.value if guess else None


def guess(seen: Seen, row: Core | None = None) -> tuple[Guess, ...]:
    """Return a guess for each field of CTR_EL0, CLIDR_EL1, each CCSIDR_EL1 and ID_AA64MMFR2_EL1.CCIDX.

    ``row`` is what the silicon table has for this MIDR_EL1; one that contradicts what is known is left out.
    """
    book = _Book(seen)
    _ctr(book)
    _ctypes(book)
    _unification(book)
    _coherency(book)
    _tags(book)
    _features(book)
    _sizes(book)
    found = tuple(book.found.values())
    if row is None or contradictions(seen, found, row):
        return found
    return tuple(from_table(found, seen, row))


def _ctr(book: _Book) -> None:
    seen = book.seen
    for each in CTR_EL0.fields:
        place = ("CTR_EL0", each.name)
        if seen.mismatched and seen.kept_ctr is not None:
            book.note(
                place, each.extract(seen.kept_ctr), Sure.KNOWN, "trapped: the host's own, as KVM says it"
            )
        elif seen.raw_ctr is not None:
            book.note(place, each.extract(seen.raw_ctr), Sure.KNOWN, "read, untrapped")
        elif seen.kept_ctr is None:
            book.note(place, None, Sure.UNKNOWN, "KVM did not say its CTR_EL0")
        else:
            book.note(place, *_raw(seen, each.name, each.extract(seen.kept_ctr)))


def _raw(seen: Seen, name: str, kept: int) -> tuple[int | None, Sure, str]:
    """Return a field of the CPU's own CTR_EL0, given the one that the host's kernel keeps for all."""
    sure = Sure.KNOWN if seen.mismatched is False else Sure.INFERRED
    if name in _STRICT:
        return kept, sure, "as KVM says it: CPUs that are not mismatched agree (ftr_ctr[])"
    if name == "IDC" and not kept:
        return 0, sure, "KVM says 0, and raises it only (read_cpuid_effective_cachetype())"
    if name == "IDC":
        return None, Sure.UNKNOWN, "KVM says 1: of the CPU, or made of its CLIDR_EL1"
    if name == "L1Ip":
        same = seen.alike or kept != _VIPT
        why = "as KVM says it" if same else "VIPT is what the kernel says where CPUs differ"
        return (kept, sure, why) if same else (None, Sure.UNKNOWN, why)
    if seen.mte is not False:
        return None, Sure.UNKNOWN, "the kernel keeps 32 bits of CTR_EL0, and FEAT_MTE2 is not ruled out"
    return 0, Sure.INFERRED, "the kernel's log has no FEAT_MTE2"


def _ctypes(book: _Book) -> None:
    leaves = book.seen.leaves
    if leaves is None:
        for level in range(1, 8):
            book.note(("CLIDR_EL1", f"Ctype{level}"), None, Sure.UNKNOWN, "no cache folder in sysfs")
        return
    sides = {leaf.level: 0 for leaf in leaves}
    for leaf in leaves:
        sides[leaf.level] |= _SIDES[leaf.side]
    certain = max((level for level, ctype in sides.items() if ctype != _SIDES[Side.UNIFIED]), default=0)
    for level in range(1, 8):
        book.note(("CLIDR_EL1", f"Ctype{level}"), *_ctype(sides.get(level, 0), level, certain))


def _ctype(ctype: int, level: int, certain: int) -> tuple[int | None, Sure, str]:
    """Return the type of a level.

    Where firmware tells how many levels there are, sysfs has that many (fetch_cache_info()): the types are
    CLIDR_EL1's as far as it goes (populate_cache_leaves()), the others unified; or some of its are missing.
    """
    if not ctype:
        return 0, Sure.INFERRED, "not in sysfs; firmware may have left it out"
    if level <= certain:
        return ctype, Sure.KNOWN, "I and D sides come from CLIDR_EL1, and every level below them"
    if level == certain + 1 == 2:
        return ctype, Sure.INFERRED, "mostly CLIDR_EL1's; firmware may have added it"
    return None, Sure.UNKNOWN, "in sysfs; CLIDR_EL1's or added by firmware, which sysfs does not tell"


def _unification(book: _Book) -> None:
    seen, idc = book.seen, CTR_EL0.field("IDC")
    fwb = seen.features is not None and ID_AA64MMFR2_EL1.field("FWB").extract(seen.features)
    value, why = None, "not in sysfs"
    if fwb:
        value, why = 0, "FEAT_S2FWB demands 0 (DDI 0487, CLIDR_EL1)"
    elif seen.kept_ctr is not None and idc.extract(seen.kept_ctr):
        value, why = 0, "nothing needs cleaning to the point of unification: KVM's CTR_EL0.IDC is 1"
    elif seen.kept_ctr is not None:
        value, why = 1, "LoUU or LoUIS is not 0 where KVM's CTR_EL0.IDC is 0; mostly both are 1"
    for name in ("LoUIS", "LoUU"):
        book.note(("CLIDR_EL1", name), value, Sure.INFERRED, why)


def _coherency(book: _Book) -> None:
    ctypes = [book.value(f"CLIDR_EL1.Ctype{level}") for level in range(1, 8)]
    if None in ctypes:
        why = "not in sysfs; mostly the number of CLIDR_EL1's levels, which is not known"
        book.note(("CLIDR_EL1", "LoC"), None, Sure.UNKNOWN, why)
    else:
        why = "not in sysfs; mostly the number of levels"
        book.note(("CLIDR_EL1", "LoC"), sum(map(bool, ctypes)), Sure.INFERRED, why)
    book.note(("CLIDR_EL1", "ICB"), None, Sure.UNKNOWN, "not in sysfs, and nothing follows from it")


def _tags(book: _Book) -> None:
    for level in range(1, 8):
        place = ("CLIDR_EL1", f"Ttype{level}")
        if book.seen.mte is False:
            book.note(place, 0, Sure.INFERRED, "the kernel's log has no FEAT_MTE2")
        else:
            book.note(place, None, Sure.UNKNOWN, "not in sysfs, and FEAT_MTE2 is not ruled out")


def _features(book: _Book) -> None:
    features, ccidx = book.seen.features, ID_AA64MMFR2_EL1.field("CCIDX")
    place = ("ID_AA64MMFR2_EL1", "CCIDX")
    if features is not None and ccidx.extract(features):
        book.note(place, ccidx.extract(features), Sure.KNOWN, "KVM says it")
    else:
        book.note(place, None, Sure.UNKNOWN, "KVM says 0 whatever the CPU has (bf48040cd9b0, v6.11)")


def _sizes(book: _Book) -> None:
    for leaf in book.seen.leaves or ():
        register = ccsidr(leaf.number)
        there = book.value(f"CLIDR_EL1.Ctype{leaf.level}") is not None
        for name, value in zip(_FIELDS, _numbers(leaf), strict=True):
            if not there:
                why = "whether CLIDR_EL1 lists this cache is not known"
                book.note((register, name), None, Sure.UNKNOWN, why)
            elif book.seen.mismatched and leaf.side is not Side.INSTRUCTION and name != "LineSize":
                book.note((register, name), 0, Sure.KNOWN, "trapped: one set of one way (access_ccsidr())")
            else:
                why = (
                    "sysfs has firmware's word for it, not the register's"
                    if value is not None
                    else "not told"
                )
                book.note((register, name), value, Sure.INFERRED, why)
        why = "no meaning since Armv8.3, and not in sysfs; part of NumSets with FEAT_CCIDX"
        book.note((register, "UNKNOWN"), None, Sure.UNKNOWN, why)


def _numbers(leaf: Leaf) -> tuple[int | None, ...]:
    line = None if leaf.line is None else leaf.line.bit_length() - 5
    return line, *(None if count is None else count - 1 for count in (leaf.ways, leaf.sets))
