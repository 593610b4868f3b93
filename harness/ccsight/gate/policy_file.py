"""A policy as TOML, read strictly. ``EXAMPLE`` has every key with what it means.

What names nothing is refused with the nearest that there is: keys, checks, fields, outcomes, VMMs ...
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from ccsight.arm64.kvm_ids import known as known_registers
from ccsight.arm64.registers import REGISTERS, base_name
from ccsight.arm64.suggest import nearest
from ccsight.checks import AGREEMENTS, COMPARISONS, CROSSINGS, LAWS, LAWS_ON_REQUEST, RULES, TRIALS
from ccsight.checks.migration import STRATEGIES
from ccsight.checks.predicates import Predicate, parse
from ccsight.errors import UsageError
from ccsight.evidence.decision import Kind
from ccsight.evidence.model import Substrate
from ccsight.evidence.toml import Reader
from ccsight.gate import policy_rows as rows
from ccsight.gate.policy import Demand, KernelName, Member, Policy, Wanted
from ccsight.gate.waivers import Waiver
from ccsight.kvm.vmms import VMMS, Outcome

POLICY_SCHEMA = 1
#: The example that ``ccsight gate --example`` prints.
EXAMPLE = Path(__file__).with_name("example.toml")
#: What may be required of the new kernel, and what says that it is not met.
REQUIRABLE = sorted(LAWS | LAWS_ON_REQUEST | AGREEMENTS | TRIALS | RULES)
#: Outcomes of each thing that is asked for, worst first.
WORDS: Mapping[Kind, tuple[str, ...]] = {
    Kind.LAUNCH: ("differs", "same"),
    Kind.UPGRADE: tuple(Outcome),
    Kind.ROLLBACK: tuple(Outcome),
    Kind.CROSSING: tuple(Outcome),
    Kind.REGISTERS: ("changed", "shrank", "grew", "same"),
    Kind.LAYOUT: ("contradicts", "changes", "same"),
}
#: What a waiver's direction is of.
_CHECKS = {
    "CR-009": Kind.LAUNCH,
    "CR-007": Kind.UPGRADE,
    "CR-008": Kind.ROLLBACK,
    "CR-020": Kind.CROSSING,
    "CR-014": Kind.REGISTERS,
    "CR-015": Kind.LAYOUT,
}
_LEARN = "see how it is written: ccsight gate --example"
_BUILD_ID = "build-id:"
_LEAST_DIGITS = 7


def read(text: str, file: str) -> Policy:
    """Return the policy in a text. Raises UsageError naming ``file``, the table, and the nearest."""
    reader = Reader(file, _LEARN)
    document = reader.document(text)
    if document.get("schema") != POLICY_SCHEMA:
        has = f"schema {document['schema']!r}" if "schema" in document else "no schema"
        raise UsageError(f"{file} has {has}; this ccsight reads {POLICY_SCHEMA}", next_step=_LEARN)
    top = reader.row(document, rows.File, file)
    kernels = reader.row(top.kernels, rows.Kernels, f"{file}: [kernels]")
    evidence = reader.row(top.evidence, rows.Evidence, f"{file}: [evidence]")
    laws = reader.row(top.laws, rows.Laws, f"{file}: [laws]")
    launch = reader.row(top.launch, rows.Launch, f"{file}: [launch]")
    ways = {
        kind: reader.row(table, rows.Moves, f"{file}: [{kind}]")
        for kind, table in ((Kind.UPGRADE, top.upgrade), (Kind.ROLLBACK, top.rollback))
    }
    fleet = _fleet(reader, top.machines, evidence)
    return Policy(
        file=file,
        old=_kernel(kernels.old, file),
        new=_kernel(kernels.new, file, other=kernels.old),
        fleet=fleet,
        wanted=_wanted(evidence, f"{file}: [evidence]"),
        laws=_laws(laws.must_pass, f"{file}: [laws]"),
        predicates=tuple(_predicate(each, f"{file}: [laws]") for each in laws.predicates),
        demands={
            Kind.LAUNCH: _demand(launch, Kind.LAUNCH, f"{file}: [launch]"),
            **{kind: _moves(way, kind, f"{file}: [{kind}]") for kind, way in ways.items()},
            **dict(_more(reader, top)),
        },
        baseline=launch.baseline,
        waivers=_waivers(reader, top.waiver, [member.name for member in fleet]),
    )


def _kernel(text: str, file: str, other: str = "") -> KernelName:
    build_id = text.removeprefix(_BUILD_ID).lower() if text.startswith(_BUILD_ID) else ""
    if text.startswith(_BUILD_ID) and (
        len(build_id) < _LEAST_DIGITS or set(build_id) - {*"0123456789abcdef"}
    ):
        fact = f"{file}: [kernels] {text!r} is no build-id: at least {_LEAST_DIGITS} hex digits"
        raise UsageError(fact, next_step=_LEARN)
    if not text or text == other:
        fact = "the old and the new kernel are the same" if text else "a kernel has no name"
        raise UsageError(f"{file}: [kernels] {fact}", next_step=_LEARN)
    return KernelName(text, build_id)


def _fleet(reader: Reader, machines: Mapping[str, object], evidence: rows.Evidence) -> tuple[Member, ...]:
    found: list[Member] = []
    for name, table in machines.items():
        place = f"{reader.file}: [machines.{name}]"
        row = reader.row(table, rows.Machine, place)
        if not row.specs and not row.cores:
            raise UsageError(f"{place} names no specs and no cores", next_step=_LEARN)
        least = _substrate(row.substrate or evidence.substrate, place)
        found.append(Member(name, row.specs, row.cores, least))
    specs = [spec for member in found for spec in member.specs]
    twice = sorted({spec for spec in specs if specs.count(spec) > 1})
    if twice or not found:
        fact = f"{twice[0]} is of two [machines]" if twice else "no [machines] are named"
        raise UsageError(f"{reader.file}: {fact}", next_step=_LEARN)
    return tuple(found)


def _substrate(word: str, place: str) -> Substrate:
    known = [each for each in Substrate if each is not Substrate.UNKNOWN]
    return Substrate(_one_of(word, known, f"{place}: there is no substrate"))


def _wanted(row: rows.Evidence, place: str) -> Wanted:
    for key, number in (("observations", row.observations), ("max_age", row.max_age)):
        if number < 1:
            raise UsageError(f"{place}: {key} is {number}; at least 1", next_step=_LEARN)
    return Wanted(row.observations, row.max_age, row.control)


def _laws(given: str | Sequence[str], place: str) -> tuple[str, ...]:
    if given == "all":
        return ()
    if isinstance(given, str) or not given:
        fact = f'{place}: must_pass is "all", or a list of checks, not {given!r}'
        raise UsageError(fact, next_step=_LEARN)
    for check in given:
        if check in COMPARISONS | CROSSINGS:
            fact = f"{place}: {check} is a comparison: it has an outcome, and passes nothing"
            raise UsageError(fact, next_step=f"say what is accepted in [{_CHECKS[check]}]")
        _one_of(check, REQUIRABLE, f"{place}: there is no law")
    return tuple(dict.fromkeys(given))


def _predicate(text: str, place: str) -> Predicate:
    found = parse(text)
    if found.files:
        fact = f"{place}: a predicate of a policy names no files: {text}"
        raise UsageError(fact, next_step="what a launch shows is held by [launch] baseline = true")
    return found


def _demand(row: rows.Launch | rows.Moves | rows.Compared, kind: Kind, place: str) -> Demand:
    words = WORDS[kind]
    if isinstance(row.accept, str):
        accepted = _at_worst(row.accept, words, place)
    else:
        accepted = frozenset(_one_of(word, words, f"{place}: there is no outcome") for word in row.accept)
    fields = {_field(field, place): _at_worst(word, words, place) for field, word in row.fields.items()}
    for field, allowed in fields.items():
        whole = f"name {field.partition('.')[0]}"
        if "." in field and kind is Kind.REGISTERS:
            raise UsageError(f"{place}: KVM lists registers, not fields: {field}", next_step=whole)
        if "." in field and {Outcome.REFUSED, Outcome.LOSSY} & allowed:
            fact = f"{place}: KVM refuses registers, not fields: {field}"
            raise UsageError(fact, next_step=f"{whole}, or accept visible at worst")
    return Demand(accepted, fields, asked=row.asked)


def _more(reader: Reader, top: rows.File) -> Iterator[tuple[Kind, Demand]]:
    """Yield what is asked for where there is a table of it."""
    if top.crossing is not None:
        place = f"{reader.file}: [{Kind.CROSSING}]"
        yield Kind.CROSSING, _moves(reader.row(top.crossing, rows.Moves, place), Kind.CROSSING, place)
    for kind, table in ((Kind.REGISTERS, top.registers), (Kind.LAYOUT, top.layout)):
        if table is not None:
            place = f"{reader.file}: [{kind}]"
            yield kind, _demand(reader.row(table, rows.Compared, place), kind, place)


def _moves(row: rows.Moves, kind: Kind, place: str) -> Demand:
    demand = _demand(row, kind, place)
    names = [vmm.name for vmm in VMMS]
    vmms = tuple(_one_of(vmm, names, f"{place}: there is no VMM") for vmm in row.vmms)
    ways = tuple(_one_of(way, STRATEGIES, f"{place}: there is no strategy") for way in row.strategies)
    return Demand(demand.accepted, demand.fields, vmms, ways, asked=demand.asked)


def _at_worst(word: str, words: Sequence[str], place: str) -> frozenset[str]:
    """Return an outcome and all that are better."""
    return frozenset(words[words.index(_one_of(word, words, f"{place}: there is no outcome")) :])


def _field(text: str, place: str) -> str:
    """Return what names a register, one reading of it, or a field of either."""
    register, _, field = text.partition(".")
    _one_of(register, [*known_registers(), *REGISTERS], f"{place}: there is no register")
    base = REGISTERS.get(base_name(register))
    if field:
        names = [each.name for each in base.fields] if base else []
        _one_of(field, names, f"{place}: {register} has no field")
    return text


def _one_of(word: str, known: Iterable[str], fact: str) -> str:
    names = list(map(str, known))
    if word not in names:
        raise UsageError(f"{fact} {word!r}", evidence=nearest(word, names), next_step=_LEARN)
    return word


def _waivers(reader: Reader, tables: Iterable[object], machines: Sequence[str]) -> tuple[Waiver, ...]:
    found: dict[str, Waiver] = {}
    for number, table in enumerate(tables, 1):
        row = reader.row(table, rows.Waiver, f"{reader.file}: [[waiver]] {number}")
        place = f"{reader.file}: waiver {row.id}"
        empty = [key for key in ("id", "reason", "owner") if not getattr(row, key).strip()]
        if empty or row.id in found:
            fact = f"has no {empty[0]}" if empty else "is there twice"
            raise UsageError(f"{place} {fact}", next_step=_LEARN)
        _one_of(row.check, [*REQUIRABLE, *_CHECKS], f"{place}: there is no check")
        if row.field:
            _field(row.field, place)
        if row.machine:
            _one_of(row.machine, machines, f"{place}: the policy has no machine")
        if row.direction and row.direction != _CHECKS.get(row.check):
            known = [_CHECKS[row.check]] if row.check in _CHECKS else []
            evidence = f"that of {row.check} is {known[0]}" if known else f"{row.check} is of no direction"
            raise UsageError(
                f"{place}: the direction is {row.direction!r}", evidence=evidence, next_step=_LEARN
            )
        found[row.id] = Waiver(**{key: getattr(row, key) for key in row.__struct_fields__})
    return tuple(found.values())
