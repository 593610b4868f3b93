"""CR-013: machines that differ only in KVM's mode or in MTE are paired, and must show the same."""

import json

import msgspec
import pytest
from asymmetric import declared, m2_native, swept_bent
from junitparser.xunit2 import JUnitXml
from pytest_session import pytest_on
from recorded import bent, capture
from report_samples import OLD, good, placed

from ccsight.arm64.kvm_ids import of_encoding
from ccsight.campaign.planning import cases_of, cells_of, plan_comparison, twins
from ccsight.checks import AGREEMENTS, COMPARISONS, LAWS, judge
from ccsight.evidence.cases import PlannedCase
from ccsight.evidence.record import Hex, to_json
from ccsight.evidence.run import Run
from ccsight.evidence.views import LAUNCH, Vantage
from ccsight.kvm.modes import excuse_ids, excuse_value, mode
from ccsight.machines.console import observed
from ccsight.report import as_json, console, html, junit, terminal
from ccsight.report.model import Result
from ccsight.status import Status

PLAIN, NVHE, MTE = "emulated:max", "emulated:max,mode=nvhe", "emulated:max,mte=on"
TFSR = of_encoding((3, 0, 5, 6, 0))
TTYPE1 = 2 << 33


def on(machine, seen=None, *, mte=False, more=(), says=None):
    """Return a capture as that of a machine, which may have MTE and may list more registers."""
    seen = placed(seen or capture("neoverse-n1", "6.12"), machine, OLD)
    features = (*seen.machine.cpu_features, *(["Memory Tagging Extension on CPU0-1"] * mte))
    lists = tuple(msgspec.structs.replace(x, ids=(*x.ids, *map(Hex, more))) for x in seen.register_lists)
    facts = msgspec.structs.replace(seen.machine, cpu_features=features)
    said = ("Hyp nVHE" if "nvhe" in machine else "VHE") if says is None else says
    heard = msgspec.structs.replace(seen.console, mode=said)
    return msgspec.structs.replace(seen, machine=facts, register_lists=lists, console=heard)


def verdict(one, other):
    return judge(PlannedCase(check="CR-013", cells=(one.cell.id, other.cell.id)), (one, other))


def everywhere(seen, clidr):
    """Return a capture in which whoever reads CLIDR_EL1 reads this."""
    views = tuple(
        msgspec.structs.replace(view, readings=view.readings | _clidr(view, clidr)) for view in seen.views
    )
    return msgspec.structs.replace(seen, views=views)


def _clidr(view, clidr):
    reading = view.readings.get("CLIDR_EL1")
    return {"CLIDR_EL1": msgspec.structs.replace(reading, value=Hex(clidr))} if reading else {}


def test_machines_that_differ_in_nothing_else_are_paired_with_the_plainest():
    machines = [NVHE, "emulated:max,mode=protected", PLAIN, "emulated:max,cpus=4", "emulated:neoverse-n1"]
    assert list(twins([*machines, "silicon:rk3588"])) == [(PLAIN, machine) for machine in machines[:2]]
    assert list(twins([NVHE, MTE])) == [(NVHE, MTE)]
    assert list(twins(["emulated:max,cpus=4,mode=nvhe", "emulated:max,cpus=4"])) == [
        ("emulated:max,cpus=4", "emulated:max,cpus=4,mode=nvhe")
    ]
    assert not list(twins([PLAIN, PLAIN, "emulated:max,modules=off"]))


def test_each_pair_is_planned_for_each_kernel():
    planned = [case for case in cases_of(["deb:6.1", "deb:6.12"], [PLAIN, NVHE]) if case.check in AGREEMENTS]
    cells = cells_of(["deb:6.1", "deb:6.12"], [PLAIN, NVHE])
    assert [case.cells for case in planned] == [(cells[0].id, cells[2].id), (cells[1].id, cells[3].id)]


@pytest.mark.parametrize("series", ["6.1", "6.12"])
def test_the_same_passes(series):
    seen = capture("neoverse-v1", series)
    case = verdict(on(PLAIN, seen), on(NVHE, seen))
    assert (case.status, case.findings) == (Status.PASS, ())


def test_another_value_fails_and_is_named_with_both_machines():
    case = verdict(on(PLAIN), on(NVHE, bent(capture("neoverse-n1", "6.12"), Vantage.GUEST, 1, CLIDR_EL1=0x3)))
    (finding,) = case.findings
    assert case.status is Status.FAIL
    assert (finding.subject, finding.where) == ("CLIDR_EL1", "guest, launch, vCPU 1")
    assert finding.said == f"0x2000021 on {PLAIN}, 0x3 on {NVHE}"
    assert (finding.before, finding.after) == ("0x2000021", "0x3")


