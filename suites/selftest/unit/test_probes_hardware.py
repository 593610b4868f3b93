"""What our kernel module sends, from streams of real boots: what arrives, is refused, and is left behind."""

import hashlib
from dataclasses import dataclass, field

import pytest
from streams import edited, inserted, recorded, replaced, without

from ccsight.deadline import Deadline
from ccsight.errors import ProbeError
from ccsight.evidence.views import HOST, Vantage
from ccsight.probes.hardware import READINGS, views
from ccsight.probes.runner import Probe
from ccsight.probes.stream import parse
from ccsight.process import Completed

RAW = recorded("hardware", "neoverse-n1")
LINES = len(RAW.splitlines()) - 2
ON_A_CPU = LINES // 2
CCSIDR = tuple(f"CCSIDR_EL1[{selector}]" for selector in (0, 1, 2))


def seen(edit=lambda lines: lines):
    return views(parse(edited(RAW, edit), "test"))


@pytest.mark.parametrize(
    ("model", "ctr", "clidr", "caches"),
    [
        ("neoverse-n1", 0x8444C004, 0x82000023, (0x701FE01A, 0x201FE01A, 0x70FFE03A)),
        ("neoverse-v1", 0xB444C004, 0x82000023, (0xFF0000001A, 0xFF0000001A, 0x7FF0000003A)),
    ],
)
def test_every_cpu_is_a_view(model, ctr, clidr, caches):
    found = views(parse(recorded("hardware", model), "test"))
    assert [(view.cpu, view.vcpu, view.vantage, view.phase) for view in found] == [
        (cpu, None, Vantage.HARDWARE, HOST) for cpu in (0, 1)
    ]
    for view in found:
        assert tuple(view.readings) == (*READINGS, *CCSIDR)
        assert (view.value("CTR_EL0"), view.value("CLIDR_EL1")) == (ctr, clidr)
        assert tuple(view.value(name) for name in CCSIDR) == caches


def test_cpus_may_be_missing_in_between_and_the_kernel_at_el1():
    def other(lines):
        for old, new in (("cpu=1 ", "cpu=17 "), ("index=1", "index=17"), ("el=2", "el=1")):
            lines = replaced(old, new)(lines)
        return lines

    assert [view.cpu for view in seen(other)] == [0, 17]


@pytest.mark.parametrize("clidr", ["0x0", "0x82000000", "0x2000018"])
def test_without_a_listed_cache_no_ccsidr_is_read(clidr):
    """A level without a cache ends the list, whatever the levels behind it say."""

    def none(lines):
        lines = replaced("0x82000023", clidr)(lines)
        return [line for line in lines if "CCSIDR" not in " ".join(line)]

    assert [tuple(view.readings) for view in seen(none)] == [READINGS, READINGS]


@pytest.mark.parametrize("index", range(LINES))
def test_any_line_missing_is_refused(index):
    """Also when the thief has put the numbers right."""
    with pytest.raises(ProbeError):
        seen(without(index))


@pytest.mark.parametrize(
    "edit",
    [
        lambda lines: [],
        inserted(0, "reg n=0 cpu=0 name=CTR_EL0 value=0x0"),
        inserted(LINES, "reg n=0 cpu=1 name=CCSIDR_EL1[3] value=0x0"),
        inserted(LINES, "surprise n=0 cpu=1"),
        inserted(LINES, "cpu n=0 index=2 el=2"),
        lambda lines: [*lines, *lines[ON_A_CPU:]],
        lambda lines: [*lines[ON_A_CPU:], *lines[:ON_A_CPU]],
        lambda lines: [*lines[:2], lines[3], lines[2], *lines[4:]],
        replaced("index=1", "index=0"),
        replaced("index=1", "index=2"),
        replaced("index=1", "index=one"),
        replaced("el=2", "el=3"),
        replaced("el=2", "el=0"),
        replaced("el=2", "el=2 extra=1"),
        replaced("cpu=1 ", "cpu=0 "),
        replaced("cpu=0 ", "cpu=00 "),
        replaced("value=0x8444c004", "value=2219098116"),
        replaced("value=", "errno="),
        replaced("value=", "extra=1 value="),
        replaced("CCSIDR_EL1[1]", "CCSIDR_EL1[3]"),
        replaced("0x82000023", "0x82000024"),
        replaced("0x82000023", "0x82000123"),
        inserted(LINES, "error n=0 what=cpu-does-not-answer cpu=2"),
    ],
)
def test_forged_streams_are_refused(edit):
    seen()
    with pytest.raises(ProbeError):
        seen(edit)


def test_another_program_is_refused():
    with pytest.raises(ProbeError, match="ccprobe-view"):
        views(parse(RAW.replace(b"ccsight-hardware", b"ccprobe-view"), "test"))


@dataclass
class FakeHost:
    """A host whose kernel takes modules, as far as it is told to."""

    refuses: str = ""
    says: bytes | None = RAW
    files: set[str] = field(default_factory=set)
    loaded: list[str] = field(default_factory=list)

    def run(self, argv, deadline, *, limit=0):
        if argv[0] == self.refuses:
            return Completed(tuple(argv), 1, b"", b"its words")
        if argv[0] == "insmod":
            assert argv[1] in self.files
            self.loaded.append("ccsight_hardware")
        elif argv[0] == "rmmod":
            self.loaded.remove(argv[1])
        else:
            self.files -= set(argv[2:])
        return Completed(tuple(argv), 0, b"", b"")

    def push(self, local, remote, deadline, *, mode=0o755):
        self.files.add(remote)

    def fetch(self, remote, deadline, *, limit=0):
        if self.says is None:
            raise ProbeError("there is no such file")
        assert (remote, self.loaded) == ("/proc/ccsight-hardware", ["ccsight_hardware"])
        return self.says


@pytest.fixture
def module(tmp_path):
    path = tmp_path / "ccsight_hardware.ko"
    path.write_bytes(b"a module")
    return path


def looked(host: FakeHost, module, kept: dict[str, bytes]):
    probe = Probe(host, "/somewhere", {}, kept.__setitem__)
    return probe.hardware(module, Deadline(5)), probe.programs


def test_the_module_is_loaded_read_and_taken_out_again(module):
    host, kept = FakeHost(), {}
    found, programs = looked(host, module, kept)
    assert found == seen()
    assert kept == {"hardware.stream": RAW}
    assert programs == {module.name: hashlib.sha256(b"a module").hexdigest()}
    assert (host.files, host.loaded) == (set(), [])


def test_what_cannot_be_read_is_kept_and_the_module_taken_out(module):
    host, kept = FakeHost(says=b"@begin nonsense"), {}
    with pytest.raises(ProbeError):
        looked(host, module, kept)
    assert kept == {"hardware.stream": b"@begin nonsense"}
    assert (host.files, host.loaded) == (set(), [])


def test_a_failed_read_leaves_no_module_behind(module):
    host = FakeHost(says=None)
    with pytest.raises(ProbeError, match="no such file"):
        looked(host, module, {})
    assert (host.files, host.loaded) == (set(), [])


@pytest.mark.parametrize("program", ["insmod", "rmmod"])
def test_a_kernel_that_refuses_is_told_with_its_words(module, program):
    host = FakeHost(refuses=program)
    with pytest.raises(ProbeError, match=program) as caught:
        looked(host, module, {})
    assert caught.value.evidence == "its words"
    assert not host.files
