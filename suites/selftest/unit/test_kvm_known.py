"""Each known deviation is excused where its rule holds exactly, and nothing that only looks like it is."""

from dataclasses import replace

import msgspec
import pytest

from ccsight.evidence.guests import selected
from ccsight.evidence.record import Hex
from ccsight.evidence.views import CARRIED, LAUNCH, PINNED, Reading, Vantage, View, Write
from ccsight.kvm import known, known_guests
from ccsight.kvm.known import Difference
from ccsight.kvm.physical import ENHANCED_TRAPS, MISMATCHED, Physical, PhysicalCpu

GET, GUEST, EL0, AARCH32 = Vantage.USERSPACE, Vantage.GUEST, Vantage.GUEST_EL0, Vantage.GUEST_AARCH32
CTR, CLIDR, L1D, L2, L3 = "CTR_EL0", "CLIDR_EL1", "CCSIDR_EL1[0]", "CCSIDR_EL1[2]", "CCSIDR_EL1[4]"
LITTLE = {CTR: 0x8444C004, CLIDR: 0x81000023, L1D: 0x700FE03A, L2: 0x70FFE07B}
BIG = {CTR: 0x9444C004, CLIDR: 0x82000023, L1D: 0x701FE03A, L2: 0x73FFE07B}
#: What a trapped guest reads of either one's first data cache.
TRAPPED = 0x70000002


def _view(vantage, cpu, values):
    readings = {
        name: Reading(problem=value) if isinstance(value, str) else Reading(value=Hex(value))
        for name, value in values.items()
    }
    phase = LAUNCH if cpu is None else PINNED
    return View(vantage=vantage, vcpu=0, program="sweep", phase=phase, readings=readings, cpu=cpu)


def host(*registers, told=None, features=(), kinds=None):
    """Make a host whose CPUs have these registers; a VMM is told what they hold, or ``told``."""
    kinds = kinds or [0 if each == registers[0] else 1 for each in registers]
    cpus = tuple(
        PhysicalCpu(number, f"core {kind}", kind, 0, "declared", values)
        for number, (kind, values) in enumerate(zip(kinds, registers, strict=True))
    )
    shown = registers if told is None else told
    views = {number: _view(GET, number, values) for number, values in enumerate(shown)}
    return Physical(cpus, views, features)


def dark(*told, features=(), kinds=(0, 0, 1)):
    """Make a host of which only KVM tells something: no register of a CPU is known."""
    return host(*[{}] * len(told), told=told, features=features, kinds=list(kinds)[: len(told)])


TWO = host(LITTLE, LITTLE, BIG)
ONE = host(LITTLE, LITTLE)


def excused(check, reading, one, other, cpus, rows=known.NATIVE, write=None):
    """Return the first words of the reason, or ""."""
    difference = Difference(reading, one, other, cpus, write)
    return next((row.why[:28] for row in rows if row.explains(check, difference)), "")


def launch(reading, told, seen, cpus, **beside):
    """Return why a VMM and the guest of a VM that is just launched may read this."""
    one = _view(GET, None, {reading: told, **beside})
    return excused("CR-001", reading, one, _view(GUEST, None, {reading: seen}), cpus)


SANITISED, LATCHED = "the guest reads the physical", "userspace gets that of the C"
CUT, UNLISTED = "KVM_GET_ONE_REG carries 32 b", "KVM has no register for a ca"
NOT_MATCHING, TWO_CPUS = "the CPUs' CTR_EL0 do not mat", "userspace and the guest look"


def test_clidr_of_two_cpus_of_two_kinds():
    assert launch(CLIDR, LITTLE[CLIDR], BIG[CLIDR], TWO) == LATCHED


@pytest.mark.parametrize("cpus", [TWO, ONE, dark(LITTLE, LITTLE, BIG)])
def test_clidr_of_no_cpu_is_not_excused(cpus):
    assert launch(CLIDR, LITTLE[CLIDR], 0x0A200023, cpus) == ""
    assert launch(CLIDR, 0x0A200023, BIG[CLIDR], cpus) == ""


