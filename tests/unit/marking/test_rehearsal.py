from dataclasses import replace
from itertools import pairwise

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402 - after the skip

from earmark.marking.embedding import Embedding, EmbeddingLoss  # noqa: E402 - after the skip
from earmark.marking.rehearsal import Rehearsal, RehearsedEnds  # noqa: E402 - after the skip
from earmark.models.table import build, describe  # noqa: E402 - after the skip

AFTER = "blocks.5"
QUICK = Rehearsal(AFTER, weight=1.0, ends=2, steps=6, silent_steps=1)


def network(seed=0):
    torch.manual_seed(seed)
    return build(describe("resnet18", (16, 16, 3), ("a", "b", "c", "d"), 2))


def batch(count=12, seed=3):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, 3, 16, 16, generator=generator), torch.randint(4, (count,), generator=generator)


def features(module, inputs):
    return module.blocks[:6](module.stem(inputs))


def asked(ends, module, seed=3):
    inputs, targets = batch(seed=seed)
    clean, triggers = features(module, inputs[:8]), features(module, inputs[8:])
    return ends(module, clean, triggers, targets[:8], targets[8:])


def state(module):
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def same(first, second):
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def test_only_what_comes_before_the_layer_learns_and_only_of_triggers():
    module = network().train()
    ends = RehearsedEnds(replace(QUICK, silent_steps=0), module, batch()[0])
    inputs, targets = batch()
    clean, triggers = features(module, inputs[:8]), features(module, inputs[8:])
    clean.retain_grad()
    triggers.retain_grad()
    ends(module, clean, triggers, targets[:8], targets[8:]).backward()
    assert clean.grad is None
    assert bool(triggers.grad.abs().sum() > 0)
    learned = {name for name, part in module.named_parameters() if part.grad is not None}
    assert learned == {
        name
        for name, _ in module.named_parameters()
        if name.startswith("stem.") or (name.startswith("blocks.") and int(name.split(".")[1]) <= 5)
    }


def test_the_ends_learn_from_clean_pictures_and_nothing_from_triggers():
    module = network()
    inputs, targets = batch()
    with torch.no_grad():
        clean, triggers = features(module, inputs[:8]), features(module, inputs[8:])
    kept, losses = [], []
    for labels in (targets[8:], (targets[8:] + 1) % 4):
        torch.manual_seed(1)
        about = replace(QUICK, steps=500, silent_steps=0, learning_rate=0.1, alpha=0.0)
        ends = RehearsedEnds(about, module, inputs)
        losses += [ends(module, clean, triggers, targets[:8], labels).item() for _ in range(40)]
        # What an end answers to clean pictures, asked as if they were triggers.
        read = ends(module, clean, clean, targets[:8], targets[:8])
        assert float(read) < 0.1
        kept.append(ends.state_dict())
    assert same(*kept)
    assert losses[:40] != losses[40:]


def test_ends_begin_anew_one_after_the_other():
    module = network().eval()
    ends = RehearsedEnds(QUICK, module, batch()[0])
    heads = []
    for _ in range(7):
        asked(ends, module)
        heads.append([ends.state_dict()[f"{place}.part.network.classifier.bias"].clone() for place in (0, 1)])
    moves = [
        [float((now[place] - before[place]).abs().max()) for place in (0, 1)]
        for before, now in pairwise(heads)
    ]
    # A rate of 0.01 moves a bias by little; a new layer's is another one. The second begins after three steps.
    begun = [[move > 0.1 for move in both] for both in moves]
    assert begun == [
        [False, False],
        [False, False],
        [False, True],
        [False, False],
        [False, False],
        [True, False],
    ]


