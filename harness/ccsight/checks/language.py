"""The language of predicates as users are told it: a form and what it says, a row each."""

from ccsight.arm64.registers import REGISTERS
from ccsight.checks import places
from ccsight.checks.migration import STRATEGIES
from ccsight.evidence.views import Vantage
from ccsight.kvm.vmms import VMMS, Outcome

_VMMS = ", ".join(vmm.name for vmm in VMMS)
_PROGRAMS = ", ".join(dict.fromkeys(source.title for source in places.SOURCES))

LANGUAGE = (
    (
        "guest.CLIDR_EL1.LoC == 2",
        "a field is so in every view: of each vCPU, phase, program and CPU; also != < <= > >=",
    ),
    (
        "CLIDR_EL1 == 0x82000023",
        "a register; where no vantage is named, from every one that reads it, but hardware",
    ),
    ("guest(vcpu=1,phase=cpu-on).CLIDR_EL1.LoC == 2", "in such views only; also program= and cpu="),
    (
        "guest.CCSIDR_EL1[2].NumSets >= 1023",
        "fields are as they lie in the register: NumSets and Associativity are one less than they count",
    ),
    ("guest.CLIDR_EL1.Ctype2 == unified", "a field's word; in quotes where it has blanks"),
    ("guest.CCSIDR_EL1[3] == UNDEF", "what came in place of a value: UNDEF, TRAPPED, ENOENT …"),
    (
        "guest == userspace",
        "CTR_EL0, CLIDR_EL1 and CCSIDR_EL1 are the same wherever both have read them; != is its no",
    ),
    ("guest == hardware", "... and what each CPU says of itself, where a VM was pinned to it"),
    ("check CR-004", "the law passes"),
    (
        "migrate(deb:6.1 -> this) is transparent",
        "what becomes of that kernel's VMs on this one, at worst; roll-back is this -> deb:6.1",
    ),
    ("migrate(deb:6.1 -> this) at worst visible", f"this, or better; worst first: {', '.join(Outcome)}"),
    (
        "migrate(deb:6.1 -> this,vmm=Firecracker) is lossy",
        f"with some only; VMMs: {_VMMS}; also strategy=: {', '.join(STRATEGIES)}",
    ),
    ("same as FILE", "every reading of the launch is that of another capture.json, or of its folder's"),
    ("console has UBSAN", "the host's console shows this text; in quotes where it has blanks"),
    (
        "not A, A and B, A or B, (A)",
        "what nobody observed decides nothing: A and B is no where B is no, A or B is yes where B is yes",
    ),
    (
        "not CTR_EL0 == 0x2, and CTR_EL0 != 0x2",
        "are two things: it is something else in some view; it is in all of them",
    ),
    ("vantages", ", ".join(Vantage)),
    ("registers", f"{', '.join(REGISTERS)}, and others as captures have them; odd names in quotes"),
    ("phases", ", ".join(places.phases())),
    (
        "programs",
        f"{_PROGRAMS}; life-overridden (a VMM wrote values) and features (it gave MTE or EL2) only by name",
    ),
)
