"""A profile as TOML: read strictly, and written.

    schema = 1
    [kernel]             which kernel showed it: spec, release, build-id
    [machine]            where: spec, substrate, emulator
    [capture]            sha256 of the capture that it was made of
    [core.NAME]          a type of CPU: midr, revidr, cpus
    [core.NAME.userspace]    what KVM_GET_ONE_REG said: CTR_EL0, CLIDR_EL1, CCSIDR_EL1, ID_AA64MMFR2_EL1
    [core.NAME.guest]        what the guest read, where that is something else

Whether the values can be is asked elsewhere (``kvm.profile_rules``).
"""

import re
from collections.abc import Iterable, Mapping

import msgspec

from ccsight.arm64.registers import SELECTORS
from ccsight.arm64.suggest import nearest
from ccsight.errors import UsageError
from ccsight.evidence.profile import PROFILE_SCHEMA, CoreProfile, Profile, Shown
from ccsight.evidence.record import Hex
from ccsight.evidence.toml import Reader, Row, quoted

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_LEARN = "make one: ccsight profile capture KERNEL --on MACHINE --out FILE"
_DAMAGED = f"it was altered or cut off; {_LEARN}"


class _Kernel(Row, frozen=True, kw_only=True):
    spec: str
    release: str
    build_id: str


class _Machine(Row, frozen=True, kw_only=True):
    spec: str
    substrate: str
    emulator: str = ""


class _Capture(Row, frozen=True, kw_only=True):
    sha256: str


class _Features(Row, frozen=True, kw_only=True):
    ccidx: int = msgspec.field(name="CCIDX")


class _Whole(Row, frozen=True, kw_only=True):
    ctr: Hex = msgspec.field(name="CTR_EL0")
    clidr: Hex = msgspec.field(name="CLIDR_EL1")
    ccsidr: dict[str, Hex] = msgspec.field(name="CCSIDR_EL1")
    features: _Features = msgspec.field(name="ID_AA64MMFR2_EL1")


class _Differs(Row, frozen=True, kw_only=True):
    ctr: Hex | None = msgspec.field(name="CTR_EL0", default=None)
    clidr: Hex | None = msgspec.field(name="CLIDR_EL1", default=None)
    ccsidr: dict[str, Hex] = msgspec.field(name="CCSIDR_EL1", default_factory=dict)
    features: _Features | None = msgspec.field(name="ID_AA64MMFR2_EL1", default=None)


class _Core(Row, frozen=True, kw_only=True):
    midr: Hex
    revidr: Hex
    cpus: tuple[int, ...]
    values: str = ""
    userspace: dict[str, object]
    guest: dict[str, object] = msgspec.field(default_factory=dict)


class _File(Row, frozen=True, kw_only=True):
    schema: int
    kernel: dict[str, object]
    machine: dict[str, object]
    capture: dict[str, object]
    core: dict[str, dict[str, object]]


def read(text: str, file: str) -> Profile:
    """Return the profile in a text. Raises UsageError naming ``file``, the table, and the nearest key."""
    reader = Reader(file, _DAMAGED)
    document = reader.document(text)
    schema = document.get("schema")
    if schema != PROFILE_SCHEMA:
        raise UsageError(
            f"{file} has schema {schema!r}; this ccsight reads {PROFILE_SCHEMA}"
            if "schema" in document
            else f"{file} is not a profile: it has no schema",
            next_step=f"read it with the ccsight that wrote it, or {_LEARN}",
        )
    top = reader.row(document, _File, file)
    kernel = reader.row(top.kernel, _Kernel, f"{file}: [kernel]")
    machine = reader.row(top.machine, _Machine, f"{file}: [machine]")
    if not top.core:
        raise UsageError(f"{file} is of no type of CPU", next_step=_DAMAGED)
    return Profile(
        kernel=kernel.spec,
        release=kernel.release,
        build_id=kernel.build_id,
        machine=machine.spec,
        substrate=machine.substrate,
        emulator=machine.emulator,
        capture=reader.row(top.capture, _Capture, f"{file}: [capture]").sha256,
        cores=tuple(_core(reader, name, row, f"{file}: [core.{name}]") for name, row in top.core.items()),
    )


