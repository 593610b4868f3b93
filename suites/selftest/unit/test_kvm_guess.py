"""Each field of a guess: its value, how sure it is, and the sentence that says why."""

from dataclasses import replace

import msgspec
import pytest
from asymmetric import normalised
from core_samples import FULL, SPARSE
from recorded import capture

from ccsight.arm64.caches import Side
from ccsight.arm64.silicon import Base, SiliconMachine
from ccsight.evidence.record import Hex
from ccsight.evidence.views import PINNED, Reading, Vantage
from ccsight.kvm.guess import guess
from ccsight.kvm.guess_seen import seen_in
from ccsight.kvm.guess_table import contradictions, fields_of, row_for
from ccsight.kvm.guess_trial import Trial, scores, trials
from ccsight.kvm.guesses import Guess, Leaf, Seen, Sure
from ccsight.kvm.physical import ENHANCED_TRAPS, MISMATCHED
from ccsight.machines.silicon import shipped

LEAVES = (
    Leaf(1, Side.DATA, 64, 4, 256),
    Leaf(1, Side.INSTRUCTION, 64, 4, 256),
    Leaf(2, Side.UNIFIED, 64, 8, 2048),
)
N1 = Seen(
    midr=0x413FD0C1,
    leaves=LEAVES,
    kept_ctr=0xB444C004,
    features=0,
    mismatched=False,
    mte=False,
    alike=True,
)
AGREE = "known: as KVM says it: CPUs that are not mismatched agree (ftr_ctr[])"
NO_MTE = "inferred: the kernel's log has no FEAT_MTE2"
MAYBE_MTE = "unknown: not in sysfs, and FEAT_MTE2 is not ruled out"
SIDES = "known: I and D sides come from CLIDR_EL1, and every level below them"
MOSTLY = "inferred: mostly CLIDR_EL1's; firmware may have added it"
EITHER = "unknown: in sysfs; CLIDR_EL1's or added by firmware, which sysfs does not tell"
LEFT_OUT = "inferred: not in sysfs; firmware may have left it out"
NO_FOLDER = "unknown: no cache folder in sysfs"
NOTHING = "unknown: not in sysfs, and nothing follows from it"
UNKNOWN_BITS = "unknown: no meaning since Armv8.3, and not in sysfs; part of NumSets with FEAT_CCIDX"
FIRMWARE = "inferred: sysfs has firmware's word for it, not the register's"
TRAPPED = "known: trapped: the host's own, as KVM says it"
HIDDEN = "unknown: KVM says 0 whatever the CPU has (bf48040cd9b0, v6.11)"
LEVELS = "not in sysfs; mostly the number of"


def said(seen, register, row=None):
    """Return a register's guesses by field: value and sentence."""
    return {
        each.field: (each.value, f"{each.sure}: {each.why}")
        for each in guess(seen, row)
        if each.register == register
    }


def test_of_ctr_all_but_idc_follows_from_what_kvm_says():
    assert said(N1, "CTR_EL0") == {
        "IminLine": (4, AGREE),
        "L1Ip": (3, "known: as KVM says it"),
        "DminLine": (4, AGREE),
        "ERG": (4, AGREE),
        "CWG": (4, AGREE),
        "IDC": (None, "unknown: KVM says 1: of the CPU, or made of its CLIDR_EL1"),
        "DIC": (1, AGREE),
        "TminLine": (0, NO_MTE),
    }


def test_ctr_of_cpus_that_differ():
    found = said(replace(N1, alike=False, kept_ctr=0x84448004, mte=None), "CTR_EL0")
    assert found["IDC"] == (0, "known: KVM says 0, and raises it only (read_cpuid_effective_cachetype())")
    assert found["L1Ip"] == (None, "unknown: VIPT is what the kernel says where CPUs differ")
    kept = "unknown: the kernel keeps 32 bits of CTR_EL0, and FEAT_MTE2 is not ruled out"
    assert found["TminLine"] == (None, kept)
    assert said(replace(N1, kept_ctr=0x84448004), "CTR_EL0")["L1Ip"] == (2, "known: as KVM says it")


@pytest.mark.parametrize(
    ("seen", "why"),
    [
        (replace(N1, raw_ctr=0xB444C004), "known: read, untrapped"),
        (replace(N1, mismatched=True), TRAPPED),
        (replace(N1, mismatched=True, raw_ctr=1), TRAPPED),
    ],
)
def test_a_ctr_that_was_read_needs_no_guess(seen, why):
    found = said(seen, "CTR_EL0")
    assert {sentence for _, sentence in found.values()} == {why}
    assert [value for value, _ in found.values()] == [4, 3, 4, 4, 4, 1, 1, 0]


