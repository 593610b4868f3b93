"""Every mode of KVM, with and without MTE, EL2 for guests and FEAT_EVT: a VM shows the same (CR-013)."""

import pytest
from command import ccsight

pytestmark = [pytest.mark.emulated, pytest.mark.long]

KERNELS = ("deb:6.12", "deb:7.3")
MODES = ("", "mode=nvhe", "mode=protected", "mode=nested")
#: With FEAT_EVT and MTE, with both and FEAT_NV2 by QEMU's leave, with FEAT_NV2 only, and with none of them.
MODELS = {"max": True, "neoverse-n2": True, "neoverse-v1": False, "neoverse-n1": False}
#: What a CPU or a kernel does not have: then KVM runs as without the option, and there is nothing to judge.
NO_SUCH_MODE = {
    ("neoverse-n1", "mode=nested", "deb:7.3"),
    *((model, "mode=nested", "deb:6.12") for model in MODELS),
}


def machines(model, mte):
    for mode in MODES:
        options = [option for option in (mode, "mte=on" if mte else "") if option]
        yield mode, ",".join([f"emulated:{model}", *options])


@pytest.mark.parametrize(
    ("model", "mte"),
    [(model, mte) for model, has_mte in MODELS.items() for mte in (False, True) if has_mte or not mte],
)
def test_a_vm_shows_the_same_in_every_mode(tmp_path, model, mte):
    names = dict(machines(model, mte))
    on = [word for name in names.values() for word in ("--on", name)]
    said = ccsight("compare", *KERNELS, *on, "--json", "--fuzz", "0", cwd=tmp_path, seconds=1500)
    found = {entry["machine"]: entry for entry in said.json["machines"]}
    assert set(found) == set(names.values()), said.stderr
    for mode in MODES[1:]:
        cases = [case for case in found[names[mode]]["laws"] if case["check"] == "CR-013"]
        assert len(cases) == len(KERNELS), mode
        others = {case["check"] for case in found[names[mode]]["laws"] if case["status"] == "FAIL"}
        # A host in protected mode that dies of a vCPU which comes late has a splat on its console.
        assert others <= ({"CR-017"} if mode == "mode=protected" else set()), mode
        for kernel, case in zip(KERNELS, cases, strict=True):
            given = mte and "given-mte" in {f["where"].split(", ")[1] for f in case["findings"]}
            nothing = (model, mode, kernel) in NO_SUCH_MODE and not mte
            assert case["status"] == ("SKIP" if nothing else "PASS"), (mode, kernel, case["reason"])
            assert given or not mte, (mode, kernel)


def test_a_vm_with_tags_shows_the_same_as_one_without(tmp_path):
    said = ccsight(
        "compare", *KERNELS, "--on", "emulated:max", "--on", "emulated:max,mte=on", "--json", cwd=tmp_path
    )
    (_, tagged) = said.json["machines"]
    cases = [case for case in tagged["laws"] if case["check"] == "CR-013"]
    assert [case["status"] for case in cases] == ["PASS", "PASS"]
    assert {f["known"] != "" for case in cases for f in case["findings"]} == {True}