def test_clidr_of_a_host_that_is_not_known_is_not_excused():
    assert launch(CLIDR, LITTLE[CLIDR], BIG[CLIDR], dark(LITTLE, LITTLE, BIG)) == ""


def test_sizes_of_two_cpus_of_two_kinds():
    assert launch(L2, LITTLE[L2], BIG[L2], TWO) == TWO_CPUS
    assert launch(L2, LITTLE[L2], 0x7FFF, TWO) == ""
    assert launch(L2, 0x7FFF, BIG[L2], TWO) == ""


def test_two_sizes_on_a_host_of_one_kind_are_not_excused():
    both = dark(LITTLE, BIG, kinds=(0, 0))
    assert launch(L2, LITTLE[L2], BIG[L2], both) == ""


def test_a_size_that_no_guest_read_is_not_excused():
    assert launch(L2, LITTLE[L2], "UNDEF", TWO) == ""


@pytest.mark.parametrize(
    ("features", "seen", "why"),
    [
        ((MISMATCHED,), TRAPPED, NOT_MATCHING),
        ((MISMATCHED,), BIG[L1D], ""),
        ((MISMATCHED,), TRAPPED | 0xFF << 32, ""),
        ((), BIG[L1D], TWO_CPUS),
        ((), TRAPPED, ""),
        (None, BIG[L1D], TWO_CPUS),
        (None, TRAPPED, TWO_CPUS),
        (None, 0x7FFF, ""),
    ],
)
def test_what_a_guest_may_read_of_a_size_goes_by_the_log(features, seen, why):
    """Where the log is lost, it may have been trapped or not."""
    assert launch(L1D, LITTLE[L1D], seen, dark(LITTLE, LITTLE, BIG, features=features)) == why


def test_a_trapped_size_on_a_host_of_one_kind_whose_log_is_lost():
    assert launch(L1D, LITTLE[L1D], TRAPPED, dark(LITTLE, LITTLE, features=None)) == ""


def test_what_no_ioctl_carries_is_cut_exactly():
    assert launch(L1D, 0x1A, 0xFF_0000_001A, ONE) == CUT
    assert launch(L1D, 0x1A, 0xFF_0000_003A, ONE) == ""


def test_a_cache_that_is_not_listed_has_no_id():
    assert launch(L3, "ENOENT", 0, ONE, CLIDR_EL1=LITTLE[CLIDR]) == UNLISTED
    assert launch(L2, "ENOENT", 0, ONE, CLIDR_EL1=LITTLE[CLIDR]) == ""
    assert launch(L3, "EIO", 0, ONE, CLIDR_EL1=LITTLE[CLIDR]) == ""


def moved(reading, one, other, cpus, vantage=GUEST, between=(0, 2)):
    """Return why a VM that moved from a CPU to another may read this."""
    views = [_view(vantage, cpu, {reading: value}) for cpu, value in zip(between, (one, other), strict=True)]
    return excused("CR-003", reading, *views, cpus)


FIELD, OWN = "each physical CPU shows its o", "the guest reads the physical"


def test_each_cpu_shows_its_own_size():
    assert FIELD.startswith(moved(L1D, LITTLE[L1D], BIG[L1D], TWO))
    assert moved(L1D, LITTLE[L1D], BIG[L1D], TWO, GET)


@pytest.mark.parametrize("vantage", [GET, GUEST])
def test_the_size_of_the_other_cpu_is_not_its_own(vantage):
    """Even where a VMM is told the same wrong thing: what the CPUs hold is known."""
    wrong = host(LITTLE, LITTLE, BIG, told=[BIG, LITTLE, LITTLE])
    clidr = {CLIDR: LITTLE[CLIDR]}
    one = _view(vantage, 0, {L1D: BIG[L1D]} | clidr)
    other = _view(vantage, 2, {L1D: LITTLE[L1D]} | clidr)
    assert excused("CR-003", L1D, one, other, wrong) == ""


