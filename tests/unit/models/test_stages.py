import torch
from torch import nn

from earmark.models.stages import stage_ends
from earmark.models.table import build, describe
from small import DIGITS


def test_the_stages_of_the_papers_network_end_where_its_maps_get_smaller():
    module = build(describe("resnet18", (32, 32, 3), DIGITS, 4)).train()
    assert stage_ends(module, torch.zeros(2, 3, 32, 32)) == ["blocks.1", "blocks.3", "blocks.5", "blocks"]
    assert module.training
    assert not any(part._forward_hooks for part in module.modules())


def test_a_network_without_maps_has_no_stages():
    assert stage_ends(nn.Sequential(nn.Flatten(), nn.Linear(64, 5)), torch.zeros(1, 1, 8, 8)) == []
