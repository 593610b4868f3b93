"""CR-003 and CR-018 on machines whose physical CPUs differ, for each status that they can give."""

import msgspec
import pytest
from asymmetric import (
    EL0,
    GET,
    GUEST,
    MISMATCHED,
    SIZES,
    declared,
    looked_into,
    m2_native,
    mismatched_native,
    normalised,
    rk3588_native,
    swept_bent,
    with_hardware,
)
from recorded import MODELS, SERIES, bent, capture

from ccsight.checks import LAWS, judge
from ccsight.evidence.cases import PlannedCase
from ccsight.evidence.record import Hex
from ccsight.evidence.views import CARRIED, MOVED, PINNED, Reading, Vantage, View
from ccsight.kvm.behaviour import NATIVE, NORMALISED, observed
from ccsight.kvm.hosts import cpu_list, physical
from ccsight.kvm.model import fabricated_clidr, fabricated_size, native
from ccsight.kvm.sanitised import first_mismatch, sanitised_ctr
from ccsight.status import Status

ASYMMETRIC = (m2_native, mismatched_native, normalised, lambda: normalised(mismatched=True))
KNOWING = (declared, looked_into)


def verdict(check, seen):
    return judge(PlannedCase(check=check, cells=(seen.cell.id,)), (seen,))


def held(case):
    return {(finding.subject, finding.where) for finding in case.findings if not finding.known}


def known(case):
    return {finding.subject for finding in case.findings if finding.known}


def logged(seen, *features):
    machine = msgspec.structs.replace(seen.machine, cpu_features=features)
    return msgspec.structs.replace(seen, machine=machine)


# CR-003


@pytest.mark.parametrize("series", SERIES)
@pytest.mark.parametrize("model", MODELS)
def test_cr003_passes_where_all_cpus_are_alike(model, series):
    case = verdict("CR-003", capture(model, series))
    assert (case.status, case.findings) == (Status.PASS, ())


@pytest.mark.parametrize("knowing", [lambda seen: seen, *KNOWING])
def test_cr003_knows_the_field_failure_of_native_kernels(knowing):
    case = verdict("CR-003", knowing(m2_native()))
    assert (case.status, held(case), known(case)) == (Status.PASS, set(), set(SIZES[:3]))
    assert all("failed to boot CPU1" in finding.known for finding in case.findings)
    refused = [finding for finding in case.findings if "refused" in finding.said]
    assert refused[0].said == (
        f"read on CPU 0 ({physical(knowing(m2_native())).cpus[0].core}, MIDR 0x412fd050), "
        "refused on CPU 2: EINVAL"
    )
    assert (refused[0].subject, refused[0].where, refused[0].before, refused[0].after) == (
        SIZES[0],
        "CPU 0 → CPU 2",
        "0x700fe03a",
        "0x701fe03a",
    )


@pytest.mark.parametrize("knowing", [lambda seen: seen, *KNOWING])
def test_cr003_knows_what_a_trapped_guest_sees(knowing):
    case = verdict("CR-003", knowing(mismatched_native()))
    assert (case.status, held(case)) == (Status.PASS, set())
    guest = {finding.subject for finding in case.findings if finding.where.startswith("guest")}
    assert guest == {SIZES[1]}, "data caches are all one set of one way"


def test_laws_pass_on_the_recorded_field_failure():
    """An RK3588's CTR_EL0 differ, but IDC is in effect on both kinds: they are not called mismatched."""
    seen = rk3588_native()
    cases = {check: verdict(check, seen) for check in sorted(LAWS)}
    assert not [check for check, case in cases.items() if held(case)]
    statuses = {check: case.status for check, case in cases.items()}
    assert statuses == dict.fromkeys(LAWS, Status.PASS) | {"CR-011": Status.SKIP}  # there is no AArch32
    assert known(cases["CR-003"]) == {"CTR_EL0", *SIZES[:3]}
    assert known(cases["CR-001"]) == {"CTR_EL0", SIZES[3], *SIZES[5:]}


@pytest.mark.parametrize("mismatched", [False, True])
def test_cr003_finds_nothing_where_everything_is_fabricated(mismatched):
    case = verdict("CR-003", normalised(mismatched=mismatched))
    assert (case.status, case.findings) == (Status.PASS, ())


