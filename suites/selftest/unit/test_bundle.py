"""A bundle shows what the run's folder shows, and no altered, cut or hostile one is ever used."""

import json
import shutil
import struct
import zipfile
import zlib
from contextlib import suppress

import bundle_samples as samples
import pytest
from bundle_samples import archive_of, bundle_of, manifested, plain, rehashed, run_in, sealed, small
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from ccsight.cli import run as ccsight
from ccsight.errors import EvidenceError, UsageError
from ccsight.evidence import archive
from ccsight.evidence.bundle import files_of, opened, verified
from ccsight.evidence.manifest import Member, belongs, manifest_of, names_a_run
from ccsight.evidence.run import Run, find_run, read_capture
from ccsight.report.model import Result

PLAN = b'{"id": "2026"}'
SMALL = small()
SIGNED = small(b"-----BEGIN SSH SIGNATURE-----\n" * 9)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return run_in(tmp_path_factory.mktemp("results"))


@pytest.fixture(scope="module")
def packed(tmp_path_factory, run):
    return bundle_of(run, tmp_path_factory.mktemp("bundles") / "run.zip")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("altered")


def refused(place, data, words=""):
    """Prove that a file is refused as a bundle, with one message in three lines, and that nothing is left."""
    file, into = place / "odd.zip", place / "into"
    file.write_bytes(data)
    with pytest.raises(EvidenceError) as caught:
        verified(file, into)
    shutil.rmtree(into, ignore_errors=True)
    assert caught.value.exit_code == 2
    assert caught.value.fact == f"{file} is not a whole bundle"
    assert words in caught.value.evidence
    assert caught.value.next_step
    assert not [path for path in place.iterdir() if path != file]
    return caught.value.evidence


def test_a_bundle_holds_the_evidence_and_nothing_else(run, packed):
    names = [member.name for member in verified(packed).manifest.members]
    assert names == sorted(files_of(run.folder))
    assert len(names) == 1 + 4 * 2
    assert not [name for name in names if "lock" in name or "html" in name]
    with opened(packed) as folder:
        assert {name: path.read_bytes() for name, path in files_of(folder).items()} == {
            name: path.read_bytes() for name, path in files_of(run.folder).items()
        }
        assert Result.of(Run.open(folder)).cases == Result.of(run).cases
    assert not folder.exists()


def test_the_same_run_gives_the_same_bytes(run, packed, tmp_path):
    copy = Run.open(shutil.copytree(run.folder, tmp_path / "results" / run.plan.id))
    (copy.folder / "run.json").touch()
    assert bundle_of(copy, tmp_path / "again.zip").read_bytes() == packed.read_bytes()


def test_anybody_can_unpack_it(packed, run):
    with zipfile.ZipFile(packed) as archive:
        assert archive.testzip() is None
        assert json.loads(archive.read("manifest.json"))["run"] == run.plan.id


def test_verbs_take_a_bundle_for_a_run(packed, run, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert ccsight(["show", str(packed), "--json"]) == ccsight(["show", str(run.folder), "--json"])
    first, second = capsys.readouterr().out.split("\n}\n{\n")
    assert json.loads(first + "}") == json.loads("{" + second)
    where = ["--where", "guest.CLIDR_EL1.LoC == 2"]
    assert ccsight(["show", str(packed), *where]) == ccsight(["show", str(run.folder), *where])
    assert ccsight(["show", str(packed)]) == ccsight(["show", str(run.folder)])
    assert f"ccsight show {packed} -v" in capsys.readouterr().out
    cells = [f"{packed}/captures/{cell.id}/1" for cell in run.plan.cells]
    assert ccsight(["diff", *cells]) == ccsight(["diff", f"{cells[0]}/capture.json", cells[1]])


def test_nothing_is_written_into_a_bundle(packed, capsys):
    assert ccsight(["compare", "--resume", str(packed)]) == 2
    assert "is a bundle, which is only read" in capsys.readouterr().err


def test_a_file_that_is_no_bundle_is_said_to_be_none(run, capsys):
    for argv in (["show"], ["show", "--verify"]):
        assert ccsight([*argv, str(run.folder / "run.json")]) == 2
        assert "run.json is not a whole bundle" in capsys.readouterr().err
    with pytest.raises(EvidenceError, match="not a capture"):
        read_capture(run.folder / "run.json")
    with pytest.raises(UsageError, match="there is no run"):
        find_run(run.folder, "none.zip")


def test_a_link_in_a_run_is_not_followed(run, tmp_path):
    copy = shutil.copytree(run.folder, tmp_path / run.plan.id)
    (copy / "consoles" / "b-1.log").symlink_to("/etc/hostname")
    with pytest.raises(EvidenceError, match="is a link"):
        files_of(copy)


def test_what_is_there_is_not_overwritten_and_half_a_bundle_never_appears(run, tmp_path, monkeypatch):
    bundle_of(run, tmp_path / "a.zip")
    with pytest.raises(UsageError, match="there already"):
        bundle_of(run, tmp_path / "a.zip")
    monkeypatch.setattr(archive, "TOTAL_MAX", 9000)
    with pytest.raises(UsageError, match="too large for a bundle"):
        bundle_of(run, tmp_path / "b.zip")
    with pytest.raises(UsageError, match="cannot write"):
        bundle_of(run, tmp_path / "a.zip" / "c.zip")
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]


