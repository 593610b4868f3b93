"""Which caches Linux makes of a device tree and CLIDR_EL1, and what of it CR-016 excuses."""

import msgspec
import pytest
from linux_samples import guest, host, linux_capture

from ccsight.checks import judge
from ccsight.evidence.cases import PlannedCase
from ccsight.evidence.linux import CLIDR, LOWERED, OVERRIDE, SYSFS, Domain, Leaf
from ccsight.evidence.record import Hex
from ccsight.kvm.behaviour import NATIVE, NORMALISED
from ccsight.kvm.linux_guests import PROMISES, fits, why_known, why_promised
from ccsight.kvm.linux_leaves import leaves_of, outcomes
from ccsight.status import Status

replace = msgspec.structs.replace
DATA, INSTRUCTION, UNIFIED = "Data", "Instruction", "Unified"
TYPES = {"D": DATA, "I": INSTRUCTION, "": UNIFIED}
#: neoverse-n1: what KVM fabricates, what a VMM makes of sysfs, and the CPU's own.
MADE, OURS, OWN = 0x2000021, 0x1000003, 0x82000023
#: silicon:hostile: I and D twice, then L3I, L4D and three unified ones.
HOSTILE = 0x14B52445B


def leaf(name):
    return Leaf(level=int(name[1]), type=TYPES[name[2:]])


def leaves(names):
    return tuple(leaf(name) for name in names.split())


def shown(names):
    return None if names is None else tuple(names.split())


@pytest.mark.parametrize(
    ("tree", "clidr", "found"),
    [
        # They agree.
        ("L1D L1I L2", OWN, {"L1D L1I L2"}),
        ("L1I L2", MADE, {"L1I L2"}),
        # The tree lists more: what is unified there is taken for an external cache.
        ("L1D L1I L2 L3", OWN, {"L1D L1I L2 L3"}),
        # The tree lists less: so many are counted, and CLIDR_EL1 says of which type.
        ("L1D L1I", OWN, {"L1D L1I"}),
        ("L1", OWN, {None, ""}),
        # Two are counted on level 1, where CLIDR_EL1 has one: the second finds no node.
        ("L1D L1I", MADE, {None, "L1I"}),
        ("L1D L1I L2", MADE, {None, "L1I L2"}),
        # A level with one more in CLIDR_EL1 than in the tree takes a place of the next level's.
        ("L1 L2", OWN, {"L1D L1I"}),
        ("L1I L2 L3", OWN, {"L1D L1I L2"}),
        # Behind level 1 every cache takes a node, and split ones have one together.
        ("L1D L1I L2D L2I", 0x1B, {None, "L1D L1I L2D L2I"}),
        ("L1D L1I L2D L2I L3", 0x11B, {None, "L1D L1I L2D L2I L3"}),
        # Neither has anything on level 1, or at all.
        ("L2", 0x20, {None, ""}),
        ("", OWN, {"L1D L1I"}),
        ("", MADE, {None, "L1I L2"}),
        # A split level that does not fit into what is left: a place with no level of its own.
        ("L1 L2 L3", 0x1B, {"L1D L1I L0"}),
    ],
)
def test_linux_counts_in_the_tree_and_asks_clidr_for_types(tree, clidr, found):
    assert outcomes(leaves(tree), clidr) == {shown(names) for names in found}


def test_the_caches_of_a_hostile_cpu_are_all_lost_or_all_shown():
    everything = leaves_of(HOSTILE)
    assert everything == ("L1D", "L1I", "L2D", "L2I", "L3I", "L4D", "L5", "L6", "L7")
    assert outcomes(tuple(map(leaf, everything)), HOSTILE) == {None, everything}


def test_it_is_what_was_recorded():
    for way in (CLIDR, SYSFS, OVERRIDE):
        told = guest(way)
        for cpu in told.cpus:
            names = None if cpu.leaves is None else tuple(each.name for each in cpu.leaves)
            assert names in outcomes(told.described, told.clidr), way