@pytest.mark.parametrize("vantage", [GET, GUEST])
def test_cr003_fails_a_normalising_kernel_for_any_difference(vantage):
    case = verdict("CR-003", swept_bent(normalised(), vantage, 3, CCSIDR_EL1_2=0x73FFE07B))
    assert case.status is Status.FAIL
    assert (SIZES[2], f"{vantage}, CPU 0-2 against CPU 3") in held(case)


@pytest.mark.parametrize("name", ["CTR_EL0", "CLIDR_EL1", "CCSIDR_EL1_1"])
@pytest.mark.parametrize("series", SERIES)
def test_cr003_fails_where_cpus_are_alike_and_the_view_is_not(series, name):
    case = verdict("CR-003", swept_bent(capture("neoverse-n1", series), GUEST, 1, **{name: 0x123}))
    assert case.status is Status.FAIL
    assert "guest, CPU 0 against CPU 1" in {where for _, where in held(case)}


@pytest.mark.parametrize(
    ("vantage", "readings"),
    [
        (GUEST, {"CCSIDR_EL1_0": 0x702FE03A}),  # no CPU's
        (GUEST, {"CCSIDR_EL1_0": 0x70000002}),  # as if it were trapped
        (GET, {"CLIDR_EL1": 0x0A200023}),  # latched: the same on every CPU
        (GET, {"CTR_EL0": 0x8444C004}),
    ],
)
@pytest.mark.parametrize("knowing", [lambda seen: seen, *KNOWING])
def test_cr003_excuses_nothing_that_only_looks_like_the_cpus_own(knowing, vantage, readings):
    case = verdict("CR-003", swept_bent(knowing(m2_native()), vantage, 2, **readings))
    assert case.status is Status.FAIL


@pytest.mark.parametrize("vantage", [GUEST, EL0])
def test_cr003_fails_when_a_trapped_guest_reads_another_ctr(vantage):
    case = verdict("CR-003", swept_bent(mismatched_native(), vantage, 2, CTR_EL0=0x9444C004))
    assert ("CTR_EL0", f"{vantage}, CPU 0-1, 3 against CPU 2") in held(case)


@pytest.mark.parametrize("knowing", [lambda seen: seen, *KNOWING])
@pytest.mark.parametrize("cpu", [1, 3])
def test_cr003_fails_a_cpu_that_shows_what_those_of_another_kind_do(cpu, knowing):
    """Also where it is of the other kind than the first CPU, and shows what that does."""
    other = {1: 0x701FE03A, 3: 0x700FE03A}
    case = verdict("CR-003", swept_bent(knowing(m2_native()), GUEST, cpu, CCSIDR_EL1_0=other[cpu]))
    groups = {1: "CPU 0 against CPU 1-3", 3: "CPU 0-1, 3 against CPU 2"}
    assert (SIZES[0], f"guest, {groups[cpu]}") in held(case)


def test_cr003_knows_an_untrapped_ctr_and_clidr_of_unlike_cpus():
    seen = m2_native()
    for cpu, phase in ((2, PINNED), (3, PINNED), (2, MOVED), (3, MOVED)):
        seen = swept_bent(seen, GUEST, cpu, phase, CTR_EL0=0x84448004, CLIDR_EL1=0x82000023)
    case = verdict("CR-003", seen)
    assert (case.status, known(case)) == (Status.PASS, {"CTR_EL0", "CLIDR_EL1", *SIZES[:3]})


@pytest.mark.parametrize("seen", ASYMMETRIC)
def test_cr003_fails_when_a_vm_that_moved_sees_what_one_made_there_does_not(seen):
    case = verdict("CR-003", swept_bent(seen(), GUEST, 0, MOVED, CLIDR_EL1=0x123))
    assert ("CLIDR_EL1", "guest, CPU 0") in held(case)


