"""``kconfig=machine:NAME`` from end to end: a host is asked, a real kernel is built for it, and boots."""

import json

import pytest
from command import ccsight
from inventory_host import up

from ccsight.deadline import Deadline
from ccsight.kernels.spec import resolve

pytestmark = [pytest.mark.emulated, pytest.mark.long]

MACHINE, OWN, SOURCE = "emulated:neoverse-n1", "deb:6.12", "deb-src:6.12"
#: A driver that is loaded in that host, and some that are not.
MODULAR = ("VIRTIO_NET",)
IDLE = ("DUMMY", "TUN")


@pytest.fixture(scope="module")
def box(tmp_path_factory):
    """An emulated host with a distribution's kernel, and a configuration in /boot that builds in minutes."""
    folder = tmp_path_factory.mktemp("host")
    config = resolve(SOURCE, Deadline(1500), print).image.with_name("config").read_text()
    lines = [line for line in config.splitlines() if not any(f"CONFIG_{name}=" in line for name in MODULAR)]
    (folder / "config").write_text("\n".join([*lines, *(f"CONFIG_{name}=m" for name in MODULAR + IDLE), ""]))
    with pytest.MonkeyPatch.context() as patch:
        with up(folder, MACHINE, OWN, patch) as known:
            host = known.booted.host
            release = host.run(["uname", "-r"], Deadline(20)).text.strip()
            host.run(["mkdir", "-p", "/boot"], Deadline(20))
            host.push(folder / "config", f"/boot/config-{release}", Deadline(60))
            known.enter("box")
            yield known


def test_a_kernel_for_a_machine_has_its_modules_and_boots(box, tmp_path):
    spec = f"{SOURCE},kconfig=machine:box"
    said = ccsight("build", spec, "--json", cwd=tmp_path, seconds=1500)
    assert said.code == 0, said.stderr
    (built,) = said.json["kernels"]
    assert "/boot/config-" in said.stderr
    assert "-ccsight-" in built["release"]

    kernel = resolve(spec, Deadline(60), print)
    names = {path.name for path in kernel.modules.rglob("*.ko")}
    assert "virtio_net.ko" in names
    assert not {"dummy.ko", "tun.ko"} & names
    assert kernel.hardware_module is not None

    done = ccsight("capture", spec, "--on", MACHINE, "--json", "--out", "runs", cwd=tmp_path)
    assert done.code == 0, done.stderr
    (plan,) = (json.loads(path.read_text()) for path in tmp_path.glob("runs/*/run.json"))
    (planned,) = plan["kernels"]
    assert planned["release"] == built["release"]
    assert planned["build"]["fragments"][0].startswith("machine:box=")
    assert planned["pin"].startswith("built:")
