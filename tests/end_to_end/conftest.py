import pytest

from end_to_end.commands import earmark


@pytest.fixture(scope="session")
def story(tmp_path_factory):
    """A key, a clean model and a marked one, made by the commands."""
    folder = tmp_path_factory.mktemp("story")
    earmark("owner", "new", "-o", "owner.key", "--name", "Acme Research", cwd=folder)
    earmark(
        "keygen", "--owner", "owner.key", "--data", "digits", "--triggers", "100", "--sets", "2", "-o", "acme",
        cwd=folder,
    )  # fmt: skip
    small = ("--model", "digits-cnn", "--data", "digits", "--epochs", "8")
    earmark("train", *small, "-o", "clean.safetensors", cwd=folder)
    earmark("mark", "--key", "acme.key", *small, "-o", "marked.safetensors", cwd=folder)
    return folder