@pytest.mark.parametrize("seen", ASYMMETRIC)
def test_cr003_fails_when_the_launch_shows_what_no_cpu_does(seen):
    real = seen()
    views = tuple(
        msgspec.structs.replace(view, readings=view.readings | {"CLIDR_EL1": Reading(value=Hex(0x123))})
        if view.cpu is None and (view.vantage, view.vcpu) == (GUEST, 1)
        else view
        for view in real.views
    )
    case = verdict("CR-003", msgspec.structs.replace(real, views=views))
    assert held(case) == {("CLIDR_EL1", "guest, vCPU 1")}


def rewritten(seen, name, **changes):
    writes = tuple(
        msgspec.structs.replace(write, **changes) if write.name == name and write.origin == 0 else write
        for write in seen.writes
    )
    return msgspec.structs.replace(seen, writes=writes)


@pytest.mark.parametrize(
    ("seen", "name", "changes"),
    [
        (normalised, SIZES[0], {"problem": "EINVAL"}),
        (normalised, SIZES[0], {"after": Reading(value=Hex(3))}),
        (m2_native, SIZES[0], {"problem": "EPERM"}),
        (m2_native, SIZES[0], {"after": Reading(value=Hex(0x700FE03A))}),  # refused, yet changed
        (m2_native, SIZES[0], {"problem": ""}),  # taken, yet not kept
        (m2_native, "CLIDR_EL1", {"problem": "EINVAL"}),
        (lambda: capture("neoverse-n1", "6.1"), SIZES[0], {"problem": "EINVAL"}),
    ],
)
def test_cr003_fails_for_a_write_that_no_rule_explains(seen, name, changes):
    case = verdict("CR-003", rewritten(seen(), name, **changes))
    assert case.status is Status.FAIL
    assert {subject for subject, _ in held(case)} == {name}


@pytest.mark.parametrize(
    "keeps",
    [
        lambda view: view.phase not in (PINNED, MOVED),
        lambda view: view.phase != MOVED,
        lambda view: view.cpu != 2,
        lambda view: view.vantage is not EL0 or view.phase != PINNED,
        lambda view: view.cpu is not None,
    ],
)
def test_cr003_misses_what_was_not_looked_at(keeps):
    seen = m2_native()
    case = verdict("CR-003", msgspec.structs.replace(seen, views=tuple(filter(keeps, seen.views))))
    assert case.status is Status.MISS
    assert "view" in case.reason


def test_cr003_misses_a_sweep_that_carried_nothing():
    case = verdict("CR-003", msgspec.structs.replace(m2_native(), writes=()))
    assert case.status is Status.MISS
    assert "CTR_EL0 was not carried from CPU 0 to CPU 2" in case.reason


def is_write(write, **others):
    return write.phase == CARRIED and all(getattr(write, key) == value for key, value in others.items())


@pytest.mark.parametrize(
    "lost", [{"origin": 0}, {"name": "CLIDR_EL1", "origin": 0}, {"name": "CCSIDR_EL1[2]", "cpu": 0}]
)
@pytest.mark.parametrize("seen", ASYMMETRIC)
def test_cr003_misses_a_sweep_that_did_not_carry_all_it_promises(seen, lost):
    real = seen()
    writes = tuple(write for write in real.writes if not is_write(write, **lost))
    assert len(writes) < len(real.writes)
    case = verdict("CR-003", msgspec.structs.replace(real, writes=writes))
    assert (case.status, "was not carried from CPU" in case.reason) == (Status.MISS, True)


def test_cr003_fails_for_what_was_carried_even_where_other_writes_are_missing():
    odd = rewritten(m2_native(), "CLIDR_EL1", problem="EINVAL")
    writes = tuple(write for write in odd.writes if not is_write(write, name="CTR_EL0"))
    assert verdict("CR-003", msgspec.structs.replace(odd, writes=writes)).status is Status.FAIL


@pytest.mark.parametrize(
    ("cpus", "reason"), [(0, "no CPU of"), (2, "carried from or to CPU 2, on which nobody looked")]
)
def test_cr003_misses_cpus_that_were_not_identified(cpus, reason):
    seen = m2_native()
    machine = msgspec.structs.replace(seen.machine, cpus=seen.machine.cpus[:cpus])
    case = verdict("CR-003", msgspec.structs.replace(seen, machine=machine))
    assert (case.status, reason in case.reason) == (Status.MISS, True)


