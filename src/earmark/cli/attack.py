"""The command ``earmark attack``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from earmark.cli import training as shared
from earmark.cli.output import AsJson, Output, Quiet

if TYPE_CHECKING:
    from earmark.attacks.protocol import StolenModel, Thief
    from earmark.evaluation.study import Step
    from earmark.models.description import ModelDescription

FORMAT = "earmark/attack/v1"


def attack(
    name: Annotated[str | None, typer.Argument(help="An attack; --list shows them all.")] = None,
    model: Annotated[Path | None, typer.Argument(help="Marked weights: FILE.safetensors.")] = None,
    data: Annotated[
        str | None, typer.Option(help="The model's own task: digits, folder:PATH[@HxW], or torchvision:NAME.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("-o", "--output", help="Attacked weights to write: FILE.safetensors.")
    ] = None,
    list_them: Annotated[
        bool, typer.Option("--list", help="Show every attack with the attributes that --set can change.")
    ] = False,
    share: Annotated[
        float, typer.Option(help="Of the training part that the thief has, above 0 to 1.")
    ] = 0.2,
    seed: shared.Seed = 0,
    changes: Annotated[
        list[str] | None, typer.Option("--set", help="Another value for an attribute, e.g. epochs=5.")
    ] = None,
    other_pictures: Annotated[
        str | None, typer.Option(help="Data whose pictures are of another kind, for attacks that need them.")
    ] = None,
    other_task: Annotated[
        str | None, typer.Option(help="Data of another task, for attacks that move a model to it.")
    ] = None,
    pirate_triggers: Annotated[
        int,
        typer.Option(min=1, help="Triggers of the pirate's own key, for attacks that put in a second mark."),
    ] = 100,
    threads: shared.Threads = None,
    data_root: shared.DataRoot = Path("data"),
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Attack a model of your own as a thief would, and write what he would release.

    Attacks on what a deployed model answers write no file: 'earmark evaluate' judges those.

    Example: earmark attack ftal marked.safetensors --data digits --set epochs=5 -o attacked.safetensors
    """
    from earmark.attacks.protocol import ModelAttack

    output = Output(quiet, as_json)
    if list_them:
        _list(output)
        return
    if name is None or model is None or data is None or out is None:
        raise ValueError("earmark attack needs NAME, MODEL, --data and -o; or --list")
    if out.suffix != ".safetensors":
        raise ValueError(f"the output must end in .safetensors, not {out.name}")
    if not 0 < share <= 1:
        raise ValueError(f"--share is above 0 to 1, not {share}")
    shared.use_processor(threads)
    step = read_change(name, changes or [])
    chosen = step.attack()
    if not isinstance(chosen, ModelAttack):
        raise ValueError(
            f"{name} stands before a deployed model and makes none: judge it with 'earmark evaluate'"
        )
    _run(
        step,
        model,
        out,
        _Thief(data, share, seed, other_pictures, other_task, pirate_triggers, data_root),
        output,
    )


class _Thief:
    """What the options say of the thief."""

    def __init__(
        self,
        data: str,
        share: float,
        seed: int,
        other_pictures: str | None,
        other_task: str | None,
        pirate_triggers: int,
        data_root: Path,
    ) -> None:
        from earmark.evaluation.thief import read_study_data

        self.data = read_study_data(data, other_pictures, other_task, data_root)
        self.image_count = max(1, round(share * len(self.data.task.train)))
        self.seed = seed
        self.pirate_triggers = pirate_triggers

    def for_attack(self, step: "Step", victim: "ModelDescription") -> "Thief":
        """Return what an attack needs. A pirate makes a key of his own for the model."""
        from earmark.attacks.protocol import Need
        from earmark.evaluation.thief import pirate_key_for, thief_for
        from earmark.keys import Task
        from earmark.triggers.image import ImageGeometry

        needs, pirate = step.attack().card.needs, None
        if Need.BACKDOOR in needs:
            task = Task(ImageGeometry(*victim.input_shape), victim.class_names)
            pirate = pirate_key_for(task, self.seed, triggers_per_set=self.pirate_triggers)
        return thief_for(self.data, needs, self.image_count, self.seed, pirate=pirate)


