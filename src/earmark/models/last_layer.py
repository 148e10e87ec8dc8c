"""The last layer of a network, and putting the owner's back where it was replaced: the paper's white-box way.

A thief who moves a model to another task replaces its last layer, and with it the classes that the triggers
were marked for. The paper then verifies with the owner's own layer on the thief's body. Whoever brings a
layer of his own can fit it to any labels, so this says something about bodies only if the layer is known to
be older than the dispute, and never shows a mark on its own.
"""

from dataclasses import replace

from torch import nn

from earmark.errors import SuspectError
from earmark.models.cutting import put_part
from earmark.models.weights import LoadedModel


def last_layer(module: nn.Module) -> tuple[str, nn.Linear]:
    """Return the last linear layer and its name.

    Raises:
        ValueError: The network has none.
    """
    found = [(name, part) for name, part in module.named_modules() if isinstance(part, nn.Linear)]
    if not found:
        raise ValueError("the network does not end in a linear layer, and that layer is needed here")
    return found[-1]


def restore_last_layer(suspect: LoadedModel, owner: LoadedModel) -> LoadedModel:
    """Return the suspect's network with the owner's last linear layer.

    Args:
        suspect: The suspect; its module is changed.
        owner: The owner's marked model.

    Returns:
        The network with the owner's classes, and the suspect's own preprocessing.

    Raises:
        SuspectError: One of them does not end in a linear layer, or the layer does not fit the body.

    Source:
        Adi et al. 2018, Section 5.3 (re-train last layer, re-train all layers) and their published code
    """
    where, layer = _last_linear(owner, "the owner's model")
    place, replaced = _last_linear(suspect, "the suspect")
    if layer.in_features != replaced.in_features:
        raise SuspectError(
            f"the owner's layer {where} reads {layer.in_features} features, the suspect's {place} "
            f"{replaced.in_features}: it is not a layer of this network"
        )
    put_part(suspect.module, place, layer)
    description = replace(suspect.description, class_names=owner.description.class_names)
    digest = f"{suspect.digest} with the last layer of sha256:{owner.digest}"
    return LoadedModel(suspect.module.eval(), description, digest)


def _last_linear(model: LoadedModel, whose: str) -> tuple[str, nn.Linear]:
    refusal = f"{whose} does not end in a linear layer with {len(model.description.class_names)} outputs"
    try:
        name, layer = last_layer(model.module)
    except ValueError as error:
        raise SuspectError(refusal) from error
    if layer.out_features != len(model.description.class_names):
        raise SuspectError(refusal)
    return name, layer
