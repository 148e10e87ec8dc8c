"""A set opened for strangers, by the commands: the owner claims, anybody checks."""

import json
import shutil

import pytest

from authority import new_authority, serving, stamped_by
from end_to_end.commands import PASSPHRASE, earmark, one_line_error

OWNED = ("claim", "--key", "acme.key", "--owner-key", "owner.key")
CLAIM = (*OWNED, "marked.safetensors", "-o", "claim.zip")
CHECK = ("check", "claim.zip", "--vk", "acme.vk.json")
ASKED = (*CHECK, "--suspect", "marked.safetensors")


@pytest.fixture
def folder(story, tmp_path):
    """A copy of the story, so that every test has sets that were never used."""
    return shutil.copytree(story, tmp_path / "folder")


def opened_in(folder):
    lines = (folder / "acme.journal").read_text().splitlines()
    return [line for line in map(json.loads, lines) if line.get("entry", line).get("event") == "opened"]


def test_a_stamped_claim_convinces_a_stranger(folder, tmp_path):
    """The whole way: a real authority stamps the suspect, a set is opened, somebody else checks."""
    authority = new_authority(tmp_path / "authority")
    (folder / "root.pem").write_bytes(authority.root_pem)
    with serving(stamped_by(authority)) as url:
        made = earmark(*CLAIM, "--tsa", url, "--tsa-root", "root.pem", cwd=folder)
    assert "set 0:0 is now opened" in made.stdout
    stranger = tmp_path / "stranger"
    stranger.mkdir()
    for name in ("claim.zip", "acme.vk.json", "marked.safetensors", "root.pem"):
        shutil.copy(folder / name, stranger)
    without = earmark(*CHECK, cwd=stranger, code=1)
    assert "step 12: consistent with what 'Acme Research' recorded" in without.stdout
    result = earmark(*ASKED, "--tsa-root", "root.pem", "--json", cwd=stranger)
    found = json.loads(result.stdout)
    assert [step["number"] for step in found["steps"]] == list(range(1, 13))
    assert found["asked_again"]["matches"] >= 95
    assert found["verdict"] == "owned", found["steps"][9]
    untrusted = earmark(*ASKED, cwd=stranger, code=1)
    assert "nothing shows that the suspect is older" in untrusted.stdout


def test_without_a_stamp_somebody_attests(folder):
    earmark(*CLAIM, cwd=folder)
    assert "could have made this suspect" in earmark(*ASKED, cwd=folder, code=1).stdout
    told = earmark(*ASKED, "--older-by", "Notary Jones", cwd=folder).stdout
    assert "“Notary Jones” attests" in told
    assert told.splitlines()[-1].startswith("step 12: owned: ")


def test_another_model_is_refused_by_its_digest(folder):
    earmark(*CLAIM, cwd=folder)
    result = earmark(*CHECK, "--suspect", "clean.safetensors", cwd=folder, code=1)
    assert "step 9" in one_line_error(result)


def test_a_clean_model_costs_no_set(folder):
    before = (folder / "acme.journal").read_bytes().count(b"opened")
    result = earmark(*OWNED, "clean.safetensors", "-o", "claim.zip", cwd=folder, code=1)
    assert "no set was opened, and no claim written" in result.stdout
    assert not (folder / "claim.zip").exists()
    assert (folder / "acme.journal").read_bytes().count(b"opened") == before


def test_every_claim_opens_a_set_of_its_own(folder):
    earmark(*CLAIM, cwd=folder)
    noise = ("attack", "weight-noise", "marked.safetensors", "--data", "digits", "-o", "other.safetensors")
    earmark(*noise, cwd=folder)
    again = earmark(*OWNED, "other.safetensors", "-o", "2.zip", "--json", cwd=folder)
    assert json.loads(again.stdout)["set"] == [0, 1]
    third = earmark(*OWNED, "clean.safetensors", "-o", "3.zip", cwd=folder, code=3)
    assert "every trigger set" in one_line_error(third)


@pytest.mark.parametrize("where", ["earmark.formats.claim_v1.write", "earmark.files.write_new"])
def test_killed_between_opening_and_writing(folder, monkeypatch, where):
    """The journal says that the set is opened; the next try opens no second one, and none silently."""
    module, _, name = where.rpartition(".")
    import importlib

    honest = getattr(importlib.import_module(module), name)

    def killed(*arguments, **named):
        raise KeyboardInterrupt

    monkeypatch.setattr(where, killed)
    earmark(*CLAIM, cwd=folder, code=130)
    assert not (folder / "claim.zip").exists()
    assert b"opened" in (folder / "acme.journal").read_bytes()
    entries = (folder / "acme.journal").read_bytes().count(b"\n")
    monkeypatch.setattr(where, honest)
    made = json.loads(earmark(*CLAIM, "--json", cwd=folder).stdout)
    assert made["set"] == [0, 0]
    assert (folder / "acme.journal").read_bytes().count(b"\n") == entries, "nothing more was opened"