def test_cr003_fails_for_a_write_of_what_nobody_read():
    seen = m2_native()
    writes = tuple(
        msgspec.structs.replace(write, name="CCSIDR_EL1[14]") if write.problem else write
        for write in seen.writes
    )
    case = verdict("CR-003", msgspec.structs.replace(seen, writes=writes))
    assert {subject for subject, _ in held(case)} == {"CCSIDR_EL1[14]"}


def test_cr003_does_not_apply_to_one_cpu():
    seen = capture("neoverse-n1", "6.1")
    machine = msgspec.structs.replace(seen.machine, cpus=seen.machine.cpus[:1])
    case = verdict("CR-003", msgspec.structs.replace(seen, machine=machine))
    assert (case.status, case.reason) == (Status.SKIP, "the machine has one CPU")


# CR-001 where a launch is pinned to no CPU


@pytest.mark.parametrize("knowing", [lambda seen: seen, *KNOWING])
@pytest.mark.parametrize("seen", ASYMMETRIC)
def test_cr001_passes_on_machines_with_unlike_cpus(seen, knowing):
    case = verdict("CR-001", knowing(seen()))
    assert (case.status, held(case)) == (Status.PASS, set())


def launched(seen, vantage, **readings):
    """Let the launch of vCPU 0 show, from one vantage, what a CPU of the other cluster shows."""
    there = next(v for v in seen.views if (v.vantage, v.phase, v.cpu) == (vantage, PINNED, 2)).readings
    views = tuple(
        msgspec.structs.replace(view, readings=there)
        if (view.vantage, view.cpu, view.vcpu) == (vantage, None, 0)
        else view
        for view in seen.views
    )
    return msgspec.structs.replace(seen, views=views)


@pytest.mark.parametrize("seen", [m2_native, mismatched_native])
@pytest.mark.parametrize("vantage", [GET, GUEST])
def test_cr001_knows_a_launch_that_was_looked_at_on_two_cpus(seen, vantage):
    case = verdict("CR-001", launched(seen(), vantage))
    assert (case.status, held(case)) == (Status.PASS, set())


def test_cr001_fails_where_no_cpu_explains_the_launch():
    seen = launched(m2_native(), GUEST)
    for cpu in (2, 3):
        seen = swept_bent(seen, GET, cpu, CCSIDR_EL1_0=0x700FE03A)
    assert (SIZES[0], "vCPU 0") in held(verdict("CR-001", seen))


# CR-018


@pytest.mark.parametrize("knowing", KNOWING)
@pytest.mark.parametrize("seen", ASYMMETRIC)
def test_cr018_passes_on_what_the_model_knows(seen, knowing):
    case = verdict("CR-018", knowing(seen()))
    assert (case.status, case.findings) == (Status.PASS, ())


@pytest.mark.parametrize("knowing", KNOWING)
@pytest.mark.parametrize("vantage", [GET, GUEST])
@pytest.mark.parametrize("name", ["CTR_EL0", "CLIDR_EL1", "CCSIDR_EL1_0", "CCSIDR_EL1_1"])
@pytest.mark.parametrize("seen", ASYMMETRIC)
def test_cr018_fails_for_any_other_value(seen, name, vantage, knowing):
    case = verdict("CR-018", swept_bent(knowing(seen()), vantage, 2, **{name: 0x1234}))
    reading = name.replace("_EL1_", "_EL1[") + "]" * name.startswith("CCSIDR")
    assert (reading, f"{vantage}, pinned, CPU 2") in held(case)


def test_cr018_fails_where_the_kernels_log_and_ctr_do_not_agree():
    too_much = verdict("CR-018", declared(logged(declared(normalised()), *MISMATCHED)))
    assert too_much.status is Status.FAIL
    silent = logged(declared(normalised(mismatched=True)))
    case = verdict("CR-018", silent)
    assert ("CTR_EL0", "CPU 2") in held(case)
    agreed = logged(declared(m2_native()), *MISMATCHED)
    assert ("CTR_EL0", "all CPUs") in held(verdict("CR-018", agreed))


