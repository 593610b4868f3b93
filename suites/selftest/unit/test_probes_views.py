"""From streams that real machines sent to evidence; and what is refused although it is well-formed."""

import tarfile
from dataclasses import dataclass, field

import pytest
from streams import CELLS, edited, inserted, recorded, replaced, without

from ccsight.arm64 import kvm_ids
from ccsight.deadline import Deadline
from ccsight.errors import HostLost, NoKvm, ProbeError
from ccsight.evidence.model import Substrate
from ccsight.evidence.views import Vantage
from ccsight.probes import runner
from ccsight.probes.identity import identity, substrate
from ccsight.probes.stream import parse
from ccsight.probes.sweep import swept
from ccsight.probes.views import READINGS, READINGS_EL0, guest_views, observed
from ccsight.process import Completed


def test_six_cells_were_recorded():
    assert len(CELLS) >= 6


@pytest.mark.parametrize("cell", CELLS)
def test_views_are_complete(cell):
    seen = observed(parse(recorded(cell, "view"), "test"))
    vantages = [(view.vcpu, view.vantage) for view in seen.views]
    per_vcpu = [Vantage.USERSPACE, Vantage.GUEST, Vantage.GUEST_EL0]
    assert vantages == [(vcpu, vantage) for vcpu in (0, 1) for vantage in per_vcpu]
    for view in seen.views:
        expected = READINGS_EL0 if view.vantage is Vantage.GUEST_EL0 else READINGS
        assert tuple(view.readings) == expected
        assert all((reading.value is None) == bool(reading.problem) for reading in view.readings.values())


@pytest.mark.parametrize(
    ("cell", "vantage", "name", "value"),
    [
        ("cortex-a57-6.1", Vantage.GUEST, "CLIDR_EL1", 0x0A200023),
        ("cortex-a57-6.12", Vantage.GUEST, "CLIDR_EL1", 0x09200003),
        ("neoverse-n1-6.1", Vantage.USERSPACE, "CTR_EL0", 0x9444C004),
        ("neoverse-n1-6.1", Vantage.GUEST, "CTR_EL0", 0x8444C004),
        ("neoverse-n1-6.1", Vantage.GUEST_EL0, "CTR_EL0", 0x8444C004),
        ("neoverse-n1-6.12", Vantage.GUEST, "CTR_EL0", 0x9444C004),
        ("neoverse-v1-6.1", Vantage.USERSPACE, "CCSIDR_EL1[2]", 0x3A),
        ("neoverse-v1-6.1", Vantage.GUEST, "CCSIDR_EL1[2]", 0x7FF0000003A),
        ("neoverse-v1-6.12", Vantage.GUEST, "CCSIDR_EL1[13]", 0x2),
    ],
)
def test_values_arrive(cell, vantage, name, value):
    seen = observed(parse(recorded(cell, "view"), "test"))
    assert {view.value(name) for view in seen.views if view.vantage is vantage} == {value}


@pytest.mark.parametrize(
    ("cell", "count", "caches"), [("neoverse-v1-6.1", 242, 3), ("neoverse-v1-6.12", 259, 14)]
)
def test_register_lists_arrive(cell, count, caches):
    for registers in observed(parse(recorded(cell, "view"), "test")).register_lists:
        assert len(registers.ids) == count
        assert sum(kvm_ids.ccsidr_selector(kvm_id) is not None for kvm_id in registers.ids) == caches


def test_a_cache_that_kvm_does_not_list_is_a_problem_not_a_value():
    view = observed(parse(recorded("neoverse-v1-6.1", "view"), "test")).views[0]
    assert view.readings["CCSIDR_EL1[3]"].problem == "ENOENT"
    assert view.value("CCSIDR_EL1[3]") is None


@pytest.mark.parametrize("cell", CELLS)
def test_any_line_missing_is_refused(cell):
    """Also when the thief has put the numbers right."""
    raw = recorded(cell, "view")
    for index in range(len(raw.splitlines()) - 2):
        with pytest.raises(ProbeError):
            observed(parse(edited(raw, without(index)), "test"))


@pytest.mark.parametrize(
    "edit",
    [
        lambda lines: [*lines, lines[2]],
        lambda lines: [*lines, lines[0]],
        lambda lines: [*lines, ["surprise", "n=1"]],
        lambda lines: [*lines[:2], lines[3], lines[2], *lines[4:]],
        replaced("vcpus=2", "vcpus=1"),
        replaced("vcpus=2", "vcpus=3"),
        replaced("vcpus=2", "vcpus=0"),
        replaced("vcpu=1", "vcpu=0"),
        replaced("name=CLIDR_EL1", "name=CTR_EL0"),
        replaced("value=", "extra=1 value="),
        replaced("value=", "esr=0x0 value="),
        replaced("mpidr=0x80000001", "mpidr=0x80000000"),
        replaced("line=vcpu", "line=%FFvcpu"),
        replaced("line=@end", "line=%0A@end"),
        replaced("20el=0", "20el=2"),
        replaced("at=16", "at=17"),
        replaced("0x6030000000100002,", "0x6030000000100000,"),
        replaced("count=", "count=1"),
    ],
)
def test_forged_views_are_refused(edit):
    raw = recorded("cortex-a57-6.12", "view")
    observed(parse(edited(raw, lambda lines: lines), "test"))
    with pytest.raises(ProbeError):
        observed(parse(edited(raw, edit), "test"))


