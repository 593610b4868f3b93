"""The table of seeded kernel faults: for each check one at least that it must notice."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ccsight.checks import COMPARISONS, CROSSINGS, LAWS, LAWS_ON_REQUEST, Comparison, Law, named
from ccsight.evidence.record import Hex

HERE = Path(__file__).parent
A57, A710, N1, V1, UNLIKE = (
    "emulated:cortex-a57",
    "emulated:cortex-a710",
    "emulated:neoverse-n1",
    "emulated:neoverse-v1",
    "silicon:rk3588",
)


@dataclass(frozen=True)
class Control:
    """A patch, the machine on which its check must notice it, and a part of what the check then says.

    ``also`` are other laws that fail by necessity. A comparison has no law that fails: ``outcomes`` are the
    words of comparisons. An agreement and a crossing are about two machines, ``twin`` is the other one, from
    which VMs come. Where a trial fails, nothing else can be observed. ``breaks`` are the rules for kernels
    that replace others which it does not keep, where VMs move.
    """

    patch: str
    machine: str
    subject: str
    said: str
    also: tuple[str, ...] = ()
    outcomes: Mapping[str, str] = field(default_factory=dict)
    twin: str = ""
    breaks: tuple[str, ...] = ()

    @property
    def check(self) -> str:
        """The check that must notice it."""
        return self.patch[: len("CR-000")]

    @property
    def base(self) -> str:
        """The kernel spec of the source that the patch is for; native behaviour is that of 6.1."""
        return "deb-src:6.1" if "-native-" in self.patch else "deb-src:6.12"

    @property
    def patched(self) -> str:
        """The kernel spec with the fault in it."""
        return f"{self.base},patch={str(HERE / self.patch).replace(',', ',,')}.patch"

    @property
    def fails(self) -> set[str]:
        """The laws that must fail, and no others."""
        return {self.check, *self.also} & (LAWS | LAWS_ON_REQUEST).keys()

    @property
    def moves(self) -> bool:
        """Whether its check is of VMs that are saved, and restored."""
        check = named(self.check)
        return isinstance(check, Law | Comparison) and check.program in ("save", "restore")

    @property
    def crosses(self) -> bool:
        """Whether they are restored on another machine."""
        return self.check in CROSSINGS

    @property
    def row(self) -> str:
        """The row of the README's table."""
        words = f"{self.subject}: {self.said}"
        if self.check in COMPARISONS | CROSSINGS:
            words = f"{self.outcomes[self.check]}: {words}"
        machine = f"`{self.machine}`" + (f", against `{self.twin}`" if self.twin else "")
        also = ", ".join((*self.also, *self.breaks)) or "–"
        return f"| `{self.patch}` | {self.check} | {machine} | {words} | {also} |"


_SAME = {"CR-009": "same", "CR-014": "same", "CR-015": "same"}

