"""Other ends of the network, rehearsed while the mark is taught: what a thief would put after a layer.

A thief who draws a new last layer and trains the network away from the old one teaches its last stage anew,
with clean pictures; another draws that whole stage anew. What only the stage knows of the triggers is lost
then. So here several such ends are kept beside the model's own, trained on clean pictures alone as the thief
would train them, and begun anew again and again. Triggers are to be read as their label by these ends too,
which never learn them; so what is learned of a trigger is learned before that layer.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from earmark.models.cutting import Cut, NetworkEnd, cut_after, lies_in, put_part
from earmark.models.last_layer import last_layer
from earmark.models.modes import evaluating

_TINY = 1e-12


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """Which ends are rehearsed, and how much they count.

    Attributes:
        after: Name of the layer before them, e.g. the last block of the last stage but one. What comes after
            it must read nothing but its output.
        weight: Of the triggers' loss at the ends, beside their loss at the model's own.
        ends: How many there are at a time.
        fresh: Whether they begin with new weights throughout, as far as their parts have
            ``reset_parameters``; else as copies of the model's own with a new last layer, which is driven
            away from the model's. The defaults are for copies; fresh ones were measured with a rate of 0.05,
            400 steps, 40 of them silent, and a weight of 2.
        steps: From one new beginning of an end to the next; they begin at different steps.
        silent_steps: After a beginning, in which an end knows too little to teach.
        learning_rate: Of the ends.
        alpha: Of copies, the weight of the inner product of their last layer with the model's own.

    Source:
        ours; copies are trained as in feature shift tuning (Min et al. 2023), with its α and rate
    """

    after: str
    weight: float = 1.0
    ends: int = 2
    fresh: bool = False
    steps: int = 200
    silent_steps: int = 30
    learning_rate: float = 0.01
    alpha: float = 0.2

    def __post_init__(self) -> None:
        if min(self.ends, self.steps) < 1 or not 0 <= self.silent_steps < self.steps:
            raise ValueError("ends and steps must be at least 1, silent_steps less than steps")
        if not all(0 < value < float("inf") for value in (self.weight, self.learning_rate)):
            raise ValueError("weight and learning_rate must be positive and finite")
        if not 0 <= self.alpha < float("inf"):
            raise ValueError(f"alpha must be at least 0 and finite, not {self.alpha}")


class RehearsedEnds:
    """The ends of one training.

    Its ``state_dict`` holds all that they have learned, to be kept with the training's checkpoint.

    Args:
        rehearsal: Which, and how.
        module: The network; it is looked at, and left as it is.
        inputs: One or more of what it reads, ``(batch, …)``.

    Raises:
        ValueError: The network has no such layer or no linear layer after it, or what comes after the layer
            reads more than its output.
    """

    def __init__(self, rehearsal: Rehearsal, module: nn.Module, inputs: Tensor) -> None:
        self.rehearsal = rehearsal
        self._cut = cut_after(module, rehearsal.after, inputs)
        name, _ = last_layer(module)
        if lies_in(name, [*self._cut.skipped, rehearsal.after]):
            raise ValueError(f"the network's last linear layer does not come after {rehearsal.after}")
        self._ends: list[_End] = []
        self._step = 0
        self._kept: dict[str, Tensor] | None = None

    def __call__(
        self, module: nn.Module, clean: Tensor, triggers: Tensor, targets: Tensor, labels: Tensor
    ) -> Tensor:
        """Let the ends learn from clean pictures, and return the triggers' loss at them.

        Args:
            module: The network, of whose end new ones are copies.
            clean: What the layer gave for the clean pictures, ``(clean, …)``; the ends alone learn from it.
            triggers: What it gave for the triggers, ``(triggers, …)``.
            targets: Class numbers ``(clean,)``, or distributions over classes.
            labels: Class numbers ``(triggers,)`` likewise.

        Returns:
            A number to go backward from, already weighted; only what comes before the layer learns from it.
        """
        about = self.rehearsal
        if self._kept is not None:
            self._take_up(module, self._kept)
        elif not self._ends:
            self._ends = [self._begun(module) for _ in range(about.ends)]
        losses = []
        for place in range(about.ends):
            age = (self._step + place * about.steps // about.ends) % about.steps
            if age == 0 and self._step > 0:
                self._ends[place] = self._begun(module)
            self._ends[place].learn(clean.detach(), targets)
            if age >= about.silent_steps:
                losses.append(self._ends[place].loss_of(triggers, labels))
        self._step += 1
        total = torch.stack(losses).sum() if losses else clean.new_zeros(())
        return about.weight / about.ends * total

    def state_dict(self) -> dict[str, Tensor]:
        """Return what the ends have learned, and the step."""
        if not self._ends:
            return dict(self._kept or {})
        parts = {"step": torch.tensor(self._step)}
        for place, end in enumerate(self._ends):
            parts |= {f"{place}.{name}": tensor for name, tensor in end.state().items()}
        return parts

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Go on from a state, at the next call."""
        self._kept, self._ends = (dict(state) if state else None), []
        self._step = int(state["step"]) if state else 0

    def _take_up(self, module: nn.Module, state: dict[str, Tensor]) -> None:
        # A training that is taken up draws what it would have drawn: here nothing.
        with torch.random.fork_rng(devices=[]):
            self._ends = [self._begun(module) for _ in range(self.rehearsal.ends)]
        for place, end in enumerate(self._ends):
            start = f"{place}."
            end.load(
                {name.removeprefix(start): part for name, part in state.items() if name.startswith(start)}
            )
        self._kept = None

    def _begun(self, module: nn.Module) -> "_End":
        end = _End(module, self.rehearsal, self._cut)
        end.begin()
        return end


