"""What is done as soon as a module is imported, and what first calls do not import."""

from __future__ import annotations

import importlib
import inspect
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from chainrule.compile.runtime.imports import when_imported


@pytest.fixture
def late(tmp_path: Path, monkeypatch: Any) -> str:
    (tmp_path / "late_module.py").write_text("value = 3\n\ndef f():\n    return value\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "late_module", raising=False)
    return "late_module"


def test_a_module_is_handed_over_once_it_is_there(late: str) -> None:
    seen: list[ModuleType] = []
    when_imported(late, seen.append)
    finders = len(sys.meta_path)
    assert not seen
    module = importlib.import_module(late)
    assert seen == [module]
    assert module.value == 3
    assert len(sys.meta_path) == finders - 1
    assert inspect.getsource(module.f).startswith("def f")
    assert module.__spec__.loader is module.__loader__
    importlib.reload(module)
    assert seen == [module]
    del sys.modules[late]


def test_a_module_that_is_there_is_handed_over_at_once() -> None:
    seen: list[ModuleType] = []
    when_imported("json", seen.append)
    assert [m.__name__ for m in seen] == ["json"]


def test_a_module_that_does_not_exist_is_missed_as_ever() -> None:
    seen: list[ModuleType] = []
    when_imported("no_such_module_at_all", seen.append)
    for _ in range(2):
        with pytest.raises(ModuleNotFoundError):
            importlib.import_module("no_such_module_at_all")
    assert not seen


THREADS = """
import sys
import numpy as np
from chainrule.compile import jit, num_threads, set_num_threads
set_num_threads(3)
assert "threadpoolctl" not in sys.modules
import threadpoolctl
with threadpoolctl.threadpool_limits(1):
    assert num_threads() == 1
assert num_threads() == 3
"""


def test_threads_are_limited_by_a_library_that_is_imported_later() -> None:
    pytest.importorskip("threadpoolctl")
    subprocess.run([sys.executable, "-c", THREADS], check=True)
