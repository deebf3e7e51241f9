"""The optimisers by name: chains of transformations that end with the learning rate."""

from __future__ import annotations

from typing import Any

from .moments import (
    scale_by_adagrad,
    scale_by_adam,
    scale_by_adamax,
    scale_by_lion,
    scale_by_nadam,
    scale_by_rms,
)
from .scaling import (
    LearningRate,
    add_decayed_weights,
    scale_by_learning_rate,
    scale_by_schedule,
    trace,
)
from .transformation import Transformation, chain, check_between

__all__ = ["adagrad", "adam", "adamax", "adamw", "lion", "nadam", "rmsprop", "sgd"]


def sgd(
    learning_rate: LearningRate = 1e-3,
    momentum: float = 0.0,
    nesterov: bool = False,
    weight_decay: float = 0.0,
) -> Transformation:
    r"""Stochastic gradient descent, with momentum.

    .. math::

        g &\leftarrow g + \lambda p, \qquad b \leftarrow \mu b + g \\
        p &\leftarrow p - \eta \, b \quad\text{or, with Nesterov's,}\quad
        p - \eta \, (g + \mu b)

    Parameters
    ----------
    learning_rate : float or callable
        The step :math:`\eta`, or a schedule: a function of the number of updates before.
    momentum : float
        The decay :math:`\mu` of the sum of the gradients; 0 keeps no sum.
    nesterov : bool
        Whether to take the gradient as if one step ahead.
    weight_decay : float
        The :math:`L_2` penalty :math:`\lambda`.

    Notes
    -----
    The defaults are PyTorch's; its ``dampening`` is always 0 here.

    References
    ----------
    H. Robbins, S. Monro, "A stochastic approximation method", 1951.

    Examples
    --------
    >>> import numpy as np
    >>> optimiser = sgd(0.1)
    >>> optimiser.update(np.array([1.0, -2.0]), optimiser.init(np.zeros(2)))[0]
    array([-0.1,  0.2])
    """
    if nesterov and not momentum:
        raise ValueError("Nesterov's momentum needs a momentum above 0")
    return _descent(
        learning_rate,
        *_penalty(weight_decay),
        *([trace(momentum, nesterov)] if momentum else []),
    )


def adam(
    learning_rate: LearningRate = 1e-3,
    b1: float = 0.9,
    b2: float = 0.999,
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    amsgrad: bool = False,
) -> Transformation:
    r"""Adam: steps of the size of the learning rate, whatever the size of the gradient.

    .. math::

        m &\leftarrow \beta_1 m + (1 - \beta_1) g, \qquad
        v \leftarrow \beta_2 v + (1 - \beta_2) g^2 \\
        p &\leftarrow p - \eta \, \frac{m / (1 - \beta_1^t)}{\sqrt{v / (1 - \beta_2^t)} + \epsilon}

    Parameters
    ----------
    learning_rate : float or callable
        The step :math:`\eta` in units of the parameters, or a schedule.
    b1, b2 : float
        Decays of the running means; they average over about :math:`1 / (1 - \beta)` steps.
    eps : float
        Added to the root, in units of the gradient.
    weight_decay : float
        An :math:`L_2` penalty, added to the gradient. :func:`adamw` decays the weights themselves.
    amsgrad : bool
        Whether to divide by the greatest :math:`v` so far.

    Notes
    -----
    The defaults are PyTorch's.

    References
    ----------
    D. Kingma, J. Ba, "Adam: a method for stochastic optimization", ICLR 2015.
    S. Reddi, S. Kale, S. Kumar, "On the convergence of Adam and beyond", ICLR 2018 (AMSGrad).

    Examples
    --------
    >>> import numpy as np
    >>> optimiser = adam(0.1)
    >>> optimiser.update(np.array([5.0, -0.2]), optimiser.init(np.zeros(2)))[0].round(6)
    array([-0.1,  0.1])
    """
    return _descent(learning_rate, *_penalty(weight_decay), scale_by_adam(b1, b2, eps, amsgrad))


