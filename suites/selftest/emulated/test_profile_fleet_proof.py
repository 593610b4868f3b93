"""``ccsight profile check`` and ``common --prove`` on several machines, as their users ask for them."""

import tomllib

import pytest
from command import ccsight

pytestmark = [pytest.mark.emulated, pytest.mark.long]

N1, N1_OF_4, V1 = "emulated:neoverse-n1", "emulated:neoverse-n1,cpus=4", "emulated:neoverse-v1"


@pytest.fixture(scope="module")
def profile(tmp_path_factory):
    """Return the folder that has 6.1's profile of the core, n1.toml."""
    folder = tmp_path_factory.mktemp("fleet")
    said = ccsight("profile", "capture", "deb:6.1", "--on", N1, "--out", "n1.toml", cwd=folder, seconds=900)
    assert said.code == 0, said.stderr
    return folder


def test_a_profile_is_proved_on_each_machine_of_its_core(profile):
    words = ("profile", "check", "n1.toml", "--kernel", "deb:6.1", "--on", N1, "--on", N1_OF_4, "--json")
    said = ccsight(*words, cwd=profile, seconds=900)
    assert said.code == 0, said.stderr
    assert [case["status"] for case in said.json["cases"]] == ["PASS", "PASS"]
    assert len({case["cells"][0] for case in said.json["cases"]}) == 2


def test_another_core_is_refused_and_the_others_are_answered(profile):
    words = ("profile", "check", "n1.toml", "--kernel", "deb:6.1", "--on", N1, "--on", V1)
    said = ccsight(*words, cwd=profile, seconds=900)
    assert said.code == 2
    assert said.stdout == f"{N1}\nPASS  shows the profile's values  deb:6.1\n"
    assert "MIDR_EL1 0x411fd402" in said.stderr


def test_what_can_be_known_is_refused_before_a_boot(profile):
    words = ("profile", "check", "n1.toml", "--kernel", "deb:6.1", "--on", N1, "--on", "silicon:graviton3")
    said = ccsight(*words, cwd=profile)
    assert said.code == 2
    assert "MIDR_EL1 0x411fd401" in said.stderr
    assert "boots" not in said.stderr


def test_a_core_of_several_is_proved_on_its_own_cpus(tmp_path):
    """Up to v6.2 each CPU takes its own sizes only: a VM on the first one could not be given these."""
    words = ("profile", "capture", "deb:6.1", "--on", "silicon:rk3588", "--out", "rk.toml")
    assert ccsight(*words, cwd=tmp_path, seconds=900).code == 0
    _, big = tomllib.loads((tmp_path / "rk.toml").read_text())["core"]
    words = ("profile", "check", "rk.toml", "--core", big, "--kernel", "deb:6.1")
    said = ccsight(*words, cwd=tmp_path, seconds=900)
    assert said.code == 0, said.stdout + said.stderr
    assert f"--core {big}" in said.stderr


def test_a_fleets_common_values_are_taken_and_carried_both_ways(tmp_path):
    fleet = ("silicon:graviton2", "silicon:graviton3")
    words = ("profile", "common", *fleet, "--prove", "--kernel", "deb:6.12", "--json")
    said = ccsight(*words, cwd=tmp_path, seconds=900)
    assert said.code == 0, said.stdout + said.stderr
    checks = [case["check"] for case in said.json["cases"]]
    assert checks == ["common-launch"] * 2 + ["common-move"] * 2
    for case in said.json["cases"][2:]:
        assert (case["status"], case["outcome"]) == ("PASS", "transparent")
        found = {each["subject"]: each["known"] for each in case["findings"]}
        assert set(found.values()) == {"not about caches"}
        assert {"MIDR_EL1", "ID_AA64MMFR2_EL1"} <= found.keys()
