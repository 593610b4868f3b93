"""Bundles on the command line, with real keys: who signed is said, and nobody is believed without proof."""

import json
import os
import shutil
import subprocess

import pytest
from bundle_samples import bundle_of, run_in, small

from ccsight.cli import run as ccsight
from ccsight.deadline import Deadline
from ccsight.errors import EvidenceError, ToolMissing, UsageError
from ccsight.evidence.bundle import opened, verified
from ccsight.evidence.plan import PlannedKernel
from ccsight.kernels.configs import config_of
from ccsight.toolbox import signing

ROOT = "ab" * 32


def made(path, kind="ed25519", passphrase=""):
    argv = ["ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-C", "a comment", "-f", path]
    subprocess.run(argv, check=True, stdin=subprocess.DEVNULL, capture_output=True)
    return path


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    folder = tmp_path_factory.mktemp("keys")
    return {name: made(folder / name) for name in ("ann", "bob")}


@pytest.fixture(scope="module")
def signers(keys, tmp_path_factory):
    file = tmp_path_factory.mktemp("signers") / "allowed_signers"
    file.write_text(f'ann@example.org namespaces="ccsight" {keys["ann"].with_suffix(".pub").read_text()}')
    return file


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return run_in(tmp_path_factory.mktemp("results"))


@pytest.fixture(scope="module")
def signed(tmp_path_factory, run, keys):
    folder = tmp_path_factory.mktemp("signed")
    files = {name: folder / f"{name}.zip" for name in keys}
    for name, file in files.items():
        assert ccsight(["show", str(run.folder), "--bundle", str(file), "--sign", str(keys[name])]) == 0
    return files


def test_without_openssh_nothing_is_said_of_a_signature(keys, tmp_path, monkeypatch):
    signature = signing.sign(keys["ann"], ROOT, Deadline(20))
    for name in ("sh", "setpriv"):
        (tmp_path / name).symlink_to(shutil.which(name))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolMissing, match="ssh-keygen"):
        signing.signer(signature, ROOT, None, Deadline(20))
    with pytest.raises(ToolMissing, match="ssh-keygen"):
        signing.sign(keys["ann"], ROOT, Deadline(20))


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_every_kind_of_key_signs(kind, tmp_path):
    key = made(tmp_path / "key", kind)
    found = signing.signer(signing.sign(key, ROOT, Deadline(20)), ROOT, None, Deadline(20))
    assert (found.kind, found.principal) == (kind.upper(), "")
    assert found.fingerprint.startswith("SHA256:")
    assert not list(tmp_path.glob("*.sig"))


def test_a_signature_of_another_root_is_refused(keys, signers):
    signature = signing.sign(keys["ann"], ROOT, Deadline(20))
    assert signing.signer(signature, ROOT, signers, Deadline(20)).principal == "ann@example.org"
    for who in (None, signers):
        with pytest.raises(EvidenceError, match="not one of this bundle"):
            signing.signer(signature, "cd" * 32, who, Deadline(20))
        with pytest.raises(EvidenceError):
            signing.signer(b"-----BEGIN SSH SIGNATURE-----\n", ROOT, who, Deadline(20))


def test_a_signature_for_another_purpose_is_refused(keys, signers, tmp_path):
    (tmp_path / "root").write_text(f"{ROOT}\n")
    argv = ["ssh-keygen", "-Y", "sign", "-n", "git", "-f", keys["ann"], tmp_path / "root"]
    subprocess.run(argv, check=True, capture_output=True)
    for who in (None, signers):
        with pytest.raises(EvidenceError, match="not one of this bundle"):
            signing.signer((tmp_path / "root.sig").read_bytes(), ROOT, who, Deadline(20))


def test_signers_may_be_kept_to_other_purposes(keys, tmp_path):
    public = keys["ann"].with_suffix(".pub").read_text()
    (tmp_path / "signers").write_text(f'ann@example.org namespaces="git" {public}')
    signature = signing.sign(keys["ann"], ROOT, Deadline(20))
    with pytest.raises(EvidenceError):
        signing.signer(signature, ROOT, tmp_path / "signers", Deadline(20))


def test_a_key_that_cannot_sign_is_said_to(tmp_path):
    locked = made(tmp_path / "locked", passphrase="open sesame")
    for key in (locked, tmp_path / "none", tmp_path):
        with pytest.raises(UsageError, match="cannot sign") as caught:
            signing.sign(key, ROOT, Deadline(20))
        assert caught.value.evidence