def test_a_value_that_differs_on_one_cpu_is_named_with_the_cpu():
    seen = capture("neoverse-n1", "6.12")
    case = verdict(on(PLAIN), on(NVHE, swept_bent(seen, Vantage.USERSPACE, 1, CTR_EL0=0x8444C004)))
    assert [(each.subject, each.where) for each in case.findings] == [("CTR_EL0", "userspace, pinned, CPU 1")]


@pytest.mark.parametrize("order", [1, -1])
def test_another_list_fails(order):
    case = verdict(*(on(PLAIN), on(NVHE, more=[0x603000000013C514]))[::order])
    assert case.status is Status.FAIL
    said = f"POR_EL1: listed on {NVHE}, not on {PLAIN}"
    assert [(each.subject, each.where, each.said) for each in case.findings] == [
        ("1 register", f"vCPU {vcpu}", said) for vcpu in (0, 1)
    ]


def test_a_list_that_one_vcpu_alone_has_longer_is_found_on_it():
    one, other = on(PLAIN), on(NVHE)
    lists = list(other.register_lists)
    lists[1] = msgspec.structs.replace(lists[1], ids=(*lists[1].ids, Hex(0x603000000013C514), Hex(TFSR)))
    (finding,) = verdict(one, msgspec.structs.replace(other, register_lists=tuple(lists))).findings
    assert (finding.subject, finding.where) == ("2 registers", "vCPU 1")


@pytest.mark.parametrize("order", [1, -1])
def test_what_tags_add_is_known(order):
    clidr = capture("neoverse-n1", "6.12").view(Vantage.GUEST, 0).value("CLIDR_EL1")
    tagged = everywhere(on(MTE, mte=True, more=[TFSR]), clidr | TTYPE1)
    case = verdict(*(on(PLAIN), tagged)[::order])
    assert case.status is Status.PASS
    assert {bool(finding.known) for finding in case.findings} == {True}
    assert {finding.subject for finding in case.findings} == {"CLIDR_EL1", "1 register"}


def test_what_only_resembles_tags_is_not_known():
    clidr = capture("neoverse-n1", "6.12").view(Vantage.GUEST, 0).value("CLIDR_EL1")
    for other in (
        everywhere(on(MTE, mte=True), clidr | TTYPE1 | 1 << 24),  # LoC as well
        everywhere(on(NVHE), clidr | TTYPE1),  # no MTE there
        everywhere(on(MTE, mte=True), clidr & ~7),
        on(NVHE, more=[TFSR]),
        on(MTE, mte=True, more=[TFSR, 0x603000000013C514]),
    ):
        assert verdict(on(PLAIN), other).status is Status.FAIL
    both = on(PLAIN, mte=True), everywhere(on(NVHE, mte=True), clidr | TTYPE1)
    assert verdict(*both).status is Status.FAIL


def test_the_kernels_must_say_that_they_ran_in_two_modes():
    same = verdict(on(PLAIN), on(NVHE, says="VHE"))
    assert (same.status, "one mode on both, VHE" in same.reason) == (Status.SKIP, True)
    alone = on(PLAIN)
    assert "one mode on both, VHE:" in verdict(alone, alone).reason
    silent = on(PLAIN, says="")
    assert "one mode on both, its only one:" in verdict(silent, silent).reason
    deaf = msgspec.structs.replace(alone, console=None)
    assert "one mode on both, its only one:" in verdict(deaf, deaf).reason
    assert verdict(on(PLAIN, says=""), on(NVHE)).status is Status.MISS
    assert verdict(msgspec.structs.replace(on(PLAIN), console=None), on(NVHE)).status is Status.MISS


@pytest.mark.parametrize("word", ["VHE", "Hyp", "Hyp nVHE", "Protected nVHE", "Protected hVHE"])
def test_the_mode_is_read_from_the_console(word, tmp_path):
    (tmp_path / "log").write_text(
        f"[    0.1] kvm [1]: IPA\n[    0.2] kvm [1]: {word} mode initialized successfully\n"
    )
    assert observed(tmp_path / "log", "log").mode == word


def test_unlike_cpus_are_compared_cpu_by_cpu_only():
    big_little = m2_native()
    elsewhere = bent(big_little, Vantage.GUEST, 0, CCSIDR_EL1_2=0x70FFE07B)
    assert verdict(on(PLAIN, big_little), on(NVHE, elsewhere)).status is Status.PASS
    launch_only = tuple(view for view in big_little.views if view.phase == LAUNCH)
    blind = msgspec.structs.replace(big_little, views=launch_only)
    assert verdict(on(PLAIN, blind), on(NVHE, blind)).status is Status.MISS


