"""What the reference model lets a view show on a host of two kinds of CPU, and where nothing is known."""

from dataclasses import replace

import pytest

from ccsight.evidence.views import LAUNCH, PINNED, Vantage, View
from ccsight.kvm.model import fabricated_clidr, fabricated_size, native, normalised, trapped_size
from ccsight.kvm.physical import ENHANCED_TRAPS, MISMATCHED, Physical, PhysicalCpu
from ccsight.kvm.sanitised import first_mismatch

GET, GUEST, EL0, AARCH32 = Vantage.USERSPACE, Vantage.GUEST, Vantage.GUEST_EL0, Vantage.GUEST_AARCH32
LITTLE = {
    "CTR_EL0": 0x84448004,
    "CLIDR_EL1": 0x0A200023,
    "CCSIDR_EL1[0]": 0x700FE01A,
    "CCSIDR_EL1[1]": 0x200FE01B,
}
BIG = {
    "CTR_EL0": 0x8444C004,
    "CLIDR_EL1": 0x0A300023,
    "CCSIDR_EL1[0]": 0x701FE01A,
    "CCSIDR_EL1[1]": 0x201FE01B,
}
#: CTR_EL0 as the host keeps it: the policies differ, so it is VIPT, as that of the little one is.
KEPT = 0x84448004


def host(*features):
    cpus = tuple(
        PhysicalCpu(number, f"core {number}", number, 0, "declared", registers)
        for number, registers in enumerate((LITTLE, BIG))
    )
    return Physical(cpus, {}, features)


UNKNOWN = Physical((PhysicalCpu(0, "core", 1, 0, "", {}),), {}, ())


def shown(model, cpus, vantage, cpu=None, name="CTR_EL0"):
    """Return the values that are right for a register."""
    phase = LAUNCH if cpu is None else PINNED
    view = View(vantage=vantage, vcpu=0, program="sweep", phase=phase, readings={}, cpu=cpu)
    return [reading.value for reading in model(cpus, view).get(name, ())]


@pytest.mark.parametrize(("cpu", "core"), [(0, LITTLE), (1, BIG)])
@pytest.mark.parametrize("name", LITTLE)
def test_an_untrapped_guest_reads_the_cpu_that_it_is_pinned_to(name, cpu, core):
    assert shown(native, host(), GUEST, cpu, name) == [core[name]]
    assert shown(native, host(), GUEST, None, name) == [LITTLE[name], BIG[name]]


@pytest.mark.parametrize(("cpu", "core"), [(0, LITTLE), (1, BIG)])
def test_a_trapped_guest_reads_the_hosts_ctr_and_its_own_cpus_clidr(cpu, core):
    cpus = host(MISMATCHED)
    assert shown(native, cpus, GUEST, cpu) == [KEPT]
    assert shown(native, cpus, GUEST, cpu, "CLIDR_EL1") == [core["CLIDR_EL1"]]
    assert shown(native, cpus, GUEST, cpu, "CCSIDR_EL1[0]") == [0x70000002]
    assert shown(native, cpus, GUEST, cpu, "CCSIDR_EL1[1]") == [core["CCSIDR_EL1[1]"]]


def test_a_trapped_size_is_of_one_set_for_data_and_untouched_for_instructions():
    assert trapped_size(2, 0xFF_70FF_E07B) == 0x70000003
    assert trapped_size(3, 0xFF_20FF_E07B) == 0x20FFE07B


def test_where_the_model_knows_no_vantage_or_host_it_says_nothing():
    assert shown(native, host(), AARCH32) == []
    lost = replace(UNKNOWN, features=None)
    for vantage in (GUEST, EL0, AARCH32):
        assert shown(native, lost, vantage) == shown(normalised, UNKNOWN, vantage) == []
    assert shown(normalised, UNKNOWN, GET) == shown(normalised, host(), AARCH32) == []


@pytest.mark.parametrize(
    ("features", "vantage", "right"),
    [
        ((), GUEST, [KEPT]),
        ((ENHANCED_TRAPS,), GUEST, [BIG["CTR_EL0"]]),
        ((ENHANCED_TRAPS,), EL0, [BIG["CTR_EL0"]]),
        ((ENHANCED_TRAPS,), GET, [KEPT]),
        ((ENHANCED_TRAPS, MISMATCHED), GUEST, [KEPT]),
    ],
)
def test_a_normalised_kernel_lets_ctr_alone_be_read_and_where_the_log_says_so(features, vantage, right):
    assert shown(normalised, host(*features), vantage, 1) == right


def test_a_mismatch_is_of_a_cpu_that_fits_neither_raw_nor_effective():
    plain, eager = (0x8444C004, 0x0A200023), (0x9444C004, 0x0A200023)
    needless = (0x8444C004, 0x82000023)  # IDC is in effect, though CTR_EL0 does not say so
    assert first_mismatch([plain, plain]) is None
    assert first_mismatch([plain, eager]) == 1
    assert first_mismatch([plain, plain, eager]) == 2
    assert first_mismatch([plain, needless]) is None
    assert first_mismatch([eager, needless]) is None
    assert first_mismatch([plain, (0x84448004, 0x0A200023)]) is None  # another policy is no mismatch


@pytest.mark.parametrize(
    ("promises", "clidr", "tagged"),
    [
        (0, 0x09200003, 2 << 33),
        (1 << 29, 0x09200002, 2 << 33),
        (1 << 28, 0x02000021, 2 << 35),
        (3 << 28, 0x01000004, 2 << 33),
    ],
)
def test_what_is_made_up_follows_from_idc_and_dic(promises, clidr, tagged):
    """IDC is bit 28 of CTR_EL0, DIC bit 29; tags are at the level of coherency."""
    ctr = 0x8444C004 | promises
    assert fabricated_clidr(ctr) == clidr
    assert fabricated_clidr(ctr, mte=True) == clidr | tagged


def test_a_made_up_size_is_a_line_of_its_side():
    assert [fabricated_size(0x8445C004, selector) for selector in range(4)] == [3, 2, 3, 2]
