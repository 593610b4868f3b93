"""What commits of a planned history change: faults, as rows; what is in a bisection's way; harmless edits."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ccsight.paths import data_dir

A57, N1, UNLIKE = "emulated:cortex-a57", "emulated:neoverse-n1", "silicon:rk3588"
NEW, OLD = "6.12", "6.1"
_SYS_REGS = "arch/arm64/kvm/sys_regs.c"


@dataclass(frozen=True)
class Edit:
    """A change of text. ``old`` is there once; where it is empty, ``new`` comes before all that is there."""

    path: str
    old: str
    new: str

    @property
    def undone(self) -> "Edit":
        """The edit that takes it back."""
        return Edit(self.path, self.new, self.old)

    def applied(self, text: str) -> str:
        """Return a file's text with it. Raises ValueError where it does not fit."""
        if self.old and text.count(self.old) != 1:
            raise ValueError(f"{self.path} has {text.count(self.old)} of {self.old!r}")
        return text.replace(self.old, self.new) if self.old else self.new + text


@dataclass(frozen=True)
class Fault:
    """A fault that a predicate shows on a machine; ``edits`` are by the series that they fit."""

    name: str
    predicate: str
    machine: str
    subject: str
    edits: Mapping[str, Edit]


def _seeded(patch: str) -> Edit:
    """Return the change of a patch of suites/control: all of them have one hunk."""
    text = (data_dir("suites") / f"control/{patch}.patch").read_text()
    path = re.search(r"^\+\+\+ b/(\S+)$", text, re.MULTILINE)
    _, *hunks = re.split(r"^@@.*@@.*\n", text, flags=re.MULTILINE)
    if path is None or len(hunks) != 1:
        raise ValueError(f"{patch} has {len(hunks)} hunks")
    lines = [line for line in hunks[0].splitlines() if line[:1] in (" ", "+", "-")]
    old, new = ("".join(f"{line[1:]}\n" for line in lines if line[0] in kind) for kind in (" -", " +"))
    return Edit(path[1], old, new)


_LOUU = Edit(_SYS_REGS, "\t\tclidr = 1 << CLIDR_LOUU_SHIFT;\n", "\t\tclidr = 0 << CLIDR_LOUU_SHIFT;\n")
_POINTER_AUTH = "\tcase SYS_ID_AA64ISAR1_EL1:\n\t\tif (!vcpu_has_ptrauth(vcpu))\n"
_UAO = {
    OLD: Edit(
        _SYS_REGS,
        _POINTER_AUTH,
        f"\tcase SYS_ID_AA64MMFR2_EL1:\n\t\tval &= ~0xf0ULL;\n\t\tbreak;\n{_POINTER_AUTH}",
    ),
    NEW: _seeded("CR-009-hides-uao"),
}

FAULTS = (
    Fault(
        "reset",
        "check CR-004",
        N1,
        "KVM: arm64: Make CLIDR_EL1 up again when a vCPU is reset",
        {NEW: _seeded("CR-004-reset-wipes-clidr")},
    ),
    Fault(
        "louu",
        "guest.CLIDR_EL1.LoUU == 1",
        A57,  # whose IDC is 0: elsewhere KVM makes LoUU up as 0 anyway
        "KVM: arm64: Simplify the made-up CLIDR_EL1",
        {NEW: _LOUU},
    ),
    Fault(
        "set",
        "check CR-005",
        N1,
        "KVM: arm64: Accept a CLIDR_EL1 and forget it",
        {NEW: _seeded("CR-005-clidr-not-stored")},
    ),
    Fault(
        "unlike",
        "check CR-003",
        UNLIKE,
        "KVM: arm64: Make CLIDR_EL1 up from one CPU's CTR_EL0",
        {NEW: _seeded("CR-003-clidr-of-the-first-cpu")},
    ),
)
#: One that both series can have.
UAO = Fault("uao", "guest.ID_AA64MMFR2_EL1.UAO == 1", N1, "KVM: arm64: Hide UAO from guests", _UAO)

_HALF = Edit("arch/arm64/kvm/guest.c", "", "extern struct no_such_type half_a_change[2];\n")
_BANNER = '\tpr_notice("%s", linux_banner);\n'
#: Before the banner, so that the console says nothing at all. No compiler sees that it never ends.
_SPIN = "\twhile (system_state == SYSTEM_BOOTING)\n\t\tcpu_relax();\n"


@dataclass(frozen=True)
class Trouble:
    """A change with which a kernel cannot be asked, and for how many commits that stays so."""

    name: str
    edit: Edit
    lasts: int = 1


TROUBLES = (
    Trouble("does not build", _HALF, lasts=2),
    Trouble("panics", _seeded("CR-019-panics")),
    Trouble("hangs", Edit("init/main.c", _BANNER, _SPIN + _BANNER)),
)

_COMMENTED = (
    *(("a driver that nobody builds", f"drivers/{path}") for path in (
        "net/ethernet/intel/e1000/e1000_main.c",
        "gpu/drm/nouveau/nouveau_drm.c",
        "net/wireless/ath/ath9k/main.c",
        "media/usb/uvc/uvc_driver.c",
    )),
    *(("a file of all kernels", path) for path in ("mm/memory.c", "fs/namei.c", "lib/string.c")),
    *(("KVM", f"arch/arm64/kvm/{path}") for path in ("arm.c", "mmu.c", "psci.c", "reset.c", "handle_exit.c")),
    ("KVM", "virt/kvm/kvm_main.c"),
)  # fmt: skip
_HEADERS = ("arch/arm64/include/asm/kvm_host.h", "include/linux/kvm_host.h")


def harmless(number: int) -> tuple[tuple[str, Edit], ...]:
    """Return changes that no guest can see, with their subjects; ``number`` keeps them apart."""
    return (*_notes(number), *_comments(number), *_declarations(number))


def _notes(number: int) -> Iterator[tuple[str, Edit]]:
    for place in range(8):  # a third of all
        path = f"Documentation/virt/kvm/arm/note-{place}.rst"
        yield f"Documentation: note {number}", Edit(path, "", f"Note {number}\n")


def _comments(number: int) -> Iterator[tuple[str, Edit]]:
    for what, path in _COMMENTED:
        yield f"{path.rsplit('/', 1)[1]}: comment on {what} ({number})", Edit(path, "", f"/* {number} */\n")


def _declarations(number: int) -> Iterator[tuple[str, Edit]]:
    for path in _HEADERS:
        yield f"{path}: comment ({number})", Edit(path, "", f"/* {number} */\n")
        yield f"{path}: declare a type ({number})", Edit(path, "", f"struct kvm_note_{number};\n")


def lasting(number: int) -> tuple[str, Edit]:
    """Return a harmless change of what is built."""
    return f"psci.c: comment ({number})", Edit("arch/arm64/kvm/psci.c", "", f"/* {number} */\n")
