"""Kernels built on a machine's configuration, on a tiny tree with real make: trimmed, and with modules."""

import subprocess

import fake_kernel
import pytest

from ccsight.deadline import Deadline
from ccsight.errors import InfraError, ToolMissing
from ccsight.kernels import build, kconfig, machine_config, own_modules, spec
from ccsight.kernels.machine_config import Told

CONFIG = """\
CONFIG_ARM64=y
CONFIG_SMP=y
CONFIG_KVM=y
CONFIG_MODULES=y
CONFIG_EXT4=m
CONFIG_SOUND=m
CONFIG_GONE_SINCE=y
"""


@pytest.fixture(autouse=True)
def machine(cache, tmp_path, monkeypatch):
    """What altra says, and of our own fragment only what this tree knows."""
    fragment = tmp_path / "metal.config"
    fragment.write_text("CONFIG_KVM=y  # what it is about\n")
    monkeypatch.setattr(kconfig, "METAL", (str(fragment),))
    monkeypatch.setattr(machine_config, "_ASKS", [])
    monkeypatch.setattr(machine_config, "_ASKED", {})
    said = {"altra": Told("/proc/config.gz", CONFIG, ("ext4", "nvidia"))}
    machine_config.machines_are_asked_by(lambda name, deadline, report: said[name])
    return said


@pytest.fixture
def tree(tmp_path):
    return fake_kernel.make_tree(tmp_path / "linux")


def resolve(text, said=None):
    return spec.resolve(text, Deadline(60), (said if said is not None else []).append)


def test_only_what_is_loaded_there_is_built_and_kept_with_the_kernel(tree):
    kernel = resolve(f"tree:{tree},kconfig=machine:altra")
    key = kernel.image.parent.name
    assert kernel.modules == kernel.image.parent / "modules"
    assert (kernel.modules / "kernel/ext4.ko").read_text() == f"ext4 -ccsight-{key}\n"
    assert sorted(path.name for path in kernel.modules.iterdir()) == [
        "kernel",
        "modules.builtin",
        "modules.order",
    ]
    config = kernel.image.with_name("config").read_text()
    assert "CONFIG_EXT4=m" in config
    assert "SOUND" not in config
    assert kernel.build.fragments[0] == machine_config.of("machine:altra", Deadline(1), print).pinned


def test_what_was_loaded_there_and_is_not_in_the_kernel_is_said_each_time(tree):
    for _ in ("built", "stored"):
        said = []
        resolve(f"tree:{tree},kconfig=machine:altra,name=mine", said)
        (note,) = [line for line in said if line.startswith("note:")]
        assert note.startswith(f"note: loaded on altra, but not in {tree.name} with content ")
        assert note.endswith(": nvidia")


def test_the_pinned_spec_is_the_same_kernel_though_the_machine_says_something_else(tree, machine):
    kernel = resolve(f"tree:{tree},kconfig=machine:altra")
    (pinned, _) = kernel.build.fragments
    machine["altra"] = Told("/proc/config.gz", CONFIG + "CONFIG_NEW=y\n", ())
    machine_config.machines_are_asked_by(lambda name, deadline, report: machine[name])
    assert resolve(f"tree:{tree},kconfig={pinned}").image == kernel.image
    assert resolve(f"tree:{tree},kconfig=machine:altra").image != kernel.image
    assert resolve(spec.pin(kernel)).modules == kernel.modules


def test_the_plan_names_a_base_that_asks_no_machine_again(tree, tmp_path):
    patch = tmp_path / "the.patch"
    patch.write_text(fake_kernel.CHANGE)
    kernel = resolve(f"tree:{tree},kconfig=machine:altra,patch={patch}")
    pinned = kernel.build.fragments[0]
    assert spec.base_of(kernel) == f"tree:{tree},kconfig={pinned}"
    assert spec.base_of(resolve(f"tree:{tree},kconfig=machine:altra")) == ""


def test_a_patch_alone_makes_no_other_code(tree, tmp_path):
    """The release has the build's own name in it, and is no part of what is compared."""
    patch = tmp_path / "the.patch"
    patch.write_text(fake_kernel.NO_OP)
    base, same = (resolve(f"tree:{tree},kconfig=machine:altra{more}") for more in ("", f",patch={patch}"))
    assert base.build_ids != same.build_ids
    assert base.build.code_sha256 == same.build.code_sha256
    assert base.build.config_sha256 == same.build.config_sha256


def test_kconfig_is_asked_once_for_a_source_and_a_machine(tree, tmp_path):
    resolve(f"tree:{tree},kconfig=machine:altra")
    patch = tmp_path / "the.patch"
    patch.write_text(fake_kernel.CHANGE)
    kernel = resolve(f"tree:{tree},kconfig=machine:altra,patch={patch}")
    log = kernel.image.with_name("build.log").read_text()
    assert "LSMOD" not in log
    assert "CONFIG_GONE" not in log
    (tree / "drivers").mkdir()
    (tree / "drivers/Makefile").write_text("obj-m += sound.o\n")  # may say which option makes which module
    log = resolve(f"tree:{tree},kconfig=machine:altra").image.with_name("build.log").read_text()
    assert "CONFIG_GONE" in log


def test_an_option_of_ours_that_the_machines_configuration_prevents_is_told(tree, tmp_path):
    fragment = tmp_path / "more.config"
    fragment.write_text("CONFIG_GONE_TOO=y  # to see it go\n")
    (tree / "Kconfig").write_text(fake_kernel.KCONFIG + '\nconfig GONE_TOO\n\tbool "x"\n')
    with pytest.raises(kconfig.KconfigDropped, match=r"GONE_TOO \(wanted y, got n\)"):
        resolve(f"tree:{tree},kconfig=machine:altra,kconfig={fragment}")


def test_without_perl_it_is_said_before_make_runs(tree, monkeypatch):
    which = build.shutil.which
    monkeypatch.setattr(build.shutil, "which", lambda name: None if name == "perl" else which(name))
    with pytest.raises(ToolMissing, match="perl"):
        resolve(f"tree:{tree},kconfig=machine:altra")


def test_the_list_of_what_is_loaded_is_never_run(tmp_path):
    (option, goal) = own_modules.trimming(tmp_path, ["ext4", "vfat"])
    path = tmp_path / "loaded"
    assert (option, goal) == (f"LSMOD={path}", "localmodconfig")
    assert path.read_text() == "Module 0 0\next4 0 0\nvfat 0 0\n"
    assert subprocess.run(["test", "-x", path], check=False).returncode == 1


def test_modules_of_no_release_are_not_kept(tmp_path):
    own_modules.goals(tmp_path)
    with pytest.raises(InfraError, match="modules_install"):
        own_modules.keep(tmp_path, tmp_path / "kept")


def test_a_module_that_is_built_in_is_there(tmp_path):
    (tmp_path / "modules.order").write_text("kernel/fs/ext4/ext4.ko\n")
    (tmp_path / "modules.builtin").write_text("kernel/drivers/virtio/virtio-ring.ko\n")
    assert own_modules.lacking(tmp_path, ["ext4", "virtio_ring", "zfs"]) == ("zfs",)
