"""Profiles on real kernels: a guest that is launched on 6.12 with what 6.1 showed, and goes back to it."""

import tomllib

import pytest
from command import ccsight
from profile_samples import core, recorded

from ccsight.arm64.caches import listed
from ccsight.arm64.kvm_ids import name as register
from ccsight.checks.profiled import launched
from ccsight.deadline import Deadline
from ccsight.evidence.migrations import ARRIVED, KNOWN, PROFILED, Way
from ccsight.evidence.views import Cell, Vantage
from ccsight.kernels.spec import resolve
from ccsight.kvm.guess_trial import scores, trials
from ccsight.kvm.profiles import chosen
from ccsight.machines.model import BootOrder
from ccsight.machines.registry import machine
from ccsight.machines.silicon import shipped
from ccsight.probes import build, restoring, saving, sysfs
from ccsight.probes.restoring import Target
from ccsight.probes.runner import placed
from ccsight.probes.saving import Launch
from ccsight.status import Status

pytestmark = [pytest.mark.emulated, pytest.mark.long]

OLD, NEW = "deb:6.1", "deb:6.12"
#: What of a profile a guest of 6.12 does not see, by model: nothing; the CPU's own IDC, which KVM's raises;
#: the layout that KVM hides (bf48040cd9b0) and the half of each size that its ids have no room for.
NOT_SHOWN = {
    "cortex-a57": set(),
    "neoverse-n1": {"CTR_EL0.IDC"},
    "neoverse-v1": {"ID_AA64MMFR2_EL1.CCIDX"},
}
#: What the guest reads otherwise when it is back on 6.1, which shows it the CPU again.
NOTICED = {
    "cortex-a57": set(),
    "neoverse-n1": {"CTR_EL0"},
    "neoverse-v1": {"CCSIDR_EL1[0]", "CCSIDR_EL1[1]", "CCSIDR_EL1[2]"},
}
#: The registers that a profile is about.
CACHES = {"CTR_EL0", "CLIDR_EL1", "CCSIDR_EL1[0]", "CCSIDR_EL1[1]", "CCSIDR_EL1[2]"}


@pytest.fixture(scope="module", params=NOT_SHOWN)
def proved(request, tmp_path_factory):
    """Return a model, its profile's core, what each kernel saved with it, and what became of it on 6.1."""
    folder = tmp_path_factory.mktemp("profile")
    spec = f"emulated:{request.param}"
    profile = core(recorded(request.param))
    asked = Launch(PROFILED, 0, chosen(profile.userspace))

    def at(kernel, todo):
        deadline = Deadline(900)
        found = resolve(kernel, deadline, print)
        with machine(spec).boot(BootOrder(found, folder / "console.log"), deadline, print) as booted:
            keep = lambda file, content: (folder / file).write_bytes(content)  # noqa: E731
            with placed(booted.host, build.built(deadline), deadline, keep) as probe:
                return todo(probe, deadline)

    new = at(NEW, lambda probe, deadline: saving.save(probe, asked, deadline))
    source = Cell(machine=spec, kernel=NEW)
    state = restoring.State(source, PROFILED, new.sha256, folder / f"of-{new.file}")
    (folder / new.file).rename(state.path)

    def old(probe, deadline):
        saved = saving.save(probe, asked, deadline)
        return saved, *restoring.restore(probe, state, [Target(Way.ALL, 0)], deadline)

    return request.param, profile, new, *at(OLD, old)


def test_the_new_kernel_shows_what_it_can(proved):
    model, profile, new, _, _ = proved
    case = launched("new", profile, [new], "normalised")
    assert case.status is (Status.FAIL if NOT_SHOWN[model] else Status.PASS)
    found = {finding.subject for finding in case.findings}
    assert NOT_SHOWN[model] <= found
    assert all(each in NOT_SHOWN[model] or each.startswith("CCSIDR_EL1[") for each in found)
    assert not [write for write in new.writes if write.problem]


def test_the_old_kernel_shows_all_of_it(proved):
    _, profile, _, old, _ = proved
    case = launched("old", profile, [old], "native")
    assert (case.status, case.findings) == (Status.PASS, ())


