"""What stops which VMM, and how QEMU's own words are read back."""

import msgspec
import pytest

from ccsight.arm64.kvm_ids import known
from ccsight.checks.live import disagreements
from ccsight.checks.registry import NotObserved
from ccsight.evidence.live import BACK, Live
from ccsight.evidence.migrations import ARRIVED, KNOWN, Left, Restored, Way
from ccsight.evidence.record import Hex
from ccsight.evidence.views import Cell, Reading, Vantage, View
from ccsight.kvm import qemu_words
from ccsight.kvm.vmms import TOLERATED, VMMS, Move, of_qemu, unknown_to_qemu

IDS = known()
OLD, NEW = (Cell(machine="emulated:max", kernel=kernel) for kernel in ("deb:6.1", "deb:6.12"))
UNKNOWN = "handle_cpreg_only_in_incoming_stream: {} in the incoming stream but unknown on the "
REFUSED = "qemu-system-aarch64: Could not set register {} to 2 (is 701fe01a)\n"
CLIDR = "system register op0:3 op1:1 crn:0 crm:0 op2:1"


def left(name, problem="", *, unlisted=False, saved=2):
    reading = Reading(value=Hex(saved))
    return Left(vcpu=0, kvm_id=Hex(IDS[name]), saved=reading, problem=problem, unlisted=unlisted)


def views(ctr, phase):
    readings = {"CTR_EL0": Reading(value=Hex(ctr))}
    return tuple(
        View(vantage=vantage, vcpu=0, program="x", phase=phase, readings=readings)
        for vantage in (Vantage.GUEST, Vantage.GUEST_EL0)
    )


def move(*found, saved=10, listed=10, now=0x9444C004):
    seen = views(0x8444C004, KNOWN) + views(now, ARRIVED)
    restored = {
        way: Restored(source=NEW, strategy="as-launched", sha256="", cpu=0, way=way, left=found, views=seen)
        for way in Way
    }
    return Move(restored, saved, listed)


def live(*, words="", arrived=True, returned=None, now=0x9444C004):
    return Live(
        source=NEW,
        destination=OLD,
        vmm="QEMU 11.1.2",
        status="completed",
        why="",
        arrived=arrived,
        returned=not arrived if returned is None else returned,
        by_itself=False,
        source_words="",
        words=words,
        before="",
        after="",
        views=views(0x8444C004, KNOWN) + views(now, ARRIVED if arrived else BACK),
    )


def test_a_qemu_that_counts_names_none_so_we_do():
    why = of_qemu((10, 0)).stops(move(left("CCSIDR_EL1[3]", unlisted=True), saved=11))
    assert why.startswith("failed to load cpu:cpreg_vmstate_array_len: 1 registers more come")
    assert why.endswith("CCSIDR_EL1[3] not listed here")


def test_as_many_but_others_stop_it_too():
    assert of_qemu((7, 2)).stops(move(left("TCR2_EL1", unlisted=True))) == "TCR2_EL1 not listed here"


@pytest.mark.parametrize("version", [(7, 2), (10, 0), (11, 1)])
def test_a_refused_value_stops_every_qemu(version):
    assert of_qemu(version).stops(move(left("CLIDR_EL1", "EINVAL"))) == "CLIDR_EL1 EINVAL"
    assert of_qemu(version).stops(move()) == ""


@pytest.mark.parametrize(
    ("name", "saved", "told"),
    [
        ("TCR2_EL1", 5, False),
        ("PIRE0_EL1", 0, False),
        ("KVM_REG_ARM_VENDOR_HYP_BMAP_2", 0, False),
        ("KVM_REG_ARM_VENDOR_HYP_BMAP_2", 1, True),
        ("CCSIDR_EL1[3]", 2, True),
        ("CNTPCT_EL0", 2, True),  # a counter: no loss, but no less unknown
    ],
)
def test_what_11_1_does_not_list_it_names_and_goes_on(name, saved, told):
    found = move(left(name, unlisted=True, saved=saved), saved=11)
    assert [each.kvm_id for each in unknown_to_qemu(found)] == ([IDS[name]] if told else [])
    assert of_qemu((11, 1)).stops(found) == ""


def test_rows_name_registers_that_there_are():
    assert IDS.keys() >= TOLERATED.keys()
    assert len({vmm.name for vmm in VMMS}) == len(VMMS)