def given(way, names, described=None):
    """Return a recorded guest whose vCPU 1 shows these caches."""
    told = guest(way)
    cpu = replace(told.cpus[1], leaves=None if names is None else leaves(names))
    tree = told.described if described is None else leaves(described)
    return replace(told, cpus=(told.cpus[0], cpu), described=tree), cpu


@pytest.mark.parametrize("names", [None, "L1I"])
def test_what_linux_makes_of_a_tree_of_the_hosts_sysfs_is_known(names):
    assert "7af0c2534f4c" in why_known(NORMALISED.name, *given(SYSFS, names))


@pytest.mark.parametrize("names", ["L1D", "L1D L1I", "L2", "", "L1", "L1D L1D", "L1I L1D"])
def test_a_leaf_that_is_wrong_otherwise_fails(names):
    told, _ = given(SYSFS, names)
    assert not why_known(NORMALISED.name, told, told.cpus[1])
    seen = linux_capture(guest(CLIDR), told)
    case = judge(PlannedCase(check="CR-016", cells=(seen.cell.id,)), (seen,))
    assert case.status is Status.FAIL
    assert [finding.where for finding in case.findings if not finding.known] == ["vCPU 1, device tree: sysfs"]


@pytest.mark.parametrize("behaviour", [NATIVE.name, NORMALISED.name])
@pytest.mark.parametrize("names", [None, "L1D L1I L2D L2I", "L1D L1I"])
def test_split_caches_behind_level_1_are_lost_as_linux_loses_them(behaviour, names):
    told, cpu = given(CLIDR, names, "L1D L1I L2D L2I")
    told = replace(told, clidr_start=(Hex(0x1B),) * 2)
    assert bool(why_known(behaviour, told, cpu)) == (names != "L1D L1I")


def test_on_a_native_host_any_of_its_cpus_registers_may_have_been_read():
    told, cpu = given(CLIDR, "L1D L1I L2", "L1I L2 L3")
    told = replace(told, clidr_start=(Hex(0x121),) * 2)
    assert not why_known(NATIVE.name, told, cpu, (0x121,))
    assert "differ in CLIDR_EL1" in why_known(NATIVE.name, told, cpu, (0x121, 0x123))
    assert not why_known(NORMALISED.name, told, cpu, (0x121, 0x123))


def lowered(ctr, clidr, *names):
    """Return a guest whose VMM wrote CTR_EL0, and whose log has these promises."""
    said = tuple(f"CPU features: detected: {PROMISES[name]}" for name in names)
    return replace(
        guest(CLIDR), device_tree=LOWERED, ctr=Hex(ctr), clidr_start=(Hex(clidr),) * 2, messages=said
    )


def verdict(*guests):
    seen = linux_capture(guest(CLIDR), *guests)
    return judge(PlannedCase(check="CR-016", cells=(seen.cell.id,)), (seen,))


def test_a_guest_that_takes_idc_for_1_because_of_its_clidr_is_told_and_known():
    case = verdict(lowered(0x8444C004, MADE, "IDC"))
    assert case.status is Status.PASS
    (finding,) = case.findings
    assert finding.subject == "CTR_EL0.IDC"
    assert "IDC = 1, where the VMM wrote 0x8444c004, IDC = 0" in finding.said
    assert "2843cae26644" in finding.known


def test_a_promise_that_nothing_explains_fails():
    for ctr, clidr, name in ((0x8444C004, 0x9200021, "IDC"), (0x8444C004, MADE, "DIC")):
        case = verdict(lowered(ctr, clidr, name))
        assert (case.status, case.findings[0].known) == (Status.FAIL, "")


def test_a_promise_is_excused_by_a_clidr_that_was_read_and_by_nothing_else():
    made = lowered(0x8444C004, MADE, "IDC")
    assert "0x2000021 has LoUU = LoUIS = 0" in why_promised(made, "IDC")
    assert why_promised(replace(made, clidr_start=()), "IDC") == ""
    assert why_promised(lowered(0x9444C004, MADE, "IDC"), "IDC") == ""


