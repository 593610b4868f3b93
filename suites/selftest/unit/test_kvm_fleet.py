"""What a fleet's common values are made of, and what is said of each that is not the same on all hosts."""

import pytest
from profile_samples import changed

from ccsight.arm64.caches import geometry, listed
from ccsight.arm64.registers import CLIDR_EL1, CTR_EL0
from ccsight.campaign.profiles import hosts_of_silicon
from ccsight.evidence.profile import Shown
from ccsight.evidence.record import Hex
from ccsight.kvm.fleet import Host, common, native_refusals, refusals_of
from ccsight.machines.silicon import shipped

TABLE = shipped()
HIDDEN = "arm64_check_features(); hidden from all guests since bf48040cd9b0"
VIPT_TAKEN = "2 is not the host's 3, and fixed; VIPT is taken since e9b57d7f9740, v6.13"


def fleet(*names):
    return [host for name in names for host in hosts_of_silicon(f"silicon:{name}", TABLE)]


def host(name, ctr=0xB444C004, **shown):
    return Host(name, ctr, changed(fleet("graviton2")[0].shown, **shown))


def notes(hosts):
    return [(each.place, each.chosen, each.why, each.source) for each in common(hosts).notes]


def refused(shown, by):
    return [(each.reading, each.why, each.source) for each in refusals_of(shown, by)]


def clidr(**fields):
    return sum(number << CLIDR_EL1.field(name).lo for name, number in fields.items())


def chosen(hosts):
    """Return the fields of CLIDR_EL1 that are not 0."""
    value = common(hosts).shown.clidr
    return {each.name: each.extract(value) for each in CLIDR_EL1.fields if each.extract(value)}


def test_every_choice_between_two_machines_has_its_note():
    assert notes(fleet("graviton2", "cortex-a72")) == [
        ("CTR_EL0.IDC", "0", "graviton2 1, cortex-a72 0", "arm64_ftr_safe_value(), set_id_reg()"),
        ("CTR_EL0.DIC", "0", "graviton2 1, cortex-a72 0", "arm64_ftr_safe_value(), set_id_reg()"),
        ("CLIDR_EL1.LoUIS", "1", "graviton2 0, cortex-a72 1", "set_clidr()"),
        ("CLIDR_EL1.LoUU", "1", "graviton2 0, cortex-a72 1", "set_clidr()"),
        ("CLIDR_EL1.ICB", "0", "graviton2 2, cortex-a72 0", "set_clidr()"),
        ("CCSIDR_EL1[0]", "2×256×64 B", "graviton2 4×256×64 B, cortex-a72 2×256×64 B", "set_ccsidr()"),
        ("CCSIDR_EL1[1]", "3×256×64 B", "graviton2 4×256×64 B, cortex-a72 3×256×64 B", "set_ccsidr()"),
        ("CCSIDR_EL1[2]", "8×2048×64 B", "graviton2 8×2048×64 B, cortex-a72 16×1024×64 B", "set_ccsidr()"),
    ]


@pytest.mark.parametrize(
    ("names", "why"),
    [(("graviton3", "graviton4"), "graviton3 1, graviton4 1"), (("graviton3", "graviton2"), None)],
)
def test_a_layout_that_goes_is_noted(names, why):
    assert notes(fleet(*names))[0] == (
        "ID_AA64MMFR2_EL1.CCIDX",
        "0",
        why or "graviton3 1, graviton2 0",
        HIDDEN,
    )


def test_what_no_field_holds_is_noted_with_what_became_of_it():
    assert notes(fleet("hostile"))[1:] == [
        ("CCSIDR_EL1[1]", "1024×1×16 B", "hostile 4096×1×16 B", "set_ccsidr()"),
        ("CCSIDR_EL1[6]", "1024×8×256 B", "hostile 2097152×8×256 B", "set_ccsidr()"),
        ("CCSIDR_EL1[8]", "1×32768×128 B", "hostile 1×16777216×128 B", "set_ccsidr()"),
        ("CCSIDR_EL1[10]", "2×32768×2048 B", "hostile 2×1048576×2048 B", "set_ccsidr()"),
    ]