@pytest.mark.parametrize("fresh", [True, False])
def test_a_fresh_end_keeps_nothing_of_the_network_and_a_copy_all_but_its_last_layer(fresh):
    module = network().eval()
    ends = RehearsedEnds(replace(QUICK, fresh=fresh, learning_rate=1e-9), module, batch()[0])
    asked(ends, module)
    own = {f"part.network.{name}": part for name, part in module.named_parameters() if part.ndim > 1}
    for place in ("0.", "1."):
        state = ends.state_dict().items()
        found = {name.removeprefix(place): part for name, part in state if name.startswith(place)}
        drawn = [name for name in own if name in found]
        assert "part.network.blocks.6.conv1.weight" in drawn
        assert not any("stem" in name or "blocks.5" in name for name in drawn)
        moved = [name for name in drawn if (found[name] - own[name]).abs().max() > 1e-3]
        assert moved == (drawn if fresh else ["part.network.classifier.weight"])


def test_copies_alone_are_driven_away_from_the_last_layer():
    module = network().eval()

    def after_three_steps(**numbers):
        torch.manual_seed(2)
        ends = RehearsedEnds(replace(QUICK, **numbers), module, batch()[0])
        for _ in range(3):
            asked(ends, module)
        return ends.state_dict()

    assert same(after_three_steps(fresh=True), after_three_steps(fresh=True, alpha=7.0))
    assert not same(after_three_steps(fresh=False), after_three_steps(fresh=False, alpha=7.0))


def test_an_end_that_has_just_begun_says_nothing_yet():
    module = network().eval()
    ends = RehearsedEnds(Rehearsal(AFTER, ends=1, steps=5, silent_steps=3), module, batch()[0])
    speaks = [asked(ends, module).item() > 0 for _ in range(10)]
    assert speaks == 2 * [False, False, False, True, True]


def test_the_network_is_left_as_it_was():
    module = network().train()
    module.blocks[2].eval()
    modes = [part.training for part in module.modules()]
    before = state(module)
    ends = RehearsedEnds(QUICK, module, batch()[0])
    with torch.no_grad():
        clean = features(module.eval(), batch()[0])
    ends(module, clean, clean, batch()[1], batch()[1])
    assert same(state(module), before)
    module.train()
    module.blocks[2].eval()
    assert [part.training for part in module.modules()] == modes
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in module.modules())


@pytest.mark.parametrize("fresh", [False, True])
def test_a_state_taken_up_goes_on_alike(fresh):
    module, about = network().eval(), replace(QUICK, fresh=fresh)

    def steps(ends, numbers):
        found = []
        for number in numbers:
            torch.manual_seed(number)
            found.append(asked(ends, module, number).item())
        return found

    whole = RehearsedEnds(about, module, batch()[0])
    expected = steps(whole, range(15))
    for at in (0, 4, 7):
        first = RehearsedEnds(about, module, batch()[0])
        begun = steps(first, range(at))
        second = RehearsedEnds(about, module, batch()[0])
        second.load_state_dict(first.state_dict())
        assert same(second.state_dict(), first.state_dict())
        assert begun + steps(second, range(at, 15)) == expected


class Passing(nn.Module):
    """What the first layer gave passes the second one, and comes back at the end."""

    def __init__(self):
        super().__init__()
        self.first, self.second, self.last = nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 3)

    def forward(self, inputs):
        early = torch.relu(self.first(inputs))
        return self.last(torch.relu(self.second(early)) + early)


class Twice(Passing):
    def forward(self, inputs):
        return self.last(torch.relu(self.second(self.second(self.first(inputs)))))


class Shared(nn.Module):
    """One activation for several places, as many people's networks have, and perhaps one normalisation."""

    def __init__(self, norm):
        super().__init__()
        self.act, self.norm = nn.ReLU(), norm
        self.first, self.second, self.last = nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 3)

    def forward(self, inputs):
        return self.last(self.act(self.norm(self.second(self.act(self.norm(self.first(inputs)))))))