def test_the_upper_half_of_an_untrapped_ctr_counts():
    raw = replace(N1, raw_ctr=0x4B444C004)
    assert said(raw, "CTR_EL0")["TminLine"] == (4, "known: read, untrapped")


def test_of_nothing_nothing_follows():
    blank = Seen(midr=0)
    fields = {each.place: (each.value, f"{each.sure}: {each.why}") for each in guess(blank)}
    ctr = ("IminLine", "L1Ip", "DminLine", "ERG", "CWG", "IDC", "DIC", "TminLine")
    expected = {f"CTR_EL0.{name}": "unknown: KVM did not say its CTR_EL0" for name in ctr}
    expected |= {f"CLIDR_EL1.Ctype{level}": NO_FOLDER for level in range(1, 8)}
    expected |= {f"CLIDR_EL1.Ttype{level}": MAYBE_MTE for level in range(1, 8)}
    expected |= dict.fromkeys(("CLIDR_EL1.LoUIS", "CLIDR_EL1.LoUU"), "unknown: not in sysfs")
    expected["CLIDR_EL1.LoC"] = f"unknown: {LEVELS} CLIDR_EL1's levels, which is not known"
    expected["CLIDR_EL1.ICB"] = NOTHING
    expected["ID_AA64MMFR2_EL1.CCIDX"] = HIDDEN
    assert fields == {place: (None, why) for place, why in expected.items()}


def test_levels_that_firmware_may_have_added():
    deep = replace(N1, leaves=(*LEAVES, Leaf(3, Side.UNIFIED), Leaf(4, Side.UNIFIED)))
    found = said(deep, "CLIDR_EL1")
    none, clean = (0, LEFT_OUT), "nothing needs cleaning to the point of unification"
    assert found == {
        "Ctype1": (3, SIDES),
        "Ctype2": (4, MOSTLY),
        "Ctype3": (None, EITHER),
        "Ctype4": (None, EITHER),
        "Ctype5": none,
        "Ctype6": none,
        "Ctype7": none,
        "LoUIS": (0, f"inferred: {clean}: KVM's CTR_EL0.IDC is 1"),
        "LoUU": (0, f"inferred: {clean}: KVM's CTR_EL0.IDC is 1"),
        "LoC": (None, f"unknown: {LEVELS} CLIDR_EL1's levels, which is not known"),
        "ICB": (None, NOTHING),
        **{f"Ttype{level}": (0, NO_MTE) for level in range(1, 8)},
    }


def test_two_levels_make_a_level_of_coherency():
    assert said(N1, "CLIDR_EL1")["LoC"] == (2, f"inferred: {LEVELS} levels")


def test_a_first_level_that_is_unified_may_be_firmwares():
    """No side comes from CLIDR_EL1, so nothing of the levels is certain."""
    found = said(replace(N1, leaves=(Leaf(1, Side.UNIFIED), Leaf(2, Side.UNIFIED))), "CLIDR_EL1")
    assert (found["Ctype1"], found["Ctype2"]) == ((None, EITHER), (None, EITHER))
    assert said(replace(N1, leaves=()), "CLIDR_EL1")["Ctype1"] == (0, LEFT_OUT)


@pytest.mark.parametrize(
    ("seen", "value", "why"),
    [
        (replace(N1, features=1 << 40), 0, "FEAT_S2FWB demands 0 (DDI 0487, CLIDR_EL1)"),
        (replace(N1, features=1 << 40, kept_ctr=0x8444C004), 0, "FEAT_S2FWB demands 0 (DDI 0487, CLIDR_EL1)"),
        (
            replace(N1, features=None, kept_ctr=0x8444C004),
            1,
            "LoUU or LoUIS is not 0 where KVM's CTR_EL0.IDC is 0; mostly both are 1",
        ),
    ],
)
def test_the_levels_of_unification(seen, value, why):
    found = said(seen, "CLIDR_EL1")
    assert found["LoUIS"] == found["LoUU"] == (value, f"inferred: {why}")


def test_a_layout_that_kvm_says_is_known():
    found = said(replace(N1, features=1 << 20), "ID_AA64MMFR2_EL1")
    assert found == {"CCIDX": (1, "known: KVM says it")}