CONTROLS = (
    Control(
        "CR-001-clidr-of-the-cpu",
        N1,
        "CLIDR_EL1",
        "userspace gets 0x2000021, the guest 0x82000023",
        ("CR-004", "CR-005", "CR-018"),
    ),
    Control(
        "CR-001-native-wrong-cache",
        N1,
        "CCSIDR_EL1[1]",
        "userspace gets 0x701fe01a, the guest 0x201fe01a",
        ("CR-018",),
    ),
    Control("CR-002-reserved-ctype", N1, "CLIDR_EL1.Ctype1", "5 is a reserved value", ("CR-018",)),
    Control(
        "CR-003-clidr-of-the-first-cpu",
        UNLIKE,
        "CLIDR_EL1",
        "0x9200003 on CPU 0-1, 0x2000021 on CPU 2-3",
        ("CR-018",),
    ),
    Control(
        "CR-003-native-drops-sizes",
        UNLIKE,
        "CCSIDR_EL1[0]",
        "taken on CPU 2, where it then reads 0x701fe01a",
        ("CR-005",),
    ),
    Control(
        "CR-004-reset-wipes-clidr",
        N1,
        "CLIDR_EL1",
        "0x2000021, where the VMM wrote 0xc200923 or 0x4c200923: re-init (vCPU 0)",
    ),
    Control(
        "CR-005-clidr-not-stored",
        N1,
        "CLIDR_EL1",
        "taken, but KVM_GET_ONE_REG says another value",
        ("CR-004",),
    ),
    Control("CR-005-refused-is-stored", N1, "CLIDR_EL1", "refused, and changed all the same"),
    Control("CR-005-sizes-of-the-first-vcpu", N1, "CCSIDR_EL1[0-13]", "other registers moved", ("CR-004",)),
    Control("CR-005-wrong-errno", N1, "CCSIDR_EL1[0-13]", "ENOENT where a normalised kernel says EINVAL"),
    Control(
        "CR-006-features-drop-sizes",
        N1,
        "CCSIDR_EL1[0]",
        "KVM took it, and reads otherwise afterwards",
        outcomes={"CR-007": "lossy", "CR-008": "transparent"} | _SAME,
    ),
    Control(
        "CR-007-hides-cnp",
        N1,
        "Firecracker",
        "ID_AA64MMFR2_EL1 EINVAL",
        outcomes={"CR-007": "refused", "CR-008": "transparent"} | _SAME | {"CR-009": "differs"},
        breaks=("RULE-1", "RULE-2", "RULE-3"),
    ),
    Control(
        "CR-008-lists-another",
        N1,
        "Firecracker",
        "KVM_REG_ARM_VENDOR_HYP_BMAP_2 ENOENT",
        outcomes={"CR-007": "transparent", "CR-008": "refused"} | _SAME | {"CR-014": "grew"},
        breaks=("RULE-1", "RULE-3"),
    ),
    Control(
        "CR-009-hides-uao",
        N1,
        "ID_AA64MMFR2_EL1.UAO",
        "1 → 0",
        outcomes={"CR-009": "differs", "CR-014": "same", "CR-015": "same"},
    ),
    Control(
        "CR-010-short-lines", N1, "L1I", "lines of 32 B; CTR_EL0 promises 64 B or more", ("CR-005", "CR-018")
    ),
    Control(
        "CR-010-lowered-idc-takes-loc",
        N1,
        "CTR_EL0.IDC",
        "the guest reads 0x8444c004 and CLIDR_EL1 0x21, by which Linux acts as if IDC were 1",
    ),
    Control("CR-011-aarch32-ctr", A57, "CTR_EL0", "EL1 reads 0x8444c004, AArch32 0x8440c004"),
    Control("CR-011-el0-ctr-of-the-cpu", N1, "CTR_EL0", "EL1 reads 0x9444c004, EL0 0x8444c004", ("CR-018",)),
    Control("CR-012-ccsidr2-reads-zero", V1, "CCSIDR2_EL1", "ends in 0x0 instead of UNDEF or TRAPPED"),
    Control(
        "CR-012-ccsidr2-is-kept",
        N1,
        "CCSIDR2_EL1",
        "is listed, though guests have no such register",
        outcomes={"CR-009": "same", "CR-014": "grew", "CR-015": "same"},
    ),
    Control(
        "CR-012-csselr-loses-ind",
        N1,
        "CSSELR_EL1<=1",
        "reads 0x0 after 0x1 was written",
        ("CR-004", "CR-005"),
    ),
    Control(
        "CR-013-mte-shift",
        f"{A710},mte=on",
        "CLIDR_EL1",
        "0x2000031 in a VM with MTE, 0x2000021 in one with nothing",
        twin=A710,
    ),
    Control(
        "CR-013-nvhe-shows",
        f"{N1},mode=nvhe",
        "CLIDR_EL1",
        f"0x2000021 on {N1}, 0x42000021 on {N1},mode=nvhe",
        ("CR-018",),
        twin=N1,
    ),
    Control(
        "CR-014-csselr-not-listed",
        N1,
        "1 register lost",
        "CSSELR_EL1; a VMM that restores every saved register, as QEMU does, refuses to go",
        outcomes={"CR-009": "same", "CR-014": "shrank", "CR-015": "same"},
    ),
    Control(
        "CR-015-shows-ccidx",
        V1,
        "ID_AA64MMFR2_EL1.CCIDX",
        "0 → 1: a VMM that carries the register to the other kernel is refused",
        ("CR-018",),
        outcomes={"CR-009": "differs", "CR-014": "same", "CR-015": "changes"},
    ),
    Control(
        "CR-015-wide-sizes",
        N1,
        "ID_AA64MMFR2_EL1.CCIDX",
        "reads 0, but CCSIDR_EL1[0-13] use bits above 31",
        ("CR-001", "CR-002", "CR-004", "CR-005", "CR-018"),
        outcomes={"CR-009": "differs", "CR-014": "same", "CR-015": "contradicts"},
    ),
    Control(
        "CR-017-warns",
        N1,
        "WARN",
        "access_clidr+",
        outcomes={"CR-009": "same", "CR-014": "same", "CR-015": "same"},
    ),
    Control(
        "CR-018-unified-on-level-2", V1, "CLIDR_EL1", "0x2000020; a normalised kernel shows 0x1000004", ()
    ),
    Control("CR-019-panics", N1, "boot 1", "the kernel panicked: no room for the caches of guests"),
    Control(
        "CR-020-many-cpus-hide-cnp",
        f"{N1},cpus=4",
        "Firecracker",
        "ID_AA64MMFR2_EL1 EINVAL",
        outcomes={"CR-020": "refused"},
        twin=N1,
    ),
)

#: What 6.1 tells userspace on N1, but for what belongs to a host: values that a VMM gives to VMs.
PROFILE = {
    "CLIDR_EL1": Hex(0x82000023),
    "CCSIDR_EL1[0]": Hex(0x701FE01A),
    "CCSIDR_EL1[1]": Hex(0x201FE01A),
    "CCSIDR_EL1[2]": Hex(0x70FFE03A),
}

#: Checks for which no kernel fault is seeded here, and why not.
WITHOUT = {
    "CR-016": "judged where it is asked for: suites/selftest/emulated/test_linux_guest.py has its fault"
}
