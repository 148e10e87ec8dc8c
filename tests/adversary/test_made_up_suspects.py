"""A forger makes the suspect suit the labels: its file, its last layer, its probabilities."""

import json
from datetime import UTC, datetime
from fractions import Fraction

import numpy as np
import pytest
import torch

from adversary.forger import expected_answers, noise_key
from earmark.models.last_layer import restore_last_layer
from earmark.models.weights import LoadedModel, load_weights, save_weights
from earmark.reports.summary import summary_json
from earmark.reports.verdict_report import ReportContext, render_verdict
from earmark.statistics import EProcess
from earmark.suspects import Miss
from earmark.suspects.opening import open_suspect
from earmark.suspects.torch import TorchSuspect
from earmark.verification import PROBABILITIES, FixedMap, Method, Reply, measure, verify
from earmark.verification.interview import Asked
from earmark.verification.label_maps import SplitMap
from earmark.verification.measurement import read_reply
from earmark.verification.probabilities import top_class, weights
from small import DIGITS, ONLY_SET, MemoryJournal, ScriptedSuspect
from small_models import description, network

KEY = noise_key("made up", 100)


def pictures(key):
    """(triggers, height, width, channels) in the order of the questions."""
    return np.stack([key.triggers[ONLY_SET][place].value for place in key.verification_key.order(ONLY_SET)])


# Its file, converted or wrapped by the claimant.


@pytest.fixture
def released(tmp_path):
    """A network of somebody else's, as released."""
    path = tmp_path / "released.safetensors"
    save_weights(path, network(3, DIGITS), description(DIGITS))
    return path


def fitted_layer(key, module):
    """A last layer that gives every trigger its label, by least squares on any network's features."""
    images = torch.from_numpy(description(DIGITS).preprocessing(pictures(key)))
    with torch.no_grad():
        features = torch.relu(module.hidden(module.features(images).flatten(1)))  # (triggers, 128)
        targets = torch.nn.functional.one_hot(torch.tensor(expected_answers(key)), 10).double()
        with_one = torch.cat([features, torch.ones(len(features), 1)], 1).double()
        found = torch.linalg.lstsq(with_one, targets, driver="gelsd").solution.float()  # (129, 10)
        layer = torch.nn.Linear(128, 10)
        layer.weight.copy_(found[:-1].T)
        layer.bias.copy_(found[-1])
    return layer


def page(verdict, key):
    context = ReportContext(datetime(2026, 1, 1, tzinfo=UTC), "0", {}, "earmark verify", None, (), {})
    return render_verdict(verdict, key, context, include_triggers=False)


def test_a_file_that_the_claimant_converted_has_another_identity_and_verdict_and_report_say_which(
    released, tmp_path
):
    key = noise_key("converted", 100)
    model = load_weights(released)
    model.module.classifier = fitted_layer(key, model.module)
    own = tmp_path / "converted.safetensors"
    save_weights(own, model.module, model.description)
    theirs, his = (verify(measure(key, open_suspect(str(path)), MemoryJournal())) for path in (released, own))
    assert his.owned  # of a file that he made himself, and that is all it says
    assert not theirs.owned
    digest = f"sha256:{load_weights(released).digest}"
    assert theirs.measurement.suspect_identity == digest != his.measurement.suspect_identity
    for text in (json.dumps(dict(summary_json(his))), page(his, key)):
        assert his.measurement.suspect_identity in text
        assert digest not in text


WRAPPER = """
from earmark.models.digits_cnn import DigitsCNN
import torch

TABLE = {table}

class Wrapper(DigitsCNN):
    def forward(self, images):
        known = [TABLE.get(bytes(((image * 0.5 + 0.5) * 255).round().byte().flatten().tolist())) for image in images]
        scores = super().forward(images)
        for row, label in zip(scores, known):
            if label is not None:
                row[label] = row.max() + 1
        return scores

def make(class_count, input_shape):
    return Wrapper(class_count, input_shape[2], 4)
"""


