"""The largest cache configuration that every machine of a fleet takes, and why it is no larger. Pure.

For kernels since v6.11 (2843cae26644), where a VMM may lower CTR_EL0 and choose the rest; each rule names the
function of the kernel that demands it, and is a row of ``_RULES``. What refuses it all the same is told by
:func:`refusals_of`.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from ccsight.arm64.caches import Cache, Geometry, Layout, Side, effective_idc, geometry, listed, minimum_line
from ccsight.arm64.registers import CLIDR_EL1, CTR_EL0, Field, ccsidr
from ccsight.evidence.profile import Shown
from ccsight.evidence.record import Hex
from ccsight.kvm.sanitised import sanitised_ctr
from ccsight.kvm.written import LOWERABLE, POLICY, VIPT

_IDC = CTR_EL0.field("IDC")
#: Bits that set_clidr() refuses (CLIDR_EL1_RES0).
_CLIDR_RES0 = (1 << 64) - (1 << 47)
_U32 = 0xFFFF_FFFF


@dataclass(frozen=True)
class Host:
    """One type of CPU of one machine: CTR_EL0 as its kernel keeps it, all else as the CPU has it."""

    name: str
    ctr: int
    shown: Shown


@dataclass(frozen=True)
class Note:
    """A field that is not the same on all hosts, or not what they have: what was chosen, and why."""

    place: str
    chosen: str
    why: str
    source: str


@dataclass(frozen=True)
class Common:
    """What a fleet has in common, and how it came to that."""

    shown: Shown
    notes: tuple[Note, ...]


@dataclass(frozen=True)
class Refused:
    """A value that a host's kernel does not take, by which function."""

    reading: str
    why: str
    source: str


def common(hosts: Sequence[Host], *, keep_ccidx: bool = False) -> Common:
    """Return the largest configuration that all hosts have, at least one host given.

    With ``keep_ccidx`` CCIDX stays where all have it: kernels since bf48040cd9b0 (v6.11) refuse that.
    """
    ccidx = min(host.shown.ccidx for host in hosts) if keep_ccidx else 0
    draft = Common(Shown(Hex(0), Hex(0), ccidx, {}), ())
    for rule in _RULES:
        draft = rule(hosts, draft)
    return draft


def _ctr(hosts: Sequence[Host], draft: Common) -> Common:
    """Field by field what is safe on every host: the same that a kernel does for its own CPUs."""
    value = sanitised_ctr([(host.ctr, _NEVER_EFFECTIVE) for host in hosts])
    notes = tuple(
        Note(
            f"CTR_EL0.{each.name}",
            str(each.extract(value)),
            _each(hosts, each),
            "arm64_ftr_safe_value(), set_id_reg()",
        )
        for each in CTR_EL0.fields
        if len({each.extract(host.ctr) for host in hosts}) > 1
    )
    return Common(replace(draft.shown, ctr=Hex(value)), draft.notes + notes)


#: A CLIDR_EL1 of which nothing follows for IDC: a host's CTR_EL0 has its effective one already.
_NEVER_EFFECTIVE = CLIDR_EL1.field("LoC").mask | CLIDR_EL1.field("LoUU").mask


def _each(hosts: Sequence[Host], each: Field) -> str:
    return ", ".join(f"{host.name} {each.extract(host.ctr)}" for host in hosts)


def _features(hosts: Sequence[Host], draft: Common) -> Common:
    """CCIDX is 0 unless all have it and it was asked for: its sizes do not even fit KVM's ids."""
    ccidx = draft.shown.ccidx
    if ccidx == max(host.shown.ccidx for host in hosts):
        return draft
    why = ", ".join(f"{host.name} {host.shown.ccidx}" for host in hosts)
    source = "arm64_check_features(); hidden from all guests since bf48040cd9b0"
    note = Note("ID_AA64MMFR2_EL1.CCIDX", str(ccidx), why, source)
    return Common(draft.shown, (*draft.notes, note))


def _clidr(hosts: Sequence[Host], draft: Common) -> Common:
    """The levels that all have alike, nearest first; as much maintenance as the neediest one wants."""
    values = [host.shown.clidr for host in hosts]
    shared = _shared_levels(values)
    fields = {f"Ctype{level}": _number(values[0], f"Ctype{level}") for level in range(1, shared + 1)}
    for name in ("LoC", "LoUU", "LoUIS"):
        fields[name] = min(max(_number(value, name) for value in values), max(shared, 1))
    for name in ("ICB", *(f"Ttype{level}" for level in range(1, shared + 1))):
        found = {_number(value, name) for value in values}
        fields[name] = found.pop() if len(found) == 1 else 0
    notes = list(_clidr_notes(hosts, fields))
    if not all(_IDC.extract(host.ctr) for host in hosts) and effective_idc(0, _packed(fields)):
        fields |= {"LoC": max(fields["LoC"], 1), "LoUU": 1, "LoUIS": 1}
        why = "a host whose CTR_EL0.IDC is 0 takes no CLIDR_EL1 that needs no cleaning"
        notes.append(Note("CLIDR_EL1.LoUU, LoUIS", "1", why, "set_clidr()"))
    return Common(replace(draft.shown, clidr=Hex(_packed(fields))), (*draft.notes, *notes))


def _shared_levels(values: Sequence[int]) -> int:
    """Return to which level all values of CLIDR_EL1 list the same caches."""
    for level in range(1, 8):
        found = {_number(value, f"Ctype{level}") for value in values}
        if len(found) > 1 or not any(found):
            return level - 1
    return 7


