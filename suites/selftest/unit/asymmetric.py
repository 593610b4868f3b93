"""Captures of machines with CPUs of two kinds, made of recorded ones: what each CPU shows is set by hand."""

from collections.abc import Mapping, Sequence

import msgspec
from recorded import STREAMS, capture, lived, odd, writes

from ccsight.arm64.kvm_ids import of_ccsidr
from ccsight.evidence.model import Capture, Cpu, Declared
from ccsight.evidence.record import Hex
from ccsight.evidence.views import CARRIED, FRESH, HOST, LAUNCH, MOVED, PINNED, Reading, Vantage, View, Write
from ccsight.kvm.pairs import carried
from ccsight.kvm.written import PROGRAM
from ccsight.probes import sweep
from ccsight.probes.hardware import views as hardware_views
from ccsight.probes.stream import parse

SIZES = tuple(f"CCSIDR_EL1[{selector}]" for selector in range(14))
GET, GUEST, EL0 = Vantage.USERSPACE, Vantage.GUEST, Vantage.GUEST_EL0
MISMATCHED = ("GIC system register CPU interface", "Mismatched cache type (CTR_EL0)")

#: Apple M2: other caches on each cluster, the same CTR_EL0; LoUU and LoUIS are 0, so IDC is in effect.
BLIZZARD = {"CTR_EL0": 0x8444C004, "CLIDR_EL1": 0x81000023, "L1D": 0x700FE03A, "L1I": 0x203FE01A}
AVALANCHE = {"CTR_EL0": 0x8444C004, "CLIDR_EL1": 0x81000023, "L1D": 0x701FE03A, "L1I": 0x203FE02A}
BLIZZARD |= {"L2": 0x70FFE07B}
AVALANCHE |= {"L2": 0x73FFE07B}
#: A pair whose CTR_EL0 do not match: the second one promises IDC, the first one does not keep it.
PLAIN = {"CTR_EL0": 0x84448004, "CLIDR_EL1": 0x0A200023, "L1D": 0x700FE01A, "L1I": 0x200FE01A}
EAGER = {"CTR_EL0": 0x9444C004, "CLIDR_EL1": 0x0A200023, "L1D": 0x701FE01A, "L1I": 0x201FE01A}
PLAIN |= {"L2": 0x703FE01A}
EAGER |= {"L2": 0x707FE03A}

#: RK3588, as in the silicon table.
CORTEX_A55 = {"CTR_EL0": 0x84448004, "CLIDR_EL1": 0xC3000123, "L1D": 0x700FE01A, "L1I": 0x200FE01A}
CORTEX_A76 = {"CTR_EL0": 0x9444C004, "CLIDR_EL1": 0xC3000123, "L1D": 0x701FE01A, "L1I": 0x201FE01A}
CORTEX_A55 |= {"L2": 0x703FE01A, SIZES[4]: 0x70FFE07A}
CORTEX_A76 |= {"L2": 0x707FE03A, SIZES[4]: 0x70FFE07A}

_NAMES = {"L1D": SIZES[0], "L1I": SIZES[1], "L2": SIZES[2]}
_BIG_LITTLE = (0x412FD050, 0x412FD050, 0x414FD0B0, 0x414FD0B0)


def own(core: Mapping[str, int]) -> dict[str, int]:
    """Return what a core's registers hold, by reading."""
    return {_NAMES.get(name, name): value for name, value in core.items()}


def m2_native() -> Capture:
    """Linux 6.1 on an Apple M2: the CPUs match, so a guest reads each one untrapped."""
    cores = [own(core) for core in (BLIZZARD, BLIZZARD, AVALANCHE, AVALANCHE)]
    told = [core | {"CTR_EL0": 0x9444C004} | dict.fromkeys(SIZES[3:], "ENOENT") for core in cores]
    seen = [core | dict.fromkeys(SIZES[3:], 0) for core in cores]
    return _carried(_machine("6.1", cores, told, seen), "EINVAL")