def test_a_guest_of_which_no_clidr_was_read_is_measured_by_its_device_tree():
    """Nothing is wanted then, and whatever the device tree lists may be there: all of it, too."""
    told, cpu = given(CLIDR, "L1D L1I", "L1D L1I")
    unread = replace(told, clidr_start=())
    assert fits(unread, cpu)
    assert not fits(replace(unread, described=()), cpu)


@pytest.mark.parametrize(
    ("types", "clidr", "shown"),
    [
        (["Data", "Instruction", "2 Data"], 0x3, "L1D L1I"),
        (["Unified"], 0x0, "L1"),
        ([f"{level} Unified" for level in range(1, 9)], 0o4444444, "L1 L2 L3 L4 L5 L6 L7 L8"),
    ],
)
def test_what_clidr_does_not_list_has_a_type_only_where_its_node_is_unified(types, clidr, shown):
    words = [each.rpartition(" ") for each in types]
    tree = [Leaf(level=int(level or 1), type=kind) for level, _, kind in words]
    assert outcomes(tree, clidr) == {tuple(shown.split())}


def test_a_guest_whose_caches_all_find_a_node_is_not_excused():
    told, cpu = given(CLIDR, "L1D L1I L2", "L1D L1I L2")
    told = replace(told, clidr_start=(Hex(0x23),) * 2)
    assert [why_known(name, told, cpu) for name in (NATIVE.name, NORMALISED.name)] == ["", ""]


def test_why_a_guest_shows_other_caches_than_its_clidr_lists():
    """Its VMM copied the host's sysfs: the guest lost all, or shows what the two make together."""
    told = guest(SYSFS)
    some, none = told.cpus[0], replace(told.cpus[0], leaves=None)
    assert "asks the other for their types" in why_known(NORMALISED.name, told, some)
    assert "can place shows none" in why_known(NORMALISED.name, told, none)
    assert why_known(NORMALISED.name, told, replace(some, leaves=host()[:1])) == ""


def test_a_guest_that_acts_upon_what_was_written_is_no_finding():
    assert verdict(lowered(0x8444C004, MADE)).findings == ()
    assert verdict(lowered(0xB444C004, MADE, "IDC", "DIC")).findings == ()


def test_a_ctr_that_is_refused_is_no_finding():
    refused = replace(lowered(0x8444C004, MADE), end="refused", refused="EINVAL", cpus=(), clidr_end=())
    assert (verdict(refused).status, verdict(refused).findings) == (Status.PASS, ())


def balanced(told, *vcpus):
    """Return a guest that shows its domains, and has some on these vCPUs."""
    some = (Domain(name="PKG", shares_cache=False),)
    cpus = tuple(replace(cpu, domains=some if cpu.index in vcpus else ()) for cpu in told.cpus)
    return replace(told, domains_told=True, cpus=cpus)


def test_a_cpu_without_scheduler_domains_fails_where_the_kernel_shows_them():
    assert verdict(balanced(guest(OVERRIDE), 0, 1)).status is Status.PASS
    case = verdict(balanced(guest(OVERRIDE), 0))
    assert case.status is Status.FAIL
    assert [(each.subject, each.where) for each in case.findings] == [
        ("/sys/kernel/debug/sched/domains", f"vCPU 1, device tree: {OVERRIDE}")
    ]


def test_domains_that_are_not_told_or_of_a_cpu_that_is_alone_are_no_finding():
    untold = replace(balanced(guest(OVERRIDE)), domains_told=False)
    assert verdict(untold).status is Status.PASS
    alone = balanced(guest(OVERRIDE))
    alone = replace(alone, vcpus=1, cpus=alone.cpus[:1], clidr_end=alone.clidr_end[:1])
    assert verdict(alone).status is Status.PASS


def test_the_hosts_own_caches_are_what_was_recorded():
    assert [each.name for each in host()] == ["L1D", "L1I"]
