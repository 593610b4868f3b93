"""CR-020: what is planned, in which order cells boot, how moves between machines end, what is in the way."""

import msgspec
import pytest
from crossing_samples import HERE, NEW, OLD, THERE, arrived_on, left_behind, left_from

from ccsight.arm64.kvm_ids import known
from ccsight.campaign.migrating import sources
from ccsight.campaign.planning import cases_of, cells_of, plan_comparison
from ccsight.campaign.tasks import tasks
from ccsight.checks import CROSSINGS
from ccsight.checks.advice import advice
from ccsight.checks.hurdles import hurdles
from ccsight.checks.migration import moves
from ccsight.checks.verdict import judged
from ccsight.evidence.cases import PlannedCase
from ccsight.evidence.failure import Failure
from ccsight.evidence.plan import MOVES, USUAL, PlannedKernel
from ccsight.evidence.run import Run
from ccsight.report.migrations import boots
from ccsight.status import Status

IDS = known()
CHECK = "CR-020"
ACROSS = msgspec.structs.replace(MOVES, across=True)
THIRD = "emulated:neoverse-v1"


def planned(kernels, machines, depth=ACROSS):
    rows = [
        PlannedKernel(spec=kernel, pin=kernel, label=kernel, release="6", image_sha256="00")
        for kernel in kernels
    ]
    return plan_comparison(rows, machines, ("ccsight", "migrate"), depth=depth)


def verdict(source, destination, failures=None):
    found = [each for each in (source, destination) if each]
    case = PlannedCase(check=CHECK, cells=("a", "b"))
    return judged(case, {"a": source, "b": destination}, failures or {}) if found else None


def test_every_way_between_machines_is_planned_and_only_if_asked_for():
    cells = cells_of([OLD, NEW], [HERE, THERE, THIRD])
    ways = [case.cells for case in cases_of([OLD, NEW], [HERE, THERE, THIRD], ACROSS) if case.check == CHECK]
    assert ways == [(a.id, b.id) for a in cells for b in cells if a.machine != b.machine]
    assert len(ways) == 6 * 4
    for depth in (MOVES, USUAL):
        assert CHECK not in {case.check for case in cases_of([OLD, NEW], [HERE, THERE], depth)}


def test_nothing_is_planned_across_where_no_vm_moves():
    still = msgspec.structs.replace(USUAL, across=True, migrate=False)
    assert CHECK not in {case.check for case in cases_of([OLD], [HERE, THERE], still)}
    assert sources(planned([OLD], [HERE, THERE], still), cells_of([OLD], [THERE])[0]) == ((), ())


@pytest.mark.parametrize(
    ("kernels", "machines", "most"),
    [([NEW], [HERE, THERE], 3), ([OLD, NEW], [HERE, THERE], 7), ([OLD, NEW], [HERE, THERE, THIRD], 11)],
)
def test_c_cells_take_2c_less_1_boots(kernels, machines, most):
    plan = planned(kernels, machines)
    assert boots(plan.cells, plan.cases) == most == 2 * len(plan.cells) - 1
    again = [cell for cell in plan.cells if sources(plan, cell)[1]]
    assert len(plan.cells) + len(again) == most


def test_every_cell_takes_the_vms_of_all_others_once():
    plan = planned([OLD, NEW], [HERE, THERE, THIRD])
    for cell in plan.cells:
        before, later = sources(plan, cell)
        assert sorted(each.id for each in (*before, *later)) == sorted(
            each.id for each in plan.cells if each != cell
        )
    assert sources(plan, plan.cells[-1])[1] == ()


def test_without_across_a_cell_takes_its_own_machines_only():
    plan = planned([OLD, NEW], [HERE, THERE], MOVES)
    first, second, *_ = plan.cells
    assert sources(plan, first) == ((), (second,))
    assert sources(plan, plan.cells[-1]) == ((plan.cells[2],), ())
    assert boots(plan.cells, plan.cases) == 6


def test_a_task_waits_for_all_that_it_takes_and_machines_do_not_wait_for_each_other(tmp_path):
    plan = planned([OLD, NEW], [HERE, THERE])
    found = list(tasks(Run.create(tmp_path, plan), dict.fromkeys([OLD, NEW])))
    captures, restores = found[:4], found[4:]
    a_old, a_new, b_old, b_new = (cell.id for cell in plan.cells)
    assert [task.after for task in captures] == [set(), {a_old}, set(), {a_old, a_new, b_old}]
    assert [task.cell.id for task in restores] == [a_old, a_new, b_old], (
        "the last one took all in its own boot"
    )
    assert [task.after for task in restores] == [{a_old, a_new, b_old, b_new}] * 3


