"""What a fleet has in common is taken by each of its machines; and a profile in the forms of VMMs."""

import json
import re
from itertools import combinations

import pytest
from profile_samples import changed, core, graviton3, recorded

from ccsight.arm64 import kvm_ids
from ccsight.arm64.caches import Layout, geometry, listed
from ccsight.arm64.registers import CLIDR_EL1, ID_AA64MMFR2_EL1
from ccsight.campaign.profiles import hosts_of_profile, hosts_of_silicon
from ccsight.errors import UsageError
from ccsight.evidence.record import Hex
from ccsight.evidence.views import FRESH, Reading, Vantage, View, Write
from ccsight.kvm import exports
from ccsight.kvm.fleet import common, native_refusals, refusals_of
from ccsight.kvm.writes import normalised
from ccsight.kvm.written import Written
from ccsight.machines.silicon import shipped

TABLE = shipped()
NAMES = sorted(TABLE.machines)
#: Fields of CTR_EL0 that a VMM cannot choose: where machines differ in them, there is nothing in common.
FIXED = {"CTR_EL0.L1Ip", "CTR_EL0.ERG", "CTR_EL0.CWG", "CTR_EL0.TminLine"}


def fleet(*names):
    return [host for name in names for host in hosts_of_silicon(f"silicon:{name}", TABLE)]


def caches(shown):
    return {cache.name: geometry(shown.ccsidr[cache.selector], shown.layout) for cache in listed(shown.clidr)}


@pytest.mark.parametrize("names", [*((name, name) for name in NAMES), *combinations(NAMES, 2), NAMES])
def test_every_machine_takes_what_all_have_in_common(names):
    hosts = fleet(*names)
    found = common(hosts)
    for host in hosts:
        assert {each.reading for each in refusals_of(found.shown, host)} <= FIXED
        own = {cache.name for cache in listed(host.shown.clidr)}
        assert {cache.name for cache in listed(found.shown.clidr)} <= own


@pytest.mark.parametrize("names", [*combinations(NAMES, 2)])
def test_the_reference_model_of_writes_agrees(names):
    """``fleet`` says what set_clidr() and set_ccsidr() take, and so does CR-005's model: the same."""
    hosts = fleet(*names)
    found = common(hosts).shown
    for host in hosts:
        told = View(
            vantage=Vantage.USERSPACE,
            vcpu=0,
            program="view",
            phase=FRESH,
            readings={"CTR_EL0": Reading(value=Hex(host.ctr))},
        )
        kernel = Written({(Vantage.USERSPACE, None): told}, frozenset(range(14)), ())
        for name, value in found.readings().items():
            if name != "CTR_EL0":
                write = Write(
                    vcpu=0,
                    program="writes",
                    phase=FRESH,
                    name=name,
                    value=Hex(value & 0xFFFFFFFF if "[" in name else value),
                    problem="",
                    after=Reading(),
                )
                assert normalised(kernel, write) == ("",), (host.name, name)


def test_one_machine_has_all_in_common_with_itself():
    (host, *_) = fleet("cortex-a72")
    found = common([host])
    assert (found.shown.clidr, found.shown.ctr, found.notes) == (host.shown.clidr, host.ctr, ())
    assert caches(found.shown) == caches(host.shown)
    assert [each.reading for each in native_refusals(found.shown, host)] == [
        f"CCSIDR_EL1[{n}]" for n in range(3)
    ]


def test_the_neediest_machine_decides():
    found = common(fleet("graviton2", "cortex-a72"))
    fields = {
        name: CLIDR_EL1.field(name).extract(found.shown.clidr) for name in ("LoC", "LoUU", "LoUIS", "ICB")
    }
    assert fields == {"LoC": 2, "LoUU": 1, "LoUIS": 1, "ICB": 0}
    assert found.shown.ctr == 0x8444C004
    assert str(caches(found.shown)["L1I"]) == "3×256×64 B"
    notes = {note.place: note for note in found.notes}
    assert notes["CTR_EL0.IDC"].why == "graviton2 1, cortex-a72 0"
    assert notes["CLIDR_EL1.LoUU"].source == "set_clidr()"


def test_a_host_without_idc_gets_something_to_clean():
    """All say LoUU and LoUIS are 0, one of them without CTR_EL0.IDC: set_clidr() refuses that there."""
    (host, *_) = fleet("graviton2")
    plain = type(host)("plain", 0x8444C004, host.shown)
    assert [each.source for each in refusals_of(host.shown, plain) if each.reading == "CLIDR_EL1"] == [
        "set_clidr()"
    ]
    found = common([host, plain])
    assert refusals_of(found.shown, plain) == ()
    assert CLIDR_EL1.field("LoUU").extract(found.shown.clidr) == 1


