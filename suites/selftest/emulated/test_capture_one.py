"""``ccsight capture`` on a real kernel, in two modes of KVM: the laws that need a console and a twin."""

import pytest
from command import ccsight

from ccsight.evidence.run import Run

pytestmark = pytest.mark.emulated

MACHINES = ("emulated:neoverse-v1", "emulated:neoverse-v1,mode=nvhe")


def test_one_kernel_in_two_modes(tmp_path):
    said = ccsight("capture", "deb:6.12", "--on", MACHINES[0], "--on", MACHINES[1], "--json", cwd=tmp_path)
    assert said.code == 0, said.stderr
    plain, nvhe = said.json["machines"]
    assert {case["check"]: case["status"] for case in nvhe["laws"]}["CR-013"] == "PASS"
    for machine in (plain, nvhe):
        assert {case["check"]: case["status"] for case in machine["laws"]}["CR-017"] == "PASS"
        assert (machine["new"], machine["comparisons"]) == (None, [])
    (folder,) = (tmp_path / "results").iterdir()
    run = Run.open(folder)
    consoles = [run.capture(cell).console for cell in run.plan.cells]
    assert [console.mode for console in consoles] == ["VHE", "Hyp nVHE"]
    assert all((folder / console.file).read_text().count("\n") >= console.lines > 100 for console in consoles)