def test_qemus_words_are_read_back():
    words = (
        f"{UNKNOWN.format('demuxed reg 6020000000110003')}destination: fail migration\n"
        f"{UNKNOWN.format('fw feat reg 3')}destination: fail migration\n"
        f"{UNKNOWN.format('fw reg 2')}destination: fail migration\n"
        f"{REFUSED.format(CLIDR)}"
        "qemu-system-aarch64: warning: handle_cpreg_missing_in_incoming_stream: "
        "system register op0:3 op1:3 crn:14 crm:0 op2:1 expected by the destination: skip it\n"
    )
    firmware = ("KVM_REG_ARM_VENDOR_HYP_BMAP_2", "KVM_REG_ARM_SMCCC_ARCH_WORKAROUND_2")
    assert qemu_words.unknown(words) == {IDS[name] for name in ("CCSIDR_EL1[3]", *firmware)}
    assert qemu_words.refused(words) == {IDS["CLIDR_EL1"]}
    assert qemu_words.missing(words) == {IDS["CNTPCT_EL0"]}
    assert qemu_words.unknown("") == frozenset()


def test_a_prediction_that_came_true():
    assert disagreements(of_qemu((11, 1)), move(), live()) == ()
    found = move(left("CLIDR_EL1", "EINVAL"))
    assert disagreements(of_qemu((11, 1)), found, live(arrived=False, words=REFUSED.format(CLIDR))) == ()
    assert disagreements(of_qemu((10, 0)), found, live(arrived=False, words="load of migration failed")) == ()


def test_a_guest_that_arrives_against_the_prediction():
    (found,) = disagreements(of_qemu((11, 1)), move(left("CLIDR_EL1", "EINVAL")), live())
    assert (found.subject, found.before, found.after) == ("outcome", "refused: CLIDR_EL1 EINVAL", "arrived")
    who = of_qemu((11, 1)).name
    assert found.said == f"{who} was to end as refused: CLIDR_EL1 EINVAL; QEMU 11.1.2: arrived"


def test_a_guest_that_is_refused_against_the_prediction():
    (found,) = disagreements(of_qemu((7, 2)), move(), live(arrived=False, words="no"))
    assert (found.before, found.after) == ("arrives", "refused: no")


def test_other_names_than_were_predicted():
    ours = move(left("CCSIDR_EL1[4]", "EINVAL"), left("CCSIDR_EL1[3]", unlisted=True))
    found = disagreements(of_qemu((11, 1)), ours, live(arrived=False, words=REFUSED.format(CLIDR)))
    assert [(each.subject, each.before, each.after) for each in found] == [
        ("not known there", "CCSIDR_EL1[3]", "none"),
        ("refused there", "CCSIDR_EL1[4]", "CLIDR_EL1"),
    ]
    beyond = "QEMU names {} beyond what was predicted, and does not name {}"
    assert [each.said for each in found] == [
        beyond.format("none", "CCSIDR_EL1[3]"),
        beyond.format("CLIDR_EL1", "CCSIDR_EL1[4]"),
    ]


def test_a_guest_that_notices_something_else():
    found = disagreements(of_qemu((11, 1)), move(), live(now=0x8444C004))
    assert {each.subject for each in found} == {"CTR_EL0.IDC"}
    assert all("only under ccprobe" in each.said for each in found)
    more = disagreements(of_qemu((11, 1)), move(now=0x8444C004), live())
    assert {each.subject for each in more} == {"CTR_EL0.IDC"}
    assert all(each.said.startswith("only under QEMU 11.1.2 the guest noticed: ") for each in more)


def test_what_was_not_observed_is_no_agreement():
    with pytest.raises(NotObserved, match="went on neither"):
        disagreements(of_qemu((7, 2)), move(), live(arrived=False, returned=False))
    silent = {way: Restored(source=NEW, strategy="", sha256="", cpu=0, way=way, left=()) for way in Way}
    with pytest.raises(NotObserved, match="did not say"):
        disagreements(of_qemu((7, 2)), Move(silent, 1, 1), live())
    mute = live()
    for phase in (KNOWN, ARRIVED):
        half = msgspec.structs.replace(mute, views=tuple(each for each in mute.views if each.phase != phase))
        with pytest.raises(NotObserved, match="did not say"):
            disagreements(of_qemu((7, 2)), move(), half)
