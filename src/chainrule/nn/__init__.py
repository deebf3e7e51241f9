"""Networks: models that are plain trees of arrays with a ``__call__``.

Layers are dataclasses without hidden state. ``Layer.init(...)`` makes one with fresh parameters
(from an explicit key where these are random), and the class itself makes one from given arrays.

Examples
--------
>>> import numpy as np
>>> from chainrule import grad, nn, random
>>> first, second = random.split(random.key(0))
>>> model = nn.Sequential(nn.Linear.init(first, 2, 8), nn.tanh, nn.Linear.init(second, 8, 1))
>>> x, y = np.ones((5, 2)), np.zeros((5, 1))
>>> slope = grad(lambda m: nn.squared_error(m(x), y))(model)
>>> slope
Sequential(  # 33 parameters
  Linear(weight=float64[8, 2], bias=float64[8]),  # 24
  tanh,
  Linear(weight=float64[1, 8], bias=float64[1]),  # 9
)
"""

from . import initialisers, losses
from .activations import (
    elu,
    gelu,
    gelu_tanh,
    glu,
    hard_sigmoid,
    leaky_relu,
    log_softmax,
    mish,
    relu,
    relu6,
    selu,
    sigmoid,
    silu,
    softmax,
    softplus,
    tanh,
)
from .attention import MultiHeadAttention, TransformerBlock, attention
from .cells import GRUCell, LSTMCell, RNNCell
from .containers import Function, Residual, Sequential, apply_layer, init_state
from .conv_layers import (
    Conv1d,
    Conv1dTransposed,
    Conv2d,
    Conv2dTransposed,
    Conv3d,
    Conv3dTransposed,
)
from .convolution import convolve, convolve_transposed
from .dropout import Dropout
from .linear import Embedding, Linear
from .losses import (
    absolute_error,
    binary_cross_entropy,
    cosine_embedding,
    cosine_similarity,
    cross_entropy,
    ctc,
    hinge,
    huber,
    kl_divergence,
    multi_margin,
    nll,
    smooth_l1,
    squared_error,
    triplet,
)
from .normalisation import BatchNorm, BatchStatistics, GroupNorm, LayerNorm, RMSNorm
from .pooling import (
    AvgPool1d,
    AvgPool2d,
    AvgPool3d,
    MaxPool1d,
    MaxPool2d,
    MaxPool3d,
    flatten,
    global_avg_pool,
    global_max_pool,
)
from .printing import Printed, parameter_count, summary
from .recurrent import GRU, LSTM, RNN, length_mask, unroll

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "AvgPool1d",
    "AvgPool2d",
    "AvgPool3d",
    "BatchNorm",
    "BatchStatistics",
    "Conv1d",
    "Conv1dTransposed",
    "Conv2d",
    "Conv2dTransposed",
    "Conv3d",
    "Conv3dTransposed",
    "Dropout",
    "Embedding",
    "Function",
    "GRUCell",
    "GroupNorm",
    "LSTMCell",
    "LayerNorm",
    "Linear",
    "MaxPool1d",
    "MaxPool2d",
    "MaxPool3d",
    "MultiHeadAttention",
    "Printed",
    "RMSNorm",
    "RNNCell",
    "Residual",
    "Sequential",
    "TransformerBlock",
    "absolute_error",
    "apply_layer",
    "attention",
    "binary_cross_entropy",
    "convolve",
    "convolve_transposed",
    "cosine_embedding",
    "cosine_similarity",
    "cross_entropy",
    "ctc",
    "elu",
    "flatten",
    "gelu",
    "gelu_tanh",
    "global_avg_pool",
    "global_max_pool",
    "glu",
    "hard_sigmoid",
    "hinge",
    "huber",
    "init_state",
    "initialisers",
    "kl_divergence",
    "leaky_relu",
    "length_mask",
    "log_softmax",
    "losses",
    "mish",
    "multi_margin",
    "nll",
    "parameter_count",
    "relu",
    "relu6",
    "selu",
    "sigmoid",
    "silu",
    "smooth_l1",
    "softmax",
    "softplus",
    "squared_error",
    "summary",
    "tanh",
    "triplet",
    "unroll",
]
