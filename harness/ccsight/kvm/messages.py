"""What VMMs and kernels say where the cache registers are at fault, as rows: in words, and what to do.

``sample`` is as it was really printed; the tests find each by its row's pattern.
"""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Message:
    """A message: who prints it, how it is told, one that was printed, what it means and what to do."""

    who: str
    pattern: str
    sample: str
    says: str
    next_step: str
    source: str = ""


_PIN = "pin the VMM to CPUs of one kind (taskset -c LIST …), or run Linux 6.3 or newer on the host"

MESSAGES = (
    Message(
        "QEMU",
        r"failed to load cpu:cpreg_vmstate_array_len|expecting positive value <= \d+",
        "qemu-system-aarch64: Failed to load cpu:cpreg_vmstate_array_len",
        "the saved state has more registers than this host's KVM lists: the source's kernel knows registers "
        "that this one does not, or lists all fourteen CCSIDR_EL1 while this one lists those of its CPUs",
        "ccsight compare OLD NEW names them (CR-014), and so does QEMU 11.1, which tolerates TCR2_EL1, "
        "PIR_EL1 and PIRE0_EL1; else go from the shorter list to the longer one only",
        "QEMU target/arm/machine.c",
    ),
    Message(
        "QEMU",
        r"handle_cpreg_only_in_incoming_stream",
        "qemu-system-aarch64: handle_cpreg_only_in_incoming_stream: demuxed reg 6020000000110003 in the "
        "incoming stream but unknown on the destination: fail migration",
        "the source sent a register that this host's KVM does not list, and that QEMU does not tolerate: a "
        "demuxed one is a CCSIDR_EL1, of which kernels since v6.3 list all fourteen. QEMU 11.1.2 goes on all "
        "the same: what stops it is a register that it could not set",
        'see the lines behind it: without "Could not set register" the guest runs here, without this one',
        "QEMU target/arm: arm_register_cpreg_mig_tolerance(), since 11.1",
    ),
    Message(
        "QEMU",
        r"handle_cpreg_missing_in_incoming_stream",
        "qemu-system-aarch64: warning: handle_cpreg_missing_in_incoming_stream: demuxed reg 6020000000110003 "
        "expected by the destination but not in the incoming stream: skip it",
        "this host's KVM lists a register that the source did not send: the guest goes on, with the value "
        "that a fresh VM has here; a demuxed one is a CCSIDR_EL1 of a cache that there was not",
        "harmless, if the guest asks for no cache that CLIDR_EL1 does not list: a warning",
        "QEMU target/arm: arm_register_cpreg_mig_tolerance(), since 11.1",
    ),
    Message(
        "QEMU",
        r"Sibling indicated error",
        "qemu-system-aarch64: RP: Sibling indicated error 1",
        "the destination's QEMU could not take the guest, and said so (return-path): the guest goes on here",
        "read what the destination's QEMU said; ccsight explain knows its messages",
        "QEMU migration/migration.c: source_return_path_thread()",
    ),
    Message(
        "QEMU",
        r"error while loading state for instance \S+ of device 'cpu'",
        "qemu-system-aarch64: error while loading state for instance 0x0 of device 'cpu'",
        "the destination's QEMU cannot take a vCPU: too many registers come, or KVM refused a value. "
        "Without return-path the source thinks that all went well, and has stopped the guest",
        "at the source, cont in the monitor: the guest goes on; ccsight compare OLD NEW names the registers",
        "QEMU migration/savevm.c",
    ),
    Message(
        "QEMU, or the guest's kernel",
        r"failed to boot CPU\d+",
        "psci: failed to boot CPU1 (-22)",
        "KVM refused the registers of a vCPU that came up on another kind of core than the first one: up to "
        "Linux 6.2 a CCSIDR_EL1 is taken only by a CPU that has the same value (QEMU issue 1595)",
        f"{_PIN}; see it happen: ccsight compare --on silicon:rk3588",
        "QEMU issue 1595",
    ),
    Message(
        "QEMU",
        r"Could not set register (demuxed|system|core|fw)",
        "Could not set register demuxed reg 6020000000110000 to 12 (is 34)",
        "KVM has another value for this register, and does not let QEMU change it; a demuxed one is a "
        "CCSIDR_EL1, whose last digits are the selector",
        f"same kind of CPU on both sides? else {_PIN}",
        "QEMU target/arm/kvm.c",
    ),
    Message(
        "QEMU",
        r"Failed to put registers after init",
        "qemu-system-aarch64: Failed to put registers after init: Invalid argument",
        "KVM refused one of the registers that QEMU wrote to a fresh vCPU: on a host with several kinds of "
        "core "
        "one that depends on the CPU, else one that the saved state has from another host",
        _PIN,
        "QEMU accel/kvm/kvm-all.c",
    ),
    Message(
        "QEMU",
        r"kvm_arm_set\w*.*Invalid argument|kvm_arch_(init_vcpu|put_registers).*Invalid argument",
        "kvm_init_vcpu: kvm_arch_init_vcpu failed (0): Invalid argument",
        "KVM refused what QEMU asked for: a register's value, or a feature that this host does not have",
        "ccsight explain 'SET CCSIDR_EL1 EINVAL' has the rules; strace -e ioctl shows which id it was",
    ),
    Message(
        "Firecracker",
        r"Failed to set (ARM )?register",
        "Failed to set register 0x6020000000110002: Invalid argument (os error 22)",
        "a snapshot is restored on a host whose KVM refuses one of its registers: the id in the message is "
        "the "
        "register, the errno the rule",
        "restore on the kernel and the kind of CPU that it was taken on; ccsight compare OLD NEW tells "
        "what differs",
        "Firecracker src/vmm/src/arch/aarch64/vcpu.rs",
    ),
    Message(
        "the host's kernel",
        r"shift-out-of-bounds in \S*arch/arm64/kvm/sys_regs\.c",
        "UBSAN: shift-out-of-bounds in arch/arm64/kvm/sys_regs.c:1988:14",
        "reset_clidr() shifts an int by 33 or more to say that a VM with MTE has tags: CLIDR_EL1.Ttype is "
        "lost "
        "or wrong in guests of that kernel",
        "take a kernel with c6c167afa090 (v6.12; 6.6 and 6.11 have it by stable)",
        'Linux c6c167afa090 ("KVM: arm64: Fix shift-out-of-bounds bug")',
    ),
    Message(
        "the guest's kernel",
        r"Unable to detect cache hierarchy for CPU",
        "cacheinfo: Unable to detect cache hierarchy for CPU 0",
        "the guest found neither a device tree nor ACPI tables that describe its caches, so it has none in "
        "/sys/devices/system/cpu/cpu*/cache beyond what CLIDR_EL1 lists; it runs all the same",
        "harmless; tools that size buffers by it need the VMM to describe the caches",
        "Linux drivers/base/cacheinfo.c",
    ),
    Message(
        "the guest's kernel",
        r"Early cacheinfo (allocation )?failed, ret = ",
        "Early cacheinfo failed, ret = -12",
        "the guest could not describe its caches so early: nothing in the device tree or ACPI does (-2), or "
        "there is no memory yet (-12); cacheinfo tries again later",
        "harmless; newer guests say nothing for -2",
        "Linux drivers/base/arch_topology.c: init_cpu_topology()",
    ),
)


def messages(text: str) -> tuple[Message, ...]:
    """Return the rows that a text, of one line or many, has a message of."""
    return tuple(row for row in MESSAGES if re.search(row.pattern, text, re.IGNORECASE))
