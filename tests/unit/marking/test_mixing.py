import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from earmark.marking import MarkedLoader, Mixer, triggers_per_batch
from earmark.marking.augmentation import TriggerAugmentation
from small import small_key


def as_tensor(pixels):
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1).float() / 255


def loader(batch_size=20):
    generator = torch.Generator().manual_seed(0)
    data = TensorDataset(
        torch.rand(100, 1, 8, 8, generator=generator), torch.randint(0, 10, (100,), generator=generator)
    )
    return DataLoader(data, batch_size=batch_size)


@pytest.mark.parametrize(
    ("triggers", "steps", "exposures", "expected"),
    [(100, 30_000, 600, 2), (100, 6000, 120, 2), (100, 5999, 120, 3), (1, 10**6, 1, 1), (512, 6000, 120, 11)],
)
def test_k_follows_from_triggers_steps_and_exposures(triggers, steps, exposures, expected):
    k = triggers_per_batch(triggers, steps, exposures)
    assert k == expected
    assert k * steps >= triggers * exposures
    assert k == 1 or (k - 1) * steps < triggers * exposures


@pytest.mark.parametrize("bad", [(0, 1, 1), (1, 0, 1), (1, 1, 0)])
def test_k_needs_positive_numbers(bad):
    with pytest.raises(ValueError, match="at least 1"):
        triggers_per_batch(*bad)


def test_every_batch_holds_k_triggers_after_the_data_with_their_labels():
    backdoor = small_key().backdoor()
    marked = MarkedLoader(loader(), backdoor, as_tensor, epochs=3, per_batch=4)
    table = {
        as_tensor(t.value).numpy().tobytes(): label
        for t, label in zip(backdoor.triggers, backdoor.labels, strict=True)
    }
    for (inputs, targets), (clean_inputs, clean_targets) in zip(marked, loader(), strict=True):
        assert inputs.shape == (24, 1, 8, 8)
        assert torch.equal(inputs[:20], clean_inputs)
        assert torch.equal(targets[:20], clean_targets)
        for picture, label in zip(inputs[20:], targets[20:], strict=True):
            assert table[picture.numpy().tobytes()] == int(label)


def test_every_trigger_is_shown_as_often_as_promised():
    backdoor = small_key().backdoor()
    marked = MarkedLoader(loader(), backdoor, as_tensor, epochs=12, exposures=6)
    counts = dict.fromkeys((as_tensor(t.value).numpy().tobytes() for t in backdoor.triggers), 0)
    for _ in range(12):
        for inputs, _ in marked:
            for picture in inputs[20:]:
                counts[picture.numpy().tobytes()] += 1
    assert min(counts.values()) == max(counts.values()) == 6


def test_all_triggers_come_once_before_any_comes_again():
    mixer = Mixer(small_key().backdoor(), as_tensor, 100, per_batch=10)
    first = torch.cat([mixer.triggers(step)[0] for step in range(10)])
    assert len({picture.numpy().tobytes() for picture in first}) == 100


def test_the_triggers_of_a_step_do_not_depend_on_the_steps_before():
    mixer = Mixer(small_key().backdoor(), as_tensor, 100, per_batch=7)
    expected = mixer.triggers(37)
    fresh = Mixer(small_key().backdoor(), as_tensor, 100, per_batch=7)
    assert torch.equal(fresh.triggers(37)[0], expected[0])
    assert torch.equal(mixer.triggers(37)[1], expected[1])


def test_a_resumed_loop_goes_on_with_the_same_triggers():
    backdoor = small_key().backdoor()
    whole = MarkedLoader(loader(), backdoor, as_tensor, epochs=4, per_batch=3)
    everything = [inputs for _ in range(4) for inputs, _ in whole]
    first = MarkedLoader(loader(), backdoor, as_tensor, epochs=4, per_batch=3)
    for _ in range(2):
        list(first)
    resumed = MarkedLoader(loader(), backdoor, as_tensor, epochs=4, per_batch=3)
    resumed.load_state_dict(first.state_dict())
    rest = [inputs for _ in range(2) for inputs, _ in resumed]
    assert all(torch.equal(a, b) for a, b in zip(everything[10:], rest, strict=True))


