"""A mark that a graft shows: taught at secret places too, and put into the network as it was before.

Whoever holds the weights of a suspect can take those at the places that a key names, put them into the
network that the owner marked, and ask what comes of it (``earmark.revival``). That graft is to read the
triggers as well, with noise on what it takes over, as attacks leave it. The network itself learns its
triggers as it would without.
"""

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call

from earmark.data import Split
from earmark.models.grafting import DEFAULT_SHARE, places_of, settle_norms
from earmark.models.grafting import graft as put_together
from earmark.models.preprocessing import Preprocessing
from earmark.training import Loss, learning_loss

_PICTURES = 2000  # for the statistics of batches


@dataclass(frozen=True, slots=True)
class Graft:
    """What is grafted onto what, and how much it counts.

    Attributes:
        original: The trained network before it is marked; left as it is.
        seed: Of the places, 32 bytes, secret.
        share: How many of 256 weights are places (``places_of``).
        weight: Of the triggers' mean loss in the graft.
        noise: The most noise on what is grafted, in standard deviations of a layer's weights; each step draws
            how much, from none to this.
        cut: In what share of the steps the last quarter of the layers with places is left as the original has
            it: a thief may draw them anew.
        pictures: How many of a batch's clean pictures go through the graft beside the triggers, for the
            statistics of batch normalisations.
    """

    original: nn.Module = field(repr=False)
    seed: bytes = field(repr=False)
    share: int = DEFAULT_SHARE
    weight: float = 0.3
    noise: float = 1.0
    cut: float = 0.5
    pictures: int = 32

    def __post_init__(self) -> None:
        if not 0 < self.weight < float("inf") or not 0 <= self.noise < float("inf"):
            raise ValueError("the weight must be positive, the noise at least 0, and both finite")
        if not 0 <= self.cut <= 1:
            raise ValueError(f"cut is a share of the steps, 0 to 1, not {self.cut}")
        if self.pictures < 1:
            raise ValueError(f"pictures must be at least 1, not {self.pictures}")


def grafted_now(graft: Graft, module: nn.Module, split: Split, preprocessing: Preprocessing) -> nn.Module:
    """Return the graft of a network as it is now, in evaluation mode.

    Args:
        graft: What is grafted onto what.
        module: The network.
        split: Clean data, some of which give the statistics of batches.
        preprocessing: From its images to what the network reads.
    """
    made, _ = put_together(graft.original, module, places_of(graft.original, graft.seed, graft.share))
    order = np.random.default_rng(0).permutation(len(split))[:_PICTURES]
    settle_norms(made, split.images, preprocessing, order=order)
    return made


class GraftedLoss:
    """The loss of a batch whose last entries are triggers, and of the graft's answers to these.

    Args:
        graft: What is grafted onto what.
        loss: That of the network itself; what it learns, a checkpoint keeps.
        clean_count: How many clean pictures every batch holds, before its triggers.

    Raises:
        ValueError: There are no such places in the network.
    """

    def __init__(self, graft: Graft, loss: Loss, clean_count: int) -> None:
        self._graft, self._loss, self._clean_count = graft, loss, clean_count
        self._places = places_of(graft.original, graft.seed, graft.share)
        self._own = {name: part.detach().clone() for name, part in graft.original.named_parameters()}

    def __call__(self, module: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
        """Return the loss of a step.

        Args:
            module: The network, in training mode.
            inputs: ``(clean_count + triggers, …)``, triggers last; there may be none.
            targets: Class numbers likewise, or distributions over classes.

        Returns:
            A number to go backward from.
        """
        own = self._loss(module, inputs, targets)
        triggers, labels = inputs[self._clean_count :], targets[self._clean_count :]
        if len(triggers) == 0:
            return own
        shown = torch.cat([inputs[: min(self._graft.pictures, self._clean_count)], triggers])
        # Statistics of batches are those of this one, and the network's own are left as they are.
        buffers = {name: part.clone() for name, part in module.named_buffers()}
        scores: Tensor = functional_call(module, {**self._grafted(module), **buffers}, (shown,))
        read = nn.functional.cross_entropy(scores[-len(triggers) :], labels)
        return own + self._graft.weight * read

    def state_dict(self) -> dict[str, Tensor]:
        """Return what the network's own loss has learned."""
        learning = learning_loss(self._loss)
        return {} if learning is None else learning.state_dict()

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Go on from what ``state_dict`` returned."""
        learning = learning_loss(self._loss)
        if learning is not None:
            learning.load_state_dict(state)

    def _grafted(self, module: nn.Module) -> dict[str, Tensor]:
        """Return the graft's weights, which depend on the network's at the places."""
        deviations = self._graft.noise * float(torch.rand(()))
        tail = len(self._places) // 4 if float(torch.rand(())) < self._graft.cut else 0
        left_out = set(list(self._places)[len(self._places) - tail :])
        grafted = {}
        for name, part in module.named_parameters():
            self._own[name] = own = self._own[name].to(part)
            if name not in self._places or name in left_out:
                grafted[name] = own
                continue
            self._places[name] = places = self._places[name].to(part.device)
            noise = torch.randn_like(part) * (deviations * part.detach().std())
            grafted[name] = torch.where(places, part + noise, own)
        return grafted
