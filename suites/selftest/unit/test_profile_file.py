"""Profiles: made of captures, written and read back, and everything that is refused of a file."""

import re

import msgspec
import pytest
from asymmetric import GET, declared, m2_native, mismatched_native, rk3588_native, swept_bent
from profile_samples import TEXT, changed, core, graviton3, recorded
from recorded import MODELS, SERIES, capture

from ccsight.errors import EvidenceError, UsageError
from ccsight.evidence import profile_file
from ccsight.evidence.failure import Failure
from ccsight.evidence.model import Cpu
from ccsight.evidence.record import Hex
from ccsight.evidence.views import PINNED
from ccsight.kvm.profile_rules import core_for, require_possible
from ccsight.kvm.profiles import chosen, made_of, with_features
from ccsight.status import Status

OTHER = (Cpu(midr=Hex(0x410FD4F1), revidr=Hex(0)),) * 2


@pytest.mark.parametrize("series", SERIES)
@pytest.mark.parametrize("model", MODELS)
def test_what_was_recorded_is_possible_and_comes_back(model, series):
    made = recorded(model, series)
    require_possible(made, "it")
    assert profile_file.read(profile_file.write(made), "it") == made
    assert core(made).userspace.ccsidr.keys() == ({0, 1, 2} if series == "6.1" else set(range(14)))


def test_the_guest_may_read_something_else():
    n1, v1 = core(recorded("neoverse-n1")), core(recorded("neoverse-v1"))
    assert (n1.userspace.ctr, n1.guest.ctr) == (0x9444C004, 0x8444C004)
    assert v1.userspace.ccsidr == {0: 0x1A, 1: 0x1A, 2: 0x3A}
    assert v1.guest.ccsidr == {0: 0xFF0000001A, 1: 0xFF0000001A, 2: 0x7FF0000003A}
    assert (v1.userspace.ccidx, v1.guest.ccidx) == (1, 1)
    text = profile_file.write(recorded("neoverse-n1"))
    assert text.rstrip().endswith('guest]\nCTR_EL0 = "0x8444c004"')
    assert "guest]" not in profile_file.write(recorded("neoverse-n1", "6.12"))


@pytest.mark.parametrize("machine", [m2_native, mismatched_native, rk3588_native])
def test_each_type_of_cpu_has_its_values(machine):
    made = made_of(machine(), "ab")
    little, big = made.cores
    assert (little.cpus, big.cpus) == ((0, 1), (2, 3))
    assert little.guest != big.guest
    assert profile_file.read(profile_file.write(made), "it") == made
    require_possible(made, "it")


