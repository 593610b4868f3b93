"""Patches as people send them, read in order and applied strictly, with a reason when they do not apply."""

import base64
import quopri
from pathlib import Path

import pytest
from tiny_source import commit, edited, git, repository, resolve, write

from ccsight.errors import UsageError
from ccsight.kernels import objects, patching

pytestmark = pytest.mark.usefixtures("cache")

LONG = "arch/arm64/kvm/sys_regs.c"


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A repository with three commits on its first one, each on what the last one left."""
    place = repository(tmp_path / "linux")
    git(place, "tag", "base")
    commit(place, "KVM: first \u2013 with a dash", {LONG: edited(10, "int first;")})
    commit(place, "KVM: second", {LONG: edited(10, "int second;")})
    commit(
        place, "KVM: third\n\nFrom here on, it differs.", {"init/main.c": "int third;\n", "init/n.c": "n\n"}
    )
    return place


def made(clone: Path, *options: str) -> str:
    return git(clone, "format-patch", "--stdout", *options, "base..HEAD") + "\n"


def file(tmp_path: Path, content: str | bytes, name: str = "the.patch") -> Path:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def on_base(clone: Path, *paths: Path) -> objects.Source:
    return resolve(f"git:{clone},ref=base" + "".join(f",patch={path}" for path in paths)).source


def refused(path: Path) -> UsageError:
    with pytest.raises(UsageError) as caught:
        patching.read(path)
    return caught.value


def message(subject: str, body: str, **headers: str) -> str:
    """A mail of an mbox, with the quoting that mbox needs."""
    more = "".join(f"{name.replace('_', '-')}: {value}\n" for name, value in headers.items())
    quoted = "".join(
        f">{line}" if line.startswith("From ") else line for line in body.splitlines(keepends=True)
    )
    start = "From a@b.invalid Mon Sep 17 00:00:00 2001\nFrom: A <a@b.invalid>\n"
    return f"{start}Subject: {subject}\n{more}\n{quoted}\n"


def diff_of(clone: Path, number: int) -> str:
    return git(clone, "diff", f"HEAD~{3 - number + 1}", f"HEAD~{3 - number}") + "\n"


class TestRead:
    """What counts as a patch, and in which order."""

    def test_a_diff(self, clone: Path, tmp_path: Path) -> None:
        diff = git(clone, "diff", "base", "HEAD") + "\n"
        for number, text in enumerate([diff, f"Somebody: said this\n# by hand\n{diff}", f"\n\n{diff}"]):
            path = file(tmp_path, text, f"{number}.diff")
            assert [patch.subject for patch in patching.read(path).patches] == [path.name]
            assert on_base(clone, path).tree == git(clone, "rev-parse", "HEAD^{tree}")

    def test_a_diff_without_git(self, clone: Path, tmp_path: Path) -> None:
        diff = "--- linux.orig/init/main.c\t2001-01-01 00:00:00\n+++ linux/init/main.c\t2001-01-02 00:00:00\n"
        path = file(tmp_path, f"{diff}@@ -1 +1 @@\n-int main;\n+int other;\n")
        assert on_base(clone, path).tree != on_base(clone).tree

    def test_a_series(self, clone: Path, tmp_path: Path) -> None:
        path = file(tmp_path, made(clone, "--cover-letter", "-v2", "--numbered"))
        found = patching.read(path).patches
        assert [patch.title for patch in found] == [
            "[1/3] KVM: first \u2013 with a dash",
            "[2/3] KVM: second",
            "[3/3] KVM: third",
        ]
        assert on_base(clone, path).tree == git(clone, "rev-parse", "HEAD^{tree}")

    def test_a_thread_in_any_order_with_replies(self, clone: Path, tmp_path: Path) -> None:
        mails = [
            message(
                f"[RFC PATCH kvmarm v3 {n}/3] subject {n}",
                f"From the text\n---\n{diff_of(clone, n)}-- \n2.39\n",
            )
            for n in (3, 1, 2)
        ]
        quoted = "".join(f"> {line}\n" for line in diff_of(clone, 2).splitlines())
        mails.insert(1, message("Re: [RFC PATCH kvmarm v3 2/3] subject 2", f"On Monday:\n{quoted}Better:\n"))
        mails.insert(
            2, message("Re: [RFC PATCH kvmarm v3 1/3] subject 1", f"Rather so:\n{diff_of(clone, 3)}")
        )
        mails.insert(0, message("[RFC PATCH kvmarm v3 0/3] cover", " init/main.c | 2 +-\n 1 file changed\n"))
        mails.append(mails[3])  # an archive's copy
        path = file(tmp_path, "".join(mails))
        assert [patch.number for patch in patching.read(path).patches] == [1, 2, 3]
        assert on_base(clone, path).tree == git(clone, "rev-parse", "HEAD^{tree}")

    @pytest.mark.parametrize("encoding", ["base64", "quoted-printable", "crlf", "attachment"])
    def test_as_mailers_mangle_it(self, clone: Path, tmp_path: Path, encoding: str) -> None:
        diff = diff_of(clone, 3)
        body, headers = diff, {"Content_Type": "text/plain; charset=utf-8", "MIME_Version": "1.0"}
        if encoding == "base64":
            body = base64.encodebytes(diff.encode()).decode()
        elif encoding == "quoted-printable":
            body = quopri.encodestring(diff.encode()).decode()
        if encoding in ("base64", "quoted-printable"):
            headers["Content_Transfer_Encoding"] = encoding
        if encoding == "attachment":
            headers["Content_Type"] = 'multipart/mixed; boundary="==b"'
            parts = (("text/plain", "Please see the attachment.\n"), ("text/x-patch", diff))
            body = "".join(f"--==b\nContent-Type: {kind}\n\n{text}\n" for kind, text in parts) + "--==b--\n"
        mail = message("=?utf-8?q?=5BPATCH=5D_KVM=3A_=C3=A4?=", body, **headers)
        path = file(tmp_path, mail.replace("\n", "\r\n") if encoding == "crlf" else mail)
        found = patching.read(path).patches
        assert [patch.subject for patch in found] == ["KVM: \u00e4"]
        assert on_base(clone, path).tree != on_base(clone).tree

    def test_one_mail_without_mbox(self, clone: Path, tmp_path: Path) -> None:
        mail = message("[PATCH] one", diff_of(clone, 3)).split("\n", 1)[1]
        assert [patch.title for patch in patching.read(file(tmp_path, mail)).patches] == ["one"]

    def test_one_file_of_a_series_may_stand_alone(self, clone: Path, tmp_path: Path) -> None:
        folder = tmp_path / "out"
        git(clone, "format-patch", "-q", "-o", str(folder), "base..HEAD")
        one, two, three = sorted(folder.iterdir())
        assert patching.read(three).patches[0].title == "[3/3] KVM: third"
        assert on_base(clone, one, two, three).tree == git(clone, "rev-parse", "HEAD^{tree}")

    def test_the_hash_is_of_the_change_alone(self, clone: Path, tmp_path: Path) -> None:
        one = file(tmp_path, message("[PATCH] one", f"why\n---\n{diff_of(clone, 3)}"), "1")
        other = file(tmp_path, message("[PATCH v2] other", f"more\n---\n{diff_of(clone, 3)}-- \n2.51\n"), "2")
        assert patching.read(one).patches[0].sha256 == patching.read(other).patches[0].sha256

    def test_several_versions(self, clone: Path, tmp_path: Path) -> None:
        mails = [message(f"[PATCH{v} {n}/2] s", diff_of(clone, n)) for v in ("", " v2") for n in (1, 2)]
        assert "several versions of a series: v1, v2" in refused(file(tmp_path, "".join(mails))).fact

    def test_several_series(self, clone: Path, tmp_path: Path) -> None:
        mails = message("[PATCH 1/2] s", diff_of(clone, 1)) + message("[PATCH] s", diff_of(clone, 2))
        assert "several series: without numbers, of 2" in refused(file(tmp_path, mails)).fact

    def test_one_number_twice(self, clone: Path, tmp_path: Path) -> None:
        mails = message("[PATCH 1/2] s", diff_of(clone, 1)) + message("[PATCH 1/2] s", diff_of(clone, 2))
        assert "several patches of one number: 1/2" in refused(file(tmp_path, mails)).fact

    def test_a_series_that_lacks_one(self, clone: Path, tmp_path: Path) -> None:
        mails = message("[PATCH 1/3] s", diff_of(clone, 1)) + message("[PATCH 3/3] s", diff_of(clone, 3))
        assert "lacks 2/3" in refused(file(tmp_path, mails)).fact

    @pytest.mark.parametrize(
        ("content", "why"),
        [
            ("", "it is empty"),
            ("hello\n", "nothing in it"),
            (message("[PATCH 0/3] cover", "hi\n"), "nothing in it"),
        ],
    )
    def test_no_patch(self, tmp_path: Path, content: str, why: str) -> None:
        found = refused(file(tmp_path, content))
        assert "holds no patch" in found.fact
        assert why in found.evidence

    def test_no_file(self, tmp_path: Path) -> None:
        assert "cannot be read" in refused(tmp_path / "missing").fact
        assert "Is a directory" in refused(tmp_path).evidence

    @pytest.mark.parametrize("options", [["--binary"], []])
    def test_a_binary_patch(self, clone: Path, tmp_path: Path, options: list[str]) -> None:
        (clone / "logo").write_bytes(bytes(range(256)))
        commit(clone, "logo", {})
        path = file(tmp_path, git(clone, "diff", *options, "HEAD~1", "HEAD") + "\n")
        assert "holds a binary patch" in refused(path).fact


class TestApply:
    """Strictly, and with a reason when not."""

    def test_titles_and_facts(self, clone: Path, tmp_path: Path) -> None:
        inputs = resolve(f"git:{clone},ref=base,patch={file(tmp_path, made(clone))}")
        assert [patch.subject for patch in inputs.patches][1:] == ["KVM: second", "KVM: third"]
        assert inputs.source.title.endswith("with [1/3] KVM: first \u2013 with a dash and 2 more")
        assert inputs.base.tree == git(clone, "rev-parse", "base^{tree}")

    def test_again_is_the_same(self, clone: Path, tmp_path: Path) -> None:
        path = file(tmp_path, made(clone))
        assert on_base(clone, path) == on_base(clone, path)

    def test_another_tree(self, clone: Path, tmp_path: Path) -> None:
        text = edited(30, "int other_thirty;").replace("int line_10;", "int ten;")
        commit(clone, "other", {LONG: text})
        git(clone, "tag", "other")
        commit(clone, "fix", {LONG: text.replace("line_20", "twenty").replace("other_thirty", "thirty")})
        path = file(tmp_path, git(clone, "format-patch", "--stdout", "-U1", "-1") + "\n")
        with pytest.raises(UsageError) as caught:
            on_base(clone, path)
        assert caught.value.fact == f"patch 'fix' of {path} does not apply to linux base ({base(clone)[:12]})"
        assert caught.value.evidence == f"{LONG}: hunk 2 of 2, @@ -29,3 +29,3 @@ int line_28;"

    def test_no_fuzz(self, clone: Path, tmp_path: Path) -> None:
        diff = git(clone, "diff", "HEAD~2", "HEAD~1").replace(" int line_8;", " int line_eight;") + "\n"
        with pytest.raises(UsageError, match="does not apply"):
            resolve(f"git:{clone},ref=HEAD~2,patch={file(tmp_path, diff)}")

    def test_a_file_that_is_not_there(self, clone: Path, tmp_path: Path) -> None:
        path = file(tmp_path, diff_of(clone, 3).replace("init/main.c", "init/none.c"))
        with pytest.raises(UsageError) as caught:
            on_base(clone, path)
        assert caught.value.evidence == "init/none.c: does not exist in index"

    def test_an_earlier_one_is_in_the_way(self, clone: Path, tmp_path: Path) -> None:
        first, other = file(tmp_path, diff_of(clone, 1), "first"), edited(10, "int other;")
        write(clone, {LONG: other})
        second = file(tmp_path, git(clone, "diff", "base", "--", LONG) + "\n", "second")
        with pytest.raises(UsageError) as caught:
            on_base(clone, first, second)
        assert "it applies to the base without the others" in caught.value.evidence

    def test_neither_with_nor_without_the_others(self, clone: Path, tmp_path: Path) -> None:
        text = diff_of(clone, 2).replace("int first;", "int never;")
        series = message("[PATCH 1/2] s", diff_of(clone, 1)) + message("[PATCH 2/2] broken", text)
        with pytest.raises(UsageError) as caught:
            on_base(clone, file(tmp_path, series))
        assert caught.value.fact.startswith("patch '[2/2] broken' of")
        assert "nor does it apply to the base without the others" in caught.value.evidence

    def test_already_there(self, clone: Path, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match=r"is in linux HEAD .* already"):
            resolve(f"git:{clone},ref=HEAD,patch={file(tmp_path, diff_of(clone, 3))}")

    def test_nothing_changes(self, clone: Path, tmp_path: Path) -> None:
        back = git(clone, "diff", "HEAD~2", "base") + "\n"
        path = file(tmp_path, message("[PATCH 1/2] s", diff_of(clone, 1)) + message("[PATCH 2/2] t", back))
        with pytest.raises(UsageError, match="changes nothing"):
            on_base(clone, path)

    def test_cut_off(self, clone: Path, tmp_path: Path) -> None:
        lines = diff_of(clone, 1).splitlines(keepends=True)
        with pytest.raises(UsageError) as caught:
            on_base(clone, file(tmp_path, "".join(lines[:-2])))
        assert "corrupt patch" in caught.value.evidence

    def test_outside_the_tree(self, clone: Path, tmp_path: Path) -> None:
        text = "--- /dev/null\n+++ b/../../evil\n@@ -0,0 +1 @@\n+evil\n"
        with pytest.raises(UsageError) as caught:
            on_base(clone, file(tmp_path, text))
        assert "invalid path" in caught.value.evidence

    def test_patches_and_reverts_in_their_order(self, clone: Path, tmp_path: Path) -> None:
        path = file(tmp_path, diff_of(clone, 2))
        spec = f"git:{clone},ref=HEAD"
        assert resolve(f"{spec},revert=HEAD~1,patch={path},revert=HEAD").source.tree == git(
            clone, "rev-parse", "HEAD~1^{tree}"
        )
        with pytest.raises(UsageError, match="already"):
            resolve(f"{spec},patch={path},revert=HEAD~1")


def base(clone: Path) -> str:
    return git(clone, "rev-parse", "base")