def test_cr018_takes_the_mismatch_from_the_registers_where_the_log_is_lost():
    seen = declared(mismatched_native())
    machine = msgspec.structs.replace(seen.machine, cpu_features=None)
    assert verdict("CR-018", msgspec.structs.replace(seen, machine=machine)).status is Status.PASS


def test_cr018_does_not_apply_where_the_cpus_are_not_known():
    case = verdict("CR-018", mismatched_native())
    assert case.status is Status.SKIP
    assert "not known" in case.reason
    assert verdict("CR-018", logged(capture("neoverse-n1", "6.1"), *MISMATCHED)).status is Status.SKIP


@pytest.mark.parametrize("model", MODELS)
def test_cr018_goes_by_untrapped_guests_where_nobody_asked_the_cpus(model):
    real = capture(model, "6.1")
    assert verdict("CR-018", real).status is Status.PASS
    told = verdict("CR-018", bent(real, GET, 0, CTR_EL0=0x8444C003))
    assert (told.status, {subject for subject, _ in held(told)}) == (Status.FAIL, {"CTR_EL0"})
    assert "by guests' values" in told.findings[0].said
    moved = verdict("CR-018", swept_bent(real, GUEST, 1, MOVED, CLIDR_EL1=0x123))
    assert (moved.status, {subject for subject, _ in held(moved)}) == (Status.FAIL, {"CLIDR_EL1"})


@pytest.mark.parametrize("model", MODELS)
def test_cr018_goes_by_what_a_vmm_is_told_where_all_is_made_of_it(model):
    real = capture(model, "6.12")
    assert verdict("CR-018", real).status is Status.PASS
    shown = verdict("CR-018", bent(real, GUEST, 1, CLIDR_EL1=0x0A200023))
    assert (shown.status, {subject for subject, _ in held(shown)}) == (Status.FAIL, {"CLIDR_EL1"})
    assert "by userspace's values" in shown.findings[0].said
    unlike = swept_bent(real, GET, 1, CTR_EL0=0x8444C003)
    assert verdict("CR-018", unlike).status is Status.SKIP


def test_cr018_misses_when_only_some_cpus_are_known():
    seen = declared(m2_native())
    machine = msgspec.structs.replace(seen.machine, declared=seen.machine.declared[:2])
    case = verdict("CR-018", msgspec.structs.replace(seen, machine=machine))
    assert (case.status, "CPU 2-3" in case.reason) == (Status.MISS, True)


def test_cr018_misses_a_register_that_was_never_read():
    blind = swept_bent(declared(normalised()), GUEST, 1, CLIDR_EL1=None)
    assert verdict("CR-018", blind).status is Status.MISS


def test_cr018_fails_for_a_behaviour_that_nobody_knows():
    real = capture("neoverse-n1", "6.1")
    ids = tuple(kvm_id for kvm_id in real.register_lists[0].ids if kvm_id != 0x6020000000110002)
    lists = tuple(msgspec.structs.replace(each, ids=ids) for each in real.register_lists)
    case = verdict("CR-018", msgspec.structs.replace(real, register_lists=lists))
    assert (case.status, held(case)) == (Status.FAIL, {("CCSIDR_EL1[2]", "KVM_GET_REG_LIST")})
    assert "where a native kernel is the nearest, this stands out: is not listed" in case.findings[0].said


@pytest.mark.parametrize("lost", ["origin", "cpu"])
def test_cr003_misses_a_register_that_was_carried_from_or_to_no_cpu(lost):
    seen = m2_native()
    at = next(n for n, write in enumerate(seen.writes) if write.phase == CARRIED and write.problem)
    writes = list(seen.writes)
    writes[at] = msgspec.structs.replace(writes[at], **{lost: None})
    case = verdict("CR-003", msgspec.structs.replace(seen, writes=tuple(writes)))
    assert case.status is Status.MISS


