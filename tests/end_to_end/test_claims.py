"""A set opened for strangers, by the commands: the owner claims, anybody checks."""

import importlib
import json
import shutil
from contextlib import contextmanager
from unittest.mock import patch

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


WHERE = ["earmark.formats.claim_v1.write", "earmark.files.write_new"]


@contextmanager
def killed_in(where, folder):
    """Killed at that place as soon as the journal says that a set is opened."""
    module, _, name = where.rpartition(".")
    honest = getattr(importlib.import_module(module), name)

    def killed(*arguments, **named):
        if b'"opened"' in (folder / "acme.journal").read_bytes():
            raise KeyboardInterrupt
        return honest(*arguments, **named)

    with patch(where, killed):
        yield


@pytest.mark.parametrize("where", WHERE)
def test_killed_between_opening_and_writing(folder, where):
    """The journal says that the set is opened; the next try opens no second one, and none silently."""
    with killed_in(where, folder):
        earmark(*CLAIM, cwd=folder, code=130)
    assert not (folder / "claim.zip").exists()
    assert b"opened" in (folder / "acme.journal").read_bytes()
    entries = (folder / "acme.journal").read_bytes().count(b"\n")
    made = json.loads(earmark(*CLAIM, "--json", cwd=folder).stdout)
    assert made["set"] == [0, 0]
    assert (folder / "acme.journal").read_bytes().count(b"\n") == entries, "nothing more was opened"


@pytest.mark.parametrize("where", WHERE)
def test_stamps_outlive_a_killed_claim(folder, tmp_path, where):
    """After the opening no authority gives such a stamp again, so those that were had are kept."""
    authority = new_authority(tmp_path / "authority")
    (folder / "root.pem").write_bytes(authority.root_pem)
    with serving(stamped_by(authority)) as url, killed_in(where, folder):
        stamped = ("--tsa", url, "--tsa-root", "root.pem")
        earmark(*CLAIM, *stamped, cwd=folder, code=130)
    assert (folder / "acme.claim-stamps").exists()
    made = earmark(*CLAIM, *stamped, cwd=folder)  # nobody answers there any more
    assert "no stamp" not in made.stderr
    assert not (folder / "acme.claim-stamps").exists()
    told = earmark(*ASKED, "--tsa-root", "root.pem", cwd=folder).stdout
    assert told.splitlines()[-1].startswith("step 12: owned: ")


def test_an_opening_without_a_stamp_gets_none_later(folder, tmp_path):
    """What was opened before it was stamped may be younger; that is said, and no worthless stamp taken."""
    with killed_in(WHERE[0], folder):
        earmark(*CLAIM, cwd=folder, code=130)
    requests = []
    with serving(lambda body: requests.append(body) or (503, {}, [])) as url:
        made = earmark(*CLAIM, "--tsa", url, cwd=folder)
    assert "no stamp at hand is older" in made.stderr
    assert not requests


def test_a_stamp_that_is_not_certain_soon_opens_nothing(folder, tmp_path):
    authority = new_authority(tmp_path / "authority", accuracy="secs:900")
    with serving(stamped_by(authority)) as url:
        refused = earmark(*CLAIM, "--tsa", url, cwd=folder, code=4)
    assert "no set was opened" in one_line_error(refused)
    assert b'"opened"' not in (folder / "acme.journal").read_bytes()


def test_no_stamp_dates_code(folder, tmp_path):
    """The code's file stays the same while what it reads changes; only a person can attest its age."""
    (folder / "local.py").write_text(REMOTE + "ask.is_remote = False\n")
    with serving(lambda body: (503, {}, [])) as url:
        claimed = (*OWNED, "local.py:ask", "--trust-code", "-o", "claim.zip")
        made = earmark(*claimed, "--tsa", url, cwd=folder)
    assert "no stamp can date a service or code" in made.stderr
    told = earmark(*CHECK, "--suspect", "local.py:ask", "--trust-code", cwd=folder, code=1).stdout
    assert "nothing shows that the suspect is older" in told
    assert "the suspect is the one of the claim: python:sha256:" in told