def test_a_key_with_a_passphrase_signs_through_the_agent(tmp_path, monkeypatch):
    locked = made(tmp_path / "locked", passphrase="open sesame")
    ask = tmp_path / "ask"
    ask.write_text("#!/bin/sh\necho open sesame\n")
    ask.chmod(0o755)
    socket = tmp_path / "agent"
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", socket], stdout=subprocess.PIPE, text=True)
    try:
        assert "SSH_AUTH_SOCK" in agent.stdout.readline()  # it listens by now
        monkeypatch.setenv("SSH_AUTH_SOCK", str(socket))
        env = os.environ | {"SSH_ASKPASS": str(ask), "SSH_ASKPASS_REQUIRE": "force"}
        subprocess.run(["ssh-add", locked], env=env, check=True, capture_output=True)
        signature = signing.sign(locked.with_suffix(".pub"), ROOT, Deadline(20))
    finally:
        agent.kill()
        agent.communicate()
    assert signing.signer(signature, ROOT, None, Deadline(20)).kind == "ED25519"


def test_who_signed_is_said(signed, signers, capsys):
    assert ccsight(["show", str(signed["ann"]), "--verify", "--signers", str(signers)]) == 0
    assert "signed   by ann@example.org  ED25519 SHA256:" in capsys.readouterr().out
    assert ccsight(["show", str(signed["bob"]), "--verify"]) == 0
    assert "signed   by an unknown key  ED25519 SHA256:" in capsys.readouterr().out


def test_somebody_else_s_signature_is_no_signature(signed, signers, capsys):
    assert ccsight(["show", str(signed["bob"]), "--verify", "--signers", str(signers)]) == 2
    assert f"nobody whom {signers} names has signed the bundle" in capsys.readouterr().err


def test_a_signature_that_was_moved_to_another_bundle_is_refused(signed, signers, tmp_path, capsys):
    file = tmp_path / "moved.zip"
    file.write_bytes(small(verified(signed["ann"]).signature))
    assert ccsight(["show", str(file), "--verify", "--signers", str(signers)]) == 2
    assert "the signature is not one of this bundle" in capsys.readouterr().err


def test_unsigned_is_said_and_is_an_error_where_signers_are_named(run, signers, tmp_path, capsys):
    file = str(bundle_of(run, tmp_path / "a.zip"))
    assert ccsight(["show", file, "--verify"]) == 0
    assert "signed   by nobody" in capsys.readouterr().out
    assert ccsight(["show", file, "--verify", "--signers", str(signers)]) == 2
    assert "is whole, but nobody has signed it" in capsys.readouterr().err


def test_as_json(signed, signers, run, capsys):
    argv = ["show", str(signed["ann"]), "--verify", "--json"]
    assert ccsight(argv) == 0
    unknown = json.loads(capsys.readouterr().out)
    assert ccsight([*argv, "--signers", str(signers)]) == 0
    known = json.loads(capsys.readouterr().out)
    assert (unknown["signed"], unknown["signer"], known["signer"]) == (True, None, "ann@example.org")
    assert unknown | {"signer": "ann@example.org"} == known
    assert (known["run"], known["files"]) == (run.plan.id, 9)


def test_a_policy_travels_along(run, tmp_path, capsys):
    policy = tmp_path / "policy.toml"
    policy.write_text("a = 1\n")
    argv = ["show", str(run.folder), "--bundle", str(tmp_path / "a.zip"), "--policy"]
    assert ccsight([*argv, str(tmp_path / "none")]) == 2
    assert "none cannot be read" in capsys.readouterr().err
    assert ccsight([*argv, str(policy)]) == 0
    with opened(tmp_path / "a.zip") as folder:
        assert (folder / "policy.toml").read_text() == "a = 1\n"


def test_the_configuration_of_a_kernel_that_was_built_here_is_found(cache):
    def planned(pin):
        return PlannedKernel(spec="tree:linux", pin=pin, label="", release="", image_sha256="0" * 64)

    folder = cache / "ccsight" / "built" / "0123abcd"
    folder.mkdir(parents=True)
    assert config_of(planned("built:0123abcd")) is None
    (folder / "config").write_text("CONFIG_KVM=y\n")
    assert config_of(planned("built:0123abcd,name=x")) == folder / "config"
    assert config_of(planned("deb:6.1=6.1.1")) is None
    assert config_of(planned("built:../built/0123abcd/..")) is None


@pytest.mark.parametrize(
    ("words", "fact"),
    [
        (["none.zip", "--verify"], "there is no file none.zip"),
        ([".", "--verify"], "nothing says what it held"),
        (["none.zip", "--bundle", "a.zip"], "there is no run 'none.zip'"),
        (["none.zip", "--sign", "key"], "--sign does not go with showing a run"),
        (["none.zip", "--verify", "--policy", "a"], "--policy does not go with --verify"),
        (["none.zip", "--verify", "--bundle", "a"], "does not go with"),
    ],
)
def test_what_makes_no_sense_is_refused(words, fact, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert ccsight(["show", *words]) == 2
    assert fact in capsys.readouterr().err


def test_a_file_of_signers_that_is_not_there_is_said(signed, tmp_path, capsys):
    assert ccsight(["show", str(signed["ann"]), "--verify", "--signers", str(tmp_path / "none")]) == 2
    assert f"there is no file {tmp_path / 'none'}" in capsys.readouterr().err
