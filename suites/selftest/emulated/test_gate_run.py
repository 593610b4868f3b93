"""A gate on a run of real kernels: what it makes of all laws, of both ways, and of lost evidence."""

import pytest
from command import ccsight

pytestmark = pytest.mark.emulated

POLICY = """
schema = 1
[kernels]
old = "deb:6.1"
new = "deb:6.12"
[machines.a57]
cores = ["Cortex-A57"]
[evidence]
substrate = "emulated"
[laws]
predicates = ["guest.CLIDR_EL1.LoC == 1", "not console has UBSAN"]
[launch]
accept = "differs"
[upgrade]
accept = "visible"
vmms = ["Firecracker"]
[rollback]
accept = "refused"
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a run of both kernels."""
    made = tmp_path_factory.mktemp("gate")
    said = ccsight("compare", "deb:6.1", "deb:6.12", "--on", "emulated:cortex-a57", cwd=made)
    assert said.code == 0, said.stderr
    return made


def gate(folder, policy):
    (folder / "rollout.toml").write_text(policy)
    return ccsight("gate", "latest", "--policy", "rollout.toml", "--json", cwd=folder)


def test_all_laws_of_a_real_run_are_met(folder):
    said = gate(folder, POLICY)
    assert (said.code, said.json["verdict"], said.json["reasons"]) == (0, "ADVANCE", [])


def test_what_nobody_accepts_holds_a_roll_out(folder):
    said = gate(folder, POLICY.replace('accept = "refused"', 'accept = "lossy"'))
    assert (said.code, said.json["verdict"]) == (1, "HOLD")
    assert "CLIDR_EL1" in said.json["reasons"][0]["said"]
    said = gate(folder, POLICY.replace('substrate = "emulated"', 'substrate = "metal"'))
    assert [reason["kind"] for reason in said.json["reasons"]] == ["substrate"]


def test_a_run_that_lost_its_boot_for_restoring_holds_it_too(folder):
    """Last, for it takes the evidence away."""
    (arrivals,) = folder.glob("results/*/captures/*/restore/arrivals.json")
    arrivals.unlink()
    said = gate(folder, POLICY)
    assert (said.code, said.json["verdict"]) == (1, "HOLD")
    assert "was not restored" in said.json["reasons"][0]["said"]
