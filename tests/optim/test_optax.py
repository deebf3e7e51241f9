"""What PyTorch does not have, beside Optax."""

import numpy as np
import pytest

from chainrule import optim

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


@pytest.mark.parametrize("name", PAIRS)
def test_the_parameters_after_100_steps_are_those_of_optax(name):
    rng = np.random.default_rng(0)
    params = {"W": rng.normal(size=(4, 3)).astype(np.float32), "b": np.ones(3, np.float32)}
    other_params = params
    mine, other = (make() for make in PAIRS[name])
    state, other_state = mine.init(params), other.init(params)
    for _ in range(100):
        gradients = {k: rng.normal(size=v.shape).astype(v.dtype) for k, v in params.items()}
        updates, state = mine.update(gradients, state, params)
        params = optim.apply(params, updates)
        updates, other_state = other.update(gradients, other_state, other_params)
        other_params = optax.apply_updates(other_params, updates)
    for k in params:
        np.testing.assert_allclose(params[k], np.asarray(other_params[k]), atol=2e-6, rtol=1e-6)