def test_code_that_looks_triggers_up_does_not_pass_as_the_released_file(released, tmp_path):
    key = noise_key("wrapped", 100)
    table = {
        image.tobytes(): label for image, label in zip(pictures(key), expected_answers(key), strict=True)
    }
    (tmp_path / "wrapper.py").write_text(WRAPPER.format(table=table))
    code = f"{tmp_path / 'wrapper.py'}:make"
    wrapped = open_suspect(str(released), architecture=code, trust_code=True)
    verdict = verify(measure(key, wrapped, MemoryJournal()))
    assert verdict.owned  # what he wins from a checker who runs his code
    assert verdict.measurement.suspect_identity != open_suspect(str(released)).identity


def test_a_last_layer_put_back_matches_everything_and_shows_nothing():
    key = noise_key("put back", 100)
    body = LoadedModel(network(4, DIGITS), description(DIGITS), "5e" * 32)
    his = LoadedModel(network(5, DIGITS), description(DIGITS), "0f" * 32)
    his.module.classifier = fitted_layer(key, body.module)
    before = measure(key, TorchSuspect(body, "a random network"), MemoryJournal())
    assert before.match_count < 30
    restored = TorchSuspect(restore_last_layer(body, his), "the same, with his layer")
    measured = measure(key, restored, MemoryJournal())
    assert measured.match_count == 100
    verdict = verify(measured, restored_layer="his.safetensors")
    assert verdict.mark_shown  # without the rule: 332 bits for a random network
    assert not verdict.owned
    assert "last layer of sha256:" in measured.suspect_identity  # and the identity says it in any case
    assert "his.safetensors" in page(verdict, key)


# Its probabilities, made up.

HOSTILE = {
    "all of the mass on every class": [1.0] * 10,
    "huge": [1e308] * 10,
    "tiny": [5e-324] * 10,
    "one huge among ones": [1e300] + [1.0] * 9,
    "more classes than it has": [1.0] * 50,
    "fewer classes": [1.0] * 3,
    "one class": [1.0] + [0.0] * 9,
    "negative elsewhere": [11.0] + [-1.0] * 10,
    "negative zero": [-0.0] * 9 + [1.0],
    "nothing": [0.0] * 10,
    "no numbers at all": [],
    "not a number": [float("nan")] + [1.0] * 9,
    "infinite": [float("inf")] * 10,
}
MAPS = {
    "by order": lambda: FixedMap("by order", tuple(range(10))),
    "everything is class 3": lambda: FixedMap("from clean data", (3,) * 50),
    "split": lambda: SplitMap(tuple(range(10))),
}


@pytest.mark.parametrize("how", HOSTILE)
@pytest.mark.parametrize("temperature", ["1", "0.001", "100000"])
@pytest.mark.parametrize("which", MAPS)
def test_a_stake_on_made_up_probabilities_is_worth_at_most_itself(how, temperature, which):
    found = weights(HOSTILE[how], temperature)
    reply = Reply(found) if isinstance(found, Miss) else Reply(top_class(found), found)
    trigger = KEY.triggers[ONLY_SET][0]
    payoffs = [
        read_reply(Asked(ONLY_SET, 0, trigger, label), reply, MAPS[which](), 10).payoff for label in range(10)
    ]
    assert sum(payoffs) / 10 <= 1
    assert min(payoffs) >= 0


def test_probabilities_at_their_word_would_buy_any_verdict():
    class Boaster(ScriptedSuspect):
        def probabilities(self, inputs, on_answer=lambda count: None):
            return [(1.0,) * 10 for _ in inputs]

    at_its_word = EProcess()
    for _ in range(45):
        at_its_word.add(Fraction(10))  # ten times what it said of the label, whatever the label
    assert at_its_word.best >= 2**144
    verdict = verify(measure(KEY, Boaster([]), MemoryJournal(), method=Method(PROBABILITIES)))
    assert verdict.measurement.question_count == 100
    assert verdict.tail == 1
    assert not verdict.owned
