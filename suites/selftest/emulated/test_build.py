"""Kernels built from real sources: identity, the store, incremental builds, blame. Minutes when cold."""

import shutil
import subprocess

import pytest
from command import ccsight
from history import of

from ccsight.deadline import Deadline

pytestmark = [pytest.mark.emulated, pytest.mark.long]

SOURCE = "deb-src:6.12"
N1 = ("--on", "emulated:neoverse-n1")

#: Changes a comment and moves no line: line numbers are part of the code, in the tables of WARN and BUG.
NOTHING = """\
--- a/arch/arm64/kvm/sys_regs.c
+++ b/arch/arm64/kvm/sys_regs.c
@@ -1,3 +1,3 @@
-// SPDX-License-Identifier: GPL-2.0-only
+// SPDX-License-Identifier: GPL-2.0-only  // the same again
 /*
  * Copyright (C) 2012,2013 - ARM Ltd
"""
BROKEN = NOTHING.replace("// the same again", "\n+int broken = no_such_name;").replace("+1,3", "+1,4")


@pytest.fixture
def patch(tmp_path):
    def write(text: str) -> str:
        path = tmp_path / "the.patch"
        path.write_text(text)
        return f"{SOURCE},patch={path}"

    return write


def test_a_built_kernel_boots_and_proves_who_it_is(tmp_path):
    (built,) = ccsight("build", SOURCE, "--json", cwd=tmp_path, seconds=1500).json["kernels"]
    said = ccsight("compare", SOURCE, "deb:6.12", *N1, "--json", cwd=tmp_path)
    assert said.code == 0, said.stderr
    (machine,) = said.json["machines"]
    assert machine["old"]["kernel"]["build_id"] == built["build_id"]
    assert machine["old"]["behaviour"] == machine["new"]["behaviour"] == "normalised"
    differing = {finding["subject"] for finding in machine["differences"]}
    assert not [name for name in differing if "CLIDR" in name or "CCSIDR" in name or "CTR" in name]


def test_a_patch_that_changes_no_code_has_its_own_identity_and_is_said_so(tmp_path, patch):
    base, patched = ccsight("build", SOURCE, patch(NOTHING), "--json", cwd=tmp_path, seconds=1500).json[
        "kernels"
    ]
    assert base["build_id"] != patched["build_id"]
    assert base["code_sha256"] == patched["code_sha256"]
    said = ccsight("compare", SOURCE, patch(NOTHING), *N1, cwd=tmp_path)
    assert said.code == 0, said.stderr
    assert "the same code" in said.stdout


def test_what_is_stored_is_not_built_again(tmp_path):
    ccsight("build", SOURCE, cwd=tmp_path, seconds=1500)
    (plan,) = ccsight("build", SOURCE, "--dry-run", "--json", cwd=tmp_path).json["kernels"]
    assert plan["stored"]
    said = ccsight("build", SOURCE, cwd=tmp_path)
    assert not [line for line in said.stderr.splitlines() if line.startswith("built ")], "make ran again"


def test_a_patch_that_breaks_the_build_is_blamed_with_its_base_as_the_control(tmp_path, patch):
    said = ccsight("compare", SOURCE, patch(BROKEN), *N1, cwd=tmp_path, seconds=1500)
    assert said.code == 1
    assert "sys_regs.c:2" in said.stderr
    assert "the base builds" in said.stderr


def test_a_checkout_of_the_same_source_is_the_same_kernel(tmp_path):
    """Content decides: a tree and a repository with the package's content build nothing."""
    ccsight("build", SOURCE, cwd=tmp_path, seconds=1500)
    history = of(SOURCE, "test", Deadline(300))
    history.edit("KVM: arm64: a comment", {"arch/arm64/kvm/sys_regs.c": ("GPL-2.0-only", "GPL-2.0-only ")})
    tree = tmp_path / "tree"
    subprocess.run(["git", "clone", "-q", "--shared", history.place, tree], check=True)
    subprocess.run(["git", "-C", tree, "checkout", "-q", "HEAD~1"], check=True)
    specs = (SOURCE, f"git:{history.place},ref=HEAD~1", f"tree:{tree}", f"git:{history.place},ref=HEAD")
    rows = ccsight("build", "--dry-run", "--json", *specs, cwd=tmp_path).json["kernels"]
    assert [row["stored"] for row in rows] == [True, True, True, False]
    shutil.rmtree(tree)
