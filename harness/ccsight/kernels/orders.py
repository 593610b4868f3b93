"""What ``ccsight build`` answers: kernels that are there now, or what building them would take."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Built:
    """A kernel that is there now, and how long that took."""

    spec: str
    release: str
    build_id: str
    image: str
    code_sha256: str
    config_sha256: str
    toolchain: str
    seconds: float


@dataclass(frozen=True)
class Ordered:
    """A kernel that would be built, or that the store has."""

    spec: str
    source: str
    tree: str
    patches: tuple[str, ...]
    fragments: tuple[str, ...]
    toolchain: str
    key: str
    stored: bool