def test_an_exception_in_the_guest_is_a_problem_of_that_register():
    def undefined(esr):
        return replaced("name=CTR_EL0%20value=0x8444c004", f"name=CTR_EL0%20esr={esr}")

    raw = recorded("cortex-a57-6.12", "view")
    problems = {}
    for esr in ("0x2000000", "0x62000000", "0x96000000"):
        view = observed(parse(edited(raw, undefined(esr)), "test")).views[1]
        problems[esr] = view.readings["CTR_EL0"].problem
    assert problems == {"0x2000000": "UNDEF", "0x62000000": "TRAPPED", "0x96000000": "ESR 0x96000000"}


def test_a_guest_that_qemu_runs_sends_the_same_stream():
    el1, el0 = guest_views(parse(recorded("bare", "view"), "QEMU"), 0)
    assert el1.value("CLIDR_EL1") == 0x0A200023
    assert el0.value("CTR_EL0") == 0x8444C004


@pytest.mark.parametrize("cell", CELLS)
def test_identity(cell):
    series = cell.rpartition("-")[2]
    found = identity(parse(recorded(cell, "identity"), "test"))
    assert found.release.startswith(f"{series}.")
    assert found.banner.startswith(f"Linux version {found.release} ")
    assert len(bytes.fromhex(found.build_id)) == 20
    assert len(found.cpus) == 2
    assert found.compatible == "linux,dummy-virt"
    assert found.substrate is Substrate.VIRTUAL
    assert found.command_line.startswith("console=ttyAMA0 ")
    assert not found.kvm_problem


@pytest.mark.parametrize(
    "edit",
    [
        without(0),
        replaced("name=boot-id", "name=banner"),
        replaced("at=128", "at=127"),
        replaced("name=release at=0", "name=release at=1"),
        replaced("name=dmi-vendor", "name=shoe-size"),
        replaced("name=dmi-vendor", "name=dmi-product"),
        replaced("name=dmi-vendor", "name=release"),
        replaced("index=1", "index=0"),
        replaced("midr=0x", "midr=0y"),
        replaced("kvm n=", "error n="),
        replaced("whole=1", "whole=2"),
        replaced("whole=1", "errno=EPERM"),
        replaced("log n=", "feature n="),
        replaced("feature n=", "log n="),
        replaced("value=Spectre-BHB", "value=Spectre-BHB index=0"),
        lambda lines: [line for line in lines if line[0] != "log"],
        lambda lines: sorted(lines, key=lambda line: line[0] == "log"),
        lambda lines: [line for line in lines if line[0] != "kvm"],
        lambda lines: [line for line in lines if line[0] != "cpu"],
        lambda lines: [*lines, lines[-1]],
        lambda lines: [*lines, ["cpu", "n=1", "index=2", "errno=ENOENT"]],
        lambda lines: [*lines, ["reg", "n=1"]],
    ],
)
def test_forged_identities_are_refused(edit):
    with pytest.raises(ProbeError):
        identity(parse(edited(recorded("cortex-a57-6.1", "identity"), edit), "test"))


def cpu_features(edit):
    return identity(parse(edited(recorded("neoverse-n1-6.1", "identity"), edit), "test")).cpu_features


def test_what_the_kernel_has_detected_is_kept_in_its_order_and_once():
    twice = inserted(16, "feature n=1 value=Spectre-v4")
    found = cpu_features(twice)
    assert found == cpu_features(lambda lines: lines)
    assert found[0] == "GIC system register CPU interface"
    assert {"Spectre-v4", "Spectre-BHB", "RCpc load-acquire (LDAPR)"} < set(found)
    assert cpu_features(lambda lines: [line for line in lines if line[0] != "feature"]) == ()


def test_a_log_that_is_not_there_or_not_whole_says_nothing_of_features():
    assert cpu_features(replaced("whole=1", "whole=0")) is None
    unread = replaced("whole=1", "errno=EPERM")
    assert cpu_features(lambda lines: unread([line for line in lines if line[0] != "feature"])) is None


