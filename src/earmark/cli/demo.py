"""The command ``earmark demo``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from earmark.cli import keys
from earmark.cli import training as shared
from earmark.cli.output import AsJson, Output, Quiet

if TYPE_CHECKING:
    from earmark.data import ClassificationData
    from earmark.keys import MarkingKey
    from earmark.verification import Verdict

# The demo's keys protect nothing; a passphrase that is asked for would only stop the story.
_DEMO_PASSPHRASE = "demo"  # noqa: S105 - protects nothing
_TRIGGERS = 100


def demo(
    data: Annotated[str, typer.Option(help="digits, folder:PATH[@HxW], or torchvision:NAME.")] = "digits",
    out: Annotated[Path, typer.Option("-o", "--output", help="Folder for everything made.")] = Path(
        "earmark-demo"
    ),
    model: Annotated[
        str | None, typer.Option(help="Network; default digits-cnn, or resnet18 from 32x32.")
    ] = None,
    width: shared.Width = None,
    epochs: shared.Epochs = None,
    seed: shared.Seed = 0,
    threads: shared.Threads = None,
    data_root: shared.DataRoot = Path("data"),
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Tell the whole story on real data: key, training with and without the mark, two verdicts, a report.

    Example: earmark demo -o demo
    """
    from earmark.marking.recipes import FROM_SCRATCH
    from earmark.models.weights import save_weights

    output = Output(quiet, as_json)
    shared.use_processor(threads)
    _new_folder(out)
    loaded = shared.read_data(data, data_root, output)
    network = model or ("digits-cnn" if loaded.input_shape[0] < 32 else "resnet18")

    output.remark(
        "\n1. An owner makes a key: triggers are committed to, and labels follow from the commitment."
    )
    key = _make_key(out, loaded, output)
    settings = shared.settings_for(loaded, seed, epochs=epochs)
    output.remark("\n2. The classifier is trained twice, without the mark and with it.")
    accuracies = {}
    for name in ("clean", "marked"):
        module, description = shared.new_model(network, loaded, width, seed, False)
        with output.progress(f"training, {name}") as on_progress:
            if name == "clean":
                from earmark.training import SplitBatches, train

                batches = SplitBatches(loaded.train, description.preprocessing, settings)
                train(module, batches, settings, on_step=on_progress)
            else:
                from dataclasses import replace

                from earmark.marking.recipes import mark

                recipe = replace(FROM_SCRATCH, settings=settings)
                mark(
                    module,
                    loaded.train,
                    description.preprocessing,
                    key.backdoor(),
                    recipe,
                    on_step=on_progress,
                )
        accuracies[name] = shared.test_accuracy(module, description, loaded, output)
        save_weights(out / f"{name}.safetensors", module, description)
        output.remark(f"   {name}.safetensors: test accuracy {accuracies[name]:.2%}")
    output.remark("\n3. Both are questioned, as a suspect's copy would be.\n")
    verdicts = {name: _judge(out, name, key) for name in ("marked", "clean")}
    lines = [f"{name}.safetensors  {verdict}" for name, verdict in verdicts.items()]
    lines.append(f"report: {(out / 'report.html').resolve()}")
    output.result(
        "\n".join(lines),
        {
            "folder": str(out),
            "report": str(out / "report.html"),
            "accuracy": accuracies,
            "verdicts": {
                name: {"owned": verdict.owned, "verdict": str(verdict)} for name, verdict in verdicts.items()
            },
        },
    )
    as_it_should = verdicts["marked"].owned and not verdicts["clean"].owned
    raise typer.Exit(0 if as_it_should else 1)


def _new_folder(out: Path) -> None:
    if out.exists() and any(out.iterdir()):
        raise ValueError(f"{out} is not empty; remove it or choose another folder with -o")
    out.mkdir(parents=True, exist_ok=True)


def _make_key(out: Path, data: "ClassificationData", output: Output) -> "MarkingKey":
    from earmark.keys import OwnerKey, Task, keygen
    from earmark.triggers.abstract import AbstractSampler
    from earmark.triggers.image import ImageGeometry

    owner = OwnerKey.generate("Demo owner")
    keys.write_owner(out / "owner.key", owner, _DEMO_PASSPHRASE)
    with output.progress("making triggers") as on_progress:
        key = keygen(
            owner,
            Task(ImageGeometry(*data.input_shape), data.class_names),
            AbstractSampler(),
            triggers_per_set=_TRIGGERS,
            on_trigger=lambda done: on_progress(done, _TRIGGERS),
        )
    keys.write_key(keys.key_paths(out / "demo"), key, _DEMO_PASSPHRASE)
    (out / "passphrase.txt").write_text(_DEMO_PASSPHRASE + "\n", encoding="utf-8")
    output.remark(f"   demo.key (secret), demo.vk.json (public), root {key.transcript.root.hex()[:16]}…")
    return key


def _judge(out: Path, name: str, key: "MarkingKey") -> "Verdict":
    from earmark.cli.verdict_page import write_report
    from earmark.suspects.torch import open_weights
    from earmark.verification import measure, verify

    suspect = open_weights(out / f"{name}.safetensors")
    journal = keys.open_journal(out / "demo.key", None, key)
    verdict = verify(measure(key, suspect, journal))
    report = out / ("report.html" if name == "marked" else "report-clean.html")
    command = f"earmark verify --key demo.key --passphrase-file passphrase.txt {name}.safetensors"
    write_report(
        report, verdict, key, command=command, files=(out / f"{name}.safetensors", out / "demo.journal")
    )
    return verdict