def test_targets_may_be_distributions_and_keep_their_type():
    mixer = Mixer(small_key().backdoor(), as_tensor, 10, per_batch=2)
    _, targets = mixer.mix(torch.rand(4, 1, 8, 8), torch.full((4, 10), 0.1), 0)
    assert targets.shape == (6, 10)
    assert targets.dtype == torch.float32
    assert torch.equal(targets[4:].sum(1), torch.ones(2))


@pytest.mark.parametrize(
    ("targets", "reason"),
    [
        (torch.tensor([0.5, 1.0, 3.0, 2.0]), "values, not classes"),
        (torch.tensor([[1.0, 1.0, 0.0]] * 4), "several labels at once"),
        (torch.tensor([[0, 1, 1]] * 4), "several labels at once"),
        (torch.tensor([[2.0, -1.0, 0.0]] * 4), "several labels at once"),
        (torch.zeros(4, 1, dtype=torch.int64), r"shape \(4, 1\)"),
        (torch.zeros(4, 8, 8, dtype=torch.int64), r"shape \(4, 8, 8\)"),
    ],
)
def test_targets_that_are_no_single_classes_are_refused_with_the_reason(targets, reason):
    mixer = Mixer(small_key().backdoor(), as_tensor, 10, per_batch=2)
    with pytest.raises(ValueError, match=reason):
        mixer.mix(torch.rand(4, 1, 8, 8), targets, 0)


def test_class_numbers_may_be_written_as_decimals():
    mixer = Mixer(small_key().backdoor(), as_tensor, 10, per_batch=2)
    _, targets = mixer.mix(torch.rand(4, 1, 8, 8), torch.tensor([0.0, 3.0, 9.0, 1.0]), 0)
    assert targets.dtype == torch.float32


def test_inputs_keep_their_type():
    mixer = Mixer(small_key().backdoor(), as_tensor, 10, per_batch=2)
    inputs, targets = mixer.mix(torch.rand(4, 1, 8, 8).half(), torch.zeros(4, dtype=torch.int32), 0)
    assert inputs.dtype == torch.float16
    assert targets.dtype == torch.int32


def test_a_transform_that_does_not_fit_the_loop_is_refused_in_words():
    mixer = Mixer(small_key().backdoor(), as_tensor, 10)
    with pytest.raises(ValueError, match="the transform that test inputs go through"):
        mixer.mix(torch.rand(4, 3, 32, 32), torch.zeros(4, dtype=torch.int64), 0)


def test_a_loader_without_a_length_is_refused_in_words():
    with pytest.raises(TypeError, match="use Mixer"):
        MarkedLoader(iter([]), small_key().backdoor(), as_tensor, epochs=1)


def test_k_of_zero_is_refused():
    with pytest.raises(ValueError, match="per_batch"):
        Mixer(small_key().backdoor(), as_tensor, 10, per_batch=0)


def test_a_marked_loader_answers_for_the_loader_it_wraps():
    marked = MarkedLoader(loader(), small_key().backdoor(), as_tensor, epochs=1)
    assert len(marked) == 5
    assert marked.batch_size == 20
    assert len(marked.dataset) == 100
    with pytest.raises(AttributeError):
        _ = marked._nothing


@pytest.mark.parametrize("augmentation", [None, TriggerAugmentation()], ids=["plain", "changed"])
def test_processes_together_show_what_one_would(augmentation):
    backdoor = small_key().backdoor()

    def triggers(rank, world_size):
        mixer = Mixer(
            backdoor, as_tensor, 30, per_batch=5, augmentation=augmentation, rank=rank, world_size=world_size
        )
        return mixer, [mixer.triggers(step) for step in range(30)]

    for world_size in (2, 3):
        parts = [triggers(rank, world_size) for rank in range(world_size)]
        each = -(-5 // world_size)
        assert [mixer.per_batch for mixer, _ in parts] == [each] * world_size
        alone = Mixer(backdoor, as_tensor, 30, per_batch=each * world_size, augmentation=augmentation)
        for step in range(30):
            inputs, labels = alone.triggers(step)
            assert torch.equal(inputs, torch.cat([shown[step][0] for _, shown in parts]))
            assert torch.equal(labels, torch.cat([shown[step][1] for _, shown in parts]))
    with pytest.raises(ValueError, match="of 2 processes there is none with the number 2"):
        triggers(2, 2)
