"""Machine code that belongs to no program: written as text for LLVM, and kept on disk as well."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Mapping
from typing import Any

from . import cache, loader
from .image import Image
from .symbols import address_of


def read(name: str, replaced: Mapping[str, str]) -> str:
    """Return the text of a module beside this file, with words in capitals replaced."""
    with open(os.path.join(os.path.dirname(__file__), name), encoding="utf-8") as file:
        text = file.read()
    for word, meaning in replaced.items():
        text = text.replace(word, meaning)
    return text


def load(text: str) -> Any:
    """Return a module's machine code in memory, made or found on disk."""
    key = cache.key_of_text(text)
    image = cache.find(key)
    if image is None:
        from . import engine

        code, externals = engine.quick_object_code(text)
        image = Image(code, externals, [], [], 0, {})
        cache.keep(key, image)
    loaded = in_memory(image)
    # what goes last when the interpreter ends, an array in a cycle say, may need it still
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(loaded))
    return loaded


def in_memory(image: Image) -> Any:
    """Return an image's machine code in memory, ready to be called."""
    if loader.is_supported():
        sizes = image.sizes
        try:
            return loader.Loaded(image.code, lambda s: sizes[s] if s in sizes else address_of(s))
        except loader.UnreadableObjectError:
            if sizes:
                raise
    from .engine import LoadedByLLVM

    return LoadedByLLVM(image.code, image.externals)