def test_evidence_that_changes_while_it_is_packed_is_noticed(run, tmp_path):
    contents = files_of(run.folder)
    said = samples.manifest(run.plan.id, contents)
    with pytest.raises(EvidenceError, match=r"run\.json changed"):
        samples.pack(tmp_path / "a.zip", samples.Bundle(said), contents | {"run.json": b"{}"})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("whole", [SMALL, SIGNED], ids=["unsigned", "signed"])
def test_a_whole_one_is_taken(place, whole):
    (place / "odd.zip").write_bytes(whole)
    assert len(verified(place / "odd.zip").manifest.members) == 3
    (place / "odd.zip").unlink()


@settings(max_examples=300)
@given(data=st.data())
def test_a_flipped_bit_is_refused_wherever_it_is(place, data):
    at, bit = data.draw(st.integers(0, len(SIGNED) - 1)), data.draw(st.integers(0, 7))
    odd = bytearray(SIGNED)
    odd[at] ^= 1 << bit
    refused(place, bytes(odd))


@settings(max_examples=200)
@given(data=st.data())
def test_one_with_another_hash_of_itself_is_refused_or_says_the_same(place, data):
    """Who alters a bundle can give it the right hash again; what it says of the run is still the same."""
    odd = bytearray(SMALL)
    for _ in range(data.draw(st.integers(1, 3))):
        odd[data.draw(st.integers(0, len(SMALL) - 65))] = data.draw(st.integers(0, 255))
    file = place / "odd.zip"
    file.write_bytes(SMALL)
    before = verified(file)
    file.write_bytes(rehashed(bytes(odd)))
    with suppress(EvidenceError):
        assert verified(file) == before
    file.unlink()


@given(length=st.integers(0, len(SMALL) - 1))
def test_a_cut_one_is_refused(place, length):
    assert "it was cut off" in refused(place, SMALL[:length])


@given(data=st.binary(max_size=600))
def test_noise_is_refused(place, data):
    refused(place, data)
    refused(place, SMALL + data + b"\0", "")
    refused(place, rehashed(data + SMALL) if data else b"")