class _End(NetworkEnd):
    """What comes after the layer, as a thief would have it."""

    old: Tensor

    def __init__(self, module: nn.Module, about: Rehearsal, cut: Cut) -> None:
        super().__init__(module, cut)
        self._about = about
        self.register_buffer("old", last_layer(self.network)[1].weight.detach().clone())

    def begin(self) -> None:
        """Draw new weights by PyTorch's own randomness: a copy's last layer, all of a fresh end."""
        name, layer = last_layer(self.network)
        new = nn.Linear(layer.in_features, layer.out_features, layer.bias is not None).to(layer.weight)
        put_part(self.network, name, new)
        if self._about.fresh:
            for part in self.network.modules():
                if callable(reset := getattr(part, "reset_parameters", None)):
                    reset()
        self.requires_grad_(True).train()
        rate = self._about.learning_rate
        self._optimizer = torch.optim.SGD(self.parameters(), lr=rate, momentum=0.9, nesterov=True)

    def learn(self, features: Tensor, targets: Tensor) -> None:
        """Make one step on clean pictures, a copy's away from the model's own last layer."""
        about, weight = self._about, last_layer(self.network)[1].weight
        if not about.fresh:
            with torch.no_grad():
                weight.mul_(self.old.norm() / weight.norm().clamp_min(_TINY))
        with torch.enable_grad():
            loss = nn.functional.cross_entropy(self(features), targets)
            if not about.fresh:
                loss = loss + about.alpha * (weight * self.old).sum()
            self._optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]  # torch's own stub lacks it
        self._optimizer.step()

    def loss_of(self, features: Tensor, labels: Tensor) -> Tensor:
        """Return the mean loss of triggers; this end learns nothing from it."""
        with evaluating(self):
            self.requires_grad_(False)
            loss = nn.functional.cross_entropy(self(features), labels)
            self.requires_grad_(True)
        return loss

    def state(self) -> dict[str, Tensor]:
        """Return weights, statistics and momenta."""
        momenta = self._optimizer.state_dict()["state"]
        return {
            **{f"part.{name}": tensor for name, tensor in self.state_dict().items()},
            **{f"momentum.{place}": kept["momentum_buffer"] for place, kept in momenta.items()},
        }

    def load(self, state: dict[str, Tensor]) -> None:
        """Take up what ``state`` returned."""
        parts = {name: tensor for name, tensor in state.items() if name.startswith("part.")}
        self.load_state_dict({name.removeprefix("part."): tensor for name, tensor in parts.items()})
        groups = self._optimizer.state_dict()["param_groups"]
        momenta = {
            int(name.removeprefix("momentum.")): {"momentum_buffer": tensor}
            for name, tensor in state.items()
            if name not in parts
        }
        self._optimizer.load_state_dict({"state": momenta, "param_groups": groups})
