"""Training: ``fit``, checkpoints that survive a crash, and records of what happened.

Examples
--------
>>> import numpy as np
>>> from chainrule import data, nn, optim, random, train
>>> learn, test = data.wine()
>>> model = nn.Linear.init(random.key(0), 13, 3)
>>> loss = train.supervised(nn.cross_entropy)
>>> result = train.fit(model, loss, learn, optim.adam(0.05), epochs=10, folder=None, log=None)
>>> train.evaluate(result.model, {"accuracy": train.supervised(train.accuracy)}, test)
{'accuracy': 1.0}
"""

from typing import TYPE_CHECKING, Any

from .checkpoint import load, save
from .events import EventLog, read_events
from .fit import fit
from .metrics import accuracy, class_weights, confusion_matrix, mean_absolute_error
from .run import Result, Run
from .state_dict import load_state_dict
from .step import DivergedError, evaluate, make_step, supervised
from .tensors import CheckpointError

if TYPE_CHECKING:
    from .live import LiveView, write_view
    from .tensorboard import TensorBoard

__all__ = [
    "CheckpointError",
    "DivergedError",
    "EventLog",
    "LiveView",
    "Result",
    "Run",
    "TensorBoard",
    "accuracy",
    "class_weights",
    "confusion_matrix",
    "evaluate",
    "fit",
    "load",
    "load_state_dict",
    "make_step",
    "mean_absolute_error",
    "read_events",
    "save",
    "supervised",
    "write_view",
]


def __getattr__(name: str) -> Any:
    """Import what few runs need when it is first asked for."""
    if name in ("LiveView", "write_view"):
        from . import live

        return getattr(live, name)
    if name == "TensorBoard":
        from .tensorboard import TensorBoard

        return TensorBoard
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
