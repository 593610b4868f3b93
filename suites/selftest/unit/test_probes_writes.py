"""The table of writes, random values, and the way from experiments to a script and back."""

import msgspec
import pytest
from recorded import MODELS, SERIES, STREAMS, capture

from ccsight.arm64 import kvm_ids
from ccsight.arm64.caches import Side, minimum_line
from ccsight.arm64.kvm_ids import SIZE_MASK, of_reading, resized
from ccsight.arm64.registers import CCSIDR_EL1, CLIDR_EL1, CTR_EL0, ID_AA64MMFR2_EL1
from ccsight.errors import ProbeError
from ccsight.evidence.record import Hex
from ccsight.evidence.views import (
    FRESH,
    FUZZ_VALUES,
    FUZZED,
    PINNED,
    RAN,
    UNINITIALISED,
    UNREADABLE,
    Reading,
    Vantage,
)
from ccsight.probes import fuzz
from ccsight.probes.script import STEPS_MAX, results
from ccsight.probes.stream import parse
from ccsight.probes.writes import Attempt, Trial, attempts, trials
from ccsight.probes.writing import Writing

NAMES = (
    "CTR_EL0",
    "CLIDR_EL1",
    "ID_AA64MMFR2_EL1",
    "CSSELR_EL1",
    *(f"CCSIDR_EL1[{selector}]" for selector in (*range(16), 255)),
)
CTR = of_reading("CTR_EL0")

#: What was recorded on emulated:neoverse-n1 with deb:6.12.
SMALL = (
    Trial(UNINITIALISED, 0, (Attempt("CTR_EL0", 0x9444C004),), 0),
    Trial(UNREADABLE, 0, (Attempt("CCSIDR_EL1[2]", 2),), 0),
    Trial(
        FRESH,
        1,
        (
            Attempt("CTR_EL0", 0x8444C004, back=0x9444C004),
            Attempt("CLIDR_EL1", 0x82000023, vcpu=1, back=0x02000021),
            Attempt("CLIDR_EL1", 1 << 63, back=0x02000021),
            Attempt("CTR_EL0", 0x9444C004, kvm_id=resized(CTR, 4)),
        ),
        0,
    ),
    Trial(RAN, 0, (Attempt("CLIDR_EL1", 0x0A200023, watched=True, back=0x02000021),), 0),
)


def told(model="neoverse-n1", series="6.12"):
    views = capture(model, series).views
    return {view.cpu: view for view in views if (view.vantage, view.phase) == (Vantage.USERSPACE, PINNED)}


def table(model="neoverse-n1", series="6.12"):
    first = next(iter(told(model, series).values()))
    found = {}
    for attempt in attempts(first):
        found.setdefault(attempt.name, []).append(attempt)
    return first, found


@pytest.mark.parametrize("series", SERIES)
@pytest.mark.parametrize("model", MODELS)
def test_the_table_covers_each_register_and_each_moment(model, series):
    view, found = table(model, series)
    assert set(found) == set(NAMES)
    for name, own in found.items():
        values = [attempt.value for attempt in own]
        assert values[0] == (view.value(name) or 0)
        assert len(set(values)) == len(values)
        assert {attempt.back for attempt in own} == {view.value(name)}, "all is put back"
    every = list(trials(told(model, series)))
    assert {trial.phase for trial in every} == {UNINITIALISED, UNREADABLE, FRESH, RAN}
    assert {trial.cpu for trial in every} == set(told(model, series))
    assert len(Writing.of(every).script.steps) < STEPS_MAX // 8


def test_each_field_is_changed_alone():
    view, found = table()
    for register in (CTR_EL0, CLIDR_EL1, ID_AA64MMFR2_EL1):
        before = view.value(register.name)
        for field in register.fields:
            alone = [a.value for a in found[register.name] if (a.value ^ before) & ~field.mask == 0]
            assert len(set(alone) - {before}) >= min(2, field.mask >> field.lo), field.name


def test_lines_are_below_at_and_above_the_shortest():
    view, found = table()
    for selector in range(14):
        side = Side.INSTRUCTION if selector & 1 else Side.DATA
        least = minimum_line(view.value("CTR_EL0"), side).bit_length() - 1 - 4
        lines = {CCSIDR_EL1.field("LineSize").extract(a.value) for a in found[f"CCSIDR_EL1[{selector}]"]}
        assert {least - 1, least, least + 1} <= lines


def test_levels_of_coherency_and_unification_are_taken_away_one_by_one():
    _, found = table()
    levels = {
        tuple(CLIDR_EL1.field(name).extract(a.value) for name in ("LoC", "LoUU", "LoUIS"))
        for a in found["CLIDR_EL1"]
    }
    assert {(1, 1, 1), (0, 1, 1), (1, 0, 1), (1, 1, 0), (1, 0, 0)} <= levels
    values = {a.value ^ found["CLIDR_EL1"][0].value for a in found["CLIDR_EL1"]}
    assert {1 << 47, 1 << 63} <= values


@pytest.mark.parametrize("reading", [name for name in NAMES if name != "CCSIDR_EL1[255]"])
def test_ids_go_by_the_name_of_the_reading(reading):
    assert kvm_ids.name(of_reading(reading)) == reading
    assert resized(resized(of_reading(reading), 256), 8) & SIZE_MASK == 3 << 52


