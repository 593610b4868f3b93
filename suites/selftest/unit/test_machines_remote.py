"""A machine of the inventory as something that runs a kernel: what is asked of it, and what is kept."""

from contextlib import contextmanager
from pathlib import Path

import pytest

from ccsight.deadline import Deadline
from ccsight.errors import HostLost, NoKvm, UsageError
from ccsight.evidence.record import to_json_line
from ccsight.kernels import spec as kernels
from ccsight.kernels.model import Kernel
from ccsight.machines import inventory, reach, registry
from ccsight.machines.lease import Holder, Taken
from ccsight.machines.model import BootOrder
from ccsight.process import Completed

BOOT_ID = "01234567-89ab-cdef-0123-456789abcdef"
BUILD_ID = bytes(range(20))
NOTES = (b"\x04\0\0\0\x14\0\0\0\x03\0\0\0GNU\0" + BUILD_ID).hex()
STANDING = f"""user ann
uid 1000
machine aarch64
release 6.12.1
banner Linux version 6.12.1 (b@h)
notes {NOTES}
boot-id {BOOT_ID}
cpus 4
kvm usable
programs run
end
"""
LOG = b"[    0.000000] Booting Linux on physical CPU 0x0\n[    1.0] more\n"


class Host:
    """Answers the script that asks how the machine stands, and dmesg."""

    def __init__(self):
        self.standing = STANDING
        self.log = Completed(("dmesg",), 0, LOG, b"")
        self.leased = f"none {BOOT_ID} 17 4711 \n".encode()
        self.argvs = []
        self.closed = 0

    def run(self, argv, deadline, *, limit=0):
        self.argvs.append(argv)
        if argv[-1] == "dmesg" or argv[-1].startswith("dmesg;"):
            if isinstance(self.log, Exception):
                raise self.log
            return self.log
        return Completed(tuple(argv), 0, self.standing.encode(), b"")

    def feed(self, argv, content, deadline, *, limit=0):
        return self.run(argv, deadline)

    @contextmanager
    def hold(self, argv, deadline):
        self.argvs.append(argv)
        yield self.leased

    def close(self):
        self.closed += 1


@pytest.fixture
def host(tmp_path, monkeypatch):
    made = Host()
    (tmp_path / "machines.toml").write_text("[altra]\naddress = 'x'\n[rooted]\naddress = 'x'\nsudo = true\n")
    monkeypatch.setenv(inventory.VARIABLE, str(tmp_path / "machines.toml"))
    monkeypatch.setattr(reach, "connect", lambda *_: made)
    return made


def resolved(text="running:altra", told=None):
    return kernels.resolve(text, Deadline(5), (told if told is not None else []).append)


def boot(tmp_path, name="altra", kernel=None):
    order = BootOrder(kernel or resolved(f"running:{name}"), tmp_path / "console")
    return registry.machine(name).boot(order, Deadline(5), lambda stage: None)


def test_the_kernel_is_what_the_machine_says_of_itself(host):
    told = []
    kernel = resolved(told=told)
    assert (kernel.release, kernel.banner) == ("6.12.1", "Linux version 6.12.1 (b@h)")
    assert kernel.build_ids == {BUILD_ID.hex()}
    assert kernels.pin(kernel) == f"running:altra,build-id={BUILD_ID.hex()}"
    assert resolved(kernels.pin(kernel)).build_ids == kernel.build_ids
    assert "altra: ann is not root there, so its log may not be read (CR-017: MISS); sudo = true" in told
    assert host.closed == 2


def test_root_is_told_nothing_of_that(host):
    host.standing = STANDING.replace("uid 1000", "uid 0")
    told = []
    resolved(told=told)
    assert told == ["altra: asking what it runs"]


def test_a_machine_whose_kvm_cannot_be_used_is_refused_before_a_run_begins(host):
    host.standing = STANDING.replace("kvm usable", "kvm absent")
    with pytest.raises(NoKvm, match="the KVM of altra cannot be used by ann"):
        resolved()
    assert host.closed == 1


def test_the_boot_id_is_what_vouches_for_the_boot_and_the_log_is_the_console(host, tmp_path):
    with boot(tmp_path) as booted:
        assert (booted.boot_token, booted.cpus, booted.here, booted.takes_modules) == (
            BOOT_ID,
            4,
            False,
            False,
        )
        assert not (tmp_path / "console").exists()
    assert (tmp_path / "console").read_bytes() == LOG
    assert host.closed == 2


@pytest.mark.parametrize(
    "log",
    [
        Completed(("dmesg",), 1, b"", b"dmesg: read kernel buffer failed: Operation not permitted"),
        Completed(("dmesg",), 0, b"[ 4711.0] it goes on here\n", b""),
        Completed(("dmesg",), 0, b"", b""),
        HostLost("it went away"),
    ],
    ids=["refused", "half", "empty", "gone"],
)
def test_no_log_is_better_than_half_of_one(host, tmp_path, log):
    host.log = log
    with boot(tmp_path):
        pass
    assert not (tmp_path / "console").exists()


def test_with_sudo_everything_runs_through_it(host, tmp_path):
    with boot(tmp_path, "rooted"):
        pass
    assert [argv[:3] for argv in host.argvs] == [["sudo", "-n", "--"]] * 4


def test_a_machine_that_somebody_has_is_left_alone(host, tmp_path):
    ada = Holder(id="a", owner="ada@lab", purpose="bisect", boot_id=BOOT_ID, uptime=1, process=1)
    host.leased = f"busy {BOOT_ID} 17 4711 ".encode() + to_json_line(ada)
    with pytest.raises(Taken, match="altra is taken by ada@lab, for bisect"), boot(tmp_path):
        pytest.fail("two have it")


def test_who_left_a_machine_is_named(host, tmp_path):
    ada = Holder(id="a", owner="ada@lab", purpose="bisect", boot_id=BOOT_ID, uptime=1, process=1)
    host.leased = f"held {BOOT_ID} 17 4711 ".encode() + to_json_line(ada)
    told = []
    order = BootOrder(resolved(), tmp_path / "console")
    with registry.machine("altra").boot(order, Deadline(5), told.append):
        pass
    assert "altra was left by ada@lab, for bisect" in told


def test_no_other_kernel_is_taken(host, tmp_path):
    kernel = Kernel(kernels.parse("deb:6.1"), "deb:6.1", "6.1", Path("/none"), "", frozenset())
    with pytest.raises(UsageError, match=r"its entry says no way to boot another one"):
        with boot(tmp_path, kernel=kernel):
            pytest.fail("it was booted")
    assert host.argvs == []