def test_no_stamp_no_opening(folder, tmp_path):
    """The authority is down: nothing is lost."""
    with serving(lambda body: (503, {}, [b"later"])) as url:
        result = earmark(*CLAIM, "--tsa", url, cwd=folder, code=4)
    assert "no set was opened" in one_line_error(result)
    assert not (folder / "claim.zip").exists()
    assert json.loads(earmark(*CLAIM, "--json", cwd=folder).stdout)["set"] == [0, 0]


def test_files_that_are_no_claims(folder):
    (folder / "claim.zip").write_bytes(b"not a claim")
    assert "step 1" in one_line_error(earmark(*CHECK, cwd=folder, code=1))
    (folder / "claim.zip").unlink()
    assert "claim.zip" in one_line_error(earmark(*CHECK, cwd=folder, code=3))


def test_options_that_go_together(folder):
    earmark(*CLAIM, cwd=folder)
    result = earmark(*CHECK, "--older-by", "Jones", cwd=folder, code=2)
    assert "go with --suspect" in one_line_error(result)
    assert "claim.zip" in one_line_error(earmark(*CLAIM, cwd=folder, code=2)), "it is there already"


def test_the_owners_page_comes_out(folder):
    earmark(*CLAIM, cwd=folder)
    earmark(*CHECK, "--extract", "page.html", cwd=folder, code=1)
    assert "Acme Research" in (folder / "page.html").read_text()


def test_a_service_is_claimed_and_checked(folder):
    """Each question once for the owner, and once for whoever checks, through a journal of his own."""
    pytest.importorskip("httpx2")
    pytest.importorskip("fastapi")
    import earmark as library
    from loopback import classifier_app, served

    suspect = library.open_suspect(str(folder / "marked.safetensors"))
    seen = []
    app = classifier_app(lambda pixels: suspect.probabilities([pixels])[0], suspect.class_names, seen)
    with served(app) as url:
        name = f"{url}/models/acme/digits"
        made = earmark(*OWNED, name, "-o", "claim.zip", "--json", cwd=folder)
        asked = json.loads(made.stdout)["questions"]
        assert asked < 100, "questioning stops when it is enough"
        assert len(seen) == asked
        checked = (*CHECK, "--suspect", name, "--older-by", "Jones")
        earmark(*checked, cwd=folder)
        assert len(seen) == 2 * asked
        earmark(*checked, cwd=folder)
        assert len(seen) == 2 * asked, "first answers count"
    assert PASSPHRASE["EARMARK_PASSPHRASE"].encode() not in (folder / "claim.zip").read_bytes()


def test_an_owner_and_a_pirate_before_an_arbiter(folder, tmp_path):
    """The pirate goes on training the marked model with a key of his own, releases it and claims it first."""
    authority = new_authority(tmp_path / "authority")
    (folder / "root.pem").write_bytes(authority.root_pem)
    names = ("--vk", "acme.vk.json", "--vk", "pirate.vk.json")
    with serving(stamped_by(authority)) as url:
        stamped = ("--tsa", url, "--tsa-root", "root.pem")
        earmark("owner", "new", "-o", "p.key", "--name", "Pirate", cwd=folder)
        earmark(
            "keygen", "--owner", "p.key", "--data", "digits", "--triggers", "100", "-o", "pirate", cwd=folder
        )
        # Two passes with many of his triggers in each batch: his mark takes, and nine in ten of the owner's stay.
        again = ("--model", "digits-cnn", "--data", "digits", "--epochs", "2", "--per-batch", "20")
        init = ("--init", "marked.safetensors")
        earmark("mark", "--key", "pirate.key", *again, *init, "-o", "pirated.safetensors", cwd=folder)
        for model, vk, owner in (
            ("marked", "acme.vk.json", "owner.key"),
            ("pirated", "pirate.vk.json", "p.key"),
        ):
            out = ("-o", f"{model}.release.json")
            earmark(
                "release",
                f"{model}.safetensors",
                "--vk",
                vk,
                "--owner-key",
                owner,
                *out,
                *stamped,
                cwd=folder,
            )
        pirates = (
            "claim",
            "--key",
            "pirate.key",
            "--owner-key",
            "p.key",
            "--release",
            "pirated.release.json",
        )
        earmark(*pirates, "pirated.safetensors", "-o", "b.zip", *stamped, cwd=folder)
        owners = (*OWNED, "--release", "marked.release.json")
        earmark(*owners, "pirated.safetensors", "-o", "a.zip", *stamped, cwd=folder)
    about = ("compare", "a.zip", "b.zip", *names, "--suspect", "pirated.safetensors")
    both = ("--released", "marked.safetensors", "--released", "pirated.safetensors")
    result = earmark(*about, *both, "--tsa-root", "root.pem", cwd=folder)
    assert result.stdout.splitlines()[-1] == (
        "'Acme Research': the key of 'Acme Research' fires on what 'Pirate' released, and not the other way round"
    )
    undecided = earmark(*about, *both, "--json", cwd=folder, code=1)
    assert json.loads(undecided.stdout)["decided_for"] is None, "nobody trusts the authority"
    missing = earmark(*about, "--tsa-root", "root.pem", cwd=folder, code=1)
    assert "was not at hand" in missing.stdout
    wrong = earmark(*about, "--released", "clean.safetensors", cwd=folder, code=2)
    assert "no release record" in one_line_error(wrong)