def test_sizes_are_firmwares_word():
    assert said(N1, "CCSIDR_EL1[2]") == {
        "LineSize": (2, FIRMWARE),
        "Associativity": (7, FIRMWARE),
        "NumSets": (2047, FIRMWARE),
        "UNKNOWN": (None, UNKNOWN_BITS),
    }
    untold = said(replace(N1, leaves=(Leaf(1, Side.DATA, ways=4),)), "CCSIDR_EL1[0]")
    assert untold["LineSize"] == untold["NumSets"] == (None, "unknown: not told")
    assert untold["Associativity"] == (3, FIRMWARE)


def test_sizes_of_what_may_not_be_a_cache():
    found = said(replace(N1, leaves=(*LEAVES, Leaf(3, Side.UNIFIED, 64, 16, 64))), "CCSIDR_EL1[4]")
    why = "unknown: whether CLIDR_EL1 lists this cache is not known"
    assert found == {
        "LineSize": (None, why),
        "Associativity": (None, why),
        "NumSets": (None, why),
        "UNKNOWN": (None, UNKNOWN_BITS),
    }


def test_a_trapped_size_is_one_set_of_one_way():
    found = said(replace(N1, mismatched=True), "CCSIDR_EL1[0]")
    one = (0, "known: trapped: one set of one way (access_ccsidr())")
    assert (found["LineSize"], found["Associativity"], found["NumSets"]) == ((2, FIRMWARE), one, one)


def test_what_the_table_says_is_marked_as_the_tables():
    row = shipped().cores["graviton2"]
    why = f"table: the silicon table's graviton2, whose values are {row.values}"
    found = said(N1, "CLIDR_EL1", row)
    assert (found["ICB"], found["LoC"]) == ((2, why), (2, why))
    assert found["Ctype1"] == (3, SIDES)
    alone = said(replace(N1, leaves=None), "CCSIDR_EL1[2]", row)
    assert alone["NumSets"] == (2047, why)
    assert said(replace(N1, leaves=None), "ID_AA64MMFR2_EL1", row) == {"CCIDX": (0, why)}


def test_a_row_of_another_cpu_contradicts():
    """Its CTR_EL0 has no DIC; where guests were trapped, that is no argument, and its CLIDR_EL1 is."""
    row = replace(shipped().cores["graviton2"], ctr=0x9444C004)
    assert contradictions(N1, guess(N1), row) == ("CTR_EL0.DIC",)
    trapped = replace(N1, mismatched=True)
    assert contradictions(trapped, guess(trapped), row) == ()
    split = replace(trapped, leaves=LEAVES[:1])
    assert contradictions(split, guess(split), row) == ("CLIDR_EL1.Ctype1",)


def test_a_row_is_of_the_same_part_of_the_same_maker():
    (row,) = rows = [replace(FULL, midr=0x413FD0C1)]
    assert row_for(0x410FD0C4, rows) is row  # another variant, another revision
    assert row_for(0x413FD0D1, rows) is row_for(0x423FD0C1, rows) is None


def test_the_fields_of_a_row_are_whole_numbers():
    assert fields_of(FULL)["ID_AA64MMFR2_EL1.CCIDX"] == 1
    assert fields_of(SPARSE)["ID_AA64MMFR2_EL1.CCIDX"] == 0
    assert type(fields_of(FULL)["ID_AA64MMFR2_EL1.CCIDX"]) is int


def _machine(cap, **facts):
    return msgspec.structs.replace(cap, machine=msgspec.structs.replace(cap.machine, **facts))


def test_all_that_was_seen_of_a_cpu():
    seen = seen_in(capture("neoverse-v1", "6.12"), {0: LEAVES, 1: LEAVES[:1]})
    features = capture("neoverse-v1", "6.12").view(Vantage.USERSPACE, 0).value("ID_AA64MMFR2_EL1")
    ctr = 0xB444C004
    assert seen == {
        0: Seen(
            midr=0x411FD402,
            leaves=LEAVES,
            kept_ctr=ctr,
            raw_ctr=ctr,
            features=features,
            mismatched=False,
            mte=False,
            alike=True,
        )
    }


