"""Guesses: never known and wrong, whatever the core; and what each of them stands on."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from asymmetric import m2_native, normalised, rk3588_native
from recorded import capture

from ccsight.arm64.caches import Side
from ccsight.arm64.registers import CTR_EL0
from ccsight.campaign.profiles import guesses, trial
from ccsight.errors import UsageError
from ccsight.kvm.guess import guess
from ccsight.kvm.guess_seen import seen_in
from ccsight.kvm.guess_table import row_for
from ccsight.kvm.guess_trial import OUTER, Trial, scores, trials
from ccsight.kvm.guesses import Guess, Leaf, Seen, Sure
from ccsight.machines.silicon import shipped
from ccsight.probes import sysfs

TABLE = shipped()
README = Path(__file__).parents[3] / "harness" / "README.md"
N1 = Seen(
    midr=0x413FD0C1,
    leaves=(
        Leaf(1, Side.DATA, 64, 4, 256),
        Leaf(1, Side.INSTRUCTION, 64, 4, 256),
        Leaf(2, Side.UNIFIED, 64, 8, 2048),
        *OUTER["graviton2"],
    ),
    kept_ctr=0xB444C004,
    features=0,
    mismatched=False,
    mte=False,
    alike=True,
)


def by_place(seen, row=None):
    return {each.place: each for each in guess(seen, row)}


@pytest.mark.parametrize("with_table", [False, True])
@pytest.mark.parametrize("name", sorted(TABLE.machines))
def test_what_claims_to_be_known_is_right(name, with_table):
    machine = TABLE.machines[name]
    found = trials(machine, TABLE.bases[machine.base], with_table=with_table)
    assert {trial.core for trial in found} == {core.name for core in machine.cores}
    assert not [trial for trial in found if trial.outcome == "wrong" and trial.guess.sure is Sure.KNOWN]
    assert any(trial.guess.sure is Sure.KNOWN for trial in found)


@pytest.mark.parametrize("levels", range(8))
def test_whatever_firmware_tells_nothing_known_is_wrong(levels):
    """It may leave levels out, add some, and have other sizes: guesses are wrong then, and none is known."""

    def firmware(leaves):
        kept = [replace(leaf, ways=3, sets=5, line=32) for leaf in leaves if leaf.level <= levels]
        deepest = max((leaf.level for leaf in kept), default=0)
        return (*kept, *(Leaf(level, Side.UNIFIED, 64, 16, 64) for level in range(deepest + 1, levels + 1)))

    found = [
        each
        for machine in TABLE.machines.values()
        for with_table in (False, True)
        for each in trials(machine, TABLE.bases[machine.base], with_table=with_table, firmware=firmware)
    ]
    assert any(each.outcome == "wrong" for each in found)
    assert not any(score.wrong_but_known for score in scores(found))


def test_the_table_in_the_readme():
    alone, _, _ = trial(TABLE)
    rows = re.findall(r"^\| (\w+)\.(\S.*?) \| (\d+) \| (\d+) \| (\d+) \|$", README.read_text(), re.MULTILINE)
    said = {
        f"{register}.{field}": (int(right), int(wrong), int(unknown))
        for register, fields, right, wrong, unknown in rows
        for field in fields.split(", ")
    }
    assert said == {score.field: (score.right, score.wrong, score.unknown) for score in alone}


def test_a_known_guess_that_is_wrong_is_told():
    false = Trial("mine", Guess("CLIDR_EL1", "LoC", 3, Sure.KNOWN, ""), 2)
    bold = Trial("mine", Guess("CLIDR_EL1", "LoC", 3, Sure.INFERRED, ""), 2)
    assert scores([false])[0].wrong_but_known == ("mine",)
    assert (scores([bold])[0].wrong, scores([bold])[0].wrong_but_known) == (1, ())


def test_the_whole_table():
    alone, helped, cores = trial(TABLE)
    assert cores == len(TABLE.cores)
    score = {each.field: each for each in alone}
    assert {"apple-m2-blizzard", "apple-m2-avalanche"} == set(score["CLIDR_EL1.LoC"].wrong_on)
    assert score["CLIDR_EL1.ICB"].right == score["ID_AA64MMFR2_EL1.CCIDX"].right == 0
    assert not any(each.wrong_but_known for each in (*alone, *helped))
    assert sum(each.wrong for each in helped) == 0


def test_gravitons_third_level_is_not_believed():
    found = by_place(N1)
    assert (found["CLIDR_EL1.Ctype1"].value, found["CLIDR_EL1.Ctype1"].sure) == (3, Sure.KNOWN)
    assert (found["CLIDR_EL1.Ctype2"].value, found["CLIDR_EL1.Ctype2"].sure) == (4, Sure.INFERRED)
    assert (found["CLIDR_EL1.Ctype3"].value, found["CLIDR_EL1.Ctype3"].sure) == (None, Sure.UNKNOWN)
    assert (found["CLIDR_EL1.Ctype4"].value, found["CLIDR_EL1.Ctype4"].sure) == (0, Sure.INFERRED)
    assert found["CLIDR_EL1.LoC"].value is None
    assert found["CCSIDR_EL1[4].NumSets"].value is None
    assert found["CTR_EL0.IDC"].value is None  # KVM's 1 may be made of CLIDR_EL1
    helped = by_place(N1, TABLE.cores["graviton2"])
    said = {name: helped[f"CLIDR_EL1.{name}"].value for name in ("Ctype3", "LoC", "ICB")}
    assert said == {"Ctype3": 0, "LoC": 2, "ICB": 2}
    assert helped["CLIDR_EL1.LoC"].sure is Sure.TABLE


def test_sizes_are_firmwares_word_even_with_a_row():
    other = replace(N1, leaves=(*N1.leaves[:2], Leaf(2, Side.UNIFIED, 64, 8, 1024)))
    found = by_place(other, TABLE.cores["graviton2"])["CCSIDR_EL1[2].NumSets"]
    assert (found.value, found.sure) == (1023, Sure.INFERRED)


def test_sizes_that_sysfs_does_not_tell_are_the_rows():
    found = by_place(replace(N1, leaves=None), TABLE.cores["graviton2"])
    assert (found["CCSIDR_EL1[2].NumSets"].value, found["CCSIDR_EL1[2].NumSets"].sure) == (2047, Sure.TABLE)


def test_a_row_that_contradicts_is_left_out():
    split = replace(N1, leaves=(*N1.leaves[:2], Leaf(2, Side.DATA), Leaf(2, Side.INSTRUCTION)))
    assert not [each for each in guess(split, TABLE.cores["graviton2"]) if each.sure is Sure.TABLE]


def test_nothing_seen_is_nothing_known():
    assert not [each for each in guess(Seen(midr=0)) if each.value is not None]
    assert not [
        each for each in guess(replace(N1, leaves=None)) if each.place == "CLIDR_EL1.Ctype1" and each.value
    ]


def test_a_lost_log_makes_nothing_known_of_ctr():
    found = by_place(replace(N1, mismatched=None))
    assert found["CTR_EL0.DIC"].sure is Sure.INFERRED
    assert by_place(N1)["CTR_EL0.DIC"].sure is Sure.KNOWN


def test_a_trapped_guest_reads_what_kvm_says():
    found = by_place(replace(N1, mismatched=True))
    assert (found["CTR_EL0.IDC"].value, found["CTR_EL0.IDC"].sure) == (1, Sure.KNOWN)
    assert (found["CCSIDR_EL1[2].NumSets"].value, found["CCSIDR_EL1[2].NumSets"].sure) == (0, Sure.KNOWN)
    assert found["CCSIDR_EL1[1].NumSets"].sure is Sure.INFERRED
    kept = by_place(replace(N1, mismatched=True), TABLE.cores["graviton2"])
    assert kept["CCSIDR_EL1[2].NumSets"].value == 0
    assert kept["CLIDR_EL1.ICB"].sure is Sure.TABLE


def test_rows_go_by_midr_then_by_part():
    rows = TABLE.cores.values()
    assert row_for(0x413FD0C1, rows).name == "graviton2"
    assert row_for(0x414FD0C1, rows).name == "graviton2"
    assert row_for(0x410FD0C2 + 0x100, rows) is None
    assert (
        "of another revision"
        in by_place(replace(N1, midr=0x414FD0C1), TABLE.cores["graviton2"])["CLIDR_EL1.ICB"].why
    )


@pytest.mark.parametrize("model", ["cortex-a57", "neoverse-n1", "neoverse-v1"])
def test_what_a_capture_shows_is_right_of_the_old_kernel(model):
    """The truth is what a guest of 6.1 read on the same machine; what is known comes from 6.12 alone."""
    ((cpu, seen),) = seen_in(capture(model, "6.12"), {}).items()
    old = capture(model, "6.1").view("guest", cpu)
    for each in guess(seen):
        if each.sure is Sure.KNOWN and each.register == "CTR_EL0":
            assert CTR_EL0.field(each.field).extract(old.value("CTR_EL0")) == each.value, each.place


def test_each_type_of_cpu_is_seen_once():
    assert list(seen_in(normalised(), {})) == [0, 2]
    assert not seen_in(m2_native(), {})[0].alike
    named = guesses(rk3588_native(), {0: N1.leaves}, TABLE)
    assert [name.partition(" of ")[0] for name in named] == ["Cortex-A55, CPU 0", "Cortex-A76, CPU 2"]


def _write(folder, cpu, index, **files):
    place = folder / f"cpu{cpu}" / "cache" / f"index{index}"
    place.mkdir(parents=True)
    for name, text in files.items():
        (place / name).write_text(text + "\n")


def test_a_folder_of_sysfs(tmp_path):
    _write(tmp_path, 0, 0, level="1", type="Data", coherency_line_size="64", ways_of_associativity="4")
    _write(tmp_path, 0, 1, level="2", type="Unified", number_of_sets="0", shared_cpu_list="0-3")
    (tmp_path / "cpufreq").mkdir()
    (tmp_path / "cpu1").mkdir()
    (tmp_path / "cpu0" / "cache" / "uevent").write_text("")
    assert sysfs.leaves(tmp_path) == {
        0: (Leaf(1, Side.DATA, line=64, ways=4), Leaf(2, Side.UNIFIED, shared="0-3"))
    }


@pytest.mark.parametrize(
    "files",
    [
        {"level": "1", "type": "Trace"},
        {"level": "8", "type": "Unified"},
        {"type": "Unified"},
        {"level": "one", "type": "Unified"},
        {"level": "1", "type": "Data", "number_of_sets": "-1"},
    ],
)
def test_a_folder_that_sysfs_never_shows(tmp_path, files):
    _write(tmp_path, 0, 0, **files)
    with pytest.raises(UsageError, match="index0"):
        sysfs.leaves(tmp_path)


def test_a_folder_without_caches(tmp_path):
    with pytest.raises(UsageError, match="no CPU with a cache folder"):
        sysfs.leaves(tmp_path)