def test_a_fleet_with_a_host_without_idc_cleans_at_one_level():
    both = [host("eager"), host("plain", 0x8444C004)]
    why = "a host whose CTR_EL0.IDC is 0 takes no CLIDR_EL1 that needs no cleaning"
    assert notes(both)[-1] == ("CLIDR_EL1.LoUU, LoUIS", "1", why, "set_clidr()")
    assert chosen(both) == {"Ctype1": 3, "Ctype2": 4, "LoUIS": 1, "LoC": 2, "LoUU": 1, "ICB": 2}


def test_a_level_of_coherency_of_0_is_raised_there_to_1():
    nothing = clidr(Ctype1=3)
    both = [host("eager", clidr=nothing), host("plain", 0x8444C004, clidr=nothing)]
    assert chosen(both) == {"Ctype1": 3, "LoUIS": 1, "LoC": 1, "LoUU": 1}


def test_levels_end_where_machines_differ_and_maintenance_with_them():
    """One has a separate second level, the other a unified one: only the first is left, and LoC is 1."""
    one = host("one", clidr=clidr(Ctype1=3, Ctype2=3, LoC=2), ccsidr=dict.fromkeys(range(4), Hex(0x1A)))
    other = host("other", clidr=clidr(Ctype1=3, Ctype2=4, LoC=2))
    assert chosen([one, other]) == {"Ctype1": 3, "LoC": 1}
    assert [note for note in notes([one, other]) if "CLIDR" in note[0]] == [
        ("CLIDR_EL1.Ctype2", "0", "one 3, other 4", "set_clidr()")
    ]


def test_machines_that_share_no_cache_keep_one_level_of_maintenance():
    one = host("one", clidr=clidr(Ctype1=3, LoC=2))
    other = host("other", clidr=clidr(Ctype1=4, LoC=2))
    assert chosen([one, other]) == {"LoC": 1}
    assert common([one, other]).shown.ccsidr == {}


def test_tags_stay_where_all_have_them_alike():
    tagged = clidr(Ctype1=3, Ctype2=4, LoC=2, Ttype1=2, Ttype2=2)
    assert chosen([host("one", clidr=tagged), host("other", clidr=tagged)])["Ttype2"] == 2
    half = clidr(Ctype1=3, Ctype2=4, LoC=2, Ttype1=2, Ttype2=3)
    both = [host("one", clidr=tagged), host("other", clidr=half)]
    assert {name: number for name, number in chosen(both).items() if "Ttype" in name} == {"Ttype1": 2}
    assert ("CLIDR_EL1.Ttype2", "0", "one 2, other 3", "set_clidr()") in notes(both)


def test_lines_are_of_the_side_that_needs_them():
    """DminLine is longer than IminLine: a data cache's line grows, an instruction cache's does not."""
    long_data = 0xB445C004
    short = dict.fromkeys(range(3), Hex(0x701FE01A))
    found = common([host("one", long_data, ccsidr=short)]).shown
    lines = {
        cache.name: geometry(found.ccsidr[cache.selector], found.layout).line for cache in listed(found.clidr)
    }
    assert lines == {"L1D": 128, "L1I": 64, "L2": 128}


def test_a_cache_of_one_set_keeps_it():
    """Its one line is shorter than another host's shortest: as many bytes would be no set at all."""
    tiny = host("tiny", ccsidr={0: Hex(0x1A), 1: Hex(0x1A), 2: Hex(0x1A)})
    long = host("long", 0xB445C005)
    found = common([tiny, long]).shown
    assert str(geometry(found.ccsidr[0], found.layout)) == "4×1×128 B"


