"""Building kernels, on a tiny tree with real make: the store, lineages, identity, blame, faults."""

import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import fake_kernel
import pytest

from ccsight.deadline import Deadline
from ccsight.errors import InfraError, NoSpace, ToolMissing, UsageError
from ccsight.kernels import built, hardware, kconfig, spec, stock, watch
from ccsight.paths import data_dir
from ccsight.status import ExitCode
from ccsight.store import locked

FRAGMENT = """\
CONFIG_SMP=y      # it has two CPUs
CONFIG_KVM=y      # what it is about
CONFIG_MODULES=y  # it takes ours
"""


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    fragment = tmp_path / "tiny.config"
    fragment.write_text(FRAGMENT)

    def wanted(extra=()):
        return kconfig.merge([kconfig.parse(path) for path in (fragment, *map(Path, extra))])

    monkeypatch.setattr(kconfig, "wanted", wanted)
    return tmp_path / "cache" / "ccsight"


@pytest.fixture
def tree(tmp_path) -> Path:
    return fake_kernel.make_tree(tmp_path / "linux")


@pytest.fixture
def patch(tmp_path):
    def write(text: str) -> str:
        path = tmp_path / "the.patch"
        path.write_text(text)
        return str(path)

    return write


def resolve(text: str, said: list[str] | None = None):
    return spec.resolve(text, Deadline(60), (said if said is not None else []).append)


def compiled(cache: Path) -> list[str]:
    (log,) = cache.glob("lineages/*/build.log")
    return [line.split()[1] for line in log.read_text().splitlines() if line.startswith("  CC")]


def test_a_kernel_is_built_identified_and_stored(cache, tree):
    said: list[str] = []
    kernel = resolve(f"tree:{tree}", said)
    assert kernel.release == "6.99.0-fake"
    notes = subprocess.run(
        ["aarch64-linux-gnu-readelf", "-n", next(cache.glob("lineages/*/src/vmlinux"))],
        capture_output=True,
        text=True,
        check=True,
    )
    (build_id,) = kernel.build_ids
    assert f"Build ID: {build_id}" in notes.stdout
    assert kernel.image.is_relative_to(cache / "built")
    log = (kernel.image.parent / "build.log").read_text()
    assert log.startswith(f"# again: ccsight build tree:{tree}\n")
    assert any(line.startswith("built ") and "files" in line for line in said)


def test_what_is_stored_is_not_built_again(cache, tree):
    first = resolve(f"tree:{tree}")
    before = next(cache.glob("lineages/*/build.log")).stat().st_mtime_ns
    assert resolve(f"tree:{tree}") == first
    assert next(cache.glob("lineages/*/build.log")).stat().st_mtime_ns == before


def test_a_patch_compiles_only_what_it_changes(cache, tree, patch):
    base = resolve(f"tree:{tree}")
    assert len(compiled(cache)) == 3
    changed = resolve(f"tree:{tree},patch={patch(fake_kernel.CHANGE)}")
    assert set(compiled(cache)) == {"arch/arm64/kvm/sys_regs.o", "arch/arm64/vdso.o"}
    assert changed.build.code_sha256 != base.build.code_sha256
    assert [change.subject for change in changed.build.patches] == ["the.patch"]
    assert (tree / "arch/arm64/kvm/sys_regs.c").read_text() == fake_kernel.SYS_REGS


def test_a_patch_that_changes_no_code_has_its_own_identity(tree, patch):
    base, same = resolve(f"tree:{tree}"), resolve(f"tree:{tree},patch={patch(fake_kernel.NO_OP)}")
    assert base.build_ids != same.build_ids
    assert base.build.code_sha256 == same.build.code_sha256
    assert base.build.config_sha256 == same.build.config_sha256


def test_the_same_inputs_give_the_same_kernel_wherever_they_lie(tmp_path, tree, monkeypatch):
    here = resolve(f"tree:{tree}")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "another" / "cache"))
    there = resolve(f"tree:{fake_kernel.make_tree(tmp_path / 'elsewhere')}")
    assert (here.build_ids, here.image_sha256) == (there.build_ids, there.image_sha256)


