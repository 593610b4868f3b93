"""The keys of one boot: who the machine is, and who may log in. Made anew each time, kept in memory only.

cryptography is imported when keys are made: where nothing is booted, it need not be there.
"""

import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

_KIND = b"ssh-ed25519"


@dataclass(frozen=True)
class BootKeys:
    """``host_private`` is in dropbear's format; the others in OpenSSH's, public keys as one line."""

    host_public: str
    client_public: str
    host_private: bytes = field(repr=False)
    client_private: str = field(repr=False)


def fresh() -> BootKeys:
    """Make a host key and a client key."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    host, client = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    private = client.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    return BootKeys(_line(host), _line(client), _dropbear(host), private.decode())


def _line(key: "Ed25519PrivateKey") -> str:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


def _dropbear(key: "Ed25519PrivateKey") -> bytes:
    """Return a key as dropbear's ed25519.c reads it: SSH strings of the type, and of seed and public key."""
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        NoEncryption,
        PrivateFormat,
        PublicFormat,
    )

    seed = key.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
    public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return _string(_KIND) + _string(seed + public)


def _string(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data