def test_it_goes_back_to_the_old_kernel(proved):
    """Every cache register that 6.1 has is taken; as launched, 6.1 refuses CLIDR_EL1 and all sizes.

    It still takes no sizes of caches that there are not, and no ID_AA64MMFR2_EL1 without CCIDX.
    """
    model, _, _, _, back = proved
    left = {register(each.kvm_id): each.problem for each in back.left}
    assert left.keys() & CACHES == set()
    assert [left.get(f"CCSIDR_EL1[{selector}]") for selector in range(3, 14)] == ["ENOENT"] * 11
    assert left.get("ID_AA64MMFR2_EL1") == ("EINVAL" if model == "neoverse-v1" else None)
    views = {(view.vcpu, view.vantage, view.phase): view for view in back.views}
    for vcpu in (0, 1):
        known, now = (views[vcpu, Vantage.GUEST, phase] for phase in (KNOWN, ARRIVED))
        noticed = {each for each in CACHES if known.value(each) != now.value(each)}
        assert noticed == NOTICED[model]


#: Prints each file of each CPU's caches: its path, and what is in it.
_SYSFS = """cd /sys/devices/system/cpu; for file in cpu[0-9]*/cache/index*/*; do
[ -f "$file" ] && echo "$file $(cat "$file" 2>/dev/null)"; done"""


@pytest.mark.parametrize("name", ["graviton2", "rk3588", "apple-m2", "hostile"])
def test_what_sysfs_shows_makes_no_false_knowledge(name, tmp_path):
    """The host's own sysfs on 6.12: it has as many levels as firmware tells, whatever CLIDR_EL1 lists.

    QEMU's device tree tells of level 1 only: that there is no level 2 must not be taken for known.
    """
    kernel, asked = resolve(NEW, Deadline(900), print), machine(f"silicon:{name}")
    with asked.boot(BootOrder(kernel, tmp_path / "console.log"), Deadline(300), print) as booted:
        said = booted.host.run(["sh", "-c", _SYSFS], Deadline(60)).stdout.decode()
    for line in said.splitlines():
        file, _, text = line.partition(" ")
        place = tmp_path / "cpu" / file
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
    told = sysfs.leaves(tmp_path / "cpu")
    row = shipped().machines[name]
    assert told.keys() == set(range(len(row.cores)))
    for number, kind in enumerate(row.cores):
        there = {leaf.number for leaf in told[number]}
        assert there < {cache.selector for cache in listed(kind.clidr)}
    found = trials(row, shipped().bases[row.base], with_table=False, firmware=lambda own: told[0])
    assert "CLIDR_EL1.Ctype1-7" in {score.field for score in scores(found) if score.wrong}
    assert not any(score.wrong_but_known for score in scores(found))


def test_the_verb_captures_each_type_of_cpu(tmp_path):
    said = ccsight(
        "profile", "capture", OLD, "--on", "silicon:rk3588", "--out", "rk3588.toml", cwd=tmp_path, seconds=900
    )
    assert said.code == 0, said.stderr
    found = tomllib.loads((tmp_path / "rk3588.toml").read_text())
    little, big = found["core"].values()
    assert (little["midr"], big["midr"]) == ("0x412fd050", "0x414fd0b0")
    assert (little["userspace"]["CTR_EL0"], big["userspace"]["CTR_EL0"]) == ("0x94448004",) * 2
    assert (little["guest"]["CTR_EL0"], big["guest"]["CTR_EL0"]) == ("0x84448004", "0x9444c004")
    assert little["userspace"]["CCSIDR_EL1"]["2"] == "0x703fe01a"
    assert big["userspace"]["CCSIDR_EL1"]["2"] == "0x707fe03a"
    assert found["machine"]["emulator"].startswith("QEMU ")
    for form in ("ids", "firecracker"):
        words = ("profile", "export", "rk3588.toml", "--core", next(iter(found["core"])), "--format", form)
        assert ccsight(*words, cwd=tmp_path).code == 0
    words = ("profile", "check", "rk3588.toml", "--kernel", NEW, "--on", "silicon:graviton2")
    refused = ccsight(*words, cwd=tmp_path)
    assert refused.code == 2
    assert "MIDR_EL1 0x413fd0c1" in refused.stderr