def _run(step: "Step", model: Path, out: Path, thief: _Thief, output: Output) -> None:
    from earmark.attacks.protocol import ModelAttack, StolenModel, Watch
    from earmark.evaluation.costs import Clock
    from earmark.evaluation.study import describe_step
    from earmark.models.weights import file_digest, load_weights, save_weights

    victim = load_weights(model)
    chosen = step.attack()
    if not isinstance(chosen, ModelAttack):
        raise TypeError(f"{step.name} is no attack on models")
    clock = Clock()
    with output.progress(f"attack {step.name}") as on_progress, clock.running():
        stolen = chosen.run(
            StolenModel(victim.module, victim.description),
            thief.for_attack(step, victim.description),
            thief.seed,
            Watch(on_progress),
        )
    save_weights(out, stolen.module, stolen.description)
    before = _accuracy(StolenModel(victim.module, victim.description), thief, output)
    after = _accuracy(stolen, thief, output)
    words = "" if after is None else f", test accuracy {after:.2%}"
    words += "" if before is None else f" (before: {before:.2%})"
    output.result(
        f"{out}: {step} with {thief.image_count} pictures in {clock.wall_seconds:.1f} s{words}",
        {
            "format": FORMAT,
            "model": str(out),
            **describe_step(step),
            "images": thief.image_count,
            "seed": thief.seed,
            "seconds": clock.wall_seconds,
            "processor_seconds": clock.processor_seconds,
            "accuracy_before": before,
            "accuracy_after": after,
            "sha256_before": victim.digest,
            "sha256_after": file_digest(out),
        },
    )


def _accuracy(model: "StolenModel", thief: _Thief, output: Output) -> float | None:
    """Return the accuracy on the test part of the task whose classes a model has; None if it has others."""
    for task in (thief.data.task, thief.data.other_task):
        if task is not None and task.class_names == model.description.class_names:
            return shared.test_accuracy(model.module, model.description, task, output)
    return None


def read_change(name: str, changes: list[str]) -> "Step":
    """Return an attack with the values of ``--set``.

    Args:
        name: In the table of attacks.
        changes: Texts ``ATTRIBUTE=VALUE``; a value is read as TOML, and as a text if it is none.

    Returns:
        The step.

    Raises:
        FormatError: There is no such attack or attribute, or a value does not fit.
        ValueError: A text is not of that form.
    """
    import tomllib

    from earmark.evaluation.study import read_step

    values: dict[str, Any] = {"attack": name}
    for change in changes:
        attribute, equals, text = change.partition("=")
        if not equals or attribute in values:
            raise ValueError(f"--set takes ATTRIBUTE=VALUE, each attribute once, not {change!r}")
        try:
            values[attribute] = tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            values[attribute] = text
    return read_step(values, "--set")


def _list(output: Output) -> None:
    from earmark.attacks import ATTACKS, attack_named
    from earmark.attacks.protocol import ModelAttack
    from earmark.evaluation.study import attributes

    lines, value = [], []
    for name in ATTACKS:
        found = attack_named(name)
        numbers, card = attributes(found), found.card
        subject = "model" if isinstance(found, ModelAttack) else "suspect"
        lines.append(f"{name:<22} {card.title} [{card.family}, on a {subject}]")
        lines.append(f"{'':<22} {' '.join(f'{key}={number}' for key, number in numbers.items())}")
        value.append(
            {
                "attack": name,
                "title": card.title,
                "family": card.family,
                "on": subject,
                "access": card.access,
                "needs": sorted(card.needs),
                "source": card.source,
                "defaults": card.defaults,
                "attributes": numbers,
            }
        )
    output.result("\n".join(lines), {"format": "earmark/attacks/v1", "attacks": value})
