import pytest
import torch
from torch import nn

from earmark.models.stages import parts_after, stage_ends
from earmark.models.table import build, describe
from small import DIGITS


def test_the_stages_of_the_papers_network_end_where_its_maps_get_smaller():
    module = build(describe("resnet18", (32, 32, 3), DIGITS, 4)).train()
    assert stage_ends(module, torch.zeros(2, 3, 32, 32)) == ["blocks.1", "blocks.3", "blocks.5", "blocks"]
    assert module.training
    assert not any(part._forward_hooks for part in module.modules())


def test_a_network_without_maps_has_no_stages():
    assert stage_ends(nn.Sequential(nn.Flatten(), nn.Linear(64, 5)), torch.zeros(1, 1, 8, 8)) == []


def test_what_runs_after_a_layer_is_found_without_what_runs_before_it_too():
    class Shared(nn.Module):
        def __init__(self):
            super().__init__()
            self.act, self.unused = nn.ReLU(), nn.Linear(3, 3)
            self.first = nn.Conv2d(1, 2, 3)
            self.rest = nn.Sequential(nn.Conv2d(2, 2, 3), nn.Flatten(), nn.Linear(32, 3))

        def forward(self, images):
            return self.rest(self.act(self.first(self.act(images))))

    module = Shared().train()
    found = parts_after(module, "first", torch.zeros(1, 1, 8, 8))
    assert found == list(module.rest)
    assert parts_after(module, "rest.1", torch.zeros(1, 1, 8, 8)) == [module.rest[2]]
    assert module.training
    assert not any(part._forward_hooks for part in module.modules())
    with pytest.raises(AttributeError):
        parts_after(module, "second", torch.zeros(1, 1, 8, 8))
