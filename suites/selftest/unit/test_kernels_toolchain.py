"""Toolchains, made of scripts that say what the real programs say."""

import pickle

import pytest

from ccsight.deadline import Deadline
from ccsight.errors import ToolMissing, UsageError
from ccsight.kernels import toolchain

HOST = ("make", "gcc", "ld", "flex", "bison", "bc")
CROSS = tuple(f"aarch64-linux-gnu-{tool}" for tool in ("gcc", "as", "ld", "objcopy"))
LLVM = ("clang", "ld.lld", "llvm-ar", "llvm-objcopy", "llvm-nm")


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """A system with a machine type and these programs; each says its name and 12.2.0 as its version."""

    def install(*names: str, machine: str = "x86_64", version: str = "12.2.0") -> None:
        monkeypatch.setenv("PATH", str(tmp_path))
        monkeypatch.setattr("platform.machine", lambda: machine)
        # The door to processes starts programs with these two.
        for name in ("sh", "setpriv"):
            if not (tmp_path / name).exists():
                (tmp_path / name).symlink_to(f"/usr/bin/{name}")
        for name in names:
            path = tmp_path / name
            path.write_text(f"#!/bin/sh\necho '{name}, a compatible program'\necho '{name} {version}'\n")
            path.chmod(0o755)

    return install


def named(name: str) -> toolchain.Toolchain:
    return toolchain.named(name, Deadline(20))


def test_gcc_is_a_cross_compiler_here_and_the_systems_own_on_arm64(programs):
    programs(*HOST, *CROSS)
    assert "CROSS_COMPILE=aarch64-linux-gnu-" in named("gcc").make
    assert "CC=aarch64-linux-gnu-gcc" in named("gcc").make
    programs(*HOST, "as", "objcopy", machine="aarch64")
    assert "CROSS_COMPILE=" in named("gcc").make
    assert "CC=gcc" in named("gcc").make


def test_llvm_is_named_by_one_variable_and_assembles_by_itself(programs):
    programs(*HOST, *LLVM)
    made = named("llvm").make
    assert {"LLVM=1", "LLVM_IAS=1", "CC=clang", "ARCH=arm64"} <= set(made)


@pytest.mark.parametrize(
    ("name", "there", "line"),
    [
        ("gcc", HOST, "apt-get install binutils-aarch64-linux-gnu gcc-aarch64-linux-gnu"),
        ("llvm", HOST, "apt-get install clang lld llvm"),
        ("gcc", (*CROSS, "make", "gcc", "ld", "bc"), "apt-get install bison flex"),
    ],
)
def test_what_is_missing_is_one_line_to_paste(programs, name, there, line):
    programs(*there)
    with pytest.raises(ToolMissing, match="on this system") as caught:
        named(name)
    assert caught.value.next_step == line


def test_another_name_is_a_usage_error():
    with pytest.raises(UsageError, match="not a toolchain") as caught:
        named("lvm")
    assert "llvm" in caught.value.evidence


def test_ccache_is_used_when_present_and_changes_no_identity(programs):
    programs(*HOST, *CROSS)
    without = named("gcc")
    programs("ccache")
    with_it = named("gcc")
    assert "CC=ccache aarch64-linux-gnu-gcc" in with_it.make
    assert with_it.identity == without.identity


def test_the_identity_is_the_versions_and_nothing_else(programs):
    programs(*HOST, *CROSS)
    before = named("gcc")
    assert [line for line in before.identity.splitlines() if "12.2.0" in line] == [
        f"{tool} 12.2.0" for tool in CROSS
    ]
    programs("aarch64-linux-gnu-ld", version="13")
    assert named("gcc").identity != before.identity
    programs("aarch64-linux-gnu-ld", "make", "flex", version="12.2.0")
    assert named("gcc").identity == before.identity


def test_nothing_of_the_environment_reaches_a_build(programs, monkeypatch):
    programs(*HOST, *CROSS)
    before = named("gcc")
    monkeypatch.setenv("KCFLAGS", "-O3")
    monkeypatch.setenv("LOCALVERSION", "-mine")
    assert named("gcc") == before
    assert {"KCFLAGS=", "KAFLAGS=", "KCPPFLAGS=", "LOCALVERSION=", "LLVM="} <= set(before.make)
    assert {"RUSTC=no-rustc", "PAHOLE=no-pahole"} <= set(before.make), "their versions end up in .config"
    env = dict(before.env)
    assert env["MAKEFLAGS"] == env["KBUILD_OUTPUT"] == ""
    assert {
        "KBUILD_BUILD_TIMESTAMP",
        "KBUILD_BUILD_USER",
        "KBUILD_BUILD_HOST",
        "KBUILD_BUILD_VERSION",
    } <= set(env)
    assert env["LC_ALL"] == "C"


def test_a_toolchain_goes_to_another_process(programs):
    programs(*HOST, *CROSS)
    made = named("gcc")
    assert pickle.loads(pickle.dumps(made)) == made
