"""Building on a machine, over a real sshd on loopback, on a tiny tree with real make."""

import io
import json
import multiprocessing
import os
import signal
import tarfile
import time
from contextlib import nullcontext
from pathlib import Path

import fake_kernel
import pytest
from ssh_lab import lab, sshds

from ccsight.cli import run as ccsight
from ccsight.deadline import Deadline
from ccsight.errors import DeadlineExceeded, HostRefused, InfraError, NoSpace, ToolMissing, UsageError
from ccsight.kernels import elsewhere, kconfig, machine_config, spec, toolchain, watch
from ccsight.kernels.machine_config import Told
from ccsight.machines import building, lease

__all__ = ["lab", "sshds"]

FRAGMENT = "CONFIG_SMP=y\nCONFIG_KVM=y\nCONFIG_MODULES=y\n"


@pytest.fixture(autouse=True)
def machine(lab, cache, tmp_path, monkeypatch):
    """This system as a machine of the inventory that is taken for an arm64 one."""
    lab.write(lab.entry("altra", lab.machine))
    script = tmp_path / "elsewhere.sh"
    shipped = Path(elsewhere.__file__).with_suffix(".sh").read_text()
    script.write_text(shipped.replace("aarch64", os.uname().machine))
    monkeypatch.setattr(elsewhere, "_SCRIPT", script)
    builds = tmp_path / "there"
    builds.mkdir()
    monkeypatch.setattr(elsewhere, "BESIDE", str(builds))
    monkeypatch.setattr(elsewhere, "_POLL", 0.02)
    monkeypatch.setattr(elsewhere, "_LENDERS", [building.lend])
    monkeypatch.setattr(lease, "PLACE", str(tmp_path / "lease"))
    elsewhere.toolchain.cache_clear()
    fragment = tmp_path / "tiny.config"
    fragment.write_text(FRAGMENT)
    monkeypatch.setattr(
        kconfig,
        "wanted",
        lambda extra=(): kconfig.merge([kconfig.parse(Path(p)) for p in (fragment, *extra)]),
    )
    yield builds
    elsewhere.toolchain.cache_clear()
    end = Deadline(20)
    while list(builds.iterdir()) and not end.passed:  # a guard notices that we have hung up
        time.sleep(0.05)
    assert list(builds.iterdir()) == []


@pytest.fixture
def tree(tmp_path):
    return fake_kernel.make_tree(tmp_path / "linux")


def resolve(text, said=None, seconds=60):
    return spec.resolve(text, Deadline(seconds), (said if said is not None else []).append)


def test_a_kernel_that_was_built_there_is_in_the_store_here(tree, cache):
    said = []
    kernel = resolve(f"tree:{tree},build-on=altra", said)
    assert kernel.release == "6.99.0-fake"
    assert kernel.build.toolchain == "gcc of altra"
    assert kernel.build_ids
    assert kernel.hardware_module.is_file()
    log = kernel.image.with_name("build.log").read_text()
    assert log.startswith(f"# again: ccsight build tree:{tree},build-on=altra\n")
    assert "  CC      init/main.o\n" in log
    assert f"/ccsight-build-{kernel.image.parent.name}" in log
    assert any(line.startswith("sending linux") for line in said)
    assert not kernel.image.with_name("reads").exists(), "what was read there is known there"
    assert not (cache / "ccsight/lineages").exists()


def test_what_is_stored_needs_only_the_machines_compiler(tree, lab):
    kernel = resolve(f"tree:{tree},build-on=altra")
    said = []
    assert resolve(f"tree:{tree},build-on=altra", said).image == kernel.image
    assert not [line for line in said if line.startswith("sending")]
    assert resolve(spec.pin(kernel)).image == kernel.image


def test_a_build_here_is_not_taken_for_one_there(tree):
    there, here = resolve(f"tree:{tree},build-on=altra"), resolve(f"tree:{tree}")
    assert there.image != here.image


def test_modules_of_a_machines_configuration_come_back_too(tree, tmp_path, monkeypatch):
    fragment = tmp_path / "metal.config"
    fragment.write_text("CONFIG_KVM=y\n")
    monkeypatch.setattr(kconfig, "METAL", (str(fragment),))
    config = "CONFIG_ARM64=y\nCONFIG_SMP=y\nCONFIG_MODULES=y\nCONFIG_EXT4=m\nCONFIG_SOUND=m\n"
    monkeypatch.setattr(machine_config, "_ASKS", [lambda *words: Told("/proc/config.gz", config, ("ext4",))])
    monkeypatch.setattr(machine_config, "_ASKED", {})
    kernel = resolve(f"tree:{tree},kconfig=machine:altra,build-on=altra")
    assert (kernel.modules / "kernel/ext4.ko").is_file()
    assert not (kernel.modules / "kernel/sound.ko").exists()
    assert not (kernel.modules / "build").exists()


def test_a_source_that_does_not_build_there_is_told_with_its_place(tree):
    (tree / "init/main.c").write_text(fake_kernel.MAIN + "int broken = no_such_name;\n")
    with pytest.raises(watch.CompileError, match=r"init/main.c:\d+") as caught:
        resolve(f"tree:{tree},build-on=altra")
    log = Path(caught.value.next_step.removeprefix("the whole log: "))
    assert "no_such_name" in log.read_text()


