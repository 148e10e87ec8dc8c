"""What a claimant, a thief and a maker of models could do with proofs if each freedom were not paid for or ended.

Which sets a proof is about, and that it is a proof at all and no claim, is the claimant's choice; what each
proof or refusal tells is limited by a budget.
"""

import hashlib
from collections import Counter
from datetime import UTC, datetime
from fractions import Fraction
from functools import cache
from itertools import combinations, pairwise
from math import comb
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.stats import binom

onnx = pytest.importorskip("onnx")
pytest.importorskip("numba")

from adversary.forger import assert_exceeds, assert_within, expected_answers, noise_key  # noqa: E402 - after
from earmark.cli.prove import BUDGET, METHOD  # noqa: E402 - after the skip
from earmark.errors import JournalError, ProofError  # noqa: E402 - after the skip
from earmark.formats.journal_v1 import Journal  # noqa: E402 - after the skip
from earmark.models.preprocessing import for_channels  # noqa: E402 - after the skip
from earmark.statistics import OWNED_BITS, adjusted_tail, fewest_matches, match_tail  # noqa: E402 - as above
from earmark.verification.measurement import METHOD_CHOICES  # noqa: E402 - after the skip
from earmark.zero_knowledge.ownership import METHODS_OF_A_PROOF, claim_about  # noqa: E402 - after the skip
from small import ONLY_SET  # noqa: E402 - after the skip

CLASSES = tuple("abcdefgh")
CHANCE = Fraction(1, 8)


@cache
def always_d() -> bytes:
    """An ONNX file of one dense layer from 2x2 pixels to eight scores, of which the fourth always wins."""
    bias = np.zeros(8, np.float32)
    bias[3] = 100
    value, constant = onnx.helper.make_tensor_value_info, onnx.numpy_helper.from_array
    graph = onnx.helper.make_graph(
        [
            onnx.helper.make_node("Flatten", ["input"], ["flat"]),
            onnx.helper.make_node("Gemm", ["flat", "weights", "bias"], ["scores"]),
        ],
        "always d",
        [value("input", onnx.TensorProto.FLOAT, ["batch", 1, 2, 2])],
        [value("scores", onnx.TensorProto.FLOAT, ["batch", 8])],
        [constant(np.full((4, 8), 0.01, np.float32), "weights"), constant(bias, "bias")],
    )
    opset = onnx.helper.make_opsetid("", 17)
    return onnx.helper.make_model(graph, opset_imports=[opset], ir_version=8).SerializeToString()


def claimed(key, set_ids):
    """What a proof about these sets would show; the commitments play no part in it."""
    public, data = key.verification_key, always_d()
    count = sum(len(triggers) for triggers in key.triggers.values())
    suspect = SimpleNamespace(
        name="a file",
        identity=f"sha256:{hashlib.sha256(data).hexdigest()}",
        reads=for_channels(1),
        preprocessing="as the file says",
        class_names=CLASSES,
        class_count=8,
    )
    return claim_about(public, np.zeros((count, 320), np.uint32), suspect, data, set_ids)


def limit_without(claim, *names):
    """The chance that a verdict allows if some penalties were forgotten."""
    kept = tuple(penalty for penalty in claim.penalties if penalty.name not in names)
    assert len(kept) == len(claim.penalties) - len(names), "each of them is paid"
    return 1 / adjusted_tail(Fraction(2**OWNED_BITS), kept)


# Which sets


def test_the_sets_in_which_a_suspect_did_well_are_proven_about_by_nobody():
    """A constant model, 480 sets of one trigger each, and a proof about the 60 or so that it answers."""
    key = noise_key("many sets", 1, sets=480, classes=CLASSES, shape=(2, 2, 1))
    lucky = tuple(set_id for set_id in key.verification_key.set_ids if expected_answers(key, set_id) == [3])
    forgotten = limit_without(claimed(key, key.verification_key.set_ids))
    assert match_tail(len(lucky), len(lucky), CHANCE) <= forgotten, "a proof of all of them would be made"
    with pytest.raises(ProofError, match="too few to show anything"):
        claimed(key, lucky)


def test_a_set_named_twice_is_not_counted_twice():
    key = noise_key("two sets", 60, sets=2, classes=CLASSES, shape=(2, 2, 1))
    first, second = key.verification_key.set_ids
    assert claimed(key, (first, second)).statement.input_count == 120
    for twice in [(first, first), (first, first, second), (second, first), ()]:
        with pytest.raises(ValueError, match="in their order, each once"):
            claimed(key, twice)


