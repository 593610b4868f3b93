"""What is said of a bundle that is whole: which run it has, its root hash, and who signed it."""

from dataclasses import dataclass
from pathlib import Path

from ccsight.evidence.bundle import Bundle
from ccsight.evidence.manifest import BUNDLE_SCHEMA
from ccsight.evidence.record import Record, to_json
from ccsight.report.blocks import Line, Page, Spans, Tone, spans
from ccsight.toolbox.signing import Signer
from ccsight.toolbox.tools import megabytes


@dataclass(frozen=True)
class Proved:
    """A bundle that is whole, and who signed it; None where nobody did."""

    file: Path
    bundle: Bundle
    signer: Signer | None = None


class Document(Record, frozen=True):
    """What ``show --bundle`` and ``show --verify`` print with ``--json``.

    ``size`` is that of the files, in bytes. ``signed`` says that a signature fits the root hash, ``key`` with
    which key; ``signer`` is null where no file of signers says whose it is.
    """

    schema: int
    file: str
    run: str
    ccsight: str
    files: int
    size: int
    root: str
    signed: bool
    key: str | None
    signer: str | None


def render(proved: Proved) -> Page:
    """Return the page: a line for each thing that is known."""
    manifest = proved.bundle.manifest
    size = megabytes(sum(member.size for member in manifest.members))
    rows = (
        (
            "bundle",
            spans((f"{proved.file}", Tone.STRONG), "  ", ("every byte is as it was packed", Tone.GOOD)),
        ),
        (
            "run",
            spans(f"{manifest.run}  {len(manifest.members)} files, {size}, by ccsight {manifest.ccsight}"),
        ),
        ("root", spans(manifest.root)),
        ("signed", _signed(proved.signer)),
        ("show it", spans(f"ccsight show {proved.file}")),
    )
    return tuple(Line((*spans((f"{head:<8} ", Tone.DIM)), *said)) for head, said in rows)


def _signed(signer: Signer | None) -> Spans:
    if signer is None:
        return spans(("by nobody: whoever altered it could have packed it again", Tone.CAUTION))
    if signer.principal:
        return spans(
            ("by ", Tone.DIM), (signer.principal, Tone.GOOD), f"  {signer.kind} {signer.fingerprint}"
        )
    return spans(
        ("by an unknown key", Tone.CAUTION),
        f"  {signer.kind} {signer.fingerprint}; whose it is says --signers FILE",
    )


def document(proved: Proved) -> bytes:
    """Return the same as JSON: :class:`Document`."""
    manifest, signer = proved.bundle.manifest, proved.signer
    return to_json(
        Document(
            schema=BUNDLE_SCHEMA,
            file=f"{proved.file}",
            run=manifest.run,
            ccsight=manifest.ccsight,
            files=len(manifest.members),
            size=sum(member.size for member in manifest.members),
            root=manifest.root,
            signed=signer is not None,
            key=f"{signer.kind} {signer.fingerprint}" if signer else None,
            signer=(signer.principal or None) if signer else None,
        )
    )
