"""Signatures of bundles, with the keys that people have: ``ssh-keygen -Y`` of OpenSSH.

What is signed is the root hash of a bundle, as one line. A key that has a passphrase is used through
ssh-agent, by its public half: nothing asks here.
"""

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from ccsight import process
from ccsight.deadline import Deadline
from ccsight.errors import EvidenceError, ToolMissing, UsageError
from ccsight.scratch import Scratch

NAMESPACE = "ccsight"
#: ssh-keygen reads what was signed from its standard input, which our door closes; the shell opens it.
_FROM_FILE = ("sh", "-c", 'file=$1; shift; exec "$@" <"$file"', "sh")
_KEY = re.compile(r"with (\S+) key (SHA256:\S+)")
_ENGLISH = {"LC_ALL": "C"}


@dataclass(frozen=True)
class Signer:
    """Who signed: the key's kind and fingerprint; ``principal`` is its name in the file of signers.

    That is "" where there is no such file: the key fits the signature, and no more is known.
    """

    kind: str
    fingerprint: str
    principal: str = ""


def sign(key: Path, root: str, deadline: Deadline) -> bytes:
    """Return the signature of a root hash. Raises UsageError for a key that cannot sign, ToolMissing."""
    with Scratch() as place:
        message = _message(Path(place), root)
        argv = ("ssh-keygen", "-Y", "sign", "-n", NAMESPACE, "-f", str(key), str(message))
        done = process.run(argv, deadline, env=_ENGLISH, expect=None)
        if done.returncode:
            raise UsageError(
                f"{key} cannot sign",
                evidence=_last(done),
                next_step="name a private key of SSH; one with a passphrase: ssh-add it, and name its .pub",
            )
        return message.with_suffix(".sig").read_bytes()


def signer(signature: bytes, root: str, signers: Path | None, deadline: Deadline) -> Signer:
    """Return who signed a root hash, by a file of ALLOWED SIGNERS (ssh-keygen(1)) where there is one.

    Raises EvidenceError for a signature of something else, or by nobody whom the file names; UsageError
    where there is no such file, ToolMissing.
    """
    if signers and not signers.is_file():
        raise UsageError(
            f"there is no file {signers}",
            next_step="write it: a line for each signer, such as: ann@example.org ssh-ed25519 AAAA…",
        )
    if not shutil.which("ssh-keygen"):  # of the shell below nobody would know
        raise ToolMissing("ssh-keygen is not on this system", next_step="ccsight doctor")
    with Scratch() as place:
        message = _message(Path(place), root)
        file = message.with_suffix(".sig")
        file.write_bytes(signature)
        who = _principal(file, signers, deadline) if signers else ""
        how = ("verify", "-f", str(signers), "-I", who) if signers else ("check-novalidate",)
        argv = ("ssh-keygen", "-Y", *how, "-n", NAMESPACE, "-s", str(file))
        done = process.run((*_FROM_FILE, str(message), *argv), deadline, env=_ENGLISH, expect=None)
    found = _KEY.search(done.text)
    if done.returncode or not found:
        raise EvidenceError(
            "the signature is not one of this bundle",
            evidence=_last(done),
            next_step="do not trust it; ask its maker to sign it again",
        )
    return Signer(found[1], found[2], who)


def _principal(signature: Path, signers: Path, deadline: Deadline) -> str:
    """Return the name that a file of signers has for the key of a signature."""
    argv = ("ssh-keygen", "-Y", "find-principals", "-s", str(signature), "-f", str(signers))
    done = process.run(argv, deadline, env=_ENGLISH, expect=None)
    name = done.text.split("\n")[0].strip()
    if done.returncode or not name:
        raise EvidenceError(
            f"nobody whom {signers} names has signed the bundle",
            evidence=_last(done),
            next_step="see whose key it is: the same without --signers",
        )
    return name


def _message(place: Path, root: str) -> Path:
    message = place / "root"
    message.write_text(f"{root}\n")
    return message


def _last(done: process.Completed) -> str:
    said = (done.stderr or done.stdout).decode(errors="replace").strip()
    return "; ".join(line.strip() for line in said.splitlines()[-2:])
