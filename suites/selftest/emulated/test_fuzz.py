"""Random values on real boots: as many as a run asks for, and the smallest that goes wrong is named."""

import json

import pytest
from command import ccsight

from ccsight.evidence.run import find_run
from ccsight.evidence.views import FUZZED, SHRUNK

pytestmark = pytest.mark.emulated

N1 = "emulated:neoverse-n1"
#: Refuses CLIDR_EL1 by mistake, but only where two fields of it meet: no value of the table has both.
FAULT = """\
--- a/arch/arm64/kvm/sys_regs.c
+++ b/arch/arm64/kvm/sys_regs.c
@@ -2057,4 +2057,7 @@
 \tif ((val & CLIDR_EL1_RES0) || (!(ctr_el0 & CTR_EL0_IDC) && idc))
 \t\treturn -EINVAL;
+
+\tif (((val >> 24) & 7) == 5 && ((val >> 30) & 1))
+\t\treturn -ENOENT;
 \n \t__vcpu_sys_reg(vcpu, rd->reg) = val;
"""
#: The host's CLIDR_EL1 with just these fields changed: LoC 2 to 5, bit 0 of ICB.
SMALLEST = 0x02000021 & ~(7 << 24) | 5 << 24 | 1 << 30


def drawn(seen):
    """Return how many random values were tried: what only puts back is told by its register's own value."""
    told = next(view for view in seen.views if view.vantage == "userspace")
    return [write for write in seen.writes if write.phase == FUZZED and write.value != told.value(write.name)]


@pytest.mark.parametrize("count", [0, 3000])
def test_a_run_writes_as_many_random_values_as_it_was_asked_for(tmp_path, count):
    said = ccsight("capture", "deb:6.12", "--on", N1, "--fuzz", f"{count}", "--json", cwd=tmp_path)
    run = find_run(tmp_path / "results")
    assert said.code == 0, said.stderr
    assert run.plan.depth.fuzz == count
    assert run.plan.argv[-2:] == ("--fuzz", f"{count}")
    (cell,) = run.plan.cells
    found = drawn(run.capture(cell))
    # a few are what the register holds already
    assert 0.95 * count <= len(found) <= count
    streams = {path.name for path in run.boot_folder(cell).glob("writes*.stream")}
    assert streams == ({"writes.stream"} | ({"writes-2.stream"} if count else set()))


def test_a_run_that_goes_on_keeps_its_number_and_refuses_another(tmp_path):
    ccsight("capture", "deb:6.12", "--on", N1, "--fuzz", "7", "--json", cwd=tmp_path)
    run = find_run(tmp_path / "results")
    (cell,) = run.plan.cells
    (run.boot_folder(cell) / "capture.json").unlink()
    assert ccsight("compare", "--resume", str(run.folder), "--fuzz", "8", cwd=tmp_path).code == 2
    assert ccsight("compare", "--resume", str(run.folder), cwd=tmp_path).code == 0
    assert len(drawn(run.capture(cell))) in (6, 7)


@pytest.mark.long
def test_the_smallest_value_that_goes_wrong_is_named(tmp_path):
    patch = tmp_path / "two-fields.patch"
    patch.write_text(FAULT)
    said = ccsight(
        *("capture", f"deb-src:6.12,patch={patch}", "--on", N1, "--fuzz", "3000", "--json"),
        cwd=tmp_path,
        seconds=1800,
    )
    assert said.code == 1, said.stderr
    (machine,) = said.json["machines"]
    (case,) = [case for case in machine["laws"] if case["status"] == "FAIL"]
    (finding,) = case["findings"]
    assert (case["check"], finding["subject"], finding["where"]) == ("CR-005", "CLIDR_EL1", "fuzzed, shrunk")
    assert f"CLIDR_EL1 = {SMALLEST:#x} (LoC 2 → 5, ICB 0 → 1)" in finding["said"], json.dumps(finding)
    run = find_run(tmp_path / "results")
    seen = run.capture(run.plan.cells[0])
    wrong = [write for write in drawn(seen) if (write.name, write.problem) == ("CLIDR_EL1", "ENOENT")]
    least = min((write.value ^ 0x02000021).bit_count() for write in wrong)
    assert least > (SMALLEST ^ 0x02000021).bit_count()
    assert any(write.phase == SHRUNK and write.value == SMALLEST for write in seen.writes)
