"""What a VMM writes of another kernel's values: all of the caches, and of a feature register one field."""

import msgspec
from recorded import capture

from ccsight.evidence.migrations import AS_LAUNCHED, NATIVE_CAP
from ccsight.evidence.record import Hex
from ccsight.evidence.views import PINNED, Reading, Vantage
from ccsight.kvm.chosen import carried_over, chosen, shown_to

N1 = {
    "CTR_EL0": 0x9444C004,
    "CLIDR_EL1": 0x82000023,
    "CCSIDR_EL1[0]": 0x701FE01A,
    "CCSIDR_EL1[1]": 0x201FE01A,
    "CCSIDR_EL1[2]": 0x70FFE03A,
}
FEATURES = "ID_AA64MMFR2_EL1"


def test_what_a_kernel_showed_is_of_the_caches_that_there_are():
    found = chosen(capture("neoverse-n1", "6.1").views)
    assert list(found) == ["CTR_EL0", "CLIDR_EL1", *sorted(N1)[:3], FEATURES]
    assert {name: value for name, value in found.items() if name != FEATURES} == N1


def test_only_the_first_vcpus_view_of_userspace_in_that_phase_counts():
    views = capture("neoverse-n1", "6.1").views
    alone = [each for each in views if (each.vantage, each.vcpu) == (Vantage.USERSPACE, 0)]
    assert chosen(alone) == chosen(views)
    assert chosen(each for each in views if each not in alone) == {}
    assert chosen(views, "none such") == {}
    assert chosen(views, PINNED)["CTR_EL0"] == 0x9444C004


def test_what_could_not_be_read_is_not_written():
    (view, *_) = capture("neoverse-n1", "6.1").views
    lost = msgspec.structs.replace(view, readings=view.readings | {"CCSIDR_EL1[2]": Reading(problem="EIO")})
    assert "CCSIDR_EL1[2]" not in chosen([lost])
    none = msgspec.structs.replace(view, readings={"CTR_EL0": Reading(value=Hex(5))})
    assert chosen([none]) == {"CTR_EL0": 5}


def test_a_vm_that_was_launched_otherwise_was_shown_nothing_to_go_by():
    saved = capture("neoverse-n1", "6.1").saved
    (launched,) = [each for each in saved if each.strategy == AS_LAUNCHED]
    assert shown_to(saved) == shown_to([launched])
    assert shown_to([msgspec.structs.replace(launched, strategy=NATIVE_CAP)]) == {}
    assert shown_to([]) == {}


def test_of_the_features_the_layout_alone_is_carried_over():
    own = {FEATURES: 0x0220011100001011, "CTR_EL0": 1}
    assert carried_over({**N1, FEATURES: 0xF0F << 32 | 1 << 20}, own) == {**N1, FEATURES: 0x0220011100101011}
    assert carried_over({FEATURES: 0}, {FEATURES: 0x101011}) == {FEATURES: 0x1011}


def test_features_that_one_side_lacks_are_left_as_they_are():
    assert carried_over(N1, {FEATURES: 1}) == N1
    assert carried_over({FEATURES: 5}, {}) == {FEATURES: 5}
