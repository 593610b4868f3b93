"""What to do when a check says something: a row for each that has more to say than its findings."""

from ccsight.checks.registry import Comparison, named

_ADVICE = {
    "CR-001": "trust the guest's value: a VMM that checks or copies userspace's would be wrong about its "
    "guest",
    "CR-002": "the cache in the finding is listed by CLIDR_EL1: look at the kernel's get_ccsidr() and "
    "reset_clidr()",
    "CR-003": "pin VMs to CPUs of one kind, or run a kernel that fabricates the registers (Linux 6.3 or "
    "newer)",
    "CR-004": "write the registers again after a reset, or do not reset or hot-plug vCPUs on that kernel",
    "CR-005": "ccsight explain SET REGISTER ERRNO has the rule that refuses; a VMM must read back what it "
    "wrote",
    "CR-009": "nothing fails; read the sentences: they say what a guest that is launched there notices",
    "CR-010": "do not let guests run self-modifying code or JITs on such a machine until it is mended",
    "CR-011": "a guest must read the registers at EL1: what EL0 or AArch32 is shown there is something else",
    "CR-012": "look at the kernel's access_csselr() and access_ccsidr(), and at what it traps",
    "CR-013": "compare the cells' tables: the mode or MTE must not show in the cache registers",
    "CR-014": "migrate only towards the kernel that lists more registers, or hide the new ones from the VMM",
    "CR-015": "a guest must look at ID_AA64MMFR2_EL1.CCIDX before it takes CCSIDR_EL1 apart",
    "CR-016": "compare device tree and CLIDR_EL1 in the finding: a VMM must make both of one source",
    "CR-017": "read the console at FILE:LINE of the finding; the splat's call trace names the function",
    "CR-018": "a value is none that the model knows: is the kernel patched? else the model lacks a row",
    "CR-019": "read the console of the finding from its end: what the patch does that its base does not",
    "CR-020": "the findings name what is refused: ccsight profile common MACHINE... has the cache values "
    "that both take; other ID registers are the VMM's to lower",
}
_LAW = "the findings name register, vCPU and CPU, and the report has the capture they are from"
_COMPARISON = "nothing fails: it is measured, and what it means to a guest or a VMM is in its sentences"


def advice(check: str) -> str:
    """Return what to do about a check's findings. Raises UsageError for an unknown check."""
    default = _COMPARISON if isinstance(named(check), Comparison) else _LAW
    return _ADVICE.get(check, default)
