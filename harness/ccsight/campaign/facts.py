"""From a boot that has proved itself to what evidence says of its kernel and its machine."""

from ccsight.arm64.registers import REGISTERS
from ccsight.errors import ProbeError
from ccsight.evidence.model import Declared, KernelFacts, MachineFacts, Substrate
from ccsight.evidence.views import View
from ccsight.kernels.model import Kernel
from ccsight.machines.model import Booted
from ccsight.probes.identity import Identity


def kernel_facts(spec: str, kernel: Kernel, identity: Identity) -> KernelFacts:
    """Return which kernel it was: what was asked for, and what the running one says of itself."""
    return KernelFacts(
        spec=spec,
        label=kernel.label,
        release=identity.release,
        banner=identity.banner,
        build_id=identity.build_id,
        image_sha256=kernel.image_sha256,
        packages=kernel.packages,
        build=kernel.build,
    )


def machine_facts(
    spec: str, identity: Identity, booted: Booted, declared: tuple[Declared, ...]
) -> MachineFacts:
    """Return which machine it was, as observed, and how it was started."""
    # A system under emulation seldom sees that it is; whoever started the emulator does.
    substrate = Substrate.EMULATED if booted.emulator else identity.substrate
    return MachineFacts(
        spec=spec,
        substrate=substrate,
        compatible=identity.compatible,
        boot_id=identity.boot_id,
        command_line=identity.command_line,
        cpus=identity.cpus,
        emulator=booted.emulator,
        argv=booted.argv,
        cpu_features=identity.cpu_features,
        declared=declared,
        reboot=booted.reboot,
    )


def prove_declared(declared: tuple[Declared, ...], hardware: tuple[View, ...]) -> None:
    """Raise unless every CPU reads what the silicon table declares of it, where the host's kernel looked."""
    for row, view in zip(declared, hardware, strict=False):
        for name, wanted in row.registers.items():
            found = _read(view, name)
            if found not in (None, wanted):
                raise ProbeError(
                    f"CPU {row.cpu} does not read what the silicon table declares",
                    evidence=f"{name} is {found:#x}, declared {wanted:#x}",
                    next_step="the plugin for silicon: machines is at fault; see silicon.json of this boot",
                )


def _read(view: View, name: str) -> int | None:
    """Return what a view has of a register, or of a ``REGISTER.FIELD``; None where it was not read."""
    register, _, field = name.partition(".")
    value = view.value(register)
    if value is None or not field:
        return value
    return REGISTERS[register].field(field).extract(value) if register in REGISTERS else None