def test_what_cannot_be_written_opens_nothing(folder):
    """A mistyped option costs no set."""
    earmark("owner", "new", "-o", "other.key", "--name", "Other", cwd=folder)
    keygen = ("keygen", "--owner", "other.key", "--data", "digits", "--triggers", "100", "-o", "other-key")
    earmark(*keygen, cwd=folder)
    others = ("--owner-key", "other.key", "-o", "other.release.json")
    earmark("release", "marked.safetensors", "--vk", "other-key.vk.json", *others, cwd=folder)
    claimed = ("claim", "--key", "acme.key", "marked.safetensors")
    for given, words in (
        (("--owner-key", "other.key", "-o", "claim.zip"), "the owner key is that of 'Other'"),
        (("--owner-key", "owner.key", "-o", "nowhere/claim.zip"), "nowhere/claim.zip cannot be written"),
        (
            ("--owner-key", "owner.key", "-o", "claim.zip", "--release", "other.release.json"),
            "for another key",
        ),
        (
            ("--owner-key", "owner.key", "-o", "claim.zip", *("--release", "other.release.json") * 17),
            "at most 16",
        ),
    ):
        result = earmark(*claimed, *given, cwd=folder, code=2 if "16" in words or "nowhere" in words else 3)
        assert words in one_line_error(result)
    with patch("earmark.formats.claim_v1.SIZE_LIMIT_BYTES", 1000):
        result = earmark(*CLAIM, cwd=folder, code=2)
    assert "larger than 1000 bytes" in one_line_error(result)
    assert b'"opened"' not in (folder / "acme.journal").read_bytes()
    assert json.loads(earmark(*CLAIM, "--json", cwd=folder).stdout)["set"] == [0, 0]


def test_no_stamp_no_opening(folder, tmp_path):
    """The authority is down: nothing is lost."""
    with serving(lambda body: (503, {}, [b"later"])) as url:
        result = earmark(*CLAIM, "--tsa", url, cwd=folder, code=4)
    assert "no set was opened" in one_line_error(result)
    assert not (folder / "claim.zip").exists()
    assert json.loads(earmark(*CLAIM, "--json", cwd=folder).stdout)["set"] == [0, 0]


def test_files_that_are_no_claims(folder):
    (folder / "claim.zip").write_bytes(b"not a claim")
    assert "neither a claim" in one_line_error(earmark(*CHECK, cwd=folder, code=3))
    (folder / "claim.zip").write_bytes(b"PK\x03\x04, and nothing else")
    assert "step 1" in one_line_error(earmark(*CHECK, cwd=folder, code=1))
    (folder / "claim.zip").unlink()
    assert "claim.zip" in one_line_error(earmark(*CHECK, cwd=folder, code=3))


def test_options_that_go_together(folder):
    earmark(*CLAIM, cwd=folder)
    result = earmark(*CHECK, "--older-by", "Jones", cwd=folder, code=2)
    assert "go with --suspect" in one_line_error(result)
    assert "claim.zip" in one_line_error(earmark(*CLAIM, cwd=folder, code=2)), "it is there already"


def test_the_checkers_page_says_what_the_check_found(folder):
    """Nothing that the claimant wrote for people reaches it, and it claims no more than the check."""
    earmark(*CLAIM, cwd=folder)
    told = earmark(*ASKED, "--report", "undated.html", cwd=folder, code=1)
    assert told.stdout.splitlines()[-1] == "report: undated.html"
    undated = (folder / "undated.html").read_text()
    assert "A check of a claim." in undated
    assert "could have made this suspect" in undated
    assert "carries the mark" not in undated
    earmark(*ASKED, "--older-by", "Jones", "--report", "dated.html", cwd=folder)
    assert "carries the mark of “Acme Research”" in (folder / "dated.html").read_text()


def test_the_owners_page_in_a_claim_names_no_paths(folder):
    earmark(*OWNED, str(folder / "marked.safetensors"), "-o", str(folder / "claim.zip"), cwd=folder)
    assert str(folder).encode() not in (folder / "claim.zip").read_bytes()


