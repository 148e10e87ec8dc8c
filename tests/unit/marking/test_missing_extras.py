import importlib
import sys

import pytest

from earmark.errors import MissingExtraError


@pytest.mark.parametrize("extra", ["lightning", "keras"])
def test_a_framework_that_is_not_installed_is_named_with_the_command(extra, monkeypatch):
    for package in ("lightning", "lightning.pytorch", "pytorch_lightning", "keras", "keras.utils"):
        monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.delitem(sys.modules, f"earmark.marking.{extra}", raising=False)
    with pytest.raises(MissingExtraError, match=rf"pip install 'earmark\[{extra}\]'"):
        importlib.import_module(f"earmark.marking.{extra}")
