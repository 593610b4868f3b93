"""What VMs showed in recorded boots that were given something: nothing here is made up."""

import gzip

import msgspec
from recorded import STREAMS, capture

from ccsight.evidence.model import Capture
from ccsight.probes import features
from ccsight.probes.script import results
from ccsight.probes.stream import parse

#: Boots: MTE on Linux 6.12; MTE and EL2 on 7.3, with kvm-arm.mode=nested. Both on QEMU's max.
MTE, NESTED = "max-6.12", "max-nested-7.3"
CPU = 0


def gave(boot: str, edit=lambda raw: raw, *, asked=lambda raw: raw) -> features.Gave:
    """Return the evidence of a boot, after changes to what ccprobe sent."""
    script, steps = features.asked()
    found = results(parse(asked(_stream(boot, "features-asked")), boot), script)
    says = {name: found[step].says for name, step in steps.items()}
    script, read = features.giving(says, CPU)
    return read(results(parse(edit(_stream(boot, "features")), boot), script))


def given(boot: str, seen: Capture | None = None) -> Capture:
    """Return a capture of a plain machine, to which what was given in a boot is added."""
    found = gave(boot)
    seen = seen or capture("neoverse-v1", "6.12")  # with the CTR_EL0 of max
    return msgspec.structs.replace(
        seen,
        views=seen.views + found.views,
        lists_given=found.lists,
        programs=seen.programs | {"features.img": "0" * 64},
    )


def _stream(boot: str, name: str) -> bytes:
    return gzip.decompress((STREAMS / "features" / f"{boot}-{name}.stream.gz").read_bytes())