def test_a_kernel_that_keeps_one_cpus_clidr_need_not_keep_the_same_ones_next_time():
    seen = declared(m2_native())
    rows = list(seen.machine.declared)
    rows[3] = msgspec.structs.replace(rows[3], registers=rows[3].registers | {"CLIDR_EL1": Hex(0xA200023)})
    facts = msgspec.structs.replace(seen.machine, declared=tuple(rows))
    seen = msgspec.structs.replace(seen, machine=facts)
    case = verdict(on(PLAIN, seen), on(NVHE, seen))
    assert (case.status, "whichever CPU" in case.reason) == (Status.SKIP, True)


def test_a_kernel_that_shows_cpus_that_agree_keeps_the_same_clidr_each_time():
    seen = declared(m2_native())
    assert verdict(on(PLAIN, seen), on(NVHE, seen)).status is Status.PASS


@pytest.mark.parametrize(
    ("was", "now", "with_tags", "why"),
    [
        (0x1000004, 0x401000004, (False, True), True),
        (0x401000004, 0x1000004, (True, False), True),
        (0x1000004, 0x401000004, (True, False), False),
        (0x1000004, None, (False, True), False),
        (0x1000004, 0x401000004, (True, True), False),
    ],
)
def test_tags_excuse_clidr_alone_and_the_machine_that_has_them(was, now, with_tags, why):
    one, other = (on(MTE, mte=tags) for tags in with_tags)
    assert bool(excuse_value("CLIDR_EL1", (one, was), (other, now))) == why
    assert excuse_value("CTR_EL0", (one, was), (other, now)) == ""


def test_registers_of_tags_are_excused_all_together():
    tags = frozenset(map(of_encoding, ((3, 0, 1, 0, 5), (3, 0, 1, 0, 6), (3, 0, 5, 6, 0), (3, 0, 5, 6, 1))))
    tagged, plain = on(MTE, mte=True), on(PLAIN)
    assert excuse_ids(tags, tagged, plain)
    assert excuse_ids(frozenset({TFSR}), tagged, plain)
    for wrong in ((tags | {1}, tagged, plain), (tags, plain, tagged), (tags, tagged, tagged)):
        assert excuse_ids(*wrong) == ""


def test_a_console_that_does_not_say_the_mode_has_none():
    assert mode([(1, "kvm [1]: IPA Size Limit: 40 bits")]) == ""


def test_what_was_not_looked_at_on_both_is_a_miss():
    seen = capture("neoverse-n1", "6.12")
    guestless = tuple(view for view in seen.views if view.vantage is not Vantage.GUEST)
    fewer = on(NVHE, msgspec.structs.replace(seen, views=guestless))
    case = verdict(on(PLAIN), fewer)
    assert case.status is Status.MISS
    assert NVHE in case.reason
    unread = on(NVHE, bent(seen, Vantage.GUEST, 0, CTR_EL0=None))
    assert verdict(on(PLAIN), unread).status is Status.MISS


@pytest.fixture
def run(tmp_path):
    """A run of one kernel on a machine in two modes, one of which shows another CLIDR_EL1."""
    plan = plan_comparison(good().plan.kernels[:1], [PLAIN, NVHE], ("ccsight", "capture"))
    run = Run.create(tmp_path, plan)
    for seen in (on(PLAIN), on(NVHE, bent(capture("neoverse-n1", "6.12"), Vantage.GUEST, 1, CLIDR_EL1=0x3))):
        run.write(seen.cell, "capture.json", to_json(seen))
    return run


def test_reports_hold_it_once_among_the_laws_of_the_second_machine(run, capsys, monkeypatch):
    result = Result.of(run)
    plain, nvhe = json.loads(as_json.document(result))["machines"]
    assert [entry["check"] for entry in plain["laws"]] == sorted([*LAWS, "CR-006"])
    assert [entry["check"] for entry in nvhe["laws"]] == [*sorted([*LAWS, "CR-006"]), "CR-013"]
    assert nvhe["comparisons"] == []
    report = JUnitXml.fromstring(junit.document(result))
    assert report.tests == len(result.cases) == 2 * (len(LAWS) + 1) + 1
    assert "CR-013" in html.document(result).decode()
    monkeypatch.setenv("COLUMNS", "200")
    console.output().print(terminal.render(result))
    assert f"{PLAIN} and {NVHE}, {OLD}" in capsys.readouterr().out


def test_in_pytest_a_plan_without_such_machines_observes_nothing(run, tmp_path):
    done = pytest_on(run, "suites/modes")
    assert done.returncode == 1
    assert f"[case: {PLAIN} and {NVHE} {OLD}]" in done.stdout
    plan = plan_comparison(good().plan.kernels[:1], [PLAIN], ("ccsight", "capture"))
    lonely = pytest_on(Run.create(tmp_path / "lonely", plan), "suites/modes")
    assert lonely.returncode == 1
    assert "nothing was observed" in lonely.stdout


def test_the_tables_share_no_id():
    assert len({*LAWS, *AGREEMENTS, *COMPARISONS}) == len(LAWS) + len(AGREEMENTS) + len(COMPARISONS)
