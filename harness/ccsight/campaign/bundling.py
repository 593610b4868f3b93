"""A run on its way: packed into a bundle with all that belongs to it, and proved where it arrives."""

from pathlib import Path

from ccsight.deadline import Deadline
from ccsight.errors import EvidenceError, UsageError, reason
from ccsight.evidence import bundle
from ccsight.evidence.bundle import Bundle
from ccsight.evidence.manifest import POLICY, names_a_run
from ccsight.evidence.run import Run
from ccsight.kernels.configs import config_of
from ccsight.report.bundle import Proved
from ccsight.toolbox import signing

_SECONDS = 60.0


def pack(run: Run, file: Path, *, key: Path | None = None, policy: Path | None = None) -> Proved:
    """Pack a run into a file, signed with a key where one is given, and prove the file. Raises UsageError."""
    if not names_a_run(run.plan.id):
        raise EvidenceError(f"{run.folder} is of a run with an odd name", evidence=repr(run.plan.id))
    contents: dict[str, bytes | Path] = {**bundle.files_of(run.folder)}
    for kernel in run.plan.kernels:
        config = config_of(kernel)
        contents |= {f"kernels/{kernel.image_sha256}.config": config} if config else {}
    contents |= {POLICY: _policy(policy)} if policy else {}
    manifest = bundle.manifest(run.plan.id, contents)
    signature = signing.sign(key, manifest.root, Deadline(_SECONDS)) if key else b""
    bundle.pack(file, Bundle(manifest, signature), contents)
    return verify(file)


def _policy(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read",
            evidence=reason(error),
            next_step="--policy takes a file that gate takes: ccsight gate --example",
        ) from error


def verify(file: Path, signers: Path | None = None) -> Proved:
    """Prove that nothing in a bundle was altered, and that its signature is one of it.

    With ``signers``, that one of them has signed it. Raises EvidenceError or UsageError.
    """
    if file.is_dir():
        raise UsageError(
            f"{file} is a run's folder, not a bundle: nothing says what it held",
            next_step=f"pack it first: ccsight show {file} --bundle FILE",
        )
    if not file.is_file():
        raise UsageError(
            f"there is no file {file}", next_step="name a bundle; ccsight show --bundle makes one"
        )
    found = bundle.verified(file)
    if found.signature:
        who = signing.signer(found.signature, found.manifest.root, signers, Deadline(_SECONDS))
        return Proved(file, found, who)
    if signers:
        raise EvidenceError(
            f"{file} is whole, but nobody has signed it",
            evidence="it has no manifest.sig",
            next_step="ask its maker for one: ccsight show RUN --bundle FILE --sign KEYFILE",
        )
    return Proved(file, found)