def mismatched_native() -> Capture:
    """Linux 6.1 where the CPUs do not match: a guest is trapped, and sees data caches of one set."""
    cores = [own(core) for core in (PLAIN, PLAIN, EAGER, EAGER)]
    kept = {"CTR_EL0": 0x84448004}
    told = [core | kept | dict.fromkeys(SIZES[3:], "ENOENT") for core in cores]
    trapped = {SIZES[0]: 0x70000002, SIZES[2]: 0x70000002} | dict.fromkeys(SIZES[3:], 0)
    seen = [core | kept | trapped for core in cores]
    return _carried(_machine("6.1", cores, told, seen, MISMATCHED), "EINVAL")


def normalised(*, mismatched: bool = False) -> Capture:
    """Linux 6.12 on either machine: the same on every CPU."""
    pair = (PLAIN, EAGER) if mismatched else (BLIZZARD, AVALANCHE)
    cores = [own(core) for core in (pair[0], pair[0], pair[1], pair[1])]
    ctr, clidr = (0x84448004, 0x09200003) if mismatched else (0x9444C004, 0x02000021)
    shown = {"CTR_EL0": ctr, "CLIDR_EL1": clidr} | dict.fromkeys(SIZES, 2)
    features = MISMATCHED if mismatched else ()
    return _carried(_machine("6.12", cores, [shown] * 4, [shown] * 4, features), "")


def rk3588_native() -> Capture:
    """Linux 6.1 on the CPUs of an RK3588, as recorded: their CTR_EL0 differ, but match in what counts."""
    found = sweep.swept(parse((STREAMS / "rk3588-6.1" / "sweep.stream").read_bytes(), "sweep"))
    launch = [
        msgspec.structs.replace(view, phase=LAUNCH, program="view", vcpu=vcpu, cpu=None)
        for vcpu in (0, 1)
        for view in found.views
        if (view.phase, view.cpu) == (PINNED, 2)
    ]
    real, life = m2_native(), lived("rk3588", "6.1")
    lists = tuple(
        msgspec.structs.replace(each, ids=(*each.ids, Hex(of_ccsidr(4)))) for each in real.register_lists
    )
    seen = msgspec.structs.replace(
        real,
        views=(*launch, *found.views, *life.views, *odd("rk3588", "6.1")),
        writes=found.writes + writes("rk3588", "6.1") + life.writes,
        register_lists=lists,
    )
    return declared(seen, [own(core) for core in (CORTEX_A55, CORTEX_A55, CORTEX_A76, CORTEX_A76)])


def declared(swept: Capture, cores: Sequence[Mapping[str, int]] = ()) -> Capture:
    """Return a capture whose machine declares what its CPUs hold."""
    cores = cores or _cores(swept)
    rows = tuple(
        Declared(
            cpu=cpu,
            core="big" if cpu > 1 else "little",
            values="published",
            source="a table",
            registers={name: Hex(value) for name, value in core.items()},
            hits=dict.fromkeys(core, 1),
        )
        for cpu, core in enumerate(cores)
    )
    return msgspec.structs.replace(swept, machine=msgspec.structs.replace(swept.machine, declared=rows))


def with_hardware(model: str, series: str) -> Capture:
    """Return a recorded capture, and what the CPUs of the same model said to a kernel that was built here."""
    raw = (STREAMS / "hardware" / f"{model}.stream").read_bytes()
    real = capture(model, series)
    return msgspec.structs.replace(real, views=(*real.views, *hardware_views(parse(raw, "hardware"))))


def looked_into(swept: Capture) -> Capture:
    """Return a capture whose host's kernel says what its CPUs hold."""
    views = tuple(
        View(
            vantage=Vantage.HARDWARE,
            vcpu=None,
            program="hardware",
            phase=HOST,
            readings=_readings(core | {"ID_AA64MMFR2_EL1": 0x1011}),
            cpu=cpu,
        )
        for cpu, core in enumerate(_cores(swept))
    )
    return msgspec.structs.replace(swept, views=(*swept.views, *views))


