"""What a Linux guest was told of its caches and what it made of it: a record for each way to tell it."""

from ccsight.evidence.record import Hex, Record

#: Where the device tree's caches come from. What the vCPU's CLIDR_EL1 lists ...
CLIDR = "clidr"
#: ... what the host's own sysfs says, as small VMMs do it ...
SYSFS = "sysfs"
#: ... the same, with a CLIDR_EL1 made of it written to every vCPU, as Firecracker does.
OVERRIDE = "sysfs and CLIDR_EL1"
#: What CLIDR_EL1 lists, and a CTR_EL0 without IDC and DIC written, as for a migration to a lesser host.
LOWERED = "clidr, and CTR_EL0 without IDC and DIC"

#: How a guest ends that has said all.
OFF = "off"
#: ... and one of which nothing was observed, which no kernel is to blame for.
LOST = "not observed"


class Leaf(Record, frozen=True):
    """One cache as Linux counts them: level, ``Data``, ``Instruction`` or ``Unified``; sizes in bytes.

    None is what was not told, and so are type "" and level 0. ``shared`` is the list of CPUs that share it,
    in the kernel's manner.
    """

    level: int
    type: str
    size: int | None = None
    line: int | None = None
    ways: int | None = None
    sets: int | None = None
    shared: str = ""

    @property
    def name(self) -> str:
        """``L1D``, ``L1I``, ``L2``."""
        return f"L{self.level}{self.type[:1] if self.type != 'Unified' else ''}"


class Domain(Record, frozen=True):
    """A scheduler domain of a CPU; ``shares_cache`` is whether its CPUs share the last cache."""

    name: str
    shares_cache: bool


class LinuxCpu(Record, frozen=True):
    """A CPU that the guest has brought up. ``leaves`` is None where it has no cache directory in sysfs."""

    index: int
    leaves: tuple[Leaf, ...] | None
    domains: tuple[Domain, ...] = ()


class LinuxGuest(Record, frozen=True):
    """One boot of the host's own kernel as a guest.

    ``device_tree`` is one of the words above, ``described`` the caches in it. ``override`` is the CLIDR_EL1
    and ``ctr`` the CTR_EL0 that was written to every vCPU before, None where none was, ``refused`` the errno
    if it was not taken.
    ``clidr_start`` and ``clidr_end`` are what KVM_GET_ONE_REG says of each vCPU before and after the guest
    ran. ``end`` is ``off`` where the guest came to its end, else what ccprobe said of it; then ``console``
    has the kernel's last words, or the reason why nothing was observed. ``domains_told`` tells whether the
    kernel shows its scheduler domains at all; ``messages`` are the lines of its log that matter here.
    ``lscpu`` is what ``lscpu -C`` showed, "" where it did not run.
    """

    device_tree: str
    vcpus: int
    described: tuple[Leaf, ...]
    end: str
    override: Hex | None = None
    ctr: Hex | None = None
    refused: str = ""
    clidr_start: tuple[Hex, ...] = ()
    clidr_end: tuple[Hex, ...] = ()
    cpus: tuple[LinuxCpu, ...] = ()
    domains_told: bool = False
    messages: tuple[str, ...] = ()
    console: tuple[str, ...] = ()
    lscpu: str = ""

    @property
    def clidr(self) -> int | None:
        """The CLIDR_EL1 that every vCPU shall have: what the VMM wrote, else what there was."""
        if self.override is not None and not self.refused:
            return self.override
        return self.clidr_start[0] if self.clidr_start else None