@pytest.mark.parametrize(
    "name", ["run.json", "cases.jsonl", "consoles/a-1.log", "manifest.json", "manifest.sig"]
)
def test_the_altered_member_is_named(place, name):
    with zipfile.ZipFile(samples.io.BytesIO(SIGNED)) as read:
        info = read.getinfo(name)
    odd = bytearray(SIGNED)
    odd[info.header_offset + 30 + len(name) + info.compress_size // 2] ^= 4
    assert name in refused(place, bytes(odd))
    assert name in refused(place, rehashed(bytes(odd)))


HOSTILE_NAMES = [
    "/etc/passwd", "../run.json", "captures/../../a.stream", "captures/a/1/../../../b.stream", "C:\\run.json",
    "captures/a/1", "captures/a/1/", "captures/a/1/.hidden.json", "captures/a/one/b.json", "consoles/a.log\n",
    "consoles//a.log", "./run.json", "run.json/a", "captures/a/1/b.sh", "report.html", "kernels/1.config", "",
    "captures/..a/1/b.json", "consoles/" + "a" * 300 + ".log", "consoles/ä.log", "manifest.json/x",
]  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_a_name_that_no_run_has_is_refused(place, name):
    assert not belongs(name)
    refused(place, archive_of(sealed({"run.json": PLAN, name: b"x"})))


@given(name=st.text(alphabet="ab/.\\\0\n -_:1", max_size=24))
def test_no_name_leads_out_of_the_folder(name):
    for each in (name, f"captures/{name}", f"captures/a/1/{name}.json", f"consoles/{name}.log"):
        if belongs(each):
            assert not {"", ".", ".."}.intersection(each.split("/"))
            assert not {"\\", "\0", "\n", " ", ":"}.intersection(each)


def attr(mode):
    def change(info):
        info.external_attr = mode << 16

    return change


def extra(info):
    info.extra = struct.pack("<HH4x", 0x7075, 4)


def dated(info):
    info.date_time = (2026, 1, 1, 0, 0, 0)


def squeezed(info):
    info.compress_type = zipfile.ZIP_LZMA


FORMS = {
    "link": attr(0o120777), "device": attr(0o060644), "fifo": attr(0o010644), "folder": attr(0o040755),
    "setuid": attr(0o104755), "extra": extra, "dated": dated, "lzma": squeezed,
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_what_is_not_a_plain_file_is_refused_by_name(place, form):
    rows = sealed({"run.json": PLAN, "consoles/a.log": b"/etc/passwd"})
    odd = [(name, data, FORMS[form] if name == "consoles/a.log" else do) for name, data, do in rows]
    assert "consoles/a.log" in refused(place, archive_of(odd))


@pytest.mark.parametrize("name", ["consoles/a.log", "consoles/A.log", "CONSOLES/a.log"])
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_members_of_one_name_or_of_names_that_differ_by_case_are_refused(place, name):
    rows = sealed({"run.json": PLAN, "consoles/a.log": b"good"})
    refused(place, archive_of([*rows, (name, b"evil", plain)]), "two members have this name")


def test_members_that_the_manifest_does_not_have_are_refused_and_the_other_way_round(place):
    rows = sealed({"run.json": PLAN, "consoles/a.log": b"good"})
    refused(place, archive_of([*rows, ("consoles/b.log", b"more", plain)]), "consoles/b.log is in one of")
    refused(place, archive_of([rows[0], rows[2]]), "consoles/a.log is in one of")
    refused(place, archive_of([*rows[1:], rows[0]]), "does not begin with manifest.json")
    refused(place, archive_of(sealed({"consoles/a.log": b"good"})), "it has no run.json")


def test_a_manifest_that_contradicts_itself_is_refused(place):
    members = {"run.json": PLAN}
    row = Member(name="run.json", size=len(PLAN), sha256="0" * 64)
    said = manifest_of("2026", "0", [row])
    refused(place, archive_of(manifested(said, members)), "run.json is another file")
    refused(place, archive_of(manifested(structs.replace(said, root="0" * 64), members)), "root hash")
    refused(place, archive_of(manifested(structs.replace(said, schema=2), members)), "schema 2")
    refused(place, archive_of(manifested(manifest_of("../up", "0", [row]), members)), "no run is called")
    refused(place, archive_of(sealed({"run.json": PLAN}, run="2027")), "the manifest of '2027'")
    refused(place, archive_of(sealed({"run.json": b"{"})), "run.json cannot be read")
    refused(place, archive_of([("manifest.json", b"[]", plain), ("run.json", PLAN, plain)]), "manifest.json")


def header(data, name, field, value):
    """Return an archive that lies in one field of a member, the same in both places where it stands."""
    local, listed, form = {"crc": (14, 16, "<I"), "packed": (18, 20, "<I"), "size": (22, 24, "<I")}[field]
    odd, word = bytearray(data), name.encode()
    first, last = odd.index(word) - 30, odd.rindex(word) - 46
    struct.pack_into(form, odd, first + local, value)
    struct.pack_into(form, odd, last + listed, value)
    return rehashed(bytes(odd))


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("size", 3, "unpacks to more than the 3 bytes"),
        ("size", 10_000, "unpacks to more than 200 times"),
        ("size", 201, "unpacks to 200 bytes, not to the 201"),
        ("size", archive.MEMBER_MAX + 1, f"{archive.MEMBER_MAX} at most"),
        ("size", 0xFFFF_FFFE, "at most"),
        ("packed", 0xFFFF_FFFE, "at most"),
        ("crc", 1, "not what its checksum says"),
    ],
)
def test_sizes_that_lie_are_refused(place, field, value, words):
    assert "consoles/a-1.log" in refused(place, header(SMALL, "consoles/a-1.log", field, value), words)