def test_sizes_of_cpus_of_one_kind_are_not_excused():
    """CPU 2 of the host is of another kind; the VM moved between two that are alike."""
    assert moved(L1D, LITTLE[L1D], BIG[L1D], dark(LITTLE, BIG, BIG), between=(0, 1)) == ""
    assert moved(L1D, LITTLE[L1D], BIG[L1D], dark(LITTLE, BIG, BIG), between=(0, 2))
    last = dark(BIG, LITTLE, BIG, kinds=(1, 0, 0))
    assert moved(L1D, LITTLE[L1D], BIG[L1D], last, between=(1, 2)) == ""


def test_where_only_kvm_tells_a_guest_reads_what_a_vmm_is_told():
    cpus = dark(LITTLE, LITTLE, BIG)
    assert moved(L1D, LITTLE[L1D], BIG[L1D], cpus)
    assert moved(L1D, LITTLE[L1D], 0x7FFF, cpus) == ""


def test_a_cpu_on_which_no_vmm_looked_is_not_excused():
    cpus = dark(LITTLE, LITTLE, BIG)
    unseen = replace(cpus, told={0: cpus.told[0], 1: cpus.told[1]})
    assert moved(L1D, LITTLE[L1D], BIG[L1D], unseen) == ""
    assert moved(L1D, LITTLE[L1D], BIG[L1D], cpus, between=(None, 2)) == ""


def test_of_an_unlisted_cache_anything_may_be_read():
    cpus = dark(*[{L3: "ENOENT"}] * 3)
    assert moved(L3, 0, 7, cpus)
    assert moved(L3, 0, 7, dark(*[{L3: "EIO"}] * 3)) == ""


def test_a_size_that_could_not_be_read_is_not_excused():
    assert moved(CLIDR, "UNDEF", BIG[CLIDR], dark(LITTLE, LITTLE, BIG)) == ""
    assert moved(CTR, "UNDEF", BIG[CTR], dark(LITTLE, LITTLE, BIG)) == ""


def test_a_guests_ctr_is_the_cpus_where_nothing_is_trapped():
    assert moved(CTR, LITTLE[CTR], BIG[CTR], dark(LITTLE, LITTLE, BIG))
    assert moved(CTR, LITTLE[CTR], BIG[CTR], dark(LITTLE, LITTLE, BIG, features=(MISMATCHED,))) == ""
    assert moved(CTR, LITTLE[CTR], BIG[CTR], dark(LITTLE, LITTLE, BIG, features=None)) == ""
    assert moved(CTR, LITTLE[CTR], BIG[CTR], dark(LITTLE, LITTLE, BIG), GET) == ""


def test_with_finer_traps_each_guest_has_its_cpus_ctr():
    cpus = host(LITTLE, LITTLE, BIG, features=(ENHANCED_TRAPS,))

    def why(one, other, cpus=cpus, vantage=GUEST):
        views = [_view(vantage, cpu, {CTR: value}) for cpu, value in ((0, one), (2, other))]
        return excused("CR-003", CTR, *views, cpus, known.NORMALISED)

    assert why(LITTLE[CTR], BIG[CTR]).startswith("with FEAT_EVT")
    assert why(BIG[CTR], LITTLE[CTR]) == ""
    assert why(LITTLE[CTR], 0xB444C004) == ""
    assert why(LITTLE[CTR], BIG[CTR], replace(cpus, features=())) == ""
    assert why(LITTLE[CTR], BIG[CTR], replace(cpus, features=(ENHANCED_TRAPS, MISMATCHED))) == ""
    assert why(LITTLE[CTR], BIG[CTR], vantage=GET) == ""


def refused(cpus, here=2, **changed):
    """Return why the size of CPU 0 may be refused on another one."""
    origin, told = _view(GET, 0, {L1D: LITTLE[L1D]}), _view(GET, here, {L1D: BIG[L1D]})
    write = Write(
        vcpu=0,
        program="sweep",
        phase=CARRIED,
        name=L1D,
        value=Hex(LITTLE[L1D]),
        problem="EINVAL",
        after=Reading(value=Hex(BIG[L1D])),
        cpu=here,
        origin=0,
    )
    return excused("CR-003", L1D, origin, told, cpus, write=msgspec.structs.replace(write, **changed))