@pytest.mark.parametrize("known", [0, 2])
def test_cr018_fails_for_an_unknown_behaviour_though_the_cpus_are_not_known(known):
    """What of them is not known says nothing; that a size is not listed stands out all the same."""
    seen = mismatched_native()
    rows = declared(seen).machine.declared[:known]
    machine = msgspec.structs.replace(seen.machine, declared=rows)
    lists = tuple(msgspec.structs.replace(each, ids=each.ids[:-1]) for each in seen.register_lists)
    odd = msgspec.structs.replace(seen, machine=machine, register_lists=lists)
    case = verdict("CR-018", odd)
    assert (case.status, len(case.findings)) == (Status.FAIL, 1)
    assert case.findings[0].where == "KVM_GET_REG_LIST"


def test_cr018_takes_untrapped_guests_values_for_an_unknown_behaviour_that_is_nearly_native():
    real = capture("neoverse-n1", "6.1")
    ids = tuple(kvm_id for kvm_id in real.register_lists[0].ids if kvm_id != 0x6020000000110002)
    lists = tuple(msgspec.structs.replace(each, ids=ids) for each in real.register_lists)
    odd = swept_bent(msgspec.structs.replace(real, register_lists=lists), GUEST, 1, MOVED, CLIDR_EL1=0x123)
    assert held(verdict("CR-018", odd)) >= {
        ("CCSIDR_EL1[2]", "KVM_GET_REG_LIST"),
        ("CLIDR_EL1", "guest, moved, CPU 1"),
    }


def test_cr018_names_the_single_observation_that_stands_out_of_the_nearest_behaviour():
    """All else is as a normalised kernel has it: fourteen sizes, made of CTR_EL0, but one is not listed."""
    real = capture("neoverse-n1", "6.12")
    ids = tuple(kvm_id for kvm_id in real.register_lists[0].ids if kvm_id != 0x602000000011000D)
    lists = tuple(msgspec.structs.replace(each, ids=ids) for each in real.register_lists)
    (finding,) = verdict("CR-018", msgspec.structs.replace(real, register_lists=lists)).findings
    assert (finding.subject, finding.where) == ("CCSIDR_EL1[13]", "KVM_GET_REG_LIST")
    assert finding.said == (
        "no behaviour fits; where a normalised kernel is the nearest, this stands out: is not listed"
    )


@pytest.mark.parametrize("vantage", [GET, GUEST])
def test_cr018_fails_where_a_normalised_kernel_shows_ccidx(vantage):
    """What it makes up has the narrow layout, so it must say so (Linux bf48040cd9b0, v6.3)."""
    real = capture("neoverse-v1", "6.12")
    shown = next(view for view in real.launch if view.vantage is vantage).value("ID_AA64MMFR2_EL1")
    odd = bent(real, vantage, 1, ID_AA64MMFR2_EL1=shown | 1 << 20)
    (finding,) = verdict("CR-018", odd).findings
    assert (finding.subject, finding.before, finding.after) == ("ID_AA64MMFR2_EL1.CCIDX", "0x0", "0x1")


@pytest.mark.parametrize(
    ("own", "told", "status"), [(1, 1, "PASS"), (1, 0, "PASS"), (0, 0, "PASS"), (0, 1, "FAIL")]
)
def test_cr018_lets_a_native_kernel_show_ccidx_or_hide_it_but_not_make_it_up(own, told, status):
    real = capture("neoverse-v1", "6.1")
    mask = 1 << 20
    views = tuple(
        msgspec.structs.replace(view, readings=view.readings | {"ID_AA64MMFR2_EL1": ccidx(view, told)})
        if "ID_AA64MMFR2_EL1" in view.readings
        else view
        for view in real.views
    )
    hardware = tuple(
        msgspec.structs.replace(
            view,
            vantage=Vantage.HARDWARE,
            vcpu=None,
            readings=view.readings | {"ID_AA64MMFR2_EL1": ccidx(view, own)},
        )
        for view in real.views
        if (view.vantage, view.phase) == (GUEST, PINNED)
    )
    assert mask & (hardware[0].value("ID_AA64MMFR2_EL1") or 0) == own * mask
    case = verdict("CR-018", msgspec.structs.replace(real, views=views + hardware))
    assert case.status is Status[status]
    assert {finding.subject for finding in case.findings} <= {"ID_AA64MMFR2_EL1.CCIDX"}


def ccidx(view, bit):
    value = view.value("ID_AA64MMFR2_EL1")
    return Reading(value=Hex(value & ~(1 << 20) | bit << 20))


