"""Profiles: of recorded boots, and one of which every value is known."""

from dataclasses import replace

from recorded import capture

from ccsight.evidence import profile_file
from ccsight.evidence.profile import CoreProfile, Profile, Shown
from ccsight.evidence.record import Hex
from ccsight.kvm.profiles import made_of

DIGEST = "ab" * 32

TEXT = """
schema = 1
[kernel]
spec = "deb:6.1"
release = "6.1.0-56-arm64"
build_id = "0ed2"
[machine]
spec = "silicon:graviton3"
substrate = "emulated"
emulator = "QEMU 11.1.2"
[capture]
sha256 = "abab"
[core.graviton3]
midr = "0x411fd401"
revidr = "0x0"
cpus = [0, 1]
[core.graviton3.userspace]
CTR_EL0 = "0xb444c004"
CLIDR_EL1 = "0x82000023"
CCSIDR_EL1 = { 0 = "0x1a", 1 = "0x1a", 2 = "0x3a" }
ID_AA64MMFR2_EL1 = { CCIDX = 1 }
[core.graviton3.guest]
CCSIDR_EL1 = { 0 = "0xff0000001a", 1 = "0xff0000001a", 2 = "0x7ff0000003a" }
"""


def graviton3() -> Profile:
    return profile_file.read(TEXT, "graviton3.toml")


def recorded(model: str, series: str = "6.1") -> Profile:
    return made_of(capture(model, series), DIGEST)


def core(profile: Profile) -> CoreProfile:
    (only,) = profile.cores
    return only


def changed(shown: Shown, **values: object) -> Shown:
    """Return what was shown with some values replaced: ``ctr``, ``clidr``, ``ccidx``, ``ccsidr``."""
    return replace(shown, **{name: Hex(v) if isinstance(v, int) else v for name, v in values.items()})