def test_the_pin_needs_no_source(tree, patch):
    kernel = resolve(f"tree:{tree},patch={patch(fake_kernel.CHANGE)},name=mine,append=quiet")
    (tree / "Makefile").unlink()
    again = resolve(spec.pin(kernel))
    assert (again.image, again.build_ids, again.label, again.append) == (
        kernel.image,
        kernel.build_ids,
        "mine",
        "quiet",
    )


def test_a_pin_that_was_pruned_says_so(tree):
    kernel = resolve(f"tree:{tree}")
    assert {gone.kind for gone in stock.prune(0)} >= {"built", "lineages"}
    with pytest.raises(UsageError, match="the store has no kernel"):
        resolve(spec.pin(kernel))
    assert stock.held() == ()


def _resolve(text: str) -> None:
    resolve(text)


def test_two_processes_build_a_kernel_once(cache, tree):
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_resolve, args=(f"tree:{tree}",)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    assert len(compiled(cache)) == 3, "the second one found it in the store, and the log is the first one's"
    assert len(list(cache.glob("built/*/Image"))) == 1


def test_a_killed_build_leaves_nothing_half_stored(cache, tree):
    makefile = tree / "Makefile"
    makefile.write_text(fake_kernel.MAKEFILE.replace("Image: vmlinux\n", "Image: vmlinux\n\tsleep 60\n"))
    process = multiprocessing.get_context("fork").Process(target=_resolve, args=(f"tree:{tree}",))
    process.start()
    end = Deadline(30)
    while not list(cache.glob("lineages/*/src/vmlinux")) and not end.passed:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.join(20)
    assert not list(cache.glob("built/[!.]*/"))
    makefile.write_text(fake_kernel.MAKEFILE)
    assert resolve(f"tree:{tree}").release == "6.99.0-fake"


def asked(kernel) -> bool:
    """Whether Kconfig was run for a kernel."""
    return "KCONFIG_ALLCONFIG" in (kernel.image.parent / "build.log").read_text()


def test_kconfig_is_asked_when_it_would_read_something_new(tmp_path, tree, patch, monkeypatch):
    makefile = tree / "Makefile"
    makefile.write_text(
        fake_kernel.MAKEFILE.replace("allnoconfig:\n", "allnoconfig: # asks\n\t: KCONFIG_ALLCONFIG\n")
    )
    spec_of = f"tree:{tree},patch={patch(fake_kernel.CHANGE)}"
    assert asked(resolve(f"tree:{tree}"))
    changed = resolve(spec_of)
    assert not asked(changed)
    with (tree / "Kconfig").open("a") as file:
        file.write('\nconfig MORE\n\tbool "more"\n')
    assert asked(resolve(f"tree:{tree}"))
    (tree / "Kconfig").write_text(fake_kernel.KCONFIG)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "another"))
    again = resolve(spec_of)
    assert asked(again)
    assert (again.image_sha256, again.build_ids) == (changed.image_sha256, changed.build_ids)
    assert again.image.with_name("config").read_text() == changed.image.with_name("config").read_text()


def test_what_a_build_read_is_kept(cache, tree):
    kernel = resolve(f"tree:{tree}")
    (lineage,) = cache.glob("lineages/*/src")
    assert {":(top,literal)include", ":(top,glob)**/Kconfig*"} <= set(built.reads(kernel))
    assert ":(top,glob)init/*" not in built.reads(kernel)
    (lineage / "init/.main.o.cmd").write_text("source_init/main.o := init/main.c\n")
    (tree / "init/main.c").write_text(fake_kernel.MAIN + "int more;\n")
    assert ":(top,literal)init" in built.reads(resolve(f"tree:{tree}"))
    (kernel.image.parent / "reads").unlink()  # as an older ccsight stored it
    assert built.reads(kernel) == ()


