"""``ccsight migrate --native-cap``: what the patches of suites/rollback mend, as their reader asks for it."""

from pathlib import Path

import pytest
from command import ccsight

pytestmark = [pytest.mark.emulated, pytest.mark.long]

PATCHES = Path(__file__).parents[2] / "rollback"
#: One without anything that would be in the way of the second patch, and the one where 6.1 has FEAT_CCIDX.
MACHINES = ("emulated:cortex-a57", "silicon:graviton3")


@pytest.fixture(scope="module", params=[1, 2])
def moved(request, tmp_path_factory):
    """Return the number of a patch, and what the verb says of each machine."""
    patch = str(PATCHES / f"native-cache-{request.param}.patch").replace(",", ",,")
    kernels = ("deb:6.1", f"deb-src:6.12,patch={patch},name=patched")
    on = [word for machine in MACHINES for word in ("--on", machine)]
    said = ccsight(
        *("migrate", *kernels, "--native-cap", "1000", *on, "--json"),
        cwd=tmp_path_factory.mktemp("native"),
        seconds=3600,
    )
    assert said.code == 0, said.stderr
    return request.param, dict(zip(MACHINES, said.json["machines"], strict=True))


def _outcomes(machine, source, how):
    return {
        row["outcome"] for row in machine["migrations"] if (row["source"], row["how"]) == (source, how)
    } - {"lossy"}


@pytest.mark.parametrize(
    ("name", "ways"),
    [
        ("emulated:cortex-a57", {1: ({"visible"}, {"refused"}), 2: ({"transparent"}, {"transparent"})}),
        ("silicon:graviton3", {1: ({"refused"}, {"refused"}), 2: ({"transparent"}, {"refused"})}),
    ],
)
def test_the_third_strategy_has_an_outcome_both_ways(moved, name, ways):
    number, machines = moved
    for source, outcomes in zip(("deb:6.1", "patched"), ways[number], strict=True):
        assert _outcomes(machines[name], source, "with native caches") == outcomes


def test_what_is_left_on_the_way_back(moved):
    number, machines = moved
    _, native = machines["silicon:graviton3"]["remedies"]
    assert native["remedy"]["strategy"] == "native-cap"
    refused = native["remedy"]["refused"]["EINVAL"]
    more = ["ID_MMFR4_EL1", "ID_AA64MMFR2_EL1"]
    assert sorted(refused) == sorted(["ID_AA64DFR0_EL1", *(more if number == 1 else [])])
    assert len(native["remedy"]["unknown"]) == (17 if number == 1 else 0)


def test_a_kernel_without_it_says_so_and_fails_nothing(moved):
    number, machines = moved
    old, new = machines["emulated:cortex-a57"]["capability"]
    assert old.startswith("deb:6.1 has no capability 1000 (EINVAL)")
    assert new == f"patched has capability 1000: of {'each vCPU' if number == 1 else 'the VM'}"
    assert {case["status"] for case in machines["emulated:cortex-a57"]["laws"]} == {"PASS"}
