"""From a boot that has proved itself to what evidence says of its kernel and its machine."""

from ccsight.evidence.model import Declared, KernelFacts, MachineFacts, Substrate
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
    # A system under emulation cannot see that it is; whoever started the emulator can.
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
    )