def adamw(
    learning_rate: LearningRate = 1e-3,
    b1: float = 0.9,
    b2: float = 0.999,
    eps: float = 1e-8,
    weight_decay: float = 1e-2,
    mask: Any = None,
    amsgrad: bool = False,
) -> Transformation:
    r"""Adam with decoupled weight decay.

    .. math:: p \leftarrow p - \eta \, (u + \lambda p), \qquad u \text{ as in Adam}

    Parameters
    ----------
    learning_rate : float or callable
        The step :math:`\eta`, or a schedule.
    b1, b2, eps, amsgrad
        As in :func:`adam`.
    weight_decay : float
        The decay :math:`\lambda` per unit of learning rate.
    mask : pytree of bool, or callable, optional
        Which parameters decay; all by default, as in PyTorch.

    Notes
    -----
    The defaults are PyTorch's; Optax decays by 1e-4 instead.

    References
    ----------
    I. Loshchilov, F. Hutter, "Decoupled weight decay regularization", ICLR 2019.

    Examples
    --------
    >>> import numpy as np
    >>> optimiser = adamw(0.1, weight_decay=0.5)
    >>> params = np.array([1.0, 1.0])
    >>> optimiser.update(np.array([5.0, -0.2]), optimiser.init(params), params)[0].round(6)
    array([-0.15,  0.05])
    """
    adaptive = scale_by_adam(b1, b2, eps, amsgrad)
    return _descent(learning_rate, adaptive, *_penalty(weight_decay, mask))


def nadam(
    learning_rate: LearningRate = 2e-3,
    b1: float = 0.9,
    b2: float = 0.999,
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    momentum_decay: float = 4e-3,
) -> Transformation:
    r"""Adam with Nesterov's momentum.

    .. math::

        \mu_t &= \beta_1 (1 - 0.5 \cdot 0.96^{t \psi}), \qquad P_t = \mu_1 \cdots \mu_t \\
        p &\leftarrow p - \eta \, \frac{g \, (1 - \mu_t) / (1 - P_t) + m \, \mu_{t+1} /
        (1 - P_{t+1})}{\sqrt{v / (1 - \beta_2^t)} + \epsilon}

    Parameters
    ----------
    learning_rate : float or callable
        The step :math:`\eta`, or a schedule.
    b1, b2, eps, weight_decay
        As in :func:`adam`.
    momentum_decay : float
        The rate :math:`\psi` at which the momentum warms up.

    Notes
    -----
    The defaults are PyTorch's.

    References
    ----------
    T. Dozat, "Incorporating Nesterov momentum into Adam", ICLR workshop 2016.

    Examples
    --------
    >>> import numpy as np
    >>> optimiser = nadam(0.1)
    >>> optimiser.update(np.array([5.0]), optimiser.init(np.zeros(1)))[0].round(4)
    array([-0.1056])
    """
    adaptive = scale_by_nadam(b1, b2, eps, momentum_decay)
    return _descent(learning_rate, *_penalty(weight_decay), adaptive)


def adamax(
    learning_rate: LearningRate = 2e-3,
    b1: float = 0.9,
    b2: float = 0.999,
    eps: float = 1e-8,
    weight_decay: float = 0.0,
) -> Transformation:
    r"""Adam with the maximum norm in place of the root of a mean square.

    .. math::

        n \leftarrow \max(\beta_2 n, |g| + \epsilon), \qquad
        p \leftarrow p - \eta \, \frac{m / (1 - \beta_1^t)}{n}

    Parameters
    ----------
    learning_rate : float or callable
        The step :math:`\eta`, or a schedule.
    b1, b2, eps, weight_decay
        As in :func:`adam`.

    Notes
    -----
    The defaults are PyTorch's.

    References
    ----------
    D. Kingma, J. Ba, "Adam: a method for stochastic optimization", ICLR 2015, section 7.1.

    Examples
    --------
    >>> import numpy as np
    >>> optimiser = adamax(0.1)
    >>> optimiser.update(np.array([5.0, -0.2]), optimiser.init(np.zeros(2)))[0].round(6)
    array([-0.1,  0.1])
    """
    return _descent(learning_rate, *_penalty(weight_decay), scale_by_adamax(b1, b2, eps))