def test_folders_are_spread_for_a_spec(cache, tree, patch):
    parsed = spec.parse(f"tree:{tree}")
    said: list[str] = []
    assert built.spread(parsed, 2, Deadline(60), said.append) == 0
    resolve(f"tree:{tree}")
    assert built.spread(parsed, 2, Deadline(60), said.append) == 2
    (first, second) = sorted(cache.glob("lineages/*/"))
    with locked(first, Deadline(60)):
        resolve(f"tree:{tree},patch={patch(fake_kernel.CHANGE)}")
    log = (second / "build.log").read_text()
    assert {line.split()[1] for line in log.splitlines() if line.startswith("  CC")} == {
        "arch/arm64/kvm/sys_regs.o",
        "arch/arm64/vdso.o",
    }


def test_our_module_is_built_for_each_kernel(cache, tree, patch):
    said: list[str] = []
    base, changed = resolve(f"tree:{tree}", said), resolve(f"tree:{tree},patch={patch(fake_kernel.NO_OP)}")
    assert base.hardware_module == base.image.parent / "ccsight_hardware.ko"
    content = base.hardware_module.read_text()
    assert (data_dir("guests") / "module/ccsight_hardware.c").read_text() in content
    assert f'CONFIG_BUILD_SALT="{base.image.parent.name}"' in content
    assert content != changed.hardware_module.read_text()
    assert resolve(spec.pin(base)).hardware_module == base.hardware_module
    assert not [line for line in said if line.startswith("note:")]


def test_another_module_makes_another_kernel(tmp_path, tree, monkeypatch):
    before = resolve(f"tree:{tree}")
    shutil.copytree(data_dir("guests"), tmp_path / "guests")
    (tmp_path / "guests/module/Kbuild").write_text("obj-m :=\n")
    monkeypatch.setattr(hardware, "data_dir", lambda name: tmp_path / name)
    monkeypatch.setattr(hardware, "sources", hardware.sources.__wrapped__)
    assert resolve(f"tree:{tree}").image != before.image


@pytest.mark.parametrize(
    "says",
    [
        "module/ccsight_hardware.c:9:1: error: no such thing",
        'ERROR: modpost: "seq_write" [ccsight_hardware.ko] undefined!',
        "*** something else",
    ],
)
def test_a_kernel_without_our_module_is_still_a_kernel(tree, says):
    failing = fake_kernel.MAKEFILE.replace("modules: prepared\n", f"modules:\n\t@echo '{says}'; exit 1\n")
    (tree / "Makefile").write_text(failing)
    for _ in ("built", "stored"):
        said: list[str] = []
        kernel = resolve(f"tree:{tree}", said)
        assert kernel.hardware_module is None
        log = kernel.image.parent / "build.log"
        assert any("without our module" in line and str(log) in line for line in said)
    assert says in log.read_text()
    assert log.read_text().splitlines()[-1].startswith("# this kernel has no ccsight_hardware.ko: ")


def test_a_kernel_that_loads_no_modules_is_not_asked_to(tmp_path, tree):
    fragment = tmp_path / "none.config"
    fragment.write_text("CONFIG_MODULES=n  # override: as on a phone\n")
    said: list[str] = []
    kernel = resolve(f"tree:{tree},kconfig={fragment}", said)
    assert kernel.hardware_module is None
    assert "CONFIG_MODULES is off" in (kernel.image.parent / "build.log").read_text().splitlines()[-1]
    assert any("without our module" in line for line in said)


def test_trouble_of_this_system_while_the_module_is_built_stores_no_kernel(cache, tree):
    full = "modules:\n\t@echo 'No space left on device'; exit 1\n"
    (tree / "Makefile").write_text(fake_kernel.MAKEFILE.replace("modules: prepared\n", full))
    with pytest.raises(NoSpace):
        resolve(f"tree:{tree}")
    assert not list(cache.glob("built/[!.]*/"))