@contextmanager
def served_model(folder, name="marked.safetensors"):
    """A model behind HTTP on loopback: its address, and the list of what it was asked."""
    pytest.importorskip("httpx2")
    pytest.importorskip("fastapi")
    import earmark as library
    from loopback import classifier_app, served

    suspect = library.open_suspect(str(folder / name))
    seen = []
    app = classifier_app(lambda pixels: suspect.probabilities([pixels])[0], suspect.class_names, seen)
    with served(app) as url:
        yield f"{url}/models/acme/digits", seen


def test_a_service_is_claimed_and_checked(folder):
    """Each question once for the owner, and once for whoever checks, through a journal of his own."""
    with served_model(folder) as (name, seen):
        made = earmark(*OWNED, name, "-o", "claim.zip", "--json", cwd=folder)
        asked = json.loads(made.stdout)["questions"]
        assert asked < 100, "questioning stops when it is enough"
        assert len(seen) == asked
        checked = (*CHECK, "--suspect", name, "--older-by", "Jones")
        first = json.loads(earmark(*checked, "--json", cwd=folder).stdout)
        assert first["earlier_answers"] == 0
        assert len(seen) == 2 * asked
        again = earmark(*checked, "--journal", "claim.zip.journal", cwd=folder)
        assert len(seen) == 2 * asked, "first answers count"
        assert f"0 put now, {asked} first answers from the journal" in again.stdout
    assert PASSPHRASE["EARMARK_PASSPHRASE"].encode() not in (folder / "claim.zip").read_bytes()


def test_a_journal_that_came_with_a_claim_answers_nothing(folder):
    """The claimant ships the answers that he would like the checker to get, in the checker's journal."""
    with served_model(folder) as (name, seen):
        earmark(*OWNED, name, "-o", "claim.zip", cwd=folder)
        checked = (*CHECK, "--suspect", name, "--older-by", "Jones")
        earmark(*checked, cwd=folder)
        before = len(seen)
        refused = earmark(*checked, cwd=folder, code=2)
        assert "if it came with the claim, delete it" in one_line_error(refused)
        assert len(seen) == before
        (folder / "claim.zip.journal").unlink()
        assert "claim.zip.api-record" in one_line_error(earmark(*checked, cwd=folder, code=2))
        (folder / "claim.zip.api-record").unlink()
        earmark(*checked, cwd=folder)
        assert len(seen) > before


def test_a_journal_that_came_with_one_of_two_claims(folder):
    pirate = ("keygen", "--owner", "owner.key", "--data", "digits", "--triggers", "100", "-o", "other")
    earmark(*pirate, cwd=folder)
    with served_model(folder) as (name, seen):
        earmark(*OWNED, name, "-o", "a.zip", cwd=folder)
        other = ("claim", "--key", "other.key", "--owner-key", "owner.key", "--even-if-not-shown")
        earmark(*other, name, "-o", "b.zip", cwd=folder, code=1)
        about = ("compare", "a.zip", "b.zip", "--vk", "acme.vk.json", "--vk", "other.vk.json")
        asked = (*about, "--suspect", name, "--older-by", "Jones", "--json")
        before = len(seen)
        (folder / "b.zip.journal").write_bytes((folder / "other.journal").read_bytes())
        refused = earmark(*asked, cwd=folder, code=2)
        assert "if it came with the claim, delete it" in one_line_error(refused)
        assert len(seen) == before
        (folder / "b.zip.journal").unlink()
        first, second = json.loads(earmark(*asked, cwd=folder, code=1).stdout)["claimants"]
        assert first["owns_suspect"]
        assert not second["owns_suspect"]
        assert first["put_now"] + second["put_now"] == len(seen) - before
        after = len(seen)
        journals = ("--journal", "a.zip.journal", "--journal", "b.zip.journal")
        again = json.loads(earmark(*asked, *journals, cwd=folder, code=1).stdout)["claimants"]
        assert [item["put_now"] for item in again] == [0, 0]
        assert len(seen) == after


REMOTE = """
import earmark

model = earmark.open_suspect("marked.safetensors")


def ask(pixels):
    return model.probabilities([pixels])[0]


ask.class_names = model.class_names
"""


