"""Two captures of the same boot, one taken in another way than the other: what differs that must not."""

import re
from collections.abc import Iterator

import msgspec

from ccsight.evidence.model import Capture

#: Who asked, from where, and when: the parts of a capture that are not what the machine said.
LEFT_OUT = {
    "schema", "cell", "seconds", "programs",
    "kernel.spec", "kernel.label", "kernel.image_sha256", "kernel.packages", "kernel.build",
    "machine.spec", "machine.boot_id",
    # what only who started an emulator can know of it
    "machine.substrate", "machine.emulator", "machine.argv", "machine.declared",
    # a log on the machine has the lines that its console hides
    "console.file", "console.lines", "console.splats",
    # a VM that was saved holds its timers, which count on: which registers moved is compared, not how far
    "saved[].sha256", "restored[].sha256", "restored[].source.machine", "restored[].source.kernel",
    "restored[].left[].saved.value", "restored[].left[].now.value",
}  # fmt: skip


def unlike(one: Capture, other: Capture) -> tuple[str, ...]:
    """Return what two captures say differently: ``views[3].readings.CTR_EL0.value: 0x1 / 0x2``."""
    return tuple(_differences(_plain(one), _plain(other), ""))


def images(capture: Capture) -> dict[str, str]:
    """Return the hashes of the guests that ran; the probe has another form in another way."""
    return {name: digest for name, digest in capture.programs.items() if not name.startswith("ccprobe")}


def _plain(capture: Capture) -> object:
    return msgspec.to_builtins(capture, enc_hook=hex)


def _differences(one: object, other: object, path: str) -> Iterator[str]:
    if re.sub(r"\d+(?=])", "", path) in LEFT_OUT:
        return
    if isinstance(one, dict) and isinstance(other, dict):
        for key in dict.fromkeys([*one, *other]):
            inner = f"{path}.{key}" if path else key
            yield from _differences(one.get(key, "nothing"), other.get(key, "nothing"), inner)
    elif isinstance(one, list | tuple) and isinstance(other, list | tuple):
        if len(one) != len(other):
            yield f"{path}: {len(one)} of them / {len(other)} of them"
        for index, (mine, yours) in enumerate(zip(one, other, strict=False)):
            yield from _differences(mine, yours, f"{path}[{index}]")
    elif one != other:
        yield f"{path}: {one} / {other}"