def test_types_of_one_name_keep_their_own():
    """Two revisions of a part are two types; the file must not lose one of them."""
    real = m2_native()
    cpus = tuple(Cpu(midr=Hex(0x412FD050 + number // 2), revidr=Hex(0)) for number in range(4))
    twins = msgspec.structs.replace(real, machine=msgspec.structs.replace(real.machine, cpus=cpus))
    names = [each.name for each in made_of(twins, "ab").cores]
    assert names == ["cortex-a55", "cortex-a55-412fd051"]


def test_cpus_of_one_type_that_disagree_have_no_profile():
    bent = swept_bent(m2_native(), GET, 1, CCSIDR_EL1_2=0x70FFE03B)
    with pytest.raises(EvidenceError, match=r"CPU 0 and CPU 1 .* are of one type") as caught:
        made_of(bent, "ab")
    assert caught.value.evidence == "both are Cortex-A55, MIDR_EL1 0x412fd050"
    assert caught.value.next_step == "there is no profile for such a machine: see CR-003 of its capture"


def test_a_profile_says_of_which_boot_and_which_cpus_it_is():
    real = declared(rk3588_native())
    rows = tuple(msgspec.structs.replace(row, core="A (big)!") for row in real.machine.declared)
    revised = tuple(Cpu(midr=cpu.midr, revidr=Hex(7)) for cpu in real.machine.cpus)
    machine = msgspec.structs.replace(real.machine, declared=rows, cpus=revised)
    made = made_of(msgspec.structs.replace(real, machine=machine), "ab")
    assert (made.substrate, made.machine, made.capture) == ("emulated", real.machine.spec, "ab")
    assert [(each.name, each.midr, each.revidr, each.values) for each in made.cores] == [
        ("a-big", 0x412FD050, 7, "published"),
        ("a-big-414fd0b0", 0x414FD0B0, 7, "published"),
    ]


def test_a_type_of_which_there_is_one_cpu_has_its_values():
    real = m2_native()
    machine = msgspec.structs.replace(real.machine, cpus=real.machine.cpus[:3])
    made = made_of(declared(msgspec.structs.replace(real, machine=machine)), "ab")
    assert [(each.midr, each.cpus, each.values) for each in made.cores] == [
        (0x412FD050, (0, 1), "published"),
        (0x414FD0B0, (2,), "published"),
    ]


def test_what_nobody_read_is_no_profile():
    real = capture("neoverse-n1", "6.1")
    views = tuple(view for view in real.views if view.phase != PINNED)
    failures = {"sweep": Failure(status=Status.ERROR, fact="the sweep broke off")}
    with pytest.raises(EvidenceError, match="the sweep broke off"):
        made_of(msgspec.structs.replace(real, views=views, failures=failures), "ab")
    with pytest.raises(EvidenceError, match="nobody looked from userspace on CPU 0") as caught:
        made_of(msgspec.structs.replace(real, views=views), "ab")
    assert caught.value.evidence == ""
    assert caught.value.next_step == "a profile is what was read, never a guess: capture it again"
    for problem, evidence in (("ENOENT", "ENOENT"), (None, "never asked for")):
        with pytest.raises(EvidenceError, match="CLIDR_EL1 could not be read from userspace") as caught:
            made_of(swept_bent(real, GET, 0, CLIDR_EL1=problem), "ab")
        assert caught.value.evidence == evidence


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("schema = 1", "schema = 2", "has schema 2; this ccsight reads 1"),
        ("schema = 1", 'schema = "1"', "has schema '1'"),
        ("schema = 1\n", "", "it has no schema"),
        ('CTR_EL0 = "0xb444c004"', 'CTR_EL = "0xb444c004"', "did you mean 'CTR_EL0'"),
        ("[core.graviton3.guest]", "[core.graviton3.gest]", "did you mean 'guest'"),
        ("[capture]", "[captures]", "did you mean 'capture'"),
        ("2 = ", "14 = ", "no selector '14'"),
        ("2 = ", "02 = ", "no selector '02'"),
        ('"0x82000023"', "0x82000023", 'a register value is a string, "0x'),
        ('"0x82000023"', '"0x18200000000000023"', "at most 64 bits"),
        ('"0x82000023"', '"82000023"', "a register value is a string"),
        ("cpus = [0, 1]", 'cpus = ["a"]', r"\[core.graviton3\] is malformed"),
        ('CLIDR_EL1 = "0x82000023"\n', "", "missing required field `CLIDR_EL1`"),
        ("CCIDX = 1", "CCIDX = true", "is malformed"),
        ('CCSIDR_EL1 = { 0 = "0x1a", 1', 'CCSIDR_EL1 = { 0 = "0x1a", 0', "is not TOML"),
        ("[core.graviton3]", "[kore.graviton3]", "did you mean 'core'"),
    ],
)
def test_a_damaged_file_is_refused_by_name(old, new, message):
    assert old in TEXT
    with pytest.raises(UsageError, match=message) as caught:
        profile_file.read(TEXT.replace(old, new), "mine.toml")
    assert "mine.toml" in caught.value.fact


def test_no_end_of_a_file_can_be_missing():
    """Cut off anywhere, it is refused, or is a profile that says less of the guest: never a traceback."""
    whole = profile_file.write(graviton3())
    guest = whole.index("[core.graviton3.guest]")
    for length in range(len(whole)):
        try:
            profile_file.read(whole[:length], "cut")
        except UsageError:
            continue
        assert length >= guest - 2


def test_without_a_type_of_cpu_it_is_none():
    head = TEXT[: TEXT.index("[core.graviton3]")]
    with pytest.raises(UsageError, match="is of no type of CPU"):
        profile_file.read(head + "[core]\n", "empty")


@pytest.mark.parametrize(
    ("old", "new", "rule"),
    [
        ("0xb444c004", "0x3444c004", "bit 31 is 1: RES1 .DDI 0487 D24.2, CTR_EL0"),
        ("0xb444c004", "0xb4444004", "L1Ip is not 1: reserved"),
        ("0x82000023", "0x82000025", "Ctype1 is not 5: reserved"),
        ("0x82000023", "0x800082000023", "bits of no field are 0: RES0"),
        ("0x82000023", "0x82000123", "every cache that clidr lists has a size here: L3 lacks one"),
        ("0x82000023", "0x80000063", "there is no cache beyond|every cache"),
        ("0x82000023", "0xb9000023", "LoUU is not above LoC"),
        (
            '0 = "0x1a", 1 = "0x1a", 2 = "0x3a"',
            '0 = "0x18", 1 = "0x1a", 2 = "0x3a"',
            "no line is below the smallest",
        ),
        ("0x7ff0000003a", "0xff7ff0000003a0", "bits of no field are 0|does not"),
    ],
)
def test_a_value_that_cannot_be_names_its_rule(old, new, rule):
    made = profile_file.read(TEXT.replace(old, new), "mine.toml")
    with pytest.raises(UsageError, match=r"\[core.graviton3\] (userspace|guest) cannot be") as caught:
        require_possible(made, "mine.toml")
    assert re.search(rule, caught.value.evidence)
    assert caught.value.next_step == "no CPU and no kernel shows such values: capture the profile again"


def test_what_is_strange_is_possible():
    require_possible(profile_file.read(TEXT.replace("0x82000023", "0x8a000023"), "it"), "it")  # LoUU 1


def test_a_kernel_that_hides_ccidx_and_shows_its_layout_is_possible():
    """A vendor's 6.1 has bf48040cd9b0 and not 7af0c2534f4c: guests read 64-bit sizes with CCIDX 0."""
    require_possible(profile_file.read(TEXT.replace("CCIDX = 1", "CCIDX = 0"), "it"), "it")


def test_a_profile_of_another_core_is_refused_with_the_midr():
    with pytest.raises(UsageError, match="CPU 0 of silicon:graviton4 is Neoverse-V2") as caught:
        core_for(graviton3(), OTHER, "silicon:graviton4")
    assert "MIDR_EL1 0x410fd4f1" in caught.value.evidence
    assert "graviton3 (MIDR_EL1 0x411fd401" in caught.value.evidence
    assert caught.value.next_step == "ccsight profile capture deb:6.1 --on silicon:graviton4"
    own = (Cpu(midr=Hex(0x411FD401), revidr=Hex(0)),)
    assert core_for(graviton3(), own, "it").name == "graviton3"
    with pytest.raises(UsageError, match="CPU 1 of it"):
        core_for(graviton3(), own + OTHER, "it")


def test_a_machine_of_several_types_wants_one_named():
    made = made_of(m2_native(), "ab")
    cpus = m2_native().machine.cpus
    with pytest.raises(UsageError, match="has 2 types of CPU") as caught:
        core_for(made, cpus, "it")
    little, big = (each.name for each in made.cores)
    assert caught.value.evidence == f"{little}, {big}"
    assert caught.value.next_step == f"--core {little}, and pin the VM to its CPUs"
    assert core_for(made, cpus, "it", made.cores[1].name).cpus == (2, 3)
    with pytest.raises(UsageError, match="did you mean"):
        core_for(made, cpus, "it", made.cores[1].name + "x")


def test_what_a_vmm_writes_fits_the_ids():
    values = chosen(core(graviton3()).guest)
    assert list(values) == ["CTR_EL0", "CLIDR_EL1", "CCSIDR_EL1[0]", "CCSIDR_EL1[1]", "CCSIDR_EL1[2]"]
    assert values["CCSIDR_EL1[2]"] == 0x3A
    assert chosen(changed(core(graviton3()).guest, ctr=0x4B444C004))["CTR_EL0"] == 0x4B444C004
    assert with_features(core(graviton3()).guest, 0x0220011100001011) == 0x0220011100101011