@pytest.mark.parametrize(
    ("source", "destination", "outcome"),
    [(OLD, OLD, "transparent"), (NEW, NEW, "transparent"), (OLD, NEW, "visible"), (NEW, OLD, "refused")],
)
def test_how_vms_of_like_machines_end(source, destination, outcome):
    case = verdict(left_from(source), arrived_on(destination))
    assert (case.status, case.outcome) == (Status.DONE, outcome)


@pytest.mark.parametrize(("problem", "outcome"), [("EINVAL", "refused"), ("", "lossy")])
def test_a_register_that_the_other_machine_does_not_take(problem, outcome):
    odd = left_behind(IDS["MIDR_EL1"], problem=problem)
    case = verdict(left_from(NEW), arrived_on(NEW, odd))
    assert (case.status, case.outcome) == (Status.DONE, outcome)
    assert "MIDR_EL1" in {finding.subject for finding in case.findings}


def test_the_other_machine_need_not_have_a_cpu_of_that_number():
    source = left_from(NEW)
    saved = tuple(msgspec.structs.replace(each, cpu=2) for each in source.saved)
    source = msgspec.structs.replace(source, saved=saved)
    case = verdict(source, arrived_on(NEW))
    assert (case.status, case.outcome) == (Status.DONE, "transparent")
    assert {moved.cpu for moved in moves(source, arrived_on(NEW))} == {None}


def test_what_was_not_restored_or_saved_is_a_miss():
    nowhere = msgspec.structs.replace(arrived_on(NEW), restored=())
    assert verdict(left_from(NEW), nowhere).status is Status.MISS
    unsaved = msgspec.structs.replace(left_from(NEW), saved=())
    assert verdict(unsaved, arrived_on(NEW)).status is Status.MISS
    one_way = arrived_on(NEW)
    one_way = msgspec.structs.replace(one_way, restored=one_way.restored[1:])
    assert verdict(left_from(NEW), one_way).status is Status.MISS


def test_a_machine_that_did_not_come_up_costs_the_ways_from_and_to_it_with_its_cause():
    failure = Failure(status=Status.MISS, fact="the emulated host never became ready")
    for captures, lost in (((left_from(NEW), None), "b"), ((None, arrived_on(NEW)), "a")):
        case = verdict(*captures, {lost: failure})
        assert (case.status, case.reason) == (Status.MISS, f"{lost}: {failure.fact}")


def test_what_is_in_the_way_is_told_apart():
    odd = [
        left_behind(IDS["MIDR_EL1"], problem="EINVAL"),
        left_behind(IDS["CLIDR_EL1"], problem="EINVAL"),
        left_behind(IDS["CCSIDR_EL1[0]"], problem="EINVAL"),
        left_behind(IDS["CCSIDR_EL1[1]"]),
    ]
    first, *_ = moves(left_from(NEW), arrived_on(NEW, *odd))
    found = hurdles(first)
    assert found.caches == "CCSIDR_EL1[0], CLIDR_EL1 EINVAL; CCSIDR_EL1[1] reads otherwise"
    assert found.others == "MIDR_EL1 EINVAL"


@pytest.mark.parametrize(("now", "is_cache"), [(1 << 20, True), (1 << 8, False)])
def test_mmfr2_is_about_caches_where_its_ccidx_is(now, is_cache):
    odd = left_behind(IDS["ID_AA64MMFR2_EL1"], problem="EINVAL", saved=0, now=now)
    first, *_ = moves(left_from(NEW), arrived_on(NEW, odd))
    found = hurdles(first)
    assert (found.caches, found.others) == (
        ("ID_AA64MMFR2_EL1 EINVAL", "") if is_cache else ("", "ID_AA64MMFR2_EL1 EINVAL")
    )


def test_what_a_guest_notices_is_in_the_way_and_nothing_else_where_all_arrives():
    noticed, *_ = moves(left_from(OLD), arrived_on(NEW))
    assert hurdles(noticed).caches == "CTR_EL0, CCSIDR_EL1[3-13] noticed by the guest"
    whole, *_ = moves(left_from(NEW), arrived_on(NEW))
    assert hurdles(whole) == hurdles(whole).__class__("", "")


def test_it_is_explained():
    assert CROSSINGS[CHECK].bug_class
    assert "MACHINE" in advice(CHECK)
