"""What PyTorch does not have, beside Optax."""

import numpy as np
import pytest

from chainrule import optim

jax = pytest.importorskip("jax")
optax = pytest.importorskip("optax")

pytestmark = pytest.mark.oracle

PAIRS = {
    "lion": (lambda: optim.lion(0.01), lambda: optax.lion(0.01, weight_decay=0.0)),
    "lion decay": (
        lambda: optim.lion(0.01, 0.8, 0.95, weight_decay=0.1),
        lambda: optax.lion(0.01, 0.8, 0.95, weight_decay=0.1),
    ),
    "clipping": (
        lambda: optim.chain(optim.clip_by_global_norm(0.5), optim.sgd(0.1)),
        lambda: optax.chain(optax.clip_by_global_norm(0.5), optax.sgd(0.1)),
    ),
    "amsgrad": (
        # Optax takes the greatest of the unbiased moments, so without the bias both agree.
        lambda: optim.adam(0.01, b2=0.0, amsgrad=True),
        lambda: optax.amsgrad(0.01, b2=0.0),
    ),
}


@pytest.fixture(autouse=True)
def double_precision():
    with jax.enable_x64(True):
        yield


@pytest.mark.parametrize("name", PAIRS)
def test_the_parameters_after_100_steps_are_those_of_optax(name):
    rng = np.random.default_rng(0)
    params = {"W": rng.normal(size=(4, 3)), "b": np.ones(3)}
    other_params = params
    mine, other = (make() for make in PAIRS[name])
    state, other_state = mine.init(params), other.init(params)
    for _ in range(100):
        gradients = {k: rng.normal(size=v.shape) for k, v in params.items()}
        updates, state = mine.update(gradients, state, params)
        params = optim.apply(params, updates)
        updates, other_state = other.update(gradients, other_state, other_params)
        other_params = optax.apply_updates(other_params, updates)
    for k in params:
        np.testing.assert_allclose(params[k], np.asarray(other_params[k]), rtol=1e-9)


@pytest.mark.parametrize("inner", ["sgd", "adam"])
def test_lookahead_goes_where_that_of_optax_goes(inner):
    rng = np.random.default_rng(1)
    params = {"W": rng.normal(size=(4, 3)), "b": np.ones(3)}
    other_params = optax.LookaheadParams.init_synced(params)
    mine = optim.lookahead(getattr(optim, inner)(0.05), period=6, step=0.4)
    other = optax.lookahead(getattr(optax, inner)(0.05), sync_period=6, slow_step_size=0.4)
    state, other_state = mine.init(params), other.init(other_params)
    for _ in range(100):
        gradients = {k: rng.normal(size=v.shape) for k, v in params.items()}
        updates, state = mine.update(gradients, state, params)
        params = optim.apply(params, updates)
        updates, other_state = other.update(gradients, other_state, other_params)
        other_params = optax.apply_updates(other_params, updates)
        for k in params:
            np.testing.assert_allclose(params[k], np.asarray(other_params.fast[k]), rtol=1e-9)