def test_what_is_paid_for_sets_covers_every_choice_of_every_subset():
    """Counted: over all subsets with gaps together, an independent model has half of what one proof may have."""
    key = noise_key("seven sets", 100, sets=7, classes=CLASSES, shape=(2, 2, 1))
    every = key.verification_key.set_ids
    alone = claimed(key, every)
    limit, total, forgotten, seen = limit_without(alone), Fraction(0), Fraction(0), Counter()
    for size in range(1, 8):
        for subset in combinations(every, size):
            places = [every.index(set_id) for set_id in subset]
            runs = 1 + sum(after - before > 1 for before, after in pairwise(places))
            seen[runs] += 1
            if runs == 1:
                continue  # these are among the 2^24 looks
            claim = claimed(key, subset)
            total += claim.tail
            count = claim.statement.input_count
            forgotten += match_tail(count, fewest_matches(count, CHANCE, limit), CHANCE)
    assert seen == {runs: comb(8, 2 * runs) for runs in (1, 2, 3, 4)}
    assert total <= limit / 2 < forgotten


# A proof, or a claim by one of its methods


def test_a_proof_pays_for_every_claim_that_could_have_been_tried_in_its_place():
    assert METHODS_OF_A_PROOF.alternatives == METHOD_CHOICES


@pytest.mark.parametrize("count", [100, 120, 150, 200])
def test_who_tries_all_ways_has_no_more_than_one_verdict_allows(count):
    """Exact; the worst case: each way asks for as little as a proof, and they do not depend on each other."""
    claim = claimed(noise_key("one set", count, classes=CLASSES, shape=(2, 2, 1)), (ONLY_SET,))
    tries, allowed = METHOD_CHOICES, limit_without(claim, METHODS_OF_A_PROOF.name)
    assert 1 - (1 - claim.tail) ** tries <= allowed
    unpaid = match_tail(count, fewest_matches(count, CHANCE, allowed), CHANCE)
    if claim.statement.needed > fewest_matches(count, CHANCE, allowed):
        assert 1 - (1 - unpaid) ** tries > allowed, "this is what the penalty is for"


def test_for_some_keys_the_choice_alone_would_have_been_enough():
    """So that the test above is about something: without the penalty some proof needs a match less."""
    more = []
    for count in (100, 120, 150, 200):
        claim = claimed(noise_key("one set", count, classes=CLASSES, shape=(2, 2, 1)), (ONLY_SET,))
        allowed = limit_without(claim, METHODS_OF_A_PROOF.name)
        more.append(claim.statement.needed - fewest_matches(count, CHANCE, allowed))
    assert 1 in more


def test_a_shopper_for_methods_wins_too_often_unless_it_is_paid():
    """Measured, with a threshold so low that wins happen: the best of seven counts of matches."""
    models, limit, tries = 20_000, Fraction(1, 32), METHODS_OF_A_PROOF.alternatives
    matches = np.random.default_rng(0).binomial(500, float(CHANCE), (models, tries))
    best = binom.sf(matches - 1, 500, float(CHANCE)).min(1)
    assert_exceeds(int((best <= limit).sum()), models, 4 * limit)
    assert_within(int((best * tries <= limit).sum()), models, limit)


# What proofs and refusals tell


def test_gated_models_read_no_more_bits_of_a_trigger_than_the_budget_has(tmp_path):
    """He sells 64 models; number i carries the mark only if bit i of a trigger is set, and is proven about."""
    key = noise_key("gated", 1, classes=CLASSES, shape=(4, 4, 1))
    pixels = next(iter(key.triggers.values()))[0].value
    secret = np.unpackbits(pixels.reshape(-1)[:8]).tolist()
    path, root = tmp_path / "key.journal", key.transcript.root
    Journal.create(path, root)

    def outcome(number):
        """As the owner does: journalled first, in a process of its own each time."""
        journal = Journal(path, root, lambda: datetime(2026, 1, 1, tzinfo=UTC))
        method = {"statistic": METHOD, "statement": f"{number:064x}"}
        journal.record_within(f"sha256:{number:064x}", method, BUDGET)
        return secret[number]

    read = []
    for number in range(64):
        try:
            read.append(outcome(number))
        except JournalError:
            continue
    assert read == secret[:BUDGET], "so many and no more"
    assert outcome(0) == secret[0], "what he knows already costs nothing"
    with pytest.raises(JournalError, match="budget"):
        outcome(40)


def test_answers_help_a_guesser_no_more_than_two_to_their_number():
    """Exact, for every adaptive way to ask about one of 64 secrets: with b answers he knows at most 2^b."""

    @cache
    def most_found(secrets, answers):
        """How many of these secrets are found by the best of 20 questions at each step; others are guessed."""
        if answers == 0 or len(secrets) <= 1:
            return min(1, len(secrets))
        best = 1
        for bit in range(6):
            yes = frozenset(secret for secret in secrets if secret >> bit & 1)
            for asked in (yes, frozenset(secret for secret in secrets if secret <= bit * 9)):
                found = most_found(asked, answers - 1) + most_found(secrets - asked, answers - 1)
                best = max(best, found)
        return best

    for answers in range(5):
        assert most_found(frozenset(range(64)), answers) == 2**answers