def swept_bent(
    swept: Capture, vantage: Vantage, cpu: int, phase: str = PINNED, **readings: int | str | None
) -> Capture:
    """Return a capture in which one CPU's view shows other values; names as in :func:`recorded.bent`."""
    views = []
    for view in swept.views:
        new = dict(view.readings)
        if (view.vantage, view.cpu, view.phase) == (vantage, cpu, phase):
            for key, value in readings.items():
                name = f"CCSIDR_EL1[{key[11:]}]" if key.startswith("CCSIDR_EL1_") else key
                new |= _readings({name: 0 if value is None else value})
                if value is None:
                    del new[name]
        views.append(msgspec.structs.replace(view, readings=new))
    return msgspec.structs.replace(swept, views=tuple(views))


def _cores(swept: Capture) -> list[dict[str, int]]:
    """Return what the CPUs must hold to be shown so: of the four machines above."""
    features = swept.machine.cpu_features or ()
    pair = (PLAIN, EAGER) if MISMATCHED[1] in features else (BLIZZARD, AVALANCHE)
    return [own(pair[cpu > 1]) for cpu in range(len(swept.machine.cpus))]


def _machine(
    series: str,
    cores: Sequence[Mapping[str, int]],
    told: Sequence[Mapping[str, int | str]],
    seen: Sequence[Mapping[str, int | str]],
    features: tuple[str, ...] = (),
) -> Capture:
    real = capture("neoverse-n1", series)
    assert len(cores) == len(_BIG_LITTLE)
    views = []
    for vcpu in (0, 1):
        views += _views(LAUNCH, vcpu, None, told[0], seen[0])
    for phase in (PINNED, MOVED):
        for cpu in (*range(len(cores)), *[0] * (phase == MOVED)):
            views += _views(phase, 0, cpu, told[cpu], seen[cpu])
    views += odd("neoverse-n1", series)  # which has no AArch32 at EL1 either
    life = lived("neoverse-n1", series)  # on one CPU, so it is the same on all machines
    views += life.views
    cpus = tuple(Cpu(midr=Hex(midr), revidr=Hex(0)) for midr in _BIG_LITTLE)
    machine = msgspec.structs.replace(real.machine, cpus=cpus, cpu_features=features)
    return msgspec.structs.replace(real, views=tuple(views), machine=machine, writes=life.writes)


def _views(
    phase: str, vcpu: int, cpu: int | None, told: Mapping[str, int | str], seen: Mapping[str, int | str]
) -> list[View]:
    both = {"ID_AA64MMFR2_EL1": 0x1011}
    readings = {GET: told | both, GUEST: seen | both, EL0: {"CTR_EL0": seen["CTR_EL0"]}}
    program = "view" if phase == LAUNCH else "sweep"
    return [
        View(vantage=vantage, vcpu=vcpu, program=program, phase=phase, readings=_readings(values), cpu=cpu)
        for vantage, values in readings.items()
    ]


def _readings(values: Mapping[str, int | str]) -> dict[str, Reading]:
    return {
        name: Reading(problem=value) if isinstance(value, str) else Reading(value=Hex(value))
        for name, value in values.items()
    }


def _carried(swept: Capture, problem: str) -> Capture:
    """Carry what the first CPU of each kind tells to the other one; what differs there is the ``problem``."""
    told = {view.cpu: view for view in swept.views if (view.vantage, view.phase) == (GET, PINNED)}
    writes = [
        Write(
            vcpu=0,
            program="sweep",
            phase=CARRIED,
            name=name,
            value=Hex(value),
            problem=problem if Reading(value=Hex(value)) != told[cpu].readings[name] else "",
            after=told[cpu].readings[name],
            cpu=cpu,
            origin=origin,
        )
        for origin, cpu, name, value in carried(list(told.values()))
    ]
    return msgspec.structs.replace(swept, writes=(*swept.writes, *writes, _same_again(told[0])))


def _same_again(told: View) -> Write:
    """Write to a VM that is just made what it has: every kernel takes that."""
    ctr = told.readings["CTR_EL0"]
    return Write(
        vcpu=0,
        program=PROGRAM,
        phase=FRESH,
        name="CTR_EL0",
        value=ctr.value,
        problem="",
        after=ctr,
        cpu=told.cpu,
    )
