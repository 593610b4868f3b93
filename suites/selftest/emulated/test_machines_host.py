"""The emulated machine as a host, over SSH; and what happens when it goes away."""

import dataclasses
import time

import pytest
from host_conformance import HoldingConformance, HostConformance

from ccsight.deadline import Deadline
from ccsight.errors import HostLost
from ccsight.kernels.spec import resolve
from ccsight.machines import keys, ssh
from ccsight.machines.host_keys import WrongHostKey
from ccsight.machines.model import BootOrder
from ccsight.machines.registry import machine

pytestmark = pytest.mark.emulated


@pytest.fixture(scope="module")
def kernel():
    return resolve("deb:6.1", Deadline(600), print)


@pytest.fixture(scope="module")
def shared(kernel, tmp_path_factory):
    console = tmp_path_factory.mktemp("machine") / "console.log"
    with machine("emulated:neoverse-n1").boot(BootOrder(kernel, console), Deadline(120), print) as booted:
        yield booted


class TestEmulatedHost(HostConformance, HoldingConformance):
    @pytest.fixture
    def host(self, shared):
        return shared.host

    def test_the_kernel_carries_the_boot_token(self, host, shared):
        assert (
            f"ccsight.boot={shared.boot_token}" in host.fetch("/proc/cmdline", Deadline(20)).decode().split()
        )

    def test_kvm_is_there(self, host):
        assert host.run(["test", "-c", "/dev/kvm"], Deadline(20)).returncode == 0

    def test_another_host_key_is_refused_before_a_login(self, shared, tmp_path_factory):
        forward = next(word for word in shared.argv if "hostfwd=" in word)
        port = int(forward.rpartition(":")[0].rpartition(":")[2].removesuffix("-"))
        other = keys.fresh()
        peer = ssh.Peer("it", "127.0.0.1", port, "root", other.host_public, other.client_private)
        with pytest.raises(WrongHostKey, match="shows another host key"):
            ssh.connect(peer, Deadline(20))
        console = next(tmp_path_factory.getbasetemp().glob("machine*/console.log"))
        for _ in range(50):
            if "Exit before auth" in console.read_text().splitlines()[-1]:
                return
            time.sleep(0.1)
        pytest.fail(console.read_text()[-300:])

    def test_another_client_key_is_refused(self, shared):
        transport = shared.host.transport
        peer = ssh.Peer(
            "it",
            *transport.getpeername(),
            "root",
            f"{transport.host_key_type} {transport.get_remote_server_key().get_base64()}",
            keys.fresh().client_private,
        )
        start = time.monotonic()
        with pytest.raises(HostLost, match="does not take a login"):
            ssh.connect(peer, Deadline(20))
        assert time.monotonic() - start < 10


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        ("echo c >/proc/sysrq-trigger; sleep 60", "the kernel panicked: sysrq triggered crash"),
        ("reboot -f; sleep 60", "the emulator ended"),
    ],
    ids=["panic", "reboot"],
)
def test_a_machine_that_goes_away_is_lost_at_once(kernel, tmp_path, end, reason):
    console = tmp_path / "console.log"
    with machine("emulated:cortex-a57,cpus=1").boot(
        BootOrder(kernel, console), Deadline(120), print
    ) as booted:
        start = time.monotonic()
        with pytest.raises(HostLost) as lost:
            booted.host.run(["sh", "-c", end], Deadline(60))
        assert time.monotonic() - start < 10
        assert reason in lost.value.evidence
        assert f"{console}:" in lost.value.evidence
        with pytest.raises(HostLost):
            booted.host.run(["true"], Deadline(60))
        with pytest.raises(HostLost):
            booted.host.fetch("/proc/version", Deadline(60))


def test_two_boots_share_nothing_but_the_layers(kernel, tmp_path):
    one = machine("emulated:neoverse-v1,cpus=1")
    with one.boot(BootOrder(kernel, tmp_path / "1.log"), Deadline(120), print) as first:
        with one.boot(BootOrder(kernel, tmp_path / "2.log"), Deadline(120), print) as second:
            tokens = [booted.host.fetch("/proc/cmdline", Deadline(20)).decode() for booted in (first, second)]
            keys_seen = {str(booted.host.transport.get_remote_server_key()) for booted in (first, second)}
    assert first.boot_token in tokens[0]
    assert second.boot_token in tokens[1]
    assert first.boot_token != second.boot_token
    assert len(keys_seen) == 2


def test_the_oldest_option_set_boots(kernel, tmp_path):
    asked = dataclasses.replace(kernel, append="loglevel=7")
    spec = "emulated:max,mte=on,cpus=4,memory=1024,mode=nvhe"
    with machine(spec).boot(BootOrder(asked, tmp_path / "console.log"), Deadline(120), print) as booted:
        assert booted.host.run(["nproc"], Deadline(20)).text == "4\n"
        words = booted.host.fetch("/proc/cmdline", Deadline(20)).decode().split()
        assert words[-1] == "loglevel=7"
        assert "kvm-arm.mode=nvhe" in words
        assert "mte" in booted.host.fetch("/proc/cpuinfo", Deadline(20)).decode()