def test_a_full_disk_there_is_said_to_be_there(tree):
    full = "Image: vmlinux\n\t@echo 'No space left on device'; exit 1\n"
    (tree / "Makefile").write_text(fake_kernel.MAKEFILE.replace("Image: vmlinux\n", full))
    with pytest.raises(NoSpace) as caught:
        resolve(f"tree:{tree},build-on=altra")
    assert caught.value.next_step == "free some in /var/tmp of altra"


def slow(tree):
    sleeping = f"Image: vmlinux\n\techo $$$$ > {tree}.pid; exec sleep 600\n"
    (tree / "Makefile").write_text(fake_kernel.MAKEFILE.replace("Image: vmlinux\n", sleeping))


def is_gone(tree):
    """Whether make's own child ends; who adopts it may not ask how."""
    about = Path(f"/proc/{int(Path(f'{tree}.pid').read_text())}/stat")
    end = Deadline(20)
    while about.exists() and ") Z " not in about.read_text() and not end.passed:
        time.sleep(0.05)
    return not end.passed


def test_a_build_that_takes_too_long_is_ended_there(tree):
    slow(tree)
    with pytest.raises(DeadlineExceeded):
        resolve(f"tree:{tree},build-on=altra", seconds=6)
    assert is_gone(tree)


def test_a_killed_controller_leaves_no_build_behind(tree):
    slow(tree)
    process = multiprocessing.get_context("fork").Process(
        target=resolve, args=(f"tree:{tree},build-on=altra",)
    )
    process.start()
    end = Deadline(30)
    while not Path(f"{tree}.pid").exists() and not end.passed:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.join(20)
    assert is_gone(tree)


def test_what_a_killed_guard_left_goes_with_the_next_build(tree, machine):
    left = machine / "ccsight-build-0123456789abcdef01234567"
    left.mkdir()
    (left / "file").touch()
    resolve(f"tree:{tree},build-on=altra")
    assert not left.exists()


def test_the_machine_is_leased_while_it_builds(tree, lab):
    with building.lend("altra", "", Deadline(20)) as host:
        with lease.Place("altra", host).leased("another", "a test", Deadline(20)):
            with pytest.raises(lease.Taken):
                resolve(f"tree:{tree},build-on=altra")


def test_a_machine_that_is_not_there_is_named_with_the_nearest(tree):
    with pytest.raises(UsageError, match="no machine 'altar'") as caught:
        resolve(f"tree:{tree},build-on=altar")
    assert "altra" in caught.value.evidence


def test_the_verb_says_what_it_would_build_and_where(tree, capsys):
    assert ccsight(["build", "--build-on", "altra", "--dry-run", "--json", f"tree:{tree}"]) == 0
    (plan,) = json.loads(capsys.readouterr().out)["kernels"]
    assert plan["spec"] == f"tree:{tree},build-on=altra"
    assert plan["toolchain"] == "gcc of altra"


def test_another_toolchain_is_not_had_there(tree):
    with pytest.raises(UsageError, match="built by its gcc"):
        resolve(f"tree:{tree},build-on=altra,toolchain=llvm")


def test_what_a_machine_lacks_is_what_is_to_be_installed():
    tools = ("gcc", "as", "ld", "objcopy", "make", "flex", "bison", "bc", "perl")
    said = {"arm": "yes", **dict.fromkeys(tools, "x 1.2")}
    assert toolchain.of_machine(said, "altra").identity.splitlines()[0] == "x 1.2"
    with pytest.raises(ToolMissing, match="bison, flex not there") as caught:
        toolchain.of_machine({**said, "flex": "", "bison": ""}, "altra")
    assert caught.value.next_step == "there, as root: apt-get install bison flex"
    with pytest.raises(UsageError, match="not an arm64 machine"):
        toolchain.of_machine(dict.fromkeys(tools, "x 1.2"), "altra")


def packed(name, kind=tarfile.REGTYPE):
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        member = tarfile.TarInfo(name)
        member.type, member.linkname, member.size = kind, "/etc/passwd", 0
        archive.addfile(member, io.BytesIO(b""))
    return content.getvalue()


class Sending:
    """A host that sends this back as what was made."""

    def __init__(self, content):
        self.content = content

    def run(self, argv, deadline, *, limit=0):
        return elsewhere.Completed(tuple(argv), 0, self.content, b"")


@pytest.mark.parametrize(
    "content",
    [
        packed("../x"),
        packed("/etc/x"),
        packed("installed/../../x"),
        packed("src/Makefile"),
        packed("src/.config", tarfile.SYMTYPE),
        packed("guests/module/../../x.ko"),
        packed("src/vmlinux")[:100],
        b"no archive",
    ],
)
def test_what_is_no_part_of_a_kernel_is_not_laid_down(content, tmp_path):
    shop = elsewhere.Shop(Sending(content), "/there", tmp_path / "home", 1)
    with pytest.raises(InfraError):
        shop.receive(Deadline(5))
    assert not list(tmp_path.rglob("*x*"))


@pytest.mark.parametrize("said", [b"gcc 1\nmore THAN that", b"Welcome to altra!", b"gcc \xff\nld"])
def test_what_says_no_version_is_no_toolchain(said, monkeypatch):
    monkeypatch.setattr(elsewhere, "_LENDERS", [lambda *words: nullcontext(Sending(said))])
    with pytest.raises((HostRefused, UsageError)) as caught:
        elsewhere.toolchain("altra")
    assert "altra" in caught.value.fact