def adagrad(
    learning_rate: LearningRate = 1e-2,
    decay: float = 0.0,
    weight_decay: float = 0.0,
    initial: float = 0.0,
    eps: float = 1e-10,
) -> Transformation:
    r"""Divide by the root of the sum of all squared gradients.

    .. math::

        s \leftarrow s + g^2, \qquad
        p \leftarrow p - \frac{\eta}{1 + (t - 1) \delta} \frac{g}{\sqrt{s} + \epsilon}

    Parameters
    ----------
    learning_rate : float or callable
        The step :math:`\eta`, or a schedule.
    decay : float
        The decay :math:`\delta` of the learning rate (PyTorch's ``lr_decay``).
    weight_decay : float
        The :math:`L_2` penalty.
    initial : float
        The first value of :math:`s`.
    eps : float
        Added to the root.

    Notes
    -----
    The defaults are PyTorch's.

    References
    ----------
    J. Duchi, E. Hazan, Y. Singer, "Adaptive subgradient methods for online learning and
    stochastic optimization", JMLR 2011.

    Examples
    --------
    >>> import numpy as np
    >>> optimiser = adagrad(0.1)
    >>> optimiser.update(np.array([5.0, -0.2]), optimiser.init(np.zeros(2)))[0].round(6)
    array([-0.1,  0.1])
    """
    check_between(0, float("inf"), decay=decay)
    slower = [scale_by_schedule(lambda count: 1 / (1 + count * decay))] if decay else []
    return _descent(learning_rate, *_penalty(weight_decay), scale_by_adagrad(initial, eps), *slower)


def rmsprop(
    learning_rate: LearningRate = 1e-2,
    decay: float = 0.99,
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    momentum: float = 0.0,
    centred: bool = False,
) -> Transformation:
    r"""Divide by the root of a running mean of squared gradients.

    .. math::

        s &\leftarrow \alpha s + (1 - \alpha) g^2, \qquad
        u = \frac{g}{\sqrt{s} + \epsilon} \ \text{ or, centred, }\
        \frac{g}{\sqrt{s - m^2} + \epsilon} \\
        b &\leftarrow \mu b + u, \qquad p \leftarrow p - \eta b

    Parameters
    ----------
    learning_rate : float or callable
        The step :math:`\eta`, or a schedule.
    decay : float
        The decay :math:`\alpha` of the running mean (PyTorch's ``alpha``).
    eps : float
        Added to the root.
    weight_decay : float
        The :math:`L_2` penalty.
    momentum : float
        The decay :math:`\mu` of the sum of the scaled gradients.
    centred : bool
        Whether to subtract the squared running mean :math:`m` of the gradient.

    Notes
    -----
    The defaults are PyTorch's.

    References
    ----------
    T. Tieleman, G. Hinton, "Lecture 6.5: RMSProp", Coursera, 2012.
    A. Graves, "Generating sequences with recurrent neural networks", 2013 (centred).

    Examples
    --------
    >>> import numpy as np
    >>> optimiser = rmsprop(0.1, decay=0.75)
    >>> optimiser.update(np.array([5.0, -0.2]), optimiser.init(np.zeros(2)))[0].round(6)
    array([-0.2,  0.2])
    """
    return _descent(
        learning_rate,
        *_penalty(weight_decay),
        scale_by_rms(decay, eps, centred),
        *([trace(momentum)] if momentum else []),
    )


def lion(
    learning_rate: LearningRate = 1e-4,
    b1: float = 0.9,
    b2: float = 0.99,
    weight_decay: float = 0.0,
    mask: Any = None,
) -> Transformation:
    r"""Lion: the sign of a momentum, found by a search over programs.

    .. math::

        p &\leftarrow p - \eta \, (\operatorname{sign}(\beta_1 m + (1 - \beta_1) g) + \lambda p) \\
        m &\leftarrow \beta_2 m + (1 - \beta_2) g

    Parameters
    ----------
    learning_rate : float or callable
        The step :math:`\eta`, or a schedule; three to ten times smaller than for AdamW.
    b1, b2 : float
        Decays for the sign and for the running mean.
    weight_decay : float
        The decay :math:`\lambda` per unit of learning rate, larger than for AdamW.
    mask : pytree of bool, or callable, optional
        Which parameters decay; all by default.

    Notes
    -----
    PyTorch has no Lion; the defaults are the paper's.

    References
    ----------
    X. Chen et al., "Symbolic discovery of optimization algorithms", NeurIPS 2023.

    Examples
    --------
    >>> import numpy as np
    >>> optimiser = lion(0.1)
    >>> optimiser.update(np.array([5.0, -0.2]), optimiser.init(np.zeros(2)))[0]
    array([-0.1,  0.1])
    """
    return _descent(learning_rate, scale_by_lion(b1, b2), *_penalty(weight_decay, mask))


def _descent(learning_rate: LearningRate, *steps: Transformation) -> Transformation:
    return chain(*steps, scale_by_learning_rate(learning_rate))


def _penalty(weight_decay: float, mask: Any = None) -> list[Transformation]:
    return [add_decayed_weights(weight_decay, mask)] if weight_decay else []
