"""Registers, ids and geometry, against published dumps."""

import pytest

from ccsight.arm64 import caches, kvm_ids
from ccsight.arm64.caches import Layout, Side
from ccsight.arm64.registers import CCSIDR_EL1, CLIDR_EL1, CTR_EL0, REGISTERS, in_short
from ccsight.arm64.suggest import nearest


@pytest.mark.parametrize(
    ("register", "kvm_id"),
    [
        ("CTR_EL0", 0x603000000013D801),
        ("CLIDR_EL1", 0x603000000013C801),
        ("CSSELR_EL1", 0x603000000013D000),
        ("ID_AA64MMFR2_EL1", 0x603000000013C03A),
    ],
)
def test_kvm_ids_are_the_kernels(register, kvm_id):
    assert kvm_ids.of_register(REGISTERS[register]) == kvm_id
    assert kvm_ids.name(kvm_id) == register


def test_ccsidr_ids_carry_their_selector():
    assert kvm_ids.of_ccsidr(2) == 0x6020000000110002
    assert kvm_ids.name(0x602000000011000D) == "CCSIDR_EL1[13]"
    assert kvm_ids.ccsidr_selector(0x603000000013C801) is None


def test_an_id_without_a_name_shows_its_encoding():
    assert kvm_ids.name(0x603000000013C001) == "S3_0_C0_C0_1"
    assert kvm_ids.name(0x6030000000100042) == "0x6030000000100042"


@pytest.mark.parametrize("register", REGISTERS.values(), ids=str)
def test_fields_do_not_overlap(register):
    assert register.mask.bit_count() == sum(field.mask.bit_count() for field in register.fields)


def test_an_unknown_field_names_its_neighbour():
    with pytest.raises(KeyError, match="LoUIS"):
        CLIDR_EL1.field("LoUSI")


def test_graviton2_clidr():
    clidr = 0x82000023
    assert [cache.name for cache in caches.listed(clidr)] == ["L1I", "L1D", "L2"]
    assert [cache.selector for cache in caches.listed(clidr)] == [1, 0, 2]
    words = {name: CLIDR_EL1.field(name).say(clidr) for name in ("Ctype1", "Ctype2", "LoC", "LoUU", "ICB")}
    assert words == {"Ctype1": "separate I and D", "Ctype2": "unified", "LoC": "2", "LoUU": "0", "ICB": "2"}


def test_the_list_ends_at_the_first_level_without_a_cache():
    assert caches.listed(0b100_000_011) == caches.listed(0b011)


@pytest.mark.parametrize(
    ("ccsidr", "layout", "said", "size"),
    [
        (0x701FE01A, Layout.NARROW, "4×256×64 B", "64K"),
        (0x201FE012, Layout.NARROW, "3×256×64 B", "48K"),
        (0x70FFE07A, Layout.NARROW, "16×2048×64 B", "2M"),
        (0xFF0000001A, Layout.CCIDX, "4×256×64 B", "64K"),
        (0x7FF0000003A, Layout.CCIDX, "8×2048×64 B", "1M"),
        (0x2, Layout.NARROW, "1×1×64 B", "64 B"),
    ],
)
def test_geometry_of_both_layouts(ccsidr, layout, said, size):
    shape = caches.geometry(ccsidr, layout)
    assert str(shape) == said
    assert caches.human_size(shape.size) == size


@pytest.mark.parametrize(
    ("size", "said"),
    [
        (1 << 30, "1G"),
        (3 << 30, "3G"),
        (1 << 31 | 1 << 20, "2049M"),
        (1 << 20, "1M"),
        (1536, "1536 B"),
        (0, "0 B"),
    ],
)
def test_a_size_is_said_in_the_largest_unit_that_divides_it(size, said):
    assert caches.human_size(size) == said


def test_a_selector_of_two_digits_has_its_own_id():
    assert kvm_ids.of_reading("CCSIDR_EL1[12]") == 0x602000000011000C
    assert kvm_ids.of_reading("CCSIDR_EL1[1]") == 0x6020000000110001


def test_only_the_nearest_name_is_proposed():
    assert nearest("guset", ["guest", "guests", "userspace"]) == "did you mean 'guest'?"
    assert nearest("CLI", ["CTR_EL0", "CLIDR_EL1"]) == "did you mean 'CLIDR_EL1'?"
    assert nearest("x", ["CTR_EL0", "CLIDR_EL1"]) == "known: CTR_EL0, CLIDR_EL1"
    assert nearest("x", [f"{n}" for n in range(33)]).endswith("28, 29 and 3 more")


def test_only_one_set_of_one_way_is_fabricated():
    assert caches.geometry(0x2, Layout.NARROW).is_fabricated
    assert not caches.geometry(0x701FE01A, Layout.NARROW).is_fabricated


def test_layout_follows_ccidx():
    assert Layout.of(0x0220011102101011) is Layout.CCIDX
    assert Layout.of(0x0100000000000011) is Layout.NARROW


@pytest.mark.parametrize(
    ("ctr", "clidr", "idc"),
    [
        (0x8444C004, 0x0A200023, 0),  # Cortex-A57: nothing promised
        (0x8444C004, 0x82000023, 1),  # no level of unification: effective, though CTR says 0
        (0x9444C004, 0x09200003, 1),  # CTR says so
        (0x8444C004, 0x01000004, 1),
        (0x8444C004, 0x00200023, 1),  # no level of coherence
    ],
)
def test_effective_idc_is_linuxs(ctr, clidr, idc):
    assert caches.effective_idc(ctr, clidr) == idc


def test_minimum_line_is_in_bytes():
    assert caches.minimum_line(0x8444C004, Side.DATA) == 64
    assert caches.minimum_line(0x84448003, Side.INSTRUCTION) == 32


def test_ctr_has_its_top_field_above_bit_31():
    assert CTR_EL0.field("TminLine").extract(0x4B444C004) == 4
    assert CCSIDR_EL1.field("UNKNOWN").extract(0x701FE01A) == 7


def test_fields_of_neighbours_become_one():
    assert in_short(["CCSIDR_EL1[3].LineSize", "CCSIDR_EL1[4].LineSize", "CCSIDR_EL1[5].NumSets"]) == (
        "CCSIDR_EL1[3-4].LineSize, CCSIDR_EL1[5].NumSets"
    )
