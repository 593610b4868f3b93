"""``capture --on local``, on an emulated host that has a Python: equal to a capture of that host over SSH."""

import json
import shutil
import tarfile
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import pytest
from alike import images, unlike
from python_host import ccsight, layer

from ccsight.campaign.cell import CellTask, capture_cell
from ccsight.campaign.compare import Request, start
from ccsight.deadline import Deadline
from ccsight.evidence.model import Capture
from ccsight.evidence.run import Run, find_run
from ccsight.evidence.views import Vantage
from ccsight.kernels.spec import resolve
from ccsight.machines import initramfs, registry, silicon
from ccsight.machines.model import BootOrder, Host

pytestmark = [pytest.mark.emulated, pytest.mark.long]

MACHINE = "emulated:neoverse-n1,memory=1024"
KERNEL = "deb:6.12"
#: Below /r, what a chroot needs; multiprocessing's locks lie in /dev/shm.
SET_UP = """
mount -t proc proc /r/proc && mount -t sysfs sys /r/sys && mount -t devtmpfs dev /r/dev
mkdir -p /r/dev/shm && mount -t tmpfs shm /r/dev/shm
"""


@dataclass(frozen=True)
class Standing:
    """A machine that has been booted already, and is captured as it stands."""

    spec: str
    booted: object
    console: Path
    seconds: float = 0.0

    @contextmanager
    def boot(self, order, deadline, report):
        assert not order.guest_image, "this machine has no Image for guests: do not ask for --linux"
        yield self.booted
        shutil.copy(self.console, order.console)


@dataclass(frozen=True)
class Both:
    """The same boot captured there and from here; what ccsight said there, and what it left."""

    local: Capture
    remote: Capture
    said: dict
    words: str
    left: str
    run: Run


def _captured_there(host: Host, folder: Path) -> tuple[Run, dict, str]:
    """Capture the host on the host itself, and bring its run here."""
    mounted = host.run(["sh", "-ec", SET_UP], Deadline(60))
    assert mounted.returncode == 0, mounted.stderr.decode()
    done = host.run(ccsight("capture", "--on", "local", "--json", "--out", "/root/results"), Deadline(900))
    assert done.returncode == 0, done.stderr.decode()
    packed = host.run(["tar", "-C", "/r/root", "-cf", "-", "results"], Deadline(60))
    with tarfile.open(fileobj=BytesIO(packed.stdout)) as file:
        file.extractall(folder, filter="data")
    return find_run(folder / "results"), json.loads(done.stdout), done.stderr.decode()


def _captured_from_here(standing: Standing, folder: Path, patch: pytest.MonkeyPatch) -> Capture:
    run, kernels = start(folder, Request((KERNEL,), (MACHINE,), (), silicon.load(None)))
    patch.setattr(registry, "machine", lambda *_: standing)
    (cell,) = run.plan.cells
    assert capture_cell(CellTask(run.folder, cell, kernels[cell.kernel]), print) is None
    return run.capture(cell)


@contextmanager
def _up(folder: Path):
    """Boot a host that has Python below /r."""
    layers = initramfs.layers
    layer(folder / "python.cpio", Deadline(600))
    kernel = resolve(KERNEL, Deadline(600), print)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(initramfs, "layers", lambda *given: [*layers(*given), folder / "python.cpio"])
        with registry.machine(MACHINE).boot(
            BootOrder(kernel, folder / "console.log"), Deadline(120), print
        ) as booted:
            yield booted


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    folder = tmp_path_factory.mktemp("local")
    with _up(folder) as booted:
        run, said, words = _captured_there(booted.host, folder)
        left = booted.host.run(["ls", "-A", "/r/tmp"], Deadline(20)).text
        standing = Standing(MACHINE, booted, folder / "console.log")
        with pytest.MonkeyPatch.context() as patch:
            remote = _captured_from_here(standing, folder / "remote", patch)
    return Both(run.capture(run.plan.cells[0]), remote, said, words, left, run)


def test_both_ways_see_the_same(both):
    assert both.local.machine.boot_id == both.remote.machine.boot_id  # so the random values are the same
    assert unlike(both.local, both.remote) == ()


def test_that_is_more_than_nothing(both):
    assert {view.vantage for view in both.local.views} >= {
        Vantage.USERSPACE,
        Vantage.GUEST,
        Vantage.GUEST_EL0,
    }
    assert len(both.local.writes) > 500
    assert both.local.register_lists
    assert both.local.failures == {}


def test_one_called_the_library_and_one_ran_the_program(both):
    assert images(both.local) == images(both.remote) != {}
    assert both.local.programs.keys() - images(both.local).keys() == {"ccprobe.so"}
    assert both.remote.programs.keys() - images(both.remote).keys() == {"ccprobe"}


def test_the_running_kernel_is_the_one_that_was_booted(both):
    assert both.local.kernel.build_id == both.remote.kernel.build_id
    assert both.run.plan.kernels[0].pin == f"running,build-id={both.local.kernel.build_id}"
    assert (both.local.kernel.spec, both.local.machine.spec) == ("running", "local")


def test_the_laws_hold_and_the_log_was_read(both):
    assert (both.said["status"], both.said["exit_code"]) == ("PASS", 0)
    laws = {case["check"]: case["status"] for case in both.said["machines"][0]["laws"]}
    assert laws["CR-017"] == "PASS"
    assert both.local.console.mode == "VHE"
    assert "Traceback" not in both.words


def test_nothing_is_left_there(both):
    assert both.left == ""