def test_a_broken_patch_is_at_fault_because_its_base_builds(tree, patch):
    with pytest.raises(built.BrokenByPatch) as caught:
        resolve(f"tree:{tree},patch={patch(fake_kernel.BROKEN)}")
    assert "arch/arm64/kvm/sys_regs.c:3" in caught.value.fact
    assert "the base builds" in caught.value.evidence
    assert caught.value.exit_code == ExitCode.FAIL


def test_a_broken_base_blames_nobody(tree, patch):
    (tree / "init/main.c").write_text(fake_kernel.MAIN + "int broken = no_such_name;\n")
    with pytest.raises(watch.CompileError) as caught:
        resolve(f"tree:{tree},patch={patch(fake_kernel.CHANGE)}")
    assert "neither" in caught.value.fact
    assert caught.value.exit_code == ExitCode.NOT_OBSERVED
    with pytest.raises(watch.CompileError, match=r"init/main.c:\d+"):
        resolve(f"tree:{tree}")


@pytest.mark.parametrize(
    ("says", "kind"),
    [
        ("fatal error: error writing to /x: No space left on device", NoSpace),
        ("gcc: fatal error: Killed signal terminated program cc1", InfraError),
        ("make: *** [Makefile:1: Image] Error 2", InfraError),
        ("certs/extract-cert.c:21:10: fatal error: openssl/bio.h: No such file or directory", ToolMissing),
    ],
)
def test_trouble_of_this_system_is_never_the_kernels_fault(tree, says, kind):
    failing = fake_kernel.MAKEFILE.replace("Image: vmlinux\n", f"Image: vmlinux\n\t@echo '{says}'; exit 1\n")
    (tree / "Makefile").write_text(failing)
    with pytest.raises(kind) as caught:
        resolve(f"tree:{tree}")
    assert not isinstance(caught.value, watch.CompileError)
    assert says in caught.value.evidence


def test_a_dropped_option_is_named_with_what_it_got(tree, tmp_path):
    (tree / "Kconfig").write_text(fake_kernel.KCONFIG + '\nconfig DROPPED\n\tbool "dropped"\n')
    fragment = tmp_path / "more.config"
    fragment.write_text("CONFIG_DROPPED=y  # to see it go\n")
    with pytest.raises(kconfig.KconfigDropped, match=r"DROPPED \(wanted y, got n\)"):
        resolve(f"tree:{tree},kconfig={fragment}")


def test_a_tree_that_changes_while_it_is_built_is_noticed(cache, tree):
    changing = fake_kernel.MAKEFILE.replace(
        "Image: vmlinux\n", f"Image: vmlinux\n\techo '/* later */' >> {tree}/init/main.c\n"
    )
    (tree / "Makefile").write_text(changing)
    said: list[str] = []
    resolve(f"tree:{tree}", said)
    assert any("changed meanwhile" in line for line in said)
    assert "later" not in next(cache.glob("lineages/*/src/init/main.c")).read_text()


_ON_A_SMALL_DISK = """
import sys
from pathlib import Path
from ccsight.deadline import Deadline
from ccsight.kernels import kconfig, spec
kconfig.wanted = lambda extra=(): kconfig.merge([kconfig.parse(Path(sys.argv[1]))])
spec.resolve(f"tree:{sys.argv[2]}", Deadline(60), print)
"""


def test_a_full_disk_while_building_is_said(tmp_path, tree):
    large = "Image: vmlinux\n\thead -c 4000000 /dev/zero > large\n"
    (tree / "Makefile").write_text(fake_kernel.MAKEFILE.replace("Image: vmlinux\n", large))
    small = tmp_path / "small"
    small.mkdir()
    mount = 'mount -t tmpfs -o size=2M none "$0" && XDG_CACHE_HOME="$0" exec "$@"'
    alone = ["unshare", "--map-root-user", "--mount", "sh", "-c", mount, str(small)]
    argv = [*alone, sys.executable, "-c", _ON_A_SMALL_DISK, str(tmp_path / "tiny.config"), str(tree)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert "NoSpace: no space left while building" in done.stderr