def test_ids_of_other_sizes_and_with_stray_bits_are_tried():
    (fresh, *_) = (trial for trial in trials(told()) if trial.phase == FRESH)
    foreign = [a for a in fresh.attempts if a.kvm_id is not None]
    assert not [a for a in foreign if a.kvm_id == of_reading(a.name)]
    sizes = {a.kvm_id & SIZE_MASK for a in foreign if a.name == "CCSIDR_EL1[0]"}
    assert {0x20 << 48, 0x30 << 48} <= sizes
    assert {a.kvm_id ^ CTR for a in foreign if a.name == "CTR_EL0"} >= {1 << 28, 1 << 32, 1 << 56}


def test_what_a_vm_may_have_less_of_is_shown_to_a_guest_of_its_own():
    alone = [
        trial for trial in trials(told("neoverse-v1")) if len(trial.attempts) == 1 and trial.phase == FRESH
    ]
    assert {trial.attempts[0].name for trial in alone} == {"CTR_EL0", "ID_AA64MMFR2_EL1"}
    assert all(trial.attempts[0].watched and trial.attempts[0].back is None for trial in alone)


def test_one_cpu_needs_no_other():
    first = dict(list(told().items())[:1])
    assert {trial.cpu for trial in trials(first)} == {0}


def test_a_cpu_that_shows_something_else_is_gone_to():
    unlike = told() | {2: next(iter(told().values())), 3: next(iter(told().values()))}
    unlike[2] = msgspec.structs.replace(
        unlike[2], readings=unlike[2].readings | {"CCSIDR_EL1[0]": Reading(value=Hex(1))}
    )
    assert {trial.cpu for trial in trials(unlike)} == {0, 2}


def test_a_seed_gives_the_same_values_again_and_another_one_others():
    one, again, other = (fuzz.trial(told(), seed) for seed in ("a", "a", "b"))
    assert one == again
    assert len(one.attempts) == len(other.attempts) == FUZZ_VALUES
    assert len({a.value for a in one.attempts} & {a.value for a in other.attempts}) < FUZZ_VALUES // 3
    assert (one.phase, fuzz.trial(told(), "a", 7).attempts) == (FUZZED, one.attempts[:7])


def test_random_values_are_legal_and_not():
    first = next(iter(told().values()))
    found = fuzz.trial(told(), "seed", 3000).attempts
    assert {a.name for a in found} == set(NAMES) - {"CCSIDR_EL1[15]", "CCSIDR_EL1[255]"}
    ctr = [a.value for a in found if a.name == "CTR_EL0"]
    assert any(not value & ~CTR_EL0.mask & ~CTR_EL0.res1 for value in ctr)
    assert any(value >> 40 for value in ctr)
    assert all(a.value >> 32 == 0 for a in found if a.name.startswith("CCSIDR"))
    assert {a.back for a in found if a.name == "CLIDR_EL1"} == {first.value("CLIDR_EL1")}


@pytest.mark.parametrize(
    ("value", "least", "fails"),
    [
        (0xFFFF, 0x8000, lambda value: value & 0x8000),
        (0xFFFF, 0x0081, lambda value: value & 0x81 == 0x81),
        (1 << 63 | 0xF00, 1 << 63, lambda value: value >> 63),
        (0x10, 0x10, lambda value: value),
        (0x30, 0x30, lambda value: value == 0x30),
    ],
)
@pytest.mark.parametrize("base", [0, 0x5A5A << 16])
def test_a_value_is_shrunk_to_the_bits_that_fail(value, least, fails, base):
    asked = []

    def try_all(values):
        asked.append(len(values))
        return [bool(fails(each ^ base)) for each in values]

    assert fuzz.shrunk(value ^ base, base, try_all) == least ^ base
    assert len(asked) <= 1 + (value ^ least).bit_count()


def test_a_recorded_stream_becomes_writes():
    writing = Writing.of(SMALL)
    raw = (STREAMS / "writes" / "small.stream").read_bytes()
    found = writing.writes(results(parse(raw, "writes"), writing.script))
    assert [(write.phase, write.name, write.problem) for write in found] == [
        (UNINITIALISED, "CTR_EL0", "ENOEXEC"),
        (UNREADABLE, "CCSIDR_EL1[2]", "EFAULT"),
        (FRESH, "CTR_EL0", ""),
        (FRESH, "CTR_EL0", ""),
        (FRESH, "CLIDR_EL1", ""),
        (FRESH, "CLIDR_EL1", ""),
        (FRESH, "CLIDR_EL1", "EINVAL"),
        (FRESH, "CLIDR_EL1", ""),
        (FRESH, "CTR_EL0", "ENOENT"),
        (RAN, "CLIDR_EL1", ""),
        (RAN, "CLIDR_EL1", ""),
    ]
    lowered, back = found[2:4]
    assert lowered.moved == {"vCPU 1 CTR_EL0": Reading(value=Hex(0x8444C004))}
    assert back.moved == {"vCPU 1 CTR_EL0": Reading(value=Hex(0x9444C004))}
    assert (found[4].vcpu, found[4].cpu, found[4].after.value) == (1, 1, 0x82000023)
    assert (found[6].after.value, found[8].kvm_id) == (0x02000021, resized(CTR, 4))
    assert [write.seen for write in found[-2:]] == [Reading(value=Hex(0x0A200023)), None]


def test_a_stream_of_another_script_is_refused():
    writing = Writing.of(SMALL[::-1])
    raw = (STREAMS / "writes" / "small.stream").read_bytes()
    with pytest.raises(ProbeError):
        results(parse(raw, "writes"), writing.script)