def test_each_cpu_is_seen_by_its_own_views():
    """CPU 2 is of another kind, has its own leaves, and its VMM is told another CTR_EL0."""
    real = normalised()
    told = {Vantage.USERSPACE: Hex(0x9444C000), Vantage.GUEST: Hex(0x9444C001)}
    views = [
        msgspec.structs.replace(view, readings=view.readings | {"CTR_EL0": Reading(value=told[view.vantage])})
        if (view.phase, view.cpu) == (PINNED, 2) and view.vantage in told
        else view
        for view in real.views
    ]
    seen = seen_in(
        _machine(
            msgspec.structs.replace(real, views=tuple(views)),
            cpu_features=(ENHANCED_TRAPS, "Memory Tagging Extension"),
        ),
        {0: LEAVES, 2: LEAVES[:1]},
    )
    assert {cpu: (each.leaves, each.kept_ctr, each.raw_ctr) for cpu, each in seen.items()} == {
        0: (LEAVES, 0x9444C004, 0x9444C004),
        2: (LEAVES[:1], 0x9444C000, 0x9444C001),
    }
    assert {(each.mte, each.alike, each.features) for each in seen.values()} == {(True, False, 0x1011)}


@pytest.mark.parametrize(
    ("features", "mismatched", "raw", "mte"),
    [
        ((), False, None, False),
        ((ENHANCED_TRAPS,), False, 0xB444C004, False),
        ((ENHANCED_TRAPS, MISMATCHED), True, None, False),
        (("Memory Tagging Extension on CPU0-1",), False, None, True),
        (None, None, None, None),
    ],
)
def test_what_the_log_says_decides_what_a_guest_read(features, mismatched, raw, mte):
    seen = seen_in(_machine(capture("neoverse-v1", "6.12"), cpu_features=features), {})[0]
    assert (seen.mismatched, seen.raw_ctr, seen.mte) == (mismatched, raw, mte)


def test_a_cpu_that_nobody_looked_at_was_not_seen():
    blind = msgspec.structs.replace(capture("neoverse-v1", "6.12"), views=())
    seen = seen_in(blind, {})[0]
    assert (seen.kept_ctr, seen.raw_ctr, seen.features, seen.leaves) == (None, None, None, None)


def trial_of(core, base, **how):
    machine = SiliconMachine("one", "one", (replace(core, base=base.name),))
    return {each.guess.place: each for each in trials(machine, base, with_table=False, **how)}


def test_firmware_that_tells_nothing_is_believed():
    plain = shipped().cores["graviton2"]
    silent = trial_of(plain, Base("b"), firmware=lambda leaves: ())
    assert silent["CLIDR_EL1.Ctype1"].outcome == "wrong"
    assert trial_of(plain, Base("b"))["CLIDR_EL1.Ctype1"].outcome == "right"


def test_a_base_with_forced_write_back_tells_the_levels_of_unification():
    """FEAT_S2FWB is bit 40 of ID_AA64MMFR2_EL1: LoUU and LoUIS are 0 then, whatever CTR_EL0.IDC is."""
    core = replace(shipped().cores["cortex-a72"], clidr=0x82000023)
    told = {fwb: trial_of(core, Base("b", fwb=fwb))["CLIDR_EL1.LoUU"].guess for fwb in (False, True)}
    assert told[True].why.startswith("FEAT_S2FWB")
    assert not told[False].why.startswith("FEAT_S2FWB")


def test_a_row_without_a_revidr_is_a_machine_too():
    pair = (replace(SPARSE, name="a", ccsidr=FULL.ccsidr), replace(SPARSE, name="b", ccsidr=FULL.ccsidr))
    machine = SiliconMachine("two", "two", pair)
    assert {each.core for each in trials(machine, Base(""), with_table=False)} == {"a", "b"}


@pytest.mark.parametrize(
    ("register", "field", "kind"),
    [
        ("CLIDR_EL1", "Ctype3", "CLIDR_EL1.Ctype1-7"),
        ("CLIDR_EL1", "Ttype7", "CLIDR_EL1.Ttype1-7"),
        ("CCSIDR_EL1[4]", "NumSets", "CCSIDR_EL1.NumSets"),
    ],
)
def test_kinds_of_fields_are_scored_together(register, field, kind):
    right = Trial("mine", Guess(register, field, 1, Sure.KNOWN, ""), 1)
    other = Trial("other", Guess(register, field, None, Sure.UNKNOWN, ""), 1)
    (score,) = scores([right, other])
    assert (score.field, score.right, score.wrong, score.unknown) == (kind, 1, 0, 1)
