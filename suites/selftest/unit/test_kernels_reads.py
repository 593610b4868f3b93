"""What a build read, out of kbuild's own records; and which commits that leaves out."""

from pathlib import Path

import pytest
from tiny_source import commit, git, soon, write

from ccsight.kernels import reads
from ccsight.kernels.history import History

TRACKED = (
    *("Makefile", "Kbuild", "Kconfig", "MAINTAINERS", "Documentation/a.rst", "Documentation/Makefile"),
    *("arch/arm64/Makefile", "arch/arm64/Kconfig", "arch/arm64/boot/Makefile", "arch/arm64/boot/dts/a.dts"),
    *("arch/arm64/kvm/Makefile", "arch/arm64/kvm/arm.c", "arch/arm64/kvm/hyp/entry.S"),
    *("arch/arm64/tools/gen.awk", "arch/arm64/tools/sysreg", "arch/x86/kvm/x86.c"),
    *("drivers/Makefile", "drivers/base/core.c", "drivers/gpu/Makefile", "drivers/gpu/drm/Makefile"),
    "drivers/gpu/drm/drm.c",
    *("drivers/gpu/Kconfig", "fs/open.c", "fs/Makefile", "fs/btrfs/inode.c", "fs/proc/base.c"),
    *("include/linux/kvm_host.h", "kernel/time/timeconst.bc", "kernel/time/time.c", "scripts/build.sh"),
    *("virt/kvm/kvm_main.c", "virt/kvm/Makefile.kvm", "sound/soc/core.c"),
)
RECORDED = {
    "arch/arm64/kvm/.arm.o.cmd": """\
savedcmd_arch/arm64/kvm/arm.o := gcc -I./arch/arm64/include -DX='"sound/soc"' -c arch/arm64/kvm/arm.c

source_arch/arm64/kvm/arm.o := arch/arm64/kvm/arm.c

deps_arch/arm64/kvm/arm.o := \\
    $(wildcard include/config/KVM) \\
  include/linux/kvm_host.h \\
  arch/arm64/include/generated/asm/sysreg-defs.h \\
""",
    "arch/arm64/kvm/hyp/.entry.o.cmd": "source_entry := arch/arm64/kvm/hyp/entry.S\n",
    "arch/arm64/include/generated/asm/.sysreg-defs.h.cmd": """\
savedcmd_sysreg-defs.h := mkdir -p a; awk -f arch/arm64/tools/gen.awk arch/arm64/tools/sysreg > a/defs.h
""",
    "arch/arm64/kvm/.kvm_main.o.cmd": "source_x := arch/arm64/kvm/../../../virt/kvm/kvm_main.c\n",
    "arch/arm64/boot/.Image.cmd": "cmd_arch/arm64/boot/Image := objcopy vmlinux arch/arm64/boot/Image\n",
    "drivers/gpu/drm/.built-in.a.cmd": "cmd_built-in.a := rm -f built-in.a; ar cDPrST built-in.a\n",
    "drivers/base/.core.o.cmd": "source_drivers/base/core.o := drivers/base/core.c\n",
    "fs/.open.o.cmd": "source_fs/open.o := ./fs/open.c\n",
    "fs/proc/.base.o.cmd": "source_fs/proc/base.o := {tree}/fs/proc/base.c\n",
    "kernel/time/.time.o.cmd": "source_kernel/time/time.o := kernel/time/time.c\n",
}
#: What each of these may change of the kernel, or not.
READ = (
    *("Makefile", "Kbuild", "drivers/gpu/Kconfig", "sound/Kconfig.new", "include/new/x.h", "scripts/x.sh"),
    *("arch/arm64/kvm/hyp/new/deep.c", "arch/arm64/kvm/sys_regs.c", "arch/arm64/Makefile"),
    *("arch/arm64/boot/Makefile", "arch/arm64/tools/cpucaps", "kernel/time/timeconst.bc"),
    *("fs/read.c", "fs/Makefile", "fs/proc/new.c", "virt/kvm/Makefile.kvm", "virt/kvm/eventfd.c"),
    *("drivers/Makefile", "drivers/gpu/Makefile", "drivers/gpu/drm/Makefile", "lib/vdso/Makefile.include"),
)
UNREAD = (
    *("MAINTAINERS", "Documentation/a.rst", "arch/arm64/boot/dts/a.dts"),
    *("arch/x86/kvm/x86.c", "drivers/gpu/drm/drm.c", "fs/btrfs/inode.c", "fs/new/x.c", "sound/soc/core.c"),
    *("tools/x.c", "kernel/x.c"),
)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    place = tmp_path / "tree"
    write(place, {name: text.replace("{tree}", str(place)) for name, text in RECORDED.items()})
    return place


@pytest.fixture
def kept(tree: Path, tmp_path: Path) -> Path:
    reads.note(tmp_path, tree, frozenset(TRACKED))
    return tmp_path


def test_folders_are_read_whole_where_all_below_them_is(tree: Path) -> None:
    found = reads.patterns(tree, frozenset(TRACKED))
    assert {"arch/arm64/kvm/**", "fs/*", "fs/proc/**", "kernel/time/**", "virt/kvm/**"} <= set(found)
    assert {"include/**", "scripts/**", "drivers/base/**", "**/Kconfig*"} <= set(found)
    assert list(found) == sorted(found)
    assert not [line for line in found if line.startswith(("arch/arm64/kvm/hyp", "sound", ".", "/"))]


def test_a_search_leaves_out_what_nobody_read(kept: Path, tmp_path: Path) -> None:
    place = tmp_path / "linux"
    write(place, {"COPYING": "", "arch/arm64/Kconfig": ""})
    git(place, "init", "-q")
    first = commit(place, "import", {})
    last = {path: commit(place, path, {path: "new\n"}) for path in (*READ, *UNREAD)}
    history = History(place, reads.pathspecs(kept))
    head = git(place, "rev-parse", "HEAD")
    found = set(history.between([first], head, soon()))
    assert {path for path, made in last.items() if made in found} == set(READ)
    below = History(place / "arch", reads.pathspecs(kept))
    assert set(below.between([first], head, soon())) == found, "whatever folder git is asked in"


def test_a_kernel_that_kept_nothing_says_nothing(tmp_path: Path) -> None:
    assert reads.pathspecs(tmp_path) == ()