def test_what_a_newer_kernel_refuses_is_said_with_its_function():
    plain = host("plain", 0x8444C004)
    wanted = changed(
        plain.shown, clidr=1 << 50, ctr=0xB444C005, ccidx=1, ccsidr={0: Hex(1), 1: Hex(1), 2: Hex(2)}
    )
    no_idc = "LoC, or LoUU and LoUIS, are 0, and the host's CTR_EL0.IDC is 0"
    short = "lines of 32 B, the host's smallest is 64 B"
    assert refused(wanted, plain) == [
        ("CTR_EL0.IminLine", "5 is more than the host's 4", "arm64_check_features()"),
        ("CTR_EL0.IDC", "1 is more than the host's 0", "arm64_check_features()"),
        ("CTR_EL0.DIC", "1 is more than the host's 0", "arm64_check_features()"),
        ("CLIDR_EL1", "bits 63:47 are not 0", "set_clidr()"),
        ("CLIDR_EL1", no_idc, "set_clidr()"),
        ("CCSIDR_EL1[0]", short, "set_ccsidr()"),
        ("CCSIDR_EL1[1]", short, "set_ccsidr()"),
        ("ID_AA64MMFR2_EL1.CCIDX", "1, which KVM hides", "set_id_reg(), bf48040cd9b0"),
    ]


def test_each_side_has_its_own_smallest_line():
    """IminLine 4, DminLine 5: 64 bytes are enough for an instruction cache, and too short for the others."""
    by = host("long data", 0xB445C004)
    wanted = changed(by.shown, ccsidr=dict.fromkeys(range(3), Hex(2)))
    short = "lines of 64 B, the host's smallest is 128 B"
    assert refused(wanted, by) == [(f"CCSIDR_EL1[{n}]", short, "set_ccsidr()") for n in (0, 2)]


def test_only_another_policy_was_taken_later():
    by = fleet("graviton3")[0]
    source = "set_id_reg(), 2843cae26644"
    vipt, granule = by.ctr & ~(1 << 14), by.ctr & ~CTR_EL0.field("CWG").mask
    assert refused(changed(by.shown, ctr=vipt, ccidx=0), by) == [("CTR_EL0.L1Ip", VIPT_TAKEN, source)]
    assert refused(changed(by.shown, ctr=granule, ccidx=0), by) == [
        ("CTR_EL0.CWG", "0 is not the host's 4, and fixed", source)
    ]


def test_what_an_old_kernel_refuses_is_said_with_its_function():
    a72, graviton, rockchip = fleet("cortex-a72")[0], fleet("graviton2")[0], fleet("rk3588")[0]
    found = [(each.reading, each.why, each.source) for each in native_refusals(graviton.shown, a72)]
    assert found == [
        ("CTR_EL0", "0xb444c004 is not the host's 0x8444c004", "set_invariant_sys_reg()"),
        ("CLIDR_EL1", "0x82000023 is not the host's 0xa200023", "set_invariant_sys_reg()"),
        ("CCSIDR_EL1[0]", "0x701fe01a is not the host's 0x701fe00a", "demux_c15_set()"),
        ("CCSIDR_EL1[1]", "0x201fe01a is not the host's 0x201fe012", "demux_c15_set()"),
        ("CCSIDR_EL1[2]", "0x70ffe03a is not the host's 0x707fe07a", "demux_c15_set()"),
    ]
    last = native_refusals(rockchip.shown, graviton)[-1]
    assert (last.reading, last.why, last.source) == ("CCSIDR_EL1[4]", "no such cache", "demux_c15_set()")


def test_an_old_kernel_compares_32_bits_of_a_size_and_all_of_the_rest():
    by = fleet("graviton3")[0]
    high = {selector: Hex(value ^ 1 << 40) for selector, value in by.shown.ccsidr.items()}
    assert native_refusals(changed(by.shown, ccsidr=high), by) == ()
    tagged = by.shown.clidr | 1 << 33
    (found,) = native_refusals(changed(by.shown, clidr=tagged), by)
    assert found.why == f"{tagged:#x} is not the host's {by.shown.clidr:#x}"
    for bit in (0, 1):
        assert native_refusals(changed(by.shown, clidr=by.shown.clidr ^ 1 << bit), by)


def test_a_fleet_needs_nothing_but_its_registers():
    bare = Host("bare", 0x8444C004, Shown(Hex(0x8444C004), Hex(0), 0, {}))
    assert common([bare]).shown == Shown(Hex(0x8444C004), Hex(clidr(LoC=1, LoUU=1, LoUIS=1)), 0, {})
