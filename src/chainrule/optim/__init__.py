"""Optimisers as composable gradient transformations, learning-rate schedules and ``minimize``.

A transformation is a pair of functions (:class:`Transformation`): ``init(params)`` makes a state,
``update(gradients, state, params)`` gives updates, which :func:`apply` adds to the parameters.
Parameters, gradients and states are pytrees, nothing is changed in place, and float32 stays
float32.

Examples
--------
>>> import numpy as np
>>> import chainrule as cr
>>> from chainrule import optim
>>> loss = lambda x: np.sum((x - 3.0) ** 2)
>>> optimiser = optim.chain(optim.clip_by_global_norm(1.0), optim.adamw(optim.constant(0.1)))
>>> x = np.zeros(2)
>>> state = optimiser.init(x)
>>> updates, state = optimiser.update(cr.grad(loss)(x), state, x)
>>> optim.apply(x, updates).round(6)
array([0.1, 0.1])
"""

from .adafactor import adafactor
from .clipping import clip_by_global_norm, clip_by_value, global_norm
from .lbfgs import lbfgs
from .minimising import Minimum, minimize
from .moments import (
    scale_by_adagrad,
    scale_by_adam,
    scale_by_adamax,
    scale_by_lion,
    scale_by_nadam,
    scale_by_rms,
)
from .optimisers import adagrad, adam, adamax, adamw, lion, nadam, rmsprop, sgd
from .plateau import reduce_on_plateau
from .scaling import (
    LearningRate,
    Schedule,
    add_decayed_weights,
    momentum,
    scale,
    scale_by_learning_rate,
    scale_by_schedule,
    trace,
)
from .schedules import (
    constant,
    cosine_decay,
    cosine_restarts,
    exponential_decay,
    join_schedules,
    linear,
    linear_warmup,
    one_cycle,
    piecewise_constant,
    polynomial_decay,
    step_decay,
    warmup_cosine,
)
from .transformation import Transformation, apply, chain, identity, masked
from .wrapping import accumulate, averaged_parameters, ema_of_parameters, lookahead

__all__ = [
    "LearningRate",
    "Minimum",
    "Schedule",
    "Transformation",
    "accumulate",
    "adafactor",
    "adagrad",
    "adam",
    "adamax",
    "adamw",
    "add_decayed_weights",
    "apply",
    "averaged_parameters",
    "chain",
    "clip_by_global_norm",
    "clip_by_value",
    "constant",
    "cosine_decay",
    "cosine_restarts",
    "ema_of_parameters",
    "exponential_decay",
    "global_norm",
    "identity",
    "join_schedules",
    "lbfgs",
    "linear",
    "linear_warmup",
    "lion",
    "lookahead",
    "masked",
    "minimize",
    "momentum",
    "nadam",
    "one_cycle",
    "piecewise_constant",
    "polynomial_decay",
    "reduce_on_plateau",
    "rmsprop",
    "scale",
    "scale_by_adagrad",
    "scale_by_adam",
    "scale_by_adamax",
    "scale_by_learning_rate",
    "scale_by_lion",
    "scale_by_nadam",
    "scale_by_rms",
    "scale_by_schedule",
    "sgd",
    "step_decay",
    "trace",
    "warmup_cosine",
]
