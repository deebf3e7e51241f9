"""Runs the Python blocks of the Markdown documents, so that no page can show what is not so.

A block of `>>>` lines is a doctest; any other ``python`` block must run. The blocks of one page
share their names, as they do for a reader who types them in. A block that is meant to stay
unrun comes after the line ``<!--- skip: next -->`` or is not marked ``python``.
"""

from doctest import ELLIPSIS, NORMALIZE_WHITESPACE
from importlib.util import find_spec

import pytest
from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser, SkipParser

# The rooms for neighbours that are not installed, and the page that needs one.
_NEEDED = {
    "src/chainrule/interop/jax.py": "jax",
    "src/chainrule/interop/torch.py": "torch",
    "src/chainrule/interop/onnx": "onnxruntime",
    "docs/onnx.md": "onnxruntime",
    "src/chainrule/train/tensorboard.py": "tensorboardX",
}
collect_ignore = [path for path, package in _NEEDED.items() if find_spec(package) is None]


@pytest.fixture
def scratch_folder(tmp_path, monkeypatch):
    """What a page writes lands in a folder of its own; code is made as for any reader."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CHAINRULE_BACKGROUND", "1")
    return tmp_path


pytest_collect_file = Sybil(
    parsers=[
        PythonCodeBlockParser(doctest_optionflags=ELLIPSIS | NORMALIZE_WHITESPACE),
        SkipParser(),
    ],
    patterns=["*.md"],
    fixtures=["scratch_folder"],
).pytest()