# The model's parts


@pytest.mark.parametrize(
    ("cpus", "kept", "mismatch"),
    [
        ([(0x8444C004, 0x0A200023)], 0x8444C004, None),
        ([(0x8444C004, 0x82000023)] * 2, 0x9444C004, None),  # recorded: neoverse-n1 has IDC in effect
        ([(0x4B444C004, 0x82000023)], 0xB444C004, None),  # recorded: neoverse-n2's TminLine is not kept
        ([(0x84448004, 0x0A200023), (0x8444C004, 0x0A200023)], 0x84448004, None),  # only L1Ip: VIPT
        ([(0x8444C004, 0x0A200023), (0x84448004, 0x0A200023)], 0x84448004, None),
        ([(0x84448004, 0x0A200023), (0x9444C004, 0x0A200023)], 0x84448004, 1),
        ([(0x84448004, 0xC3000123), (0x9444C004, 0xC3000123)], 0x94448004, None),  # IDC in effect on both
        ([(0x9444C004, 0x82000023), (0x8444C004, 0x0A200023)], 0x8444C004, 1),
        ([(0xB444C004, 0), (0xB444C004, 0), (0x9443C003, 0)], 0x9443C003, 2),
        ([(0x8040C004, 0x0A200023), (0x8444C004, 0x0A200023)], 0x8040C004, 1),  # CWG: 0 is safe
        ([(0x8434C004, 0x0A200023), (0x8444C004, 0x0A200023)], 0x8444C004, 1),  # ERG: the higher one
    ],
)
def test_the_hosts_ctr(cpus, kept, mismatch):
    assert (sanitised_ctr(cpus), first_mismatch(cpus)) == (kept, mismatch)


@pytest.mark.parametrize(
    ("ctr", "clidr", "with_mte"),
    [
        (0x8444C004, 0x09200003, 0x409200003),
        (0xA444C004, 0x09200002, 0x409200002),
        (0x9444C004, 0x02000021, 0x1002000021),
        (0xB444C004, 0x01000004, 0x401000004),
    ],
)
def test_the_fabricated_clidr(ctr, clidr, with_mte):
    assert (fabricated_clidr(ctr), fabricated_clidr(ctr, mte=True)) == (clidr, with_mte)


def test_the_fabricated_size_is_the_smallest_line():
    assert [fabricated_size(0x8445C003, selector) for selector in (0, 1, 2)] == [3, 1, 3]


def evt_machine(*features):
    """A Neoverse N2 under Linux 6.12: FEAT_EVT, and a TminLine that only the CPU itself shows."""
    seen = with_hardware("neoverse-v1", "6.12")
    views = tuple(
        msgspec.structs.replace(
            view,
            readings=view.readings
            | {"CTR_EL0": Reading(value=Hex(0x4B444C004)), "ID_AA64MMFR2_EL1": Reading(value=Hex(2 << 56))},
        )
        if view.program == "hardware"
        else view
        for view in seen.views
    )
    machine = msgspec.structs.replace(seen.machine, cpu_features=features or None)
    return msgspec.structs.replace(seen, views=views, machine=machine)


def test_cr018_knows_when_ctr_is_trapped():
    """Not with ARM64_HAS_EVT (Linux c876c3f182a5, v6.5): the guest reads the CPU's own, TminLine included."""
    trapped = evt_machine("LSE atomic instructions")
    assert verdict("CR-018", trapped).status is Status.PASS
    untrapped = evt_machine("Enhanced Virtualization Traps")
    assert {subject for subject, _ in held(verdict("CR-018", untrapped))} == {"CTR_EL0"}
    assert verdict("CR-018", evt_machine()).status is Status.PASS, "without a log it may be either"
    for seen, status in ((trapped, Status.FAIL), (evt_machine(), Status.PASS)):
        assert verdict("CR-018", swept_bent(seen, EL0, 1, CTR_EL0=0x4B444C004)).status is status
        assert verdict("CR-018", swept_bent(seen, GET, 1, CTR_EL0=0x4B444C004)).status is Status.FAIL


