"""The reference model and the laws against real kernels: whatever can be booted shows what they say.

Every push boots a sample. The whole matrix (``-m matrix``) is every series that there was, from the last ones
without the normalization to the newest, on every model that QEMU has and on every core of the silicon table.
"""

from collections import Counter

import pytest
from command import ccsight

from ccsight.checks import LAWS
from ccsight.deadline import Deadline
from ccsight.evidence.run import find_run
from ccsight.evidence.views import Vantage
from ccsight.kvm.behaviour import NATIVE, NORMALISED, observed
from ccsight.kvm.written import written
from ccsight.machines import registry

pytestmark = pytest.mark.emulated

OLD = ("deb:5.10", "deb:6.1")
NEW = ("deb:6.12", "deb:6.16", "deb:6.17", "deb:6.18", "deb:7.2", "deb:7.3")
#: Without IDC and with AArch32; CPUs of two kinds. The rest of CI has the other default machines.
SAMPLE = ("emulated:cortex-a72", "silicon:apple-m2")
#: FEAT_CCIDX; all that QEMU has; clusters of two kinds.
LONG_SAMPLE = ("emulated:neoverse-v1", "emulated:max", "silicon:rk3588")
#: Laws that have something to judge on every one of these machines: for them, SKIP would be a hole.
APPLY = {"CR-001", "CR-002", "CR-003", "CR-004", "CR-005", "CR-010", "CR-012", "CR-017", "CR-018"}


def machines():
    """Return every emulated machine that can be asked for by its name alone."""
    found = registry.known(Deadline(600), lambda _: None)
    return tuple(name for name in found if name.startswith(("emulated:", "silicon:")))


def laws(kernel, on, folder):
    """Boot a kernel on machines; return its run, and all cases of laws."""
    asked = [word for machine in on for word in ("--on", machine)]
    said = ccsight("capture", kernel, *asked, "--json", cwd=folder, seconds=3600)
    assert [entry["machine"] for entry in said.json["machines"]] == list(on), said.stderr
    return find_run(folder / "results"), [case for entry in said.json["machines"] for case in entry["laws"]]


def agrees(kernel, on, folder):
    """Assert that all laws hold on all machines, and that the model knew what to expect of all of them."""
    run, cases = laws(kernel, on, folder)
    held = [case for case in cases if case["status"] not in ("PASS", "SKIP")]
    assert held == [], Counter((case["check"], case["status"]) for case in held)
    assert not {case["check"] for case in cases if case["status"] == "SKIP"} & APPLY
    assert len(cases) == (len(LAWS) + 1) * len(on)  # CR-006
    for cell in run.plan.cells:
        seen = run.capture(cell)
        behaviour, host = observed(seen), written(seen)
        assert behaviour is (NATIVE if kernel in OLD else NORMALISED), cell.title
        assert [write for write in host.writes if not behaviour.takes(host, write)] == [], cell.title
        assert {view.vantage for view in seen.views} >= {Vantage.USERSPACE, Vantage.GUEST, Vantage.GUEST_EL0}


@pytest.mark.parametrize("kernel", ["deb:6.1", "deb:6.12"])
def test_a_sample_of_real_kernels_does_as_the_model_says(tmp_path, kernel):
    agrees(kernel, SAMPLE, tmp_path)


@pytest.mark.long
@pytest.mark.parametrize("kernel", ["deb:5.10", "deb:6.16", "deb:7.3"])
def test_the_oldest_and_the_newest_do_as_the_model_says(tmp_path, kernel):
    agrees(kernel, LONG_SAMPLE, tmp_path)


@pytest.mark.matrix
@pytest.mark.parametrize("kernel", [*OLD, *NEW])
def test_every_real_kernel_does_as_the_model_says_on_every_machine(tmp_path, kernel):
    agrees(kernel, machines(), tmp_path)
