"""What a gate asks for where a policy has a table of it: register lists, the layout, other machines."""

import msgspec
import pytest
from crossing_samples import HERE, THERE
from gate_samples import N1, NEW, OLD, V1, gated, good, lean, made, of, reasons, text
from recorded import bent
from test_report_crossings import MIDR, crossed

from ccsight.arm64.kvm_ids import name
from ccsight.errors import UsageError
from ccsight.evidence.decision import Kind, Verdict
from ccsight.evidence.model import SCHEMA, Arrivals
from ccsight.evidence.record import to_json
from ccsight.evidence.views import Vantage
from ccsight.gate.policy_file import read

ACROSS = (
    '[machines.n1]\nspecs = ["emulated:neoverse-n1"]',
    f'[machines.here]\nspecs = ["{HERE}"]\n[machines.there]\nspecs = ["{THERE}"]',
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run whose new kernel lists more registers than the old one."""
    return made(tmp_path_factory.mktemp("results"), good())


def asking(*tables):
    return text() + "\n".join(tables)


def only(decision, kind):
    (reason,) = reasons(decision, kind)
    return reason


def grown():
    """Return the names of the registers that only the new kernel lists."""
    old, new = (
        {kvm_id for each in lean(N1, kernel).register_lists for kvm_id in each.ids} for kernel in (OLD, NEW)
    )
    return sorted(map(name, new - old)), sorted(map(name, old - new))


def test_without_a_table_nothing_is_asked(folder):
    decision = gated(text(), folder)
    assert decision.verdict is Verdict.ADVANCE
    assert {tally.kind for tally in decision.tallies} == {
        Kind.LAW,
        Kind.LAUNCH,
        Kind.UPGRADE,
        Kind.ROLLBACK,
    }


def test_a_register_list_that_grew_is_held_register_by_register(folder):
    more, less = grown()
    assert "CCSIDR_EL1[3]" in more
    assert not less
    reason = only(gated(asking("[registers]"), folder), Kind.REGISTERS)
    assert (reason.verdict, reason.check) == (Verdict.HOLD, "CR-014")
    assert reason.said.startswith("the register list grew: CCSIDR_EL1[3")
    assert gated(asking("[registers]", 'accept = "grew"'), folder).verdict is Verdict.ADVANCE
    fields = ", ".join(f"{each.partition('[')[0]} = 'grew'" for each in more if "CCSIDR" not in each)
    left = only(gated(asking("[registers]", f"fields = {{ {fields} }}"), folder), Kind.REGISTERS)
    assert left.said == "the register list grew: CCSIDR_EL1[3-13] only in the new kernel's list"


def test_a_register_that_is_gone_is_worse_than_one_more(tmp_path):
    seen = lean(N1, NEW)
    fewer = tuple(
        msgspec.structs.replace(each, ids=tuple(kvm_id for kvm_id in each.ids if name(kvm_id) != "CLIDR_EL1"))
        for each in seen.register_lists
    )
    run = made(tmp_path, of(lean(N1, OLD), msgspec.structs.replace(seen, register_lists=fewer)))
    reason = only(gated(asking("[registers]", 'accept = "grew"'), run), Kind.REGISTERS)
    assert reason.said == "the register list shrank: CLIDR_EL1 not in the new kernel's list"
    assert gated(asking("[registers]", 'accept = "changed"'), run).verdict is Verdict.ADVANCE


def test_a_layout_that_changes(tmp_path):
    run = made(tmp_path, good(V1))
    there = ("neoverse-n1", "neoverse-v1")
    policy = text(there)
    reason = only(gated(f"{policy}[layout]", run), Kind.LAYOUT)
    assert reason.check == "CR-015"
    assert "ID_AA64MMFR2_EL1.CCIDX 1 → 0" in reason.said
    assert gated(f'{policy}[layout]\naccept = "changes"', run).verdict is Verdict.ADVANCE
    assert gated(f'{policy}[layout]\nfields = {{ "ID_AA64MMFR2_EL1.CCIDX" = "changes" }}', run).verdict is (
        Verdict.ADVANCE
    )
    odd = bent(lean(V1, NEW), Vantage.GUEST, 0, **{"CCSIDR_EL1[0]": 0x700FE01A << 8})
    worse = made(tmp_path / "odd", of(lean(V1, OLD), odd))
    found = only(gated(f'{policy}[layout]\naccept = "changes"', worse), Kind.LAYOUT)
    assert "the layout of CCSIDR_EL1 contradicts" in found.said


def across(tmp_path, *odd):
    run = made(tmp_path, crossed(*odd))
    return lambda *lines: gated(text(ACROSS, laws=["CR-002"]) + "\n".join(lines), run)


def test_vms_that_go_to_another_machine(tmp_path):
    decided = across(tmp_path, MIDR)
    found = reasons(decided("[crossing]"), Kind.CROSSING)
    assert {reason.machines for reason in found} == {("there",)}
    assert {reason.check for reason in found} == {"CR-020"}
    head = f"{HERE}  {NEW} → {THERE}  {NEW} is refused: "
    assert [reason.said for reason in found if reason.said.startswith(head)] == [f"{head}MIDR_EL1 EINVAL"]
    assert not any(f"{OLD} → {THERE}  {OLD} is" in reason.said for reason in found)
    assert not reasons(decided("[crossing]", 'accept = "refused"'), Kind.CROSSING)
    assert not reasons(decided("[crossing]", "asked = false"), Kind.CROSSING)


def test_a_machine_that_no_vm_came_to_was_not_observed(tmp_path, folder):
    lost = reasons(across(tmp_path)("[crossing]", 'accept = "refused"'), Kind.UNOBSERVED)
    assert any("CR-020 not observed" in reason.said and reason.machines == ("here",) for reason in lost)
    assert "no VM was moved here" in only(gated(asking("[crossing]"), folder), Kind.UNOBSERVED).said


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ('[registers]\naccept = "lossy"', "there is no outcome 'lossy'"),
        ('[layout]\naccept = "grew"', "there is no outcome 'grew'"),
        ('[crossing]\nvmms = ["Qemu"]', "there is no VMM 'Qemu'"),
        ('[registers]\nfields = { "CTR_EL0.IDC" = "grew" }', "lists registers, not fields"),
        ('[registers]\nvmms = ["QEMU 11.1"]', "vmms"),
    ],
)
def test_what_a_table_does_not_have_is_refused(table, words):
    with pytest.raises(UsageError) as refused:
        read(asking(table), "rollout.toml")
    assert words in f"{refused.value.fact} {refused.value.evidence}"


def test_no_comparison_can_be_required_and_each_is_told_its_table():
    with pytest.raises(UsageError, match="CR-014 is a comparison") as refused:
        read(text(laws=["CR-014"]), "rollout.toml")
    assert "[registers]" in refused.value.next_step


def test_a_waiver_of_a_register_that_grew(folder):
    waiver = (
        '[[waiver]]\nid = "W-1"\ncheck = "CR-014"\nfield = "CCSIDR_EL1"\nmachine = "n1"\n'
        'direction = "registers"\nreason = "r"\nowner = "o"\nexpires = 2027-01-31\n'
    )
    decision = gated(asking("[registers]\n", waiver), folder)
    assert [each.check for each in decision.waived] == ["CR-014"]
    assert "CCSIDR" not in "".join(reason.said for reason in reasons(decision, Kind.REGISTERS))


def arrived(folder, build_id):
    """Write down a boot of the old kernel in which VMs were only restored."""
    seen = lean(N1, OLD)
    kernel = msgspec.structs.replace(seen.kernel, build_id=build_id)
    there = folder / "captures" / seen.cell.id / "restore"
    there.mkdir()
    arrivals = Arrivals(schema=SCHEMA, cell=seen.cell, kernel=kernel, machine=seen.machine)
    (there / "arrivals.json").write_bytes(to_json(arrivals))
    return there / "arrivals.json"


def test_vms_have_to_be_restored_on_the_kernel_that_was_captured(tmp_path):
    own = lean(N1, OLD).kernel.build_id
    same = made(tmp_path / "same", good())
    arrived(same, own)
    assert gated(text(), same).verdict is Verdict.ADVANCE
    mixed = made(tmp_path / "mixed", good())
    arrived(mixed, "f" * 40)
    decision = gated(text(), mixed)
    assert decision.verdict is Verdict.HOLD
    assert f"2 kernels go by {OLD}" in only(decision, Kind.KERNELS).said
    assert set(decision.old.build_ids) == {own, "f" * 40}


def test_arrivals_of_another_cell_are_damage(tmp_path):
    run = made(tmp_path, good())
    path = arrived(run, lean(N1, OLD).kernel.build_id)
    path.write_text(path.read_text().replace(OLD, NEW))
    found = reasons(gated(text(), run), Kind.UNOBSERVED)
    assert any("arrivals.json is of another cell" in reason.said for reason in found)