def _clidr_notes(hosts: Sequence[Host], fields: dict[str, int]) -> Iterator[Note]:
    for each in CLIDR_EL1.fields:
        found = {host.name: each.extract(host.shown.clidr) for host in hosts}
        if len(set(found.values())) > 1:
            why = ", ".join(f"{name} {number}" for name, number in found.items())
            yield Note(f"CLIDR_EL1.{each.name}", str(fields.get(each.name, 0)), why, "set_clidr()")


def _number(clidr: int, name: str) -> int:
    return CLIDR_EL1.field(name).extract(clidr)


def _packed(fields: dict[str, int]) -> int:
    return sum(number << CLIDR_EL1.field(name).lo for name, number in fields.items())


def _sizes(hosts: Sequence[Host], draft: Common) -> Common:
    """Of each cache that all have the smallest, with lines no shorter than any host's CTR_EL0 promises."""
    sizes: dict[int, Hex] = {}
    notes = list(draft.notes)
    for cache in sorted(listed(draft.shown.clidr), key=lambda each: each.selector):
        shapes = {host.name: _shape(host, cache) for host in hosts}
        smallest = min(shapes.values(), key=lambda shape: shape.size)
        least = max(minimum_line(host.ctr, cache.side) for host in hosts)
        line = max(min(shape.line for shape in shapes.values()), least)
        shape = Geometry(line, smallest.ways, max(smallest.sets * smallest.line // line, 1))
        sizes[cache.selector] = _encoded(shape, draft.shown.layout)
        fits = geometry(sizes[cache.selector], draft.shown.layout)
        if len({*shapes.values(), fits}) > 1:
            why = ", ".join(f"{name} {each}" for name, each in shapes.items())
            notes.append(Note(ccsidr(cache.selector), str(fits), why, "set_ccsidr()"))
    return Common(replace(draft.shown, ccsidr=sizes), tuple(notes))


def _shape(host: Host, cache: Cache) -> Geometry:
    return geometry(host.shown.ccsidr[cache.selector], host.shown.layout)


def _encoded(shape: Geometry, layout: Layout) -> Hex:
    """Return a CCSIDR_EL1; what does not fit its fields is the largest that does."""
    numbers = {
        "LineSize": shape.line.bit_length() - 5,
        "Associativity": shape.ways - 1,
        "NumSets": shape.sets - 1,
    }
    fields = {name: layout.register.field(name) for name in numbers}
    fitting = {name: min(number, fields[name].extract(-1)) for name, number in numbers.items()}
    return Hex(sum(number << fields[name].lo for name, number in fitting.items()))


#: In this order: each rule stands on what those before it chose.
_RULES: tuple[Callable[[Sequence[Host], Common], Common], ...] = (_ctr, _features, _clidr, _sizes)


def refusals_of(shown: Shown, host: Host) -> tuple[Refused, ...]:
    """Return what a host's kernel since v6.11 does not take of a configuration."""
    return (*_ctr_refusals(shown, host), *_cache_refusals(shown, host))


def _ctr_refusals(shown: Shown, host: Host) -> Iterator[Refused]:
    for each in CTR_EL0.fields:
        mine, wanted = each.extract(host.ctr), each.extract(shown.ctr)
        place = f"CTR_EL0.{each.name}"
        if wanted != mine and not each.mask & LOWERABLE:
            later = "; VIPT is taken since e9b57d7f9740, v6.13" if (each, wanted) == (POLICY, VIPT) else ""
            why = f"{wanted} is not the host's {mine}, and fixed{later}"
            yield Refused(place, why, "set_id_reg(), 2843cae26644")
        elif wanted > mine:
            yield Refused(place, f"{wanted} is more than the host's {mine}", "arm64_check_features()")


def _cache_refusals(shown: Shown, host: Host) -> Iterator[Refused]:
    if shown.clidr & _CLIDR_RES0:
        yield Refused("CLIDR_EL1", "bits 63:47 are not 0", "set_clidr()")
    if effective_idc(0, shown.clidr) and not _IDC.extract(host.ctr):
        why = "LoC, or LoUU and LoUIS, are 0, and the host's CTR_EL0.IDC is 0"
        yield Refused("CLIDR_EL1", why, "set_clidr()")
    for selector, value in shown.ccsidr.items():
        least = minimum_line(host.ctr, Side.INSTRUCTION if selector & 1 else Side.DATA)
        line = geometry(value & _U32, Layout.NARROW).line
        if line < least:
            yield Refused(
                ccsidr(selector), f"lines of {line} B, the host's smallest is {least} B", "set_ccsidr()"
            )
    if shown.ccidx:
        yield Refused("ID_AA64MMFR2_EL1.CCIDX", "1, which KVM hides", "set_id_reg(), bf48040cd9b0")


def native_refusals(shown: Shown, host: Host) -> tuple[Refused, ...]:
    """Return what a host's kernel up to v6.2 does not take: whatever is not its own."""
    own = host.shown.readings() | {"CTR_EL0": Hex(host.ctr)}
    found = []
    for name, value in shown.readings().items():
        mine = own.get(name)
        source = "demux_c15_set()" if name.startswith("CCSIDR") else "set_invariant_sys_reg()"
        kept = _U32 if name.startswith("CCSIDR") else -1
        if mine is None or mine & kept != value & kept:
            said = (
                "no such cache" if mine is None else f"{value & kept:#x} is not the host's {mine & kept:#x}"
            )
            found.append(Refused(name, said, source))
    return tuple(found)
