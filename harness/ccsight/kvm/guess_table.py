"""What the silicon table has to say to a guess: the row of a MIDR_EL1 that contradicts nothing known."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from ccsight.arm64.registers import CLIDR_EL1, CTR_EL0, ccsidr
from ccsight.arm64.silicon import Core
from ccsight.kvm.guesses import Guess, Seen, Sure


def contradictions(seen: Seen, found: tuple[Guess, ...], row: Core) -> tuple[str, ...]:
    """Return the known fields for which a row of the silicon table says something else.

    Where guests were trapped, what is known of CTR_EL0 and of sizes is not the CPU's own.
    """
    said = fields_of(row)
    known = [each for each in found if each.sure is Sure.KNOWN]
    own = [each for each in known if not seen.mismatched or each.register == "CLIDR_EL1"]
    return tuple(each.place for each in own if said.get(each.place) != each.value)


def row_for(midr: int, rows: Iterable[Core]) -> Core | None:
    """Return the row of exactly this MIDR_EL1, else that of another revision of the part, else None."""
    known = list(rows)
    for mask in (0xFFFF_FFFF, 0xFF00_FFF0):
        for row in known:
            if row.midr & mask == midr & mask:
                return row
    return None


def fields_of(core: Core) -> dict[str, int]:
    """Return each field of a core's registers by place, as a guest reads them where nothing is trapped."""
    found = {f"CTR_EL0.{each.name}": each.extract(core.ctr) for each in CTR_EL0.fields}
    found |= {f"CLIDR_EL1.{each.name}": each.extract(core.clidr) for each in CLIDR_EL1.fields}
    found["ID_AA64MMFR2_EL1.CCIDX"] = int(core.ccidx)
    for selector, value in core.ccsidr.items():
        fields = core.layout.register.fields
        found |= {f"{ccsidr(selector)}.{each.name}": each.extract(value) for each in fields}
    return found


def from_table(found: tuple[Guess, ...], seen: Seen, row: Core) -> Iterator[Guess]:
    """Yield the guesses; what is not known is the row's, except sizes for which firmware has a word."""
    said = fields_of(row)
    why = f"the silicon table's {row.name}, whose values are {row.values}"
    if row.midr != seen.midr:
        why = f"{why}; of another revision, MIDR_EL1 {row.midr:#x}"
    for each in found:
        sized = each.register.startswith("CCSIDR") and each.sure is Sure.INFERRED
        if each.sure is Sure.KNOWN or sized or each.place not in said:
            yield each
        else:
            yield replace(each, value=said[each.place], sure=Sure.TABLE, why=why)
    guessed = {each.place for each in found}
    for place in [place for place in said if place not in guessed]:  # sizes that sysfs does not tell
        register, _, name = place.partition(".")
        yield Guess(register, name, said[place], Sure.TABLE, why)