def test_the_size_of_a_cpu_of_another_kind_is_refused():
    assert refused(dark(LITTLE, BIG, BIG)).startswith("each physical CPU")
    assert refused(dark(LITTLE, BIG, BIG), problem="EIO") == ""
    assert refused(dark(LITTLE, BIG, BIG), value=Hex(5)) == ""
    assert refused(dark(LITTLE, BIG, BIG), after=Reading(value=Hex(5))) == ""


def test_the_size_of_a_cpu_of_the_same_kind_must_be_taken():
    assert refused(dark(LITTLE, BIG, BIG), here=1) == ""
    later = dark(LITTLE, BIG, BIG, kinds=(0, 1, 0))
    assert refused(later, here=2) == ""


def beside(reading, one, other, cpus, vantage=EL0):
    """Return why what EL0 or AArch32 read may differ from what EL1 did."""
    views = _view(GUEST, None, {reading: one}), _view(vantage, None, {reading: other})
    return excused("CR-011", reading, *views, cpus, known_guests.NATIVE)


def test_el0_may_have_run_on_a_cpu_of_another_kind():
    assert beside(CTR, LITTLE[CTR], BIG[CTR], TWO).startswith("the two were read")
    assert beside(CTR, LITTLE[CTR], BIG[CTR], ONE) == ""
    assert beside(CTR, LITTLE[CTR], "UNDEF", TWO) == ""


@pytest.mark.parametrize("bit", [0, 1, 12, 33])
def test_what_no_cpu_has_is_not_excused_at_el0(bit):
    assert beside(CTR, LITTLE[CTR], BIG[CTR] ^ 1 << bit, TWO) == ""


def test_aarch32_has_half_of_what_a_cpu_has():
    wide = BIG | {CTR: BIG[CTR] | 1 << 33}
    two = host(LITTLE, LITTLE, wide)
    assert beside(CTR, LITTLE[CTR], BIG[CTR], two, AARCH32).startswith("the two were read")
    assert beside(CTR, LITTLE[CTR], BIG[CTR] ^ 1, two, AARCH32) == ""
    assert beside(CTR, LITTLE[CTR], BIG[CTR], two, EL0) == ""
    assert beside(CTR, LITTLE[CTR], wide[CTR], two, EL0).startswith("the two were read")


@pytest.mark.parametrize(
    ("features", "value", "vantage", "is_known"),
    [
        (1 << 20, (1 << 24) - 1, GUEST, True),
        (1 << 20, 1 << 24, GUEST, False),
        (1 << 20, "UNDEF", GUEST, False),
        (1 << 20, 5, AARCH32, False),
        (0, 5, GUEST, False),
        (None, 5, GUEST, False),
    ],
)
def test_ccsidr2_is_the_cpus_own_where_it_has_24_bits_of_sets(features, value, vantage, is_known):
    one = _view(GUEST, None, {} if features is None else {"ID_AA64MMFR2_EL1": features})
    other = _view(vantage, None, {"CCSIDR2_EL1": value})
    found = excused("CR-012", "CCSIDR2_EL1", one, other, ONE, known_guests.NATIVE)
    assert bool(found) == is_known


def test_a_selector_of_no_cache_is_known_by_clidr_alone():
    name = selected(6)

    def why(**values):
        asked = _view(GUEST, None, {name: 0, L3: "UNDEF"} | values)
        return excused("CR-012", name, asked, asked, ONE, known_guests.NATIVE)

    assert why(CLIDR_EL1=LITTLE[CLIDR]).startswith("CLIDR_EL1 does not list")
    assert why(CLIDR_EL1=0x492) == ""  # a data cache on four levels: it is listed
    assert why() == ""