@pytest.mark.parametrize(
    ("board", "dmi", "expected"),
    [
        ("linux,dummy-virt", "", Substrate.VIRTUAL),
        ("xen,xenvm-4.17 xen,xenvm", "", Substrate.VIRTUAL),
        ("radxa,rock-5b rockchip,rk3588", "", Substrate.METAL),
        ("", "QEMU KVM Virtual Machine", Substrate.VIRTUAL),
        ("", "QEMU QEMU Virtual Machine", Substrate.EMULATED),
        ("linux,dummy-virt", "QEMU QEMU Virtual Machine", Substrate.EMULATED),
        ("", "Amazon EC2 m7g.large", Substrate.VIRTUAL),
        ("", "Amazon EC2 m6g.metal", Substrate.METAL),
        ("", "GIGABYTE R272-P30-JG", Substrate.METAL),
        ("", "", Substrate.UNKNOWN),
    ],
)
def test_substrate(board, dmi, expected):
    assert substrate(board, dmi) is expected


@dataclass
class FakeHost:
    """A host that says what it is told to say, and remembers its files."""

    says: dict[str, Completed]
    files: set[str] = field(default_factory=set)
    bundled: list[str] = field(default_factory=list)
    unpacks: int = 0

    def run(self, argv, deadline, *, limit=0):
        if argv[0] == "rm":
            gone = tuple(argv[2:])
            self.files = {name for name in self.files if not name.startswith(gone)}
            return Completed(tuple(argv), 0, b"", b"")
        if argv[0] == "sh":
            assert argv[3] in self.files
            self.files |= {f"{argv[4]}/{name}" for name in self.bundled}
            return Completed(tuple(argv), self.unpacks, b"", b"tar: its words")
        assert argv[0] in self.files
        return self.says[argv[1]]

    def push(self, local, remote, deadline, *, mode=0o755):
        self.files.add(remote)
        with tarfile.open(local) as archive:
            self.bundled = archive.getnames()

    def fetch(self, remote, deadline, *, limit=0):
        raise HostLost("not asked for")


@pytest.fixture
def folder(tmp_path):
    for name in ("ccprobe", "view.img", "sweep.img"):
        (tmp_path / name).write_text(name)
    return tmp_path


def _forget(name, raw):
    pass


def said(raw: bytes, status: int = 0) -> Completed:
    return Completed(("ccprobe",), status, raw, b"some words")


def test_a_machine_that_cannot_unpack_the_probe_is_told(folder):
    host = FakeHost({}, unpacks=2)
    with (
        pytest.raises(ProbeError, match="cannot be unpacked") as raised,
        runner.placed(host, folder, Deadline(5), _forget),
    ):
        pytest.fail("nothing is there to run")
    assert raised.value.evidence == "tar: its words"
    assert host.files == set()


def test_the_runner_brings_back_what_was_said_and_leaves_nothing(folder):
    raws = {name: recorded("cortex-a57-6.1", name) for name in ("identity", "view", "sweep")}
    host = FakeHost({name: said(raw) for name, raw in raws.items()})
    kept = {}
    with runner.placed(host, folder, Deadline(5), kept.__setitem__) as probe:
        assert probe.identify(Deadline(5)) == identity(parse(raws["identity"], "test"))
        assert probe.observe(Deadline(5)) == observed(parse(raws["view"], "test"))
        assert probe.sweep(Deadline(5)) == swept(parse(raws["sweep"], "test"))
        assert set(probe.programs) == {"ccprobe", "view.img", "sweep.img"}
        assert len(host.files) == 4  # and the archive that they came in
    assert not host.files
    assert kept == {f"{name}.stream": raw for name, raw in raws.items()}


def test_a_malformed_stream_is_kept_as_it_came(folder):
    host = FakeHost({"identity": said(b"@begin nonsense")})
    kept = {}
    with runner.placed(host, folder, Deadline(5), kept.__setitem__) as probe, pytest.raises(ProbeError):
        probe.identify(Deadline(5))
    assert kept == {"identity.stream": b"@begin nonsense"}


def test_no_kvm_is_said_so(folder):
    host = FakeHost({"view": said(b"@begin ccsight 1 ccprobe-view\nkvm n=1 errno=ENOENT\n@end 1\n", 1)})
    with runner.placed(host, folder, Deadline(5), _forget) as probe, pytest.raises(NoKvm) as caught:
        probe.observe(Deadline(5))
    assert caught.value.evidence == "opening /dev/kvm: ENOENT"


def test_a_probe_that_does_not_start_is_an_error_of_ours(folder):
    host = FakeHost({"identity": said(b"", 126)})
    with runner.placed(host, folder, Deadline(5), _forget) as probe, pytest.raises(ProbeError) as caught:
        probe.identify(Deadline(5))
    assert "status 126" in caught.value.fact
    assert caught.value.evidence == "some words"


def test_a_guest_that_spins_is_an_error_of_ours(folder):
    raw = b"@begin ccsight 1 ccprobe-view\nerror n=1 what=guest-does-not-end vcpu=0\n@end 1\n"
    host = FakeHost({"view": said(raw, 1)})
    with runner.placed(host, folder, Deadline(5), _forget) as probe, pytest.raises(ProbeError) as caught:
        probe.observe(Deadline(5))
    assert "guest-does-not-end vcpu=0" in caught.value.evidence
