"""Every mode of KVM, with and without MTE, EL2 for guests and FEAT_EVT: a VM shows the same (CR-013).

CI boots a sample; the whole matrix is ``-m matrix``.
"""

import pytest
from command import ccsight

pytestmark = pytest.mark.emulated

KERNELS = ("deb:6.12", "deb:7.3")
MODES = ("mode=nvhe", "mode=protected", "mode=nested")
#: With FEAT_EVT and MTE, with both and FEAT_NV2 by QEMU's leave, with FEAT_NV2 only, and with none of them.
MODELS = {"max": True, "neoverse-n2": True, "neoverse-v1": False, "neoverse-n1": False}
#: What a CPU or a kernel does not have: then KVM runs as without the option, and there is nothing to judge.
NO_SUCH_MODE = {
    ("neoverse-n1", "mode=nested", "deb:7.3"),
    *((model, "mode=nested", "deb:6.12") for model in MODELS),
}


def machine(model, mode, mte):
    return ",".join(filter(None, (f"emulated:{model}", mode, "mte=on" if mte else "")))


def shows_the_same(folder, model, mte, modes=MODES, kernels=KERNELS):
    """Assert that CR-013 holds in some modes, and that no other law fails but for a known fault."""
    names = {mode: machine(model, mode, mte) for mode in ("", *modes)}
    on = [word for name in names.values() for word in ("--on", name)]
    verb = "compare" if len(kernels) > 1 else "capture"
    said = ccsight(verb, *kernels, *on, "--json", "--fuzz", "0", cwd=folder, seconds=1500)
    found = {entry["machine"]: entry for entry in said.json["machines"]}
    assert set(found) == set(names.values()), said.stderr
    for mode in modes:
        cases = [case for case in found[names[mode]]["laws"] if case["check"] == "CR-013"]
        assert len(cases) == len(kernels), mode
        others = {case["check"] for case in found[names[mode]]["laws"] if case["status"] == "FAIL"}
        # A host in protected mode that dies of a vCPU which comes late has a splat on its console.
        assert others <= ({"CR-017"} if mode == "mode=protected" else set()), mode
        for kernel, case in zip(kernels, cases, strict=True):
            given = mte and "given-mte" in {f["where"].split(", ")[1] for f in case["findings"]}
            nothing = (model, mode, kernel) in NO_SUCH_MODE and not mte
            assert case["status"] == ("SKIP" if nothing else "PASS"), (mode, kernel, case["reason"])
            assert given or not mte, (mode, kernel)


@pytest.mark.long
def test_a_vm_shows_the_same_without_vhe_and_under_pkvm(tmp_path):
    shows_the_same(tmp_path, "neoverse-v1", mte=False, modes=("mode=nvhe", "mode=protected"))


@pytest.mark.long
def test_a_vm_shows_the_same_where_guests_get_el2_and_tags(tmp_path):
    shows_the_same(tmp_path, "max", mte=True, modes=("mode=nested",), kernels=KERNELS[-1:])


@pytest.mark.matrix
@pytest.mark.parametrize(
    ("model", "mte"),
    [(model, mte) for model, has_mte in MODELS.items() for mte in (False, True) if has_mte or not mte],
)
def test_a_vm_shows_the_same_in_every_mode(tmp_path, model, mte):
    shows_the_same(tmp_path, model, mte)


@pytest.mark.long
def test_a_vm_with_tags_shows_the_same_as_one_without(tmp_path):
    said = ccsight(
        "compare", *KERNELS, "--on", "emulated:max", "--on", "emulated:max,mte=on", "--json", cwd=tmp_path
    )
    (_, tagged) = said.json["machines"]
    cases = [case for case in tagged["laws"] if case["check"] == "CR-013"]
    assert [case["status"] for case in cases] == ["PASS", "PASS"]
    assert {f["known"] != "" for case in cases for f in case["findings"]} == {True}
