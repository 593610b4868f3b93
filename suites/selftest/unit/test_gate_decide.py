"""A gate's decision: each reason where it is one, and not where it is none. Of recorded captures, on disk."""

from dataclasses import replace
from datetime import timedelta

import msgspec
import pytest
from gate_samples import (
    A57,
    MADE,
    N1,
    NEW,
    NOW,
    OLD,
    V1,
    booted,
    built,
    copied,
    gated,
    good,
    lawless,
    lean,
    made,
    of,
    on,
    reasons,
    text,
)
from report_samples import result_of, sample
from test_gate_policy import WAIVER

from ccsight.errors import UsageError
from ccsight.evidence.boots import CONVICTS, Boot, Boots
from ccsight.evidence.decision import Kind, Verdict
from ccsight.evidence.failure import Failure
from ccsight.evidence.model import SCHEMA, Substrate
from ccsight.evidence.plan import Plan, PlannedKernel
from ccsight.evidence.record import to_json
from ccsight.evidence.run import Run
from ccsight.evidence.views import Cell
from ccsight.gate import baseline
from ccsight.gate.load import load
from ccsight.gate.policy import Member
from ccsight.probes.identity import substrate as made_of
from ccsight.status import Status

LOST = Cell(machine=N1, kernel=NEW)
ACCEPTED = 'accept = "refused"'


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run that meets the policy."""
    return made(tmp_path_factory.mktemp("results"), good())


@pytest.fixture(scope="module")
def failing(tmp_path_factory):
    """A run whose new kernel fails a law."""
    return made(tmp_path_factory.mktemp("results"), of(lean(N1, OLD), lawless()))


def said(decision):
    return [(reason.verdict, reason.kind, reason.said) for reason in decision.reasons]


def only(decision, kind):
    """Return the one reason there is."""
    assert [reason.kind for reason in decision.reasons] == [kind], said(decision)
    return decision.reasons[0]


def test_advance_takes_that_all_is_met_by_evidence(folder):
    decision = gated(text(), folder)
    assert (decision.verdict, decision.reasons, decision.exit_code) == (Verdict.ADVANCE, (), 0)
    assert {(tally.met, tally.of) for tally in decision.tallies} == {(1, 1)}


def test_a_law_that_fails_is_a_reason_to_revert_and_points_at_its_capture(failing):
    decision = gated(text(), failing)
    assert (decision.verdict, decision.exit_code) == (Verdict.REVERT, 1)
    reason = only(decision, Kind.LAW)
    assert (reason.check, reason.machines) == ("CR-001", ("n1",))
    assert reason.evidence[0].file.endswith("deb_6.12/1/capture.json")
    assert {tally.kind: tally.met for tally in decision.tallies}[Kind.LAW] == 0


def test_a_law_that_is_not_required_is_none(failing):
    assert gated(text(laws=["CR-002"]), failing).verdict is Verdict.ADVANCE


def test_all_laws_are_those_of_a_usual_run(folder):
    decision = gated(text(("must_pass", "#")), folder)
    missed = " ".join(reason.said for reason in reasons(decision, Kind.UNOBSERVED))
    assert decision.verdict is Verdict.HOLD
    assert "CR-004" in missed
    assert "CR-016" not in missed


@pytest.mark.parametrize(
    ("number", "kind", "verdict", "words"),
    [
        (0, Kind.UPGRADE, Verdict.REVERT, "upgrade to deb:6.12 is"),
        (1, Kind.ROLLBACK, Verdict.HOLD, "roll-back to deb:6.1 is refused: "),
    ],
)
def test_a_way_that_is_not_accepted(folder, number, kind, verdict, words):
    parts = text().split(ACCEPTED)
    policy = (
        ACCEPTED.join(parts[: number + 1]) + 'accept = "transparent"' + ACCEPTED.join(parts[number + 1 :])
    )
    decision = gated(policy, folder)
    reason = only(decision, kind)
    assert (reason.verdict, decision.verdict) == (verdict, verdict)
    assert words in reason.said


def test_only_named_vmms_and_strategies_count(folder):
    lax = 'accept = ["lossy", "visible", "transparent"]'
    ways = (ACCEPTED, f'{lax}\nvmms = ["a VMM that ignores errors"]\nstrategies = ["as-launched"]')
    assert gated(text(ways), folder).verdict is Verdict.ADVANCE
    back = f"{ACCEPTED}\n[rollback]\n"
    kind = (f"{back}{ACCEPTED}", f'{back}{lax}\nvmms = ["a VMM that ignores errors"]')
    assert gated(text(kind), folder).verdict is Verdict.ADVANCE
    strict = (f"{back}{ACCEPTED}", f'{back}{lax}\nvmms = ["a VMM that wants all"]')
    assert only(gated(text(strict), folder), Kind.ROLLBACK).verdict is Verdict.HOLD


def test_a_strategy_that_was_not_tried_is_not_observed(folder):
    reason = only(
        gated(text((ACCEPTED, f'{ACCEPTED}\nstrategies = ["native-cap"]')), folder), Kind.UNOBSERVED
    )
    assert "native-cap" in reason.said


def test_fields_may_be_worse_than_the_rest_and_all_of_them_have_to_be_named(folder):
    strict = 'accept = "transparent"\nvmms = ["Firecracker"]\nstrategies = ["as-launched"]'
    blamed = only(gated(text((ACCEPTED, strict)), folder), Kind.UPGRADE).said
    registers = ["CTR_EL0", "CLIDR_EL1", "CCSIDR_EL1", "ID_AA64MMFR2_EL1", "ID_AA64DFR0_EL1"]
    named = [register for register in registers if register in blamed]
    assert named
    fields = ", ".join(f"{register} = 'refused'" for register in named)
    assert gated(text((ACCEPTED, f"{strict}\nfields = {{ {fields} }}")), folder).verdict is Verdict.ADVANCE
    fields = ", ".join(f"{register} = 'refused'" for register in named[1:])
    decision = gated(text((ACCEPTED, f"{strict}\nfields = {{ {fields} }}")), folder)
    assert named[0] in only(decision, Kind.UPGRADE).said


def test_what_is_not_asked_is_not_judged(tmp_path):
    stays = [msgspec.structs.replace(lean(N1, kernel), restored=(), saved=()) for kernel in (OLD, NEW)]
    run = made(tmp_path, of(*stays))
    policy = text((ACCEPTED, "asked = false"), (ACCEPTED, "asked = false"), laws=["CR-001"])
    assert gated(policy, run).verdict is Verdict.ADVANCE
    assert reasons(gated(text(laws=["CR-001"]), run), Kind.UNOBSERVED)


def test_a_launch_that_differs(folder):
    reason = only(gated(text(('accept = "differs"', 'accept = "same"')), folder), Kind.LAUNCH)
    assert "CLIDR_EL1" in reason.said
    fields = "fields = { CLIDR_EL1 = 'differs', CCSIDR_EL1 = 'differs', CTR_EL0 = 'differs' }"
    assert gated(text(('accept = "differs"', fields)), folder).verdict is Verdict.ADVANCE


@pytest.mark.parametrize(
    ("predicate", "kind"),
    [
        ("guest.CLIDR_EL1.LoC == 2", None),
        ("guest.CLIDR_EL1.LoC == 7", Kind.PREDICATE),
        ("migrate(deb:6.1 -> this) at worst lossy", None),
        ("migrate(this -> deb:6.1) at worst lossy", Kind.PREDICATE),
        ("hardware.CLIDR_EL1.LoC == 2", Kind.UNOBSERVED),
    ],
)
def test_predicates_have_to_be_so_of_the_new_kernel(folder, predicate, kind):
    decision = gated(text(("[launch]", f"predicates = ['{predicate}']\n[launch]")), folder)
    assert [reason.kind for reason in decision.reasons] == ([kind] if kind else [])


def test_no_run_and_no_machine_of_a_member_is_no_evidence(folder, tmp_path):
    other = ("[evidence]", '[machines.v1]\nspecs = ["emulated:neoverse-v1"]\n[evidence]')
    reason = only(gated(text(other), folder), Kind.UNOBSERVED)
    assert reason.machines == ("v1",)
    assert gated(text()).verdict is Verdict.HOLD
    newer = ('new = "deb:6.12"', 'new = "deb:7.2"')
    assert only(gated(text(newer), folder), Kind.UNOBSERVED).said.startswith("no evidence")


def test_a_kernel_that_was_not_observed(tmp_path):
    failure = Failure(status=Status.MISS, fact="no KVM")
    run = made(tmp_path, result_of([lean(N1, OLD)], {LOST: failure}))
    assert "never ran" in reasons(gated(text(), run), Kind.UNOBSERVED)[0].said
    Run.open(run).write(LOST, "failure.json", to_json(failure))
    decision = gated(text(), run)
    assert "no KVM" in reasons(decision, Kind.UNOBSERVED)[0].said
    assert decision.verdict is Verdict.HOLD


def test_a_kernel_that_does_not_boot_where_its_base_does(tmp_path):
    run = made(tmp_path, result_of([lean(N1, OLD)], {LOST: Failure(status=Status.MISS, fact="it panicked")}))
    row = tuple(Boot(role=role, kernel="x", end=end, console="") for role, end in CONVICTS)
    content = to_json(Boots(schema=SCHEMA, cell=LOST, boots=row))
    Run.open(run).write(LOST, "boots.json", content)
    decision = gated(text(), run)
    assert (decision.verdict, decision.reasons[0].check) == (Verdict.REVERT, "CR-019")
    assert decision.reasons[0].evidence[0].file.endswith("boots.json")


@pytest.mark.parametrize(
    ("law", "verdict"), [("RULE-1", Verdict.REVERT), ("RULE-2", Verdict.REVERT), ("CR-013", Verdict.HOLD)]
)
def test_rules_and_agreements_can_be_required(folder, law, verdict):
    """Debian's 6.12 keeps no rule of 6.1's; an agreement takes a second machine, which is not there."""
    decision = gated(text(laws=[law]), folder)
    assert (decision.verdict, len(decision.reasons)) == (verdict, 1)


def test_a_program_that_failed_is_not_observed_even_where_no_law_asks(tmp_path):
    failures = {"life": Failure(status=Status.ERROR, fact="malformed")}
    odd = msgspec.structs.replace(lean(N1, NEW), failures=failures)
    reason = only(gated(text(), made(tmp_path, of(lean(N1, OLD), odd))), Kind.UNOBSERVED)
    assert reason.said == "life: malformed"


@pytest.mark.parametrize(
    ("substrate", "least", "kind"),
    [
        (Substrate.METAL, "metal", None),
        (Substrate.METAL, "virtual", None),
        (Substrate.VIRTUAL, "metal", Kind.SUBSTRATE),
        (Substrate.EMULATED, "virtual", Kind.SUBSTRATE),
        (Substrate.UNKNOWN, "emulated", Kind.SUBSTRATE),
    ],
)
def test_what_the_machine_was_made_of_is_what_was_observed(tmp_path, substrate, least, kind):
    run = made(tmp_path, of(on(lean(N1, OLD), substrate), on(lean(N1, NEW), substrate)))
    decision = gated(text(('substrate = "emulated"', f'substrate = "{least}"')), run)
    assert [reason.kind for reason in decision.reasons] == ([kind] if kind else [])


@pytest.mark.parametrize(
    ("board", "dmi", "have"),
    [
        ("", "QEMU QEMU Virtual Machine", "emulated"),
        ("linux,dummy-virt", "QEMU QEMU Virtual Machine", "emulated"),
        ("", "QEMU KVM Virtual Machine", "virtual"),
        ("linux,dummy-virt", "", "virtual"),
        ("", "", "unknown"),
    ],
)
def test_a_machine_with_a_name_is_no_metal_for_that(tmp_path, board, dmi, have):
    """What the inventory calls a machine proves nothing: a lab may well be one of virtual machines."""
    named = [altra(lean(N1, kernel), made_of(board, dmi)) for kernel in (OLD, NEW)]
    specs = (('specs = ["emulated:neoverse-n1"]', 'specs = ["altra"]'),)
    metal = text(*specs, ('substrate = "emulated"', 'substrate = "metal"'))
    reason = only(gated(metal, made(tmp_path, of(*named))), Kind.SUBSTRATE)
    assert (reason.verdict, reason.machines) == (Verdict.HOLD, ("n1",))
    assert reason.said == f"no evidence from metal (policy: metal; have: {have})"
    seen = [altra(lean(N1, kernel), Substrate.METAL) for kernel in (OLD, NEW)]
    assert not reasons(gated(metal, made(tmp_path / "metal", of(*seen))), Kind.SUBSTRATE)


def altra(seen, of_what):
    """Return a capture as of a machine of the inventory, which nobody has started in an emulator."""
    facts = {"spec": "altra", "substrate": of_what, "emulator": "", "argv": ()}
    return msgspec.structs.replace(
        seen,
        cell=msgspec.structs.replace(seen.cell, machine="altra"),
        machine=msgspec.structs.replace(seen.machine, **facts),
    )


def test_the_lesser_of_two_boots_counts(tmp_path):
    run = made(tmp_path, of(on(lean(N1, OLD), Substrate.EMULATED), on(lean(N1, NEW), Substrate.METAL)))
    policy = text(('substrate = "emulated"', 'substrate = "metal"'))
    assert only(gated(policy, run), Kind.SUBSTRATE).machines == ("n1",)


def test_harm_in_evidence_that_does_not_count_is_a_reason_to_wait(failing):
    decision = gated(text(('substrate = "emulated"', 'substrate = "metal"')), failing)
    assert decision.verdict is Verdict.HOLD
    assert {reason.kind for reason in decision.reasons} == {Kind.ELSEWHERE, Kind.SUBSTRATE}


def test_a_law_that_fails_on_a_machine_of_no_fleet_is_one_too(tmp_path):
    result = of(lean(N1, OLD), lean(N1, NEW), lean(V1, OLD), lawless(V1))
    decision = gated(text(), made(tmp_path, result))
    assert only(decision, Kind.ELSEWHERE).verdict is Verdict.HOLD
    assert "emulated:neoverse-v1 is of no machine of the policy" in decision.notes


@pytest.mark.parametrize(
    ("ago", "kind"),
    [
        (timedelta(days=30), None),
        (timedelta(days=31), Kind.AGE),
        (-timedelta(minutes=4), None),
        (-timedelta(hours=1), Kind.AGE),
    ],
)
def test_evidence_is_neither_too_old_nor_from_the_future(folder, ago, kind):
    decision = gated(text(), folder, now=MADE + ago)
    assert [reason.kind for reason in decision.reasons] == ([kind] if kind else [])


def test_old_evidence_beside_new_is_left_out(tmp_path, folder):
    old = made(tmp_path, good(), "2026-01-01-000000-aaaa", created="2026-01-01T00:00:00Z")
    assert gated(text(), folder, old).verdict is Verdict.ADVANCE


def test_evidence_of_no_time_does_not_count(tmp_path):
    assert only(gated(text(), made(tmp_path, good(), created="soon")), Kind.AGE)


def test_observations_are_boots_in_runs_of_their_own(tmp_path, folder):
    policy = text(('substrate = "emulated"', 'substrate = "emulated"\nobservations = 2'))
    assert only(gated(policy, folder), Kind.OBSERVATIONS).said == "1 of 2 observations"
    assert gated(policy, folder, folder).verdict is Verdict.HOLD
    copy = copied(folder, tmp_path / "copy")
    twice = gated(policy, folder, copy)
    assert (twice.verdict, len(twice.notes)) == (Verdict.HOLD, 1)
    renamed = made(tmp_path, good(), "2026-11-22-091201-0000")
    assert gated(policy, folder, renamed).verdict is Verdict.HOLD  # the same boot under another name
    again = of(*(booted(lean(N1, kernel), f"another {kernel}") for kernel in (OLD, NEW)))
    other = made(tmp_path / "other", again, "2026-11-22-091201-0001")
    assert gated(policy, folder, other).verdict is Verdict.ADVANCE


def test_the_worst_of_several_runs_counts(tmp_path, folder):
    bad = made(tmp_path, of(lean(N1, OLD), booted(lawless(), "x")), "2026-11-22-091201-0001")
    assert gated(text(), folder, bad).verdict is Verdict.REVERT


def test_one_name_for_two_builds_of_a_kernel(tmp_path, folder):
    other = of(lean(N1, OLD), booted(built(lean(N1, NEW), "ff" * 20), "x"))
    run = made(tmp_path, other, "2026-11-22-091201-0001")
    decision = gated(text(), folder, run)
    assert only(decision, Kind.KERNELS).said.startswith("2 kernels go by deb:6.12: ")
    named = text(('new = "deb:6.12"', f'new = "build-id:{"ff" * 20}"'))
    assert gated(named, folder, run).verdict is Verdict.ADVANCE
    assert "has nothing of" in gated(named, folder, run).notes[0]


def test_the_old_kernel_under_the_new_name(tmp_path):
    same = built(lean(N1, NEW), lean(N1, OLD).kernel.build_id)
    assert (
        "are the same kernel"
        in only(gated(text(), made(tmp_path, of(lean(N1, OLD), same))), Kind.KERNELS).said
    )


@pytest.mark.parametrize("cores", ['["Neoverse-N1"]', f'["{lean(N1, NEW).machine.cpus[0].midr:#x}"]'])
def test_a_member_by_its_cores(folder, cores):
    policy = text(('specs = ["emulated:neoverse-n1"]', f"cores = {cores}"))
    assert gated(policy, folder).verdict is Verdict.ADVANCE
    other = text(('specs = ["emulated:neoverse-n1"]', 'cores = ["Neoverse-N1", "Cortex-A55"]'))
    assert only(gated(other, folder), Kind.UNOBSERVED).said.startswith("no evidence")


@pytest.mark.parametrize(
    ("spec", "machine", "is_it"),
    [
        ("altra", "altra,attended=on", True),
        ("altra,force=on", "altra,force=on", True),
        ("altra,force=on", "altra,attended=on", False),
        ("altra", "altra2,attended=on", False),
        ("emulated:neoverse-n1", "emulated:neoverse-n1,cpus=4", False),
    ],
)
def test_how_a_real_machine_was_had_is_no_part_of_what_it_is(spec, machine, is_it):
    assert Member("n1", (spec,), (), Substrate.METAL).has(machine, {}) is is_it


def test_a_machine_that_nobody_saw_may_be_any(tmp_path, folder):
    lost = made(tmp_path, good(), "2026-11-22-091201-0001")
    for capture in lost.rglob("capture.json"):
        capture.unlink()
    policy = text(('specs = ["emulated:neoverse-n1"]', 'cores = ["Neoverse-N1"]'))
    assert "may be any machine" in only(gated(policy, folder, lost), Kind.UNOBSERVED).said


def test_a_run_that_cannot_be_read(tmp_path, folder):
    bad = copied(folder, tmp_path / "bad")
    (bad / "run.json").write_bytes((bad / "run.json").read_bytes()[:99])
    assert only(gated(text(), folder, bad), Kind.DAMAGED).verdict is Verdict.HOLD


@pytest.mark.parametrize("plan", [{"cells": ()}, {"machines": (A57,)}])
def test_a_plan_that_does_not_fit_together(tmp_path, plan):
    result = good()
    run = made(tmp_path, result)
    changed = msgspec.structs.replace(result.plan, **plan)
    (run / "run.json").write_bytes(msgspec.json.encode(changed))
    assert isinstance(changed, Plan)
    assert Kind.DAMAGED in [reason.kind for reason in gated(text(), run).reasons]


def test_another_schema_is_damage(tmp_path):
    run = made(tmp_path, good(), schema=99)
    assert "schema 99" in reasons(gated(text(), run), Kind.DAMAGED)[0].said


def test_a_damaged_capture_is_not_observed(tmp_path):
    run = made(tmp_path, good())
    capture = next(run.glob("captures/*6.12/1/capture.json"))
    capture.write_bytes(capture.read_bytes()[:-100])
    assert reasons(gated(text(), run), Kind.UNOBSERVED)
    assert gated(text(), run).verdict is Verdict.HOLD


def test_a_log_that_ends_early_is_said(tmp_path):
    run = made(tmp_path, good())
    log = run / "cases.jsonl"
    log.write_bytes(log.read_bytes()[:40])
    decision = gated(text(), run)
    assert "verdicts were made anew" in only(decision, Kind.LOG).said
    assert "its log is cut off" in decision.notes[0]


def test_rows_that_are_there_twice_change_nothing(tmp_path):
    run = made(tmp_path, good())
    log = run / "cases.jsonl"
    log.write_bytes(log.read_bytes() * 2)
    assert gated(text(), run).verdict is Verdict.ADVANCE


def test_a_log_that_says_fail_where_the_capture_does_not(tmp_path):
    run = made(tmp_path, good())
    bad = made(tmp_path / "bad", of(lean(N1, OLD), lawless()))
    (run / "cases.jsonl").write_bytes((bad / "cases.jsonl").read_bytes())
    assert "the log has FAIL" in only(gated(text(), run), Kind.LOG).said


def test_laws_that_apply_nowhere_are_no_evidence(tmp_path):
    run = made(tmp_path, of(sample(N1, OLD), sample(N1, NEW)))  # CR-011: no AArch32 at EL1
    alone = reasons(gated(text(laws=["CR-011"]), run), Kind.SKIPPED)
    assert [reason.said.partition(":")[0] for reason in alone] == [
        "every law was skipped",
        "CR-011 must pass, and was skipped everywhere",
    ]
    assert only(gated(text(laws=["CR-011", "CR-001"]), run), Kind.SKIPPED).check == "CR-011"
    assert gated(text(laws=["CR-001"]), run).verdict is Verdict.ADVANCE


BROAD = WAIVER.replace('field = "CLIDR_EL1"\nmachine = "n1"\n', "")
BACK = text((f"{ACCEPTED}\n[rollback]\n{ACCEPTED}", f'{ACCEPTED}\n[rollback]\naccept = "lossy"'))


def test_a_waiver_takes_a_field_out_of_the_account(folder):
    before = only(gated(BACK, folder), Kind.ROLLBACK).said
    decision = gated(BACK + WAIVER, folder)
    assert "CLIDR_EL1" in before
    assert "CLIDR_EL1" not in only(decision, Kind.ROLLBACK).said
    assert (decision.waived[0].waiver, decision.waived[0].machine) == ("W-7", "n1")
    whole = WAIVER.replace('field = "CLIDR_EL1"\n', "")
    assert gated(BACK + whole, folder).verdict is Verdict.ADVANCE


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        (text() + WAIVER, "waives nothing"),
        (BACK + WAIVER.replace("2027-01-31", "2026-11-22"), "expired on 2026-11-22"),
        (BACK + BROAD, "too broad"),
    ],
)
def test_a_waiver_of_no_use_or_of_too_much_is_a_finding_and_waives_nothing(folder, policy, words):
    decision = gated(policy, folder, now=NOW)
    assert decision.verdict is Verdict.HOLD
    assert words in reasons(decision, Kind.WAIVER)[0].said
    assert not decision.waived


def test_a_waiver_of_a_law_is_for_its_subjects(failing):
    law = WAIVER.replace("CR-008", "CR-001").replace('direction = "rollback"\n', "")
    assert gated(text() + law, failing).verdict is Verdict.ADVANCE
    other = law.replace("CLIDR_EL1", "CTR_EL0")
    assert gated(text() + other, failing).verdict is Verdict.REVERT


def test_no_waiver_stands_for_evidence(tmp_path):
    law = WAIVER.replace("CR-008", "CR-001").replace('direction = "rollback"\n', "")
    run = made(tmp_path, of(lean(N1, OLD), msgspec.structs.replace(lean(N1, NEW), views=())))
    assert gated(text() + law.replace('field = "CLIDR_EL1"\n', ""), run).verdict is Verdict.HOLD


def test_a_baseline_has_to_be_there_and_to_be_met(folder):
    policy = text(("[launch]", "[launch]\nbaseline = true"))
    assert "no baseline" in only(gated(policy, folder), Kind.BASELINE).said
    values = baseline.values(lean(N1, NEW))
    kept = "# remark\n" + "\n".join(values)
    assert gated(policy, folder, baselines={"n1": kept}).verdict is Verdict.ADVANCE
    changed = kept.replace("guest CLIDR_EL1.LoC = 2", "guest CLIDR_EL1.LoC = 1")
    assert changed != kept
    reason = only(gated(policy, folder, baselines={"n1": changed}), Kind.BASELINE)
    assert "CLIDR_EL1.LoC 1 → 2" in reason.said
    assert "not as in its baseline" in only(gated(policy, folder, baselines={"n1": ""}), Kind.BASELINE).said


def test_a_control_has_to_show_that_checks_can_fail(tmp_path, folder):
    policy = text(('substrate = "emulated"', 'substrate = "emulated"\ncontrol = true'))
    assert "no control run" in only(gated(policy, folder), Kind.CONTROL).said
    assert gated(policy, folder, control(tmp_path, lawless())).verdict is Verdict.ADVANCE
    blind = control(tmp_path / "blind", lean(N1, NEW))
    assert "not this: CR-001" in only(gated(policy, folder, blind), Kind.CONTROL).said


def control(results, capture):
    """Write a run of a base and of the same with a fault that CR-001 should notice."""
    base, patched = "deb-src:6.12", "deb-src:6.12,patch=suites/control/CR-001-clidr-of-the-cpu.patch"
    cells = tuple(Cell(machine=N1, kernel=kernel) for kernel in (base, patched))
    kernels = tuple(
        PlannedKernel(spec=spec, pin=spec, label=spec, release="6.12", image_sha256="0" * 64)
        for spec in (base, patched)
    )
    result = good()
    plan = msgspec.structs.replace(
        result.plan, id="2026-11-22-081201-c0c0", kernels=kernels, cells=cells, cases=(), machines=(N1,)
    )
    shown = [
        msgspec.structs.replace(seen, cell=cell)
        for seen, cell in zip((lean(N1, NEW), capture), cells, strict=True)
    ]
    return made(
        results,
        replace(result, plan=plan, cases=(), captures={each.cell.id: each for each in shown}),
    )


def test_reasons_of_several_machines_are_one(tmp_path):
    both = (
        'specs = ["emulated:neoverse-n1"]',
        'specs = ["emulated:neoverse-n1"]\n[machines.a57]\nspecs = ["x"]',
    )
    third = ("[evidence]", '[machines.v1]\nspecs = ["y"]\n[evidence]')
    decision = gated(text(both, third), made(tmp_path, good()))
    assert only(decision, Kind.UNOBSERVED).machines == ("a57", "v1")


def test_a_run_that_is_not_there_is_a_wrong_call(tmp_path):
    with pytest.raises(UsageError):
        list(load(["no-such-run"], tmp_path))