def test_lines_are_no_shorter_than_any_hosts():
    short, long = fleet("mismatched-short"), fleet("mismatched-long")
    found = common([*short, *long])
    assert caches(found.shown)["L1I"].line == 64
    refused = refusals_of(changed(found.shown, ccsidr={1: Hex(1)}), long[0])
    assert [each.reading for each in refused if each.source == "set_ccsidr()"] == ["CCSIDR_EL1[1]"]


def test_ccidx_goes_unless_all_have_it_and_it_is_kept():
    both = fleet("graviton3", "graviton4")
    assert common(both).shown.ccidx == 0
    assert "hidden" in next(note for note in common(both).notes if "CCIDX" in note.place).source
    kept = common(both, keep_ccidx=True).shown
    assert (kept.ccidx, kept.layout) == (1, Layout.CCIDX)
    assert [each.reading for each in refusals_of(kept, both[0])] == ["ID_AA64MMFR2_EL1.CCIDX"]
    assert common([*both, *fleet("graviton2")], keep_ccidx=True).shown.ccidx == 0


def test_what_does_not_fit_is_as_large_as_it_can_be():
    """2^21 ways and 2^24 sets do not fit 32 bits of CCSIDR_EL1: the note says what was made of them."""
    found = common(fleet("hostile"))
    assert caches(found.shown)["L4D"].ways == 1024
    assert any(note.place == "CCSIDR_EL1[6]" for note in found.notes)


def test_other_policies_have_nothing_in_common_before_6_13():
    a53, graviton = fleet("cortex-a53"), fleet("graviton3")
    refused = refusals_of(common([*a53, *graviton]).shown, graviton[0])
    assert [each.reading for each in refused] == ["CTR_EL0.L1Ip"]
    assert "e9b57d7f9740" in refused[0].why


def test_a_profile_is_a_machine_of_a_fleet():
    (host,) = hosts_of_profile("mine", recorded("neoverse-n1"))
    assert (host.name, host.ctr, host.shown.ctr) == ("mine/neoverse-n1", 0x9444C004, 0x8444C004)
    assert native_refusals(core(recorded("neoverse-n1")).userspace, host) == ()
    with pytest.raises(UsageError, match="without a boot"):
        hosts_of_silicon("emulated:max", TABLE)


def settings(text):
    """Read the form ``ids`` as a VMM would."""
    line = re.compile(r"(0x[0-9a-f]{16})(?: & (0x[0-9a-f]+))? = (0x[0-9a-f]+)  # (\S+)")
    found = [line.fullmatch(each) for each in text.splitlines() if not each.startswith("#")]
    assert all(found)
    assert all(each[4] == kvm_ids.name(int(each[1], 16)) for each in found)
    return [(int(each[1], 16), int(each[2], 16) if each[2] else None, int(each[3], 16)) for each in found]


def test_a_list_of_ids():
    text = exports.ids(core(graviton3()).userspace, "graviton3")
    assert text.startswith("# graviton3\n")
    ids = [kvm_ids.name(kvm_id) for kvm_id, _, _ in settings(text)]
    assert ids[:3] == ["CTR_EL0", "CLIDR_EL1", "CCSIDR_EL1[0]"]
    assert settings(text)[-1] == (kvm_ids.of_register(ID_AA64MMFR2_EL1), 0xF00000, 0x100000)
    assert (0x6020000000110002, None, 0x3A) in settings(text)


@pytest.mark.parametrize("vantage", ["userspace", "guest"])
@pytest.mark.parametrize("profile", [graviton3(), recorded("neoverse-n1"), recorded("cortex-a57", "6.12")])
def test_a_template_for_firecracker(profile, vantage):
    """docs/cpu_templates/schema.json: ``addr`` holds an integer, ``bitmap`` is 0b[01x]{128}; nothing else."""
    shown = getattr(core(profile), vantage)
    template = json.loads(exports.firecracker(shown, "title"))
    assert template.keys() == {"reg_modifiers"}
    assert exports.firecracker(shown, "title").startswith('{\n  "reg_modifiers": [\n    {\n')
    applied = {}
    for modifier in template["reg_modifiers"]:
        assert modifier.keys() == {"addr", "bitmap"}
        assert re.fullmatch("0b[01x]{128}", modifier["bitmap"])
        kvm_id, bits = int(modifier["addr"], 0), modifier["bitmap"][2:]
        width = 8 << (kvm_id >> 52 & 0xF)
        assert set(bits[: 128 - width]) == {"x"}  # what is set beyond the register is refused
        before = 0xFFFF_FFFF_FFFF_FFFF & (1 << width) - 1
        applied[kvm_id] = int("".join("1" if bit == "x" else bit for bit in bits), 2) & before
    text = exports.ids(shown, "title")
    wanted = {
        kvm_id: value if mask is None else 0xFFFF_FFFF_FFFF_FFFF & ~mask | value
        for kvm_id, mask, value in settings(text)
    }
    assert applied == wanted
