"""Training for the commands train, mark and demo: options, defaults, progress, files."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from earmark.cli.output import Output
from earmark.processor import keep_freed_memory

if TYPE_CHECKING:
    from torch import nn

    from earmark.data import ClassificationData
    from earmark.models.description import ModelDescription
    from earmark.training import Checkpoint, TrainingSettings

ModelName = Annotated[
    str,
    typer.Option(
        "--model", help="digits-cnn, resnet18, torchvision:NAME, timm:NAME, hf:FOLDER, or FILE.py:FACTORY."
    ),
]
DataName = Annotated[str, typer.Option("--data", help="digits, folder:PATH[@HxW], or torchvision:NAME.")]
Epochs = Annotated[int | None, typer.Option(min=1, help="Passes over the data.")]
BatchSize = Annotated[int | None, typer.Option(min=1, help="Images a step.")]
LearningRate = Annotated[float | None, typer.Option("--lr", help="Highest learning rate.")]
Optimizer = Annotated[str | None, typer.Option(help="sgd or adamw.")]
Schedule = Annotated[str | None, typer.Option(help="cosine, steps or constant.")]
Augment = Annotated[str | None, typer.Option(help="none, crop or crop-flip.")]
Seed = Annotated[int, typer.Option(min=0, help="Of weights, batches and augmentation.")]
Width = Annotated[int | None, typer.Option(min=1, help="Filters of the first stage (digits-cnn, resnet18).")]
TrustCode = Annotated[bool, typer.Option("--trust-code", help="Allow FILE.py:FACTORY to run that file.")]
Threads = Annotated[int | None, typer.Option(min=1, help="Processor threads; default all.")]
CheckpointSeconds = Annotated[
    float, typer.Option(min=0, help="Time between checkpoints; a shorter run keeps none.")
]
DataRoot = Annotated[Path, typer.Option(help="Where torchvision: data lies or is downloaded to.")]


def read_data(name: str, root: Path, output: Output) -> "ClassificationData":
    """Load data with a progress bar."""
    from earmark.data import load_data

    with output.progress("reading data") as on_progress:
        return load_data(name, root=root, on_progress=on_progress)


def settings_for(
    data: "ClassificationData", seed: int, **chosen: "int | float | str | None"
) -> "TrainingSettings":
    """Return the default settings for a network and data, with what the user chose in their place.

    The defaults are the paper's (60 epochs, 0.1, a tenth after each third) for large data, and a short
    run for small data.
    """
    from earmark.training import DEFAULT_SETTINGS, SMALL_DATA_SETTINGS

    small = len(data.train) < 10_000
    defaults = SMALL_DATA_SETTINGS if small else DEFAULT_SETTINGS
    picked = {name: value for name, value in chosen.items() if value is not None}
    suited = replace(defaults, augmentation=data.augmentation, seed=seed)
    return replace(suited, **picked)  # type: ignore[arg-type]  # checked by TrainingSettings itself


def new_model(
    name: str, data: "ClassificationData", width: int | None, seed: int, trust_code: bool
) -> "tuple[nn.Module, ModelDescription]":
    """Build a network for the data with weights from the seed."""
    import torch

    from earmark.models.table import build, describe

    if name.startswith("hf:"):
        from earmark.models.hf import load_hf

        module, description = load_hf(Path(name.removeprefix("hf:")))
        if description.class_names != data.class_names:
            raise ValueError(
                f"{name} has other classes than the data: set its id2label to the data's classes"
            )
        return module, description
    description = describe(name, data.input_shape, data.class_names, width)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build(description, trust_code=trust_code), description


def checkpoint_for(out: Path, identity: str, seconds: float, output: Output) -> "Checkpoint":
    """Return the checkpoint beside the output, saying so if a run is resumed."""
    from earmark.training import Checkpoint

    path = out.with_name(out.name + ".checkpoint")
    if path.exists():
        output.remark(f"resuming from {path}")
    return Checkpoint(path, identity, seconds)


def use_processor(threads: int | None) -> None:
    """Prepare for computing: limit PyTorch's threads, keep memory."""
    keep_freed_memory()
    if threads is not None:
        import torch

        torch.set_num_threads(threads)


def test_accuracy(
    module: "nn.Module", description: "ModelDescription", data: "ClassificationData", output: Output
) -> float:
    """Return the accuracy on the test split, 0 to 1, with a progress bar."""
    from earmark.models.prediction import accuracy, predict_scores

    with output.progress("testing") as on_progress:
        scores = predict_scores(
            module,
            data.test.images,
            description.preprocessing,
            on_batch=lambda done: on_progress(done, len(data.test)),
        )
    return accuracy(scores, data.test.labels)


def write_model(out: Path, module: "nn.Module", description: "ModelDescription") -> None:
    """Write a model: ``.safetensors``, ``.onnx``, or a Hugging Face folder for ``hf:`` models."""
    if description.architecture.startswith("hf:"):
        from earmark.models.hf import save_hf

        save_hf(out, module, Path(description.architecture.removeprefix("hf:")))
    elif out.suffix == ".onnx":
        from earmark.models.onnx_export import export_onnx

        export_onnx(out, module, description)
    else:
        from earmark.models.weights import save_weights

        save_weights(out, module, description)


def check_output(out: Path, model: str) -> None:
    """Raise before any training if the output's name does not fit the model."""
    if model.startswith("hf:"):
        if out.exists():
            raise ValueError(f"{out} exists already; a Hugging Face model is written to a new folder")
    elif out.suffix not in (".safetensors", ".onnx"):
        raise ValueError(f"the output must end in .safetensors or .onnx, not {out.name}")
