"""Explanations: what the chain rule did, in the names of the user's own program.

The module can be called: ``chainrule.explain(f)(x)`` is ``chainrule.explain.explain(f)(x)``.
"""

from __future__ import annotations

import inspect
import sys
from types import ModuleType
from typing import Any

from .api import explain
from .explanation import Explanation
from .steps import Step

__all__ = ["Explanation", "Step", "explain"]


class _CallableModule(ModuleType):
    """A module that acts as its own main function.

    The package has a function and a room of one name. Importing the room binds the name to the
    module, at any time and from anywhere; so the module has to do as the function.
    """

    __signature__ = inspect.signature(explain)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return explain(*args, **kwargs)


sys.modules[__name__].__class__ = _CallableModule
