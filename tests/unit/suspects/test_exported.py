import numpy as np
import pytest
import torch

from earmark.errors import FormatError, SuspectError
from earmark.models.preprocessing import Preprocessing, catalogue, for_channels
from earmark.suspects.exported import ExportedSuspect
from small_models import NAMES, description, exported_file, network, questions

GREY = for_channels(1)


def program(path, module, example, **options):
    torch.export.save(torch.export.export(module, example, **options), path)
    return path


class Linear(torch.nn.Module):
    """One layer, so that the expected scores are a product."""

    def __init__(self, output=lambda scores: scores, dtype=torch.float32) -> None:
        super().__init__()
        weight = np.random.default_rng(3).normal(size=(64, 10)).astype(np.float32)
        self.register_buffer("weight", torch.from_numpy(weight))
        self._output = output

    def forward(self, images):
        return self._output(images.float().flatten(1) @ self.weight)


def expected(preprocessing=GREY, count=12, weight=None):
    inputs = preprocessing(np.stack(questions(count))).reshape(count, -1)
    return list((inputs @ Linear().weight.numpy()).argmax(1))


@pytest.mark.parametrize("batch", [1, 3])
def test_a_fixed_batch_changes_no_answer(tmp_path, batch):
    path = exported_file(tmp_path / "m.pt2", batch=batch)
    with torch.inference_mode():
        scores = network()(torch.from_numpy(GREY(np.stack(questions(12)))))
    assert ExportedSuspect(path).answer(questions(12)) == scores.argmax(1).tolist()


def test_free_sizes_are_taken_from_the_example(tmp_path):
    size = torch.export.Dim("size", min=4, max=64)
    batch = torch.export.Dim("batch")

    class Pooled(torch.nn.Module):
        def forward(self, images):
            mean = images.mean((2, 3))  # (batch, 1)
            return torch.cat([mean, -mean], 1)

    path = program(
        tmp_path / "m.pt2",
        Pooled(),
        (torch.zeros(2, 1, 8, 8),),
        dynamic_shapes=({0: batch, 2: size, 3: size},),
    )
    suspect = ExportedSuspect(path, preprocessing=GREY)
    assert suspect.class_count == 2
    bright, dark = np.full((16, 16, 1), 255, np.uint8), np.zeros((16, 16, 1), np.uint8)
    assert suspect.answer([bright, dark]) == [0, 1]


@pytest.mark.parametrize("dtype", [torch.float16, torch.float64, torch.uint8])
def test_every_type_of_input_is_read(tmp_path, dtype):
    raw = catalogue(1)["raw-rgb-nchw"]
    path = program(tmp_path / "m.pt2", Linear(), (torch.zeros(1, 1, 8, 8, dtype=dtype),))
    assert ExportedSuspect(path, preprocessing=raw).answer(questions(12)) == expected(raw)


@pytest.mark.parametrize(
    "output",
    [
        lambda scores: (scores.argmax(1), scores, -scores),
        lambda scores: {"number": scores.argmax(1), "scores": scores, "opposite": -scores},
        lambda scores: [[scores[:, :, None, None]], -scores],
    ],
)
def test_of_several_outputs_the_first_with_scores_counts(tmp_path, output):
    path = program(tmp_path / "m.pt2", Linear(output), (torch.zeros(1, 1, 8, 8),))
    assert ExportedSuspect(path, preprocessing=GREY).answer(questions(12)) == expected()


@pytest.mark.parametrize(
    ("module", "example", "error", "message"),
    [
        (Linear(lambda scores: scores.argmax(1)), torch.zeros(1, 1, 8, 8), SuspectError, "no float scores"),
        (Linear(lambda scores: scores[:, :1]), torch.zeros(1, 1, 8, 8), FormatError, "1 scores"),
        (Linear(), torch.zeros(1, 64), FormatError, "four dimensions"),
        (Linear(), torch.zeros(1, 1, 8, 8, dtype=torch.int64), FormatError, "four dimensions"),
    ],
)
def test_a_program_of_another_form_is_refused(tmp_path, module, example, error, message):
    path = program(tmp_path / "m.pt2", module, (example,))
    with pytest.raises(error, match=message):
        ExportedSuspect(path, preprocessing=GREY)


def test_a_program_with_two_inputs_is_refused(tmp_path):
    class Two(torch.nn.Module):
        def forward(self, images, more):
            return images.flatten(1) + more

    path = program(tmp_path / "m.pt2", Two(), (torch.zeros(1, 1, 8, 8), torch.zeros(1, 64)))
    with pytest.raises(FormatError, match="2 inputs"):
        ExportedSuspect(path, preprocessing=GREY)


def test_what_is_said_of_preprocessing_is_chosen_as_for_every_file(tmp_path):
    silent = program(tmp_path / "silent.pt2", Linear(), (torch.zeros(1, 1, 8, 8),))
    with pytest.raises(FormatError, match="--preprocessing NAME"):
        ExportedSuspect(silent)
    fixed = ExportedSuspect(silent, fallback=GREY)
    assert fixed.preprocessing == f"fixed in the transcript: {GREY}"
    assert fixed.class_names is None
    spoilt = exported_file(tmp_path / "spoilt.pt2", text="spoilt")
    with pytest.raises(FormatError, match="description"):
        ExportedSuspect(spoilt, fallback=GREY)
    assert ExportedSuspect(spoilt, preprocessing=GREY).class_count == 10
    other = exported_file(tmp_path / "other.pt2", text=description(NAMES[:4]).to_text())
    with pytest.raises(FormatError, match="10 outputs"):
        ExportedSuspect(other)


def test_questions_of_another_size_answer_nothing(tmp_path):
    path = program(tmp_path / "m.pt2", Linear(), (torch.zeros(1, 1, 8, 8),))
    suspect = ExportedSuspect(path, preprocessing=GREY)
    with pytest.raises(SuspectError, match="answers nothing|did not answer"):
        suspect.answer(questions(2, (4, 4, 1)))
    sized = Preprocessing(mean=("0.5",), std=("0.5",), channels=1, size=(8, 8))
    assert len(ExportedSuspect(path, preprocessing=sized).answer(questions(2, (4, 4, 1)))) == 2


def test_a_program_that_draws_random_numbers_draws_the_same_ones_again(tmp_path):
    """Exported in training mode, it drops some: whoever asks could repeat until the answers please him."""

    class Dropping(torch.nn.Module):
        def forward(self, images):
            return torch.nn.functional.dropout(images.flatten(1)[:, :40], 0.5, training=True)

    path = program(tmp_path / "m.pt2", Dropping(), (torch.zeros(1, 1, 8, 8),))
    torch.manual_seed(1)
    outside = torch.random.get_rng_state()
    said = [ExportedSuspect(path, preprocessing=GREY).answer(questions(24)) for _ in range(2)]
    assert said[0] == said[1]
    assert torch.equal(outside, torch.random.get_rng_state())
    torch.manual_seed(2)
    assert ExportedSuspect(path, preprocessing=GREY).answer(questions(24)) == said[0]
