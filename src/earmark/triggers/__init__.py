"""Trigger, TriggerSet, Backdoor = (T, T_L); one file per kind of trigger and per sampler.

``trigger``   the values, and what a kind and a sampler promise
``image``     the kind "image": canonical bytes, pixels, PNG
``abstract``  the sampler of abstract pictures; ``abstract_studio`` is what it draws with
``noise``     the sampler of noise
``folder``    the sampler of the owner's own pictures
``in_distribution``  the sampler of pictures like those of the task
``mixtures``  the sampler of the task's pictures, two of them mixed
``negatives``  the sampler of the negatives of the task's pictures, mixed
``pool``      pictures of a pool, and how the samplers that take from one use each once
``tables``    names to kinds and samplers
"""

from earmark.triggers.tables import SAMPLERS, kind_named, sampler_named
from earmark.triggers.trigger import Backdoor, Exhibit, FiniteSampler, Geometry, Kind, Sampler, Trigger

__all__ = [
    "SAMPLERS",
    "Backdoor",
    "Exhibit",
    "FiniteSampler",
    "Geometry",
    "Kind",
    "Sampler",
    "Trigger",
    "kind_named",
    "sampler_named",
]
