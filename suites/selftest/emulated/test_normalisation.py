"""The patches of suites/normalisation against the kernels that they imitate, and against their own base."""

from pathlib import Path

import pytest
from command import ccsight

pytestmark = [pytest.mark.emulated, pytest.mark.long]

PATCHES = Path(__file__).parents[2] / "normalisation"
MACHINES = tuple(f"emulated:{model}" for model in ("cortex-a57", "neoverse-n1", "neoverse-v1"))

#: What the patches are about; kernels of two series differ in other registers, too.
CACHE_REGISTERS = ("CTR_EL0", "CLIDR_EL1", "CCSIDR_EL1", "ID_AA64MMFR2_EL1.CCIDX")


def _patched(series: str, patch: str) -> str:
    return f"deb-src:{series},patch={str(PATCHES / patch).replace(',', ',,')}"


def _compare(old: str, new: str, machines: tuple[str, ...], folder: Path) -> list[dict]:
    on = [word for machine in machines for word in ("--on", machine)]
    said = ccsight("compare", old, new, *on, "--json", cwd=folder, seconds=3600)
    assert said.code == 0, said.stdout + said.stderr
    found = said.json["machines"]
    assert [entry["machine"] for entry in found] == list(machines)
    return found


def _cache_differences(entry: dict) -> list[str]:
    return [
        f"{finding['where']}: {finding['subject']} {finding['said']}"
        for finding in entry["differences"]
        if finding["subject"].startswith(CACHE_REGISTERS)
    ]


def _registers_added_or_lost(entry: dict) -> str:
    (lists,) = (case for case in entry["comparisons"] if case["check"] == "CR-014")
    assert lists["status"] == "DONE"
    return " ".join(finding["said"] for finding in lists["findings"])


@pytest.mark.parametrize(
    ("real", "imitation", "behaviour", "listed"),
    [
        ("deb:6.1", _patched("6.12", "native-6.12.patch"), "native", 3),
        ("deb:6.12", _patched("6.1", "normalised-6.1.patch"), "normalised", 14),
    ],
    ids=["native", "normalised"],
)
def test_a_patched_kernel_shows_what_the_real_one_shows(tmp_path, real, imitation, behaviour, listed):
    for entry in _compare(real, imitation, MACHINES, tmp_path):
        assert _cache_differences(entry) == [], entry["machine"]
        assert "CCSIDR_EL1" not in _registers_added_or_lost(entry)
        for side in ("old", "new"):
            assert (entry[side]["behaviour"], entry[side]["ccsidr_listed"]) == (behaviour, listed)


@pytest.mark.parametrize(
    ("series", "patch", "behaviours"),
    [
        ("6.12", "native-6.12.patch", ("native", "normalised")),
        ("6.1", "normalised-6.1.patch", ("normalised", "native")),
    ],
    ids=["native", "normalised"],
)
def test_a_patch_changes_its_base_in_these_registers_alone(tmp_path, series, patch, behaviours):
    (entry,) = _compare(_patched(series, patch), f"deb-src:{series}", MACHINES[:1], tmp_path)
    assert tuple(entry[side]["behaviour"] for side in ("old", "new")) == behaviours
    assert _cache_differences(entry)
    assert len(_cache_differences(entry)) == len(entry["differences"])
    listed = sorted(entry[side]["ccsidr_listed"] for side in ("old", "new"))
    totals = sorted(entry[side]["registers_listed"] for side in ("old", "new"))
    assert totals[1] - totals[0] == listed[1] - listed[0] == 11