def _core(reader: Reader, name: str, table: object, place: str) -> CoreProfile:
    row = reader.row(table, _Core, place)
    told = reader.row(row.userspace, _Whole, f"{place} userspace")
    seen = reader.row(row.guest, _Differs, f"{place} guest")
    userspace = Shown(told.ctr, told.clidr, told.features.ccidx, _sizes(told.ccsidr, place))
    guest = Shown(
        ctr=told.ctr if seen.ctr is None else seen.ctr,
        clidr=told.clidr if seen.clidr is None else seen.clidr,
        ccidx=told.features.ccidx if seen.features is None else seen.features.ccidx,
        ccsidr={**userspace.ccsidr, **_sizes(seen.ccsidr, place)},
    )
    return CoreProfile(name, row.midr, row.revidr, row.cpus, userspace, guest, row.values)


def _sizes(given: Mapping[str, Hex], place: str) -> dict[int, Hex]:
    known = {str(selector): selector for selector in SELECTORS}
    for selector in given:
        if selector not in known:
            raise UsageError(
                f"{place}: CCSIDR_EL1 has no selector {selector!r}",
                evidence=nearest(selector, known),
                next_step="a selector is twice the level less two, and one more for instructions: 0 to 13",
            )
    return {known[selector]: value for selector, value in given.items()}


def write(profile: Profile) -> str:
    """Return a profile as TOML that :func:`read` reads as the same profile."""
    head = [
        f"# What a guest saw of the caches on {profile.machine} under {profile.kernel}.",
        "# Prove it on other kernels: ccsight profile check FILE --kernel KERNEL",
        f"schema = {PROFILE_SCHEMA}",
    ]
    tables = [
        _table("kernel", spec=profile.kernel, release=profile.release, build_id=profile.build_id),
        _table("machine", spec=profile.machine, substrate=profile.substrate, emulator=profile.emulator),
        _table("capture", sha256=profile.capture),
        *(_core_tables(core) for core in profile.cores),
    ]
    return "\n\n".join(["\n".join(head), *tables]) + "\n"


def _table(name: str, **values: str) -> str:
    return "\n".join([f"[{name}]", *(f"{key} = {quoted(value)}" for key, value in values.items())])


def _core_tables(core: CoreProfile) -> str:
    name = f"core.{core.name if _BARE.fullmatch(core.name) else quoted(core.name)}"
    lines = [
        f"[{name}]",
        f"midr = {_hexed(core.midr)}",
        f"revidr = {_hexed(core.revidr)}",
        f"cpus = [{', '.join(map(str, core.cpus))}]",
        *([f"values = {quoted(core.values)}"] if core.values else []),
        "",
        f"[{name}.userspace]",
        *_shown(core.userspace, None),
    ]
    differs = list(_shown(core.guest, core.userspace))
    return "\n".join(lines + (["", f"[{name}.guest]", *differs] if differs else []))


def _shown(shown: Shown, unless: Shown | None) -> Iterable[str]:
    """Yield the lines of a vantage; with ``unless``, those in which it differs from another."""
    if unless is None or shown.ctr != unless.ctr:
        yield f"CTR_EL0 = {_hexed(shown.ctr)}"
    if unless is None or shown.clidr != unless.clidr:
        yield f"CLIDR_EL1 = {_hexed(shown.clidr)}"
    known = unless.ccsidr if unless else {}
    sizes = [f"{n} = {_hexed(value)}" for n, value in sorted(shown.ccsidr.items()) if known.get(n) != value]
    if sizes or unless is None:
        yield f"CCSIDR_EL1 = {{ {', '.join(sizes)} }}"
    if unless is None or shown.ccidx != unless.ccidx:
        yield f"ID_AA64MMFR2_EL1 = {{ CCIDX = {shown.ccidx} }}"


def _hexed(value: int) -> str:
    return f'"{value:#x}"'