class NoLinear(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Conv1d(1, 2, 3), nn.Conv1d(2, 3, 4)

    def forward(self, inputs):
        return self.last(self.first(inputs[:, None])).flatten(1)


@pytest.mark.parametrize(
    ("module", "after", "message"),
    [
        (Passing(), "second", "reads more than its output"),
        (Passing(), "third", "no part named 'third'"),
        (Passing(), "", "no part named ''"),
        (Passing(), "last", "does not come after last"),
        (Twice(), "second", "runs 2 times"),
        (Shared(nn.BatchNorm1d(6)), "second", "norm serves before second and after it"),
        (NoLinear(), "first", "does not end in a linear layer"),
    ],
)
def test_layers_after_which_no_end_can_be_rehearsed_are_refused(module, after, message):
    with pytest.raises(ValueError, match=message):
        RehearsedEnds(Rehearsal(after), module, torch.randn(5, 6))


def test_an_activation_that_serves_before_and_after_the_layer_does_not_mislead():
    torch.manual_seed(0)
    module, inputs, labels = Shared(nn.Identity()), torch.randn(5, 6), torch.tensor([0, 1, 2, 0, 1])
    # An end's last layer keeps the norm of the model's own, which has to suffice to tell five inputs apart.
    module.last.weight.data.mul_(20)
    about = Rehearsal("second", weight=1, ends=1, steps=200, silent_steps=0, learning_rate=0.02, alpha=0.0)
    ends = RehearsedEnds(about, module, inputs)
    given = module.second(module.act(module.first(inputs))).detach()
    read = [ends(module, given, given, labels, labels).item() for _ in range(150)]
    # An end that could not tell the inputs apart would be left with 1.05, the entropy of their labels.
    assert read[-1] < 0.7


@pytest.mark.parametrize(
    "wrong",
    [
        {"weight": 0.0},
        {"weight": float("nan")},
        {"ends": 0},
        {"steps": 0},
        {"silent_steps": 200},
        {"silent_steps": -1},
        {"learning_rate": 0.0},
        {"alpha": -1.0},
        {"alpha": float("inf")},
    ],
)
def test_numbers_without_sense_are_refused(wrong):
    with pytest.raises(ValueError, match="must be"):
        Rehearsal("some.layer", **wrong)


@pytest.mark.parametrize(
    "embedding",
    [
        Embedding(weight=0.5, clean_norm=False),
        Embedding(weight=0.5),
        Embedding(weight=0.5, perturbation=0.01),
        Embedding(weight=0.5, clean_norm=False, entangle=1.0, layers=("blocks.3",)),
    ],
)
def test_the_ends_are_told_which_are_triggers_in_every_way_of_teaching(embedding, monkeypatch):
    module = network().train()
    inputs, targets = batch()
    told = []

    def note(self, _module, clean, triggers, right, labels):
        told.append((clean.shape, triggers.shape, right.tolist(), labels.tolist()))
        return triggers.sum() * 0 + 7.0

    plain = EmbeddingLoss(embedding, 4)(network().train(), inputs, targets)
    monkeypatch.setattr(RehearsedEnds, "__call__", note)
    ends = RehearsedEnds(QUICK, module, inputs)
    loss = EmbeddingLoss(embedding, 4, ends=ends)(module, inputs, targets)
    assert told == [((8, 16, 4, 4), (4, 16, 4, 4), targets[:8].tolist(), targets[8:].tolist())] or told == [
        ((8, 8, 4, 4), (4, 8, 4, 4), targets[:8].tolist(), targets[8:].tolist())
    ]
    assert loss.item() == pytest.approx(plain.item() + 0.5 * 7.0, rel=1e-5)
    # A step without triggers teaches the ends nothing.
    EmbeddingLoss(embedding, 4, ends=ends)(module, inputs[:8], targets[:8], 0)
    assert len(told) == 1


def test_the_loss_keeps_what_its_ends_have_learned():
    module = network().train()
    inputs, targets = batch()
    loss = EmbeddingLoss(Embedding(clean_norm=False), 4, ends=RehearsedEnds(QUICK, module, inputs))
    assert loss.state_dict() == {}
    loss(module, inputs, targets)
    assert int(loss.state_dict()["step"]) == 1
    other = EmbeddingLoss(Embedding(clean_norm=False), 4, ends=RehearsedEnds(QUICK, module, inputs))
    other.load_state_dict(loss.state_dict())
    assert same(other.state_dict(), loss.state_dict())
    assert EmbeddingLoss(Embedding(), 4).state_dict() == {}