def test_a_bomb_is_refused_before_it_is_unpacked(place, monkeypatch):
    monkeypatch.setattr(archive, "_pieces", lambda *_: pytest.fail("it was unpacked"))
    bomb = sealed({"run.json": PLAN, "consoles/a.log": bytes(1 << 20)})
    refused(place, archive_of(bomb), "consoles/a.log says that it unpacks to more than 200 times")
    monkeypatch.setattr(archive, "TOTAL_MAX", 100)
    refused(place, SMALL, "it says that it has more than")
    monkeypatch.setattr(archive, "MEMBERS_MAX", 3)
    refused(place, SMALL, "it lists 4 members; 3 at most")


def test_what_would_look_like_a_bomb_is_packed_otherwise(tmp_path):
    run = run_in(tmp_path)
    run.write(run.plan.cells[0], "big.state", bytes(3 << 20))
    file = bundle_of(run, tmp_path / "a.zip")
    with opened(file) as folder:
        assert Run.open(folder).state(run.plan.cells[0], "big.state").stat().st_size == 3 << 20
    assert 3 << 20 < file.stat().st_size < 4 << 20


def test_bytes_behind_a_member_or_between_members_are_refused(place):
    members = sealed({"run.json": PLAN, "consoles/a.log": b"good" * 99})
    whole = archive_of(members)
    with zipfile.ZipFile(samples.io.BytesIO(whole)) as read:
        info, start = read.getinfo("run.json"), read.start_dir
    hidden = bytearray(whole[:start] + b"hidden" + whole[start:])
    struct.pack_into("<I", hidden, len(hidden) - 64 - 6, start + 6)
    refused(place, rehashed(bytes(hidden)), "its list of them begins")
    refused(place, header(bytes(hidden), "run.json", "packed", info.compress_size + 6), "behind")


def test_two_members_in_the_same_bytes_are_refused(place):
    odd = bytearray(SMALL)
    at = odd.rindex(b"consoles/a-1.log") - 46 + 42
    struct.pack_into("<I", odd, at, 0)
    refused(place, rehashed(bytes(odd)), "begins otherwise")


def test_zlib_may_hold_back_the_end_of_a_member(place):
    data = b"".join(b"%d" % (zlib.crc32(b"%d" % n) % 1000) for n in range(archive._CHUNK))  # noqa: SLF001
    (place / "odd.zip").write_bytes(archive_of(sealed({"run.json": PLAN, "cases.jsonl": data})))
    assert verified(place / "odd.zip").manifest.members[0].size == len(data)
    (place / "odd.zip").unlink()


def test_evidence_is_named_as_it_lies_in_the_bundle(tmp_path, capsys):
    run = run_in(tmp_path)
    first = run.plan.cells[0]
    run.write(first, "capture.json", b"{}")
    file = bundle_of(run, tmp_path / "a.zip")
    assert ccsight(["show", str(file)]) == ccsight(["show", str(run.folder)]) == 3
    said = capsys.readouterr().out
    assert f"{file}/captures/{first.id}/1/capture.json" in said
    assert "/ccsight-" not in said


def test_a_cell_that_never_ran_is_not_to_be_resumed_in_a_bundle(tmp_path, capsys):
    run = run_in(tmp_path)
    shutil.rmtree(run.boot_folder(run.plan.cells[0]))
    assert ccsight(["show", str(bundle_of(run, tmp_path / "a.zip"))]) == 3
    said = capsys.readouterr().out
    assert "it never ran" in said
    assert "--resume" not in said


@pytest.mark.parametrize("name", ["2026-11-22-100559-0675", "04-deb_6.12_6.12.57-1~bpo12+1", "02-git_a-0a1b"])
def test_every_name_that_runs_have_is_fit(name):
    assert names_a_run(name)


@pytest.mark.parametrize("name", ["", ".", "..", "../a", "a/b", "-a", "a\nb", "a" * 101, "ä"])
def test_no_other_name_is(name):
    assert not names_a_run(name)
