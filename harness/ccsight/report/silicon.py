"""Machines of the silicon table, as pages and as JSON: in a list, and one of them in full."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ccsight.arm64.caches import geometry, human_size, listed
from ccsight.arm64.registers import REGISTERS, Register, base_name
from ccsight.arm64.silicon import Base, Core, Override, SiliconMachine
from ccsight.evidence.model import SCHEMA
from ccsight.evidence.record import Hex, to_json
from ccsight.report.blocks import Block, Flow, Grid, Line, Page, Spans, Tone, grid, line, spans
from ccsight.report.decoded import brief
from ccsight.report.hierarchy import draw

#: Fields that say nothing while they are zero.
_QUIET = ("Ctype", "Ttype", "TminLine", "ICB")
_TONES = {"published": Tone.GOOD, "partial": Tone.PLAIN, "computed": Tone.CAUTION}


@dataclass(frozen=True)
class CacheFacts:
    """One cache: name, bytes, shape."""

    name: str
    size: int
    ways: int
    sets: int
    line: int


@dataclass(frozen=True)
class CoreFacts:
    """One kind of core of a machine: which CPUs are of it, and what they are made to read."""

    name: str
    title: str
    cpus: tuple[int, ...]
    values: str
    source: str
    caches: tuple[CacheFacts, ...]
    registers: dict[str, Hex]


@dataclass(frozen=True)
class MachineFacts:
    """A machine of the table."""

    spec: str
    title: str
    note: str
    base: str
    cores: tuple[CoreFacts, ...]


def facts(spec: str, machine: SiliconMachine) -> MachineFacts:
    """Return what the table says of a machine, for JSON."""
    cores = tuple(_core_facts(core, cpus) for core, cpus in _distinct(machine))
    return MachineFacts(spec, machine.title, machine.note, machine.base, cores)


def _core_facts(core: Core, cpus: tuple[int, ...]) -> CoreFacts:
    caches = []
    for cache in listed(core.clidr):
        shape = geometry(core.ccsidr[cache.selector], core.layout)
        caches.append(CacheFacts(cache.name, shape.size, shape.ways, shape.sets, shape.line))
    registers = {name: Hex(override.value) for name, override in core.overrides().items()}
    return CoreFacts(core.name, core.title, cpus, core.values, core.source, tuple(caches), registers)


def _distinct(machine: SiliconMachine) -> Iterator[tuple[Core, tuple[int, ...]]]:
    """Yield each core once, with the numbers of the CPUs that are of it."""
    for core in dict.fromkeys(core.name for core in machine.cores):
        cpus = tuple(number for number, each in enumerate(machine.cores) if each.name == core)
        yield machine.cores[cpus[0]], cpus


def list_document(specs: Sequence[str], machines: Sequence[SiliconMachine]) -> bytes:
    """Return what ``ccsight machines --json`` prints: every spec, and what the table says of its machines."""
    rows = [facts(f"silicon:{machine.name}", machine) for machine in machines]
    return to_json({"schema": SCHEMA, "machines": list(specs), "silicon": rows})


def list_page(specs: Sequence[str], machines: Sequence[SiliconMachine]) -> Page:
    """Return the page of ``ccsight machines``."""
    silicon = {f"silicon:{machine.name}": machine for machine in machines}
    models, named = (
        [spans((spec, Tone.STRONG)) for spec in specs if spec not in silicon and (":" in spec) is whole]
        for whole in (True, False)
    )
    title = line("This machine (local), and those of your inventory:")
    standing = (title, Flow((spans(" "), *named), hang=5), Line())
    rows = [row for spec, machine in silicon.items() for row in _list_rows(spec, machine)]
    return (
        *(standing if named else ()),
        line("QEMU's own models, with the caches that QEMU gives them:"),
        Flow((spans(" "), *models), hang=5),
        Line(),
        line("Machines whose CPUs read the cache registers of real cores:"),
        grid(rows, fixed=1),
        Line(),
        Flow(
            (spans("one in full: ccsight machines show NAME"), spans("boot it: ccsight compare --on MACHINE"))
        ),
    )


def _list_rows(spec: str, machine: SiliconMachine) -> Iterator[tuple[Spans, ...]]:
    head = spec
    for core, cpus in _distinct(machine):
        sizes = [f"{each.name} {human_size(each.size)}" for each in _core_facts(core, cpus).caches]
        yield (
            spans((head, Tone.STRONG)),
            spans(f"{len(cpus)} × {core.title}"),
            spans("  ".join(sizes)),
            spans((core.values, _TONES[core.values])),
        )
        head = ""


def show_document(spec: str, machine: SiliconMachine) -> bytes:
    """Return what ``ccsight machines show --json`` prints."""
    return to_json({"schema": SCHEMA, "machine": facts(spec, machine)})


def show_page(spec: str, machine: SiliconMachine, base: Base) -> Page:
    """Return the page of one machine: each kind of core drawn, and its registers taken apart."""
    about = [("put on", _base_words(base)), *([("note", machine.note)] if machine.note else [])]
    page: list[Block] = [line((spec, Tone.STRONG), f"  {machine.title}"), _about(about)]
    for core, cpus in _distinct(machine):
        page += [Line(), line((f"CPU {', '.join(map(str, cpus))}: {core.title}", Tone.STRONG))]
        page.append(_about([("values", core.values), ("source", core.source)]))
        page += [*draw(core), _registers(core)]
    page += [Line(), line(f"rows to start from: ccsight machines show {spec} --toml")]
    return tuple(page)


def _about(rows: Sequence[tuple[str, str]]) -> Grid:
    return grid([(spans((label, Tone.DIM)), spans(text)) for label, text in rows])


def _base_words(base: Base) -> str:
    found = [
        ("AArch32 at EL1", base.aarch32),
        ("VHE", base.vhe),
        ("CCIDX", base.ccidx),
        ("MTE", base.mte),
        ("FEAT_S2FWB", base.fwb),
        (f"EVT {base.evt}" if base.evt else "EVT", base.evt),
    ]
    has, lacks = ([name for name, there in found if bool(there) is wanted] for wanted in (True, False))
    words = [f"has {', '.join(has)}"] if has else []
    words += [f"no {', '.join(lacks)}"] if lacks else []
    return f"QEMU's {base.name}: {'; '.join(words)}"


def _registers(core: Core) -> Grid:
    rows = [
        (_title(core, name), override.value, _says(core, name, override))
        for name, override in core.overrides().items()
        if base_name(name) != "CCSIDR2_EL1"  # CCSIDR_EL1 has shown it: its upper half, for AArch32
    ]
    if not core.shows_midr:
        rows.append(("MIDR_EL1", core.midr, "not shown: the host reads the base's"))
    return grid(
        [(spans((name, Tone.STRONG)), spans(f"{value:#010x}"), spans(says)) for name, value, says in rows],
        fixed=2,
    )


def _title(core: Core, reading: str) -> str:
    caches = {f"CCSIDR_EL1[{cache.selector}]": cache.name for cache in listed(core.clidr)}
    return f"{reading} {caches[reading]}" if reading in caches else reading


def _says(core: Core, reading: str, override: Override) -> str:
    """Return the fields of an overridden register in words."""
    name, value = base_name(reading), override.value
    if name == "MIDR_EL1":
        revision = f"r{value >> 20 & 0xF}p{value & 0xF}"
        return f"implementer {value >> 24:#x}  part {value >> 4 & 0xFFF:#x}  {revision}"
    if name not in REGISTERS:
        return ""
    register = core.layout.register if name == "CCSIDR_EL1" else REGISTERS[name]
    return "  ".join(_fields(register, override))


def _fields(register: Register, override: Override) -> Iterator[str]:
    for field in register.fields:
        is_quiet = field.name.startswith(_QUIET) and not field.extract(override.value)
        if field.mask & override.mask and not is_quiet:
            yield f"{field.name} {brief(register, field, override.value)}"


def model_document(spec: str, base: Base | None) -> bytes:
    """Return what ``ccsight machines show emulated:MODEL --json`` prints."""
    return to_json({"schema": SCHEMA, "machine": spec, "base": base})


def model_page(spec: str, base: Base | None) -> Page:
    """Return the page of one of QEMU's own models: what is known of it without a boot."""
    known = _base_words(base) if base else "the silicon table has no row of it"
    return (
        line((spec, Tone.STRONG)),
        _about([("known", known), ("caches", "those that QEMU gives it; a boot reads them")]),
        Line(),
        line(f"boot kernels on it: ccsight compare --on {spec}"),
    )