def test_code_that_may_ask_elsewhere_is_claimed_and_checked(folder):
    """It counts as remote, so it is asked through the checker's journal, whatever its name looks like."""
    (folder / "there.py").write_text(REMOTE)
    earmark(*OWNED, "there.py:ask", "--trust-code", "-o", "claim.zip", cwd=folder)
    checked = (*CHECK, "--suspect", "there.py:ask", "--trust-code", "--older-by", "Jones")
    assert "100 put now, 0 first answers" in earmark(*checked, cwd=folder).stdout
    assert "if it came with the claim" in one_line_error(earmark(*checked, cwd=folder, code=2))


MAPPING = """
format = "earmark/api-mapping/v1"
url = "{url}"
request = {{picture = "png", bytes = true}}
answer = {{labels = "[*].label", scores = "[*].score", classes = [{classes}]}}
"""


def test_a_mapping_of_the_claimant_names_no_classes_of_its_own(folder):
    """Its classes would be numbered as he likes; neither he nor a checker is led by it."""
    digits = [str(digit) for digit in range(10)]
    with served_model(folder) as (name, seen):
        own = MAPPING.format(url=name, classes=", ".join(f'"{digit}"' for digit in digits))
        (folder / "own.toml").write_text(own)
        (folder / "foreign.toml").write_text(own.replace('"7"', '"70"'))
        refused = earmark(*OWNED, "foreign.toml", "-o", "claim.zip", cwd=folder, code=2)
        assert "not called like the key's" in one_line_error(refused)
        assert not seen
        with patch("earmark.cli.services.has_foreign_classes", lambda *_: False):
            claimed = (*OWNED, "foreign.toml", "--even-if-not-shown", "-o", "claim.zip")
            earmark(*claimed, cwd=folder)
        before = len(seen)
        checked = (*CHECK, "--older-by", "Jones", "--suspect")
        refused = one_line_error(earmark(*checked, "foreign.toml", cwd=folder, code=1))
        assert "step 6" in refused
        assert "not called like the key's" in refused
        assert len(seen) == before


def test_misses_and_resends_of_a_service_are_said_by_all(folder):
    """A service that is busy now and then and refuses one question."""
    pytest.importorskip("httpx2")
    import earmark as library
    from loopback import Rude, answer, pixels_of

    suspect = library.open_suspect(str(folder / "marked.safetensors"))
    refused = []

    def script(number, head, body, connection):
        if number % 20 == 3:
            return answer({}, status=503)
        picture = pixels_of(body)
        if number == 7:
            refused.append(picture.tobytes())
        if picture.tobytes() in refused:
            return answer({}, status=500)
        found = suspect.probabilities([picture])[0]
        rows = [{"label": str(place), "score": float(score)} for place, score in enumerate(found)]
        return answer(rows)

    with Rude(script).served() as url:
        name = f"{url}/x"
        made = earmark(*OWNED, name, "-o", "claim.zip", "--json", "--budget-queries", "300", cwd=folder)
        checked = (*CHECK, "--suspect", name, "--older-by", "Jones", "--mix-with", "digits")
        again = earmark(*checked, "--price-per-query", "1", "--budget-money", "500", "--json", cwd=folder)
        for result in (made, again):
            said = json.loads(result.stdout)["warnings"]
            assert any("got no answer that counts (error" in line for line in said), said
            assert any("sent again because nothing came back" in line for line in said), said
            assert all(f"earmark: warning: {line}" in result.stderr for line in said)


def test_a_claim_of_a_later_set_is_checked_with_a_service_too(folder):
    earmark(*CLAIM, cwd=folder)  # set 0:0 is used up
    with served_model(folder) as (name, seen):
        made = json.loads(earmark(*OWNED, name, "-o", "2.zip", "--json", cwd=folder).stdout)
        assert made["set"] == [0, 1]
        before = len(seen)
        earmark(
            "check", "2.zip", "--vk", "acme.vk.json", "--suspect", name, "--older-by", "Jones", cwd=folder
        )
        assert len(seen) > before


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