def test_the_model_says_nothing_of_other_vantages():
    view = View(vantage="guest_aarch32", vcpu=0, program="view", phase="launch", readings={})
    cpus = physical(declared(m2_native()))
    assert native(cpus, view) == {}
    assert NORMALISED.shows(cpus, view) == {}


def test_the_behaviour_is_observed_on_unlike_cpus_too():
    assert [observed(seen()) for seen in ASYMMETRIC] == [NATIVE, NATIVE, NORMALISED, NORMALISED]


def test_hardware_is_believed_before_a_declaration():
    seen = physical(declared(looked_into(m2_native())))
    assert {cpu.source for cpu in seen.cpus} == {"hardware"}
    assert [cpu.core for cpu in physical(m2_native()).cpus] == ["Cortex-A55"] * 2 + ["Cortex-A76"] * 2


def test_cpus_in_short():
    assert cpu_list([3, 0, 1, 2, 6, 2]) == "CPU 0-3, 6"


def untrapped_ctr(seen, *features):
    """Return an M2 like capture of 6.12 on CPUs of other L1Ip, whose guests read CTR_EL0 untrapped."""
    vipt, pipt = 0x94448004, 0x9444C004
    cores = [{"CTR_EL0": vipt if cpu < 2 else pipt, "CLIDR_EL1": 0x81000023} for cpu in range(4)]
    seen = declared(seen, cores)
    for cpu, core in enumerate(cores):
        for vantage in (GUEST, EL0):
            for phase in (PINNED, MOVED):
                seen = swept_bent(seen, vantage, cpu, phase, CTR_EL0=core["CTR_EL0"])
    return logged(seen, *features)


def test_cr003_knows_a_ctr_that_finer_traps_leave_alone():
    """Linux c876c3f182a5 (v6.5): with FEAT_EVT, KVM traps by TID4, which does not cover CTR_EL0."""
    case = verdict("CR-003", untrapped_ctr(normalised(), "Enhanced Virtualization Traps on CPU0-3"))
    assert (case.status, known(case)) == (Status.PASS, {"CTR_EL0"})
    assert verdict("CR-003", untrapped_ctr(normalised())).status is Status.FAIL


EVT = "Enhanced Virtualization Traps"


@pytest.mark.parametrize(
    ("seen", "told", "own"),
    [
        (lambda *features: logged(declared(normalised()), *features), 0x9444C004, 0x8444C004),  # IDC
        (lambda *features: untrapped_ctr(normalised(), *features), 0x94448004, 0x9444C004),  # L1Ip
    ],
)
def test_cr001_knows_a_ctr_that_finer_traps_leave_alone(seen, told, own):
    """Userspace gets what is in effect on all CPUs; a guest that is launched reads where it runs."""

    def launched_with(ctr, *features):
        return verdict("CR-001", bent(bent(seen(*features), GET, 0, CTR_EL0=told), GUEST, 0, CTR_EL0=ctr))

    assert ("CTR_EL0", "vCPU 0") not in held(launched_with(own, EVT))
    assert "CTR_EL0" in known(launched_with(own, EVT))
    assert ("CTR_EL0", "vCPU 0") in held(launched_with(own)), "the log says that it is trapped"
    assert ("CTR_EL0", "vCPU 0") in held(launched_with(own, EVT, MISMATCHED[1])), "and so it does here"
    assert ("CTR_EL0", "vCPU 0") in held(launched_with(own ^ 1, EVT)), "no CPU has it"
    other = bent(bent(seen(EVT), GET, 0, CTR_EL0=told ^ 1), GUEST, 0, CTR_EL0=own)
    assert ("CTR_EL0", "vCPU 0") in held(verdict("CR-001", other)), "nor is it the host's"


def test_what_a_row_declares_by_field_is_put_together():
    fields = {"CTR_EL0": 0x9444C004, "ID_AA64MMFR2_EL1.CCIDX": 1, "ID_AA64MMFR2_EL1.EVT": 2}
    cpus = physical(declared(normalised(), [fields] * 4)).cpus
    assert cpus[0].registers == {"CTR_EL0": 0x9444C004, "ID_AA64MMFR2_EL1": 2 << 56 | 1 << 20}
