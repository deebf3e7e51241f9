"""Every optimiser and schedule beside PyTorch's, for 100 steps."""

import numpy as np
import pytest

import chainrule as cr
from chainrule import optim

torch = pytest.importorskip("torch")

pytestmark = pytest.mark.oracle

STEPS = 100
SHAPES = {"W": (4, 3), "b": (3,), "kernel": (2, 3, 2, 2), "scale": ()}


def quadratic(dtype, seed=0):
    """Parameters, and the noisy gradients of a badly scaled quadratic at each step."""
    rng = np.random.default_rng(seed)
    params = {k: np.asarray(rng.normal(size=s), dtype) for k, s in SHAPES.items()}
    scales = {k: np.asarray(10 ** rng.uniform(-3, 2, size=s), dtype) for k, s in SHAPES.items()}
    noise = [
        {k: np.asarray(rng.normal(size=s), dtype) for k, s in SHAPES.items()} for _ in range(STEPS)
    ]

    def gradients(params, step):
        return {
            k: (scales[k] * (params[k] + np.float32(0.3) * noise[step][k])).astype(dtype)
            for k in SHAPES
        }

    return params, gradients


def ours(optimiser, dtype):
    params, gradients = quadratic(dtype)
    state = optimiser.init(params)
    for step in range(STEPS):
        updates, state = optimiser.update(gradients(params, step), state, params)
        params = optim.apply(params, updates)
    assert all(params[k].dtype == dtype for k in SHAPES)
    return params


def theirs(make, dtype, clip=lambda params: None, after=lambda optimiser: lambda: None):
    start, gradients = quadratic(dtype)
    params = {k: torch.tensor(v, requires_grad=True) for k, v in start.items()}
    optimiser = make(list(params.values()))
    step_schedule = after(optimiser)
    for step in range(STEPS):
        now = gradients({k: v.detach().numpy() for k, v in params.items()}, step)
        for k, v in params.items():
            v.grad = torch.tensor(now[k])
        clip(list(params.values()))
        optimiser.step()
        step_schedule()
    return {k: v.detach().numpy() for k, v in params.items()}


def assert_same(mine, others, tolerance):
    for k in SHAPES:
        np.testing.assert_allclose(mine[k], others[k], rtol=tolerance, atol=tolerance, err_msg=k)


TOLERANCE = {np.float32: 1e-6, np.float64: 1e-10}
EXCEPTIONS = {
    # PyTorch keeps the product of the momenta in float32.
    ("nadam", np.float64): 1e-8,
    ("nadam penalty", np.float64): 1e-8,
    # The variance is a difference of nearly equal numbers, which each system rounds its own way.
    ("rmsprop centred", np.float32): 1e-5,
}

PAIRS = {
    "sgd": (lambda: optim.sgd(), lambda p: torch.optim.SGD(p)),
    "sgd momentum": (
        lambda: optim.sgd(0.01, momentum=0.9, weight_decay=0.1),
        lambda p: torch.optim.SGD(p, 0.01, momentum=0.9, weight_decay=0.1),
    ),
    "sgd nesterov": (
        lambda: optim.sgd(0.01, momentum=0.8, nesterov=True, weight_decay=0.01),
        lambda p: torch.optim.SGD(p, 0.01, momentum=0.8, nesterov=True, weight_decay=0.01),
    ),
    "adam": (lambda: optim.adam(), lambda p: torch.optim.Adam(p)),
    "adam penalty": (
        lambda: optim.adam(0.02, 0.8, 0.99, 1e-6, weight_decay=0.1),
        lambda p: torch.optim.Adam(p, 0.02, (0.8, 0.99), 1e-6, weight_decay=0.1),
    ),
    "amsgrad": (
        lambda: optim.adam(0.02, b2=0.9, amsgrad=True),
        lambda p: torch.optim.Adam(p, 0.02, (0.9, 0.9), amsgrad=True),
    ),
    "adamw": (lambda: optim.adamw(), lambda p: torch.optim.AdamW(p)),
    "adamw decay": (
        lambda: optim.adamw(0.02, weight_decay=0.3),
        lambda p: torch.optim.AdamW(p, 0.02, weight_decay=0.3),
    ),
    "nadam": (lambda: optim.nadam(), lambda p: torch.optim.NAdam(p)),
    "nadam penalty": (
        lambda: optim.nadam(0.02, weight_decay=0.1, momentum_decay=0.01),
        lambda p: torch.optim.NAdam(p, 0.02, weight_decay=0.1, momentum_decay=0.01),
    ),
    "adamax": (lambda: optim.adamax(), lambda p: torch.optim.Adamax(p)),
    "adamax penalty": (
        lambda: optim.adamax(0.02, weight_decay=0.1),
        lambda p: torch.optim.Adamax(p, 0.02, weight_decay=0.1),
    ),
    "adafactor": (lambda: optim.adafactor(), lambda p: torch.optim.Adafactor(p)),
    "adafactor decay": (
        lambda: optim.adafactor(0.5, -0.7, 1e-4, 1e-2, threshold=1.5, weight_decay=0.1),
        lambda p: torch.optim.Adafactor(p, 0.5, -0.7, (1e-4, 1e-2), 1.5, 0.1),
    ),
    "adagrad": (lambda: optim.adagrad(), lambda p: torch.optim.Adagrad(p)),
    "adagrad decay": (
        lambda: optim.adagrad(0.1, decay=0.05, weight_decay=0.1, initial=0.5),
        lambda p: torch.optim.Adagrad(p, 0.1, 0.05, 0.1, 0.5),
    ),
    "rmsprop": (lambda: optim.rmsprop(), lambda p: torch.optim.RMSprop(p)),
    "rmsprop momentum": (
        lambda: optim.rmsprop(1e-3, 0.9, weight_decay=0.1, momentum=0.9),
        lambda p: torch.optim.RMSprop(p, 1e-3, 0.9, weight_decay=0.1, momentum=0.9),
    ),
    "rmsprop centred": (
        lambda: optim.rmsprop(1e-3, 0.9, centred=True, momentum=0.5),
        lambda p: torch.optim.RMSprop(p, 1e-3, 0.9, centered=True, momentum=0.5),
    ),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", PAIRS)
def test_the_parameters_after_100_steps_are_those_of_pytorch(name, dtype):
    mine, others = PAIRS[name]
    tolerance = EXCEPTIONS.get((name, dtype), TOLERANCE[dtype])
    assert_same(ours(mine(), dtype), theirs(others, dtype), tolerance)


def test_clipping_by_value_is_pytorchs():
    mine = ours(optim.chain(optim.clip_by_value(0.5), optim.adam()), np.float64)
    clip = lambda params: torch.nn.utils.clip_grad_value_(params, 0.5)
    assert_same(mine, theirs(lambda p: torch.optim.Adam(p), np.float64, clip), 1e-10)


def test_clipping_by_norm_is_pytorchs_up_to_its_epsilon():
    mine = ours(optim.chain(optim.clip_by_global_norm(0.5), optim.sgd(0.1)), np.float64)
    clip = lambda params: torch.nn.utils.clip_grad_norm_(params, 0.5)
    others = theirs(lambda p: torch.optim.SGD(p, 0.1), np.float64, clip)
    assert_same(mine, others, 1e-6)


def test_accumulated_gradients_are_pytorchs_mean_of_them():
    mine = ours(optim.accumulate(optim.adam(0.02), 4), np.float64)
    start, gradients = quadratic(np.float64)
    params = {k: torch.tensor(v, requires_grad=True) for k, v in start.items()}
    optimiser = torch.optim.Adam(list(params.values()), 0.02)
    for step in range(STEPS):
        now = gradients({k: v.detach().numpy() for k, v in params.items()}, step)
        sum((v * torch.tensor(now[k])).sum() / 4 for k, v in params.items()).backward()
        if step % 4 == 3:
            optimiser.step()
            optimiser.zero_grad()
    assert_same(mine, {k: v.detach().numpy() for k, v in params.items()}, 1e-10)


def test_the_mean_of_parameters_is_pytorchs():
    optimiser = optim.chain(optim.sgd(0.01), optim.ema_of_parameters(0.9))
    start, gradients = quadratic(np.float64)
    params, state = start, optimiser.init(start)
    module = torch.nn.ParameterDict({k: torch.tensor(v) for k, v in start.items()})
    averages = torch.optim.swa_utils.get_ema_multi_avg_fn(0.9)
    averaged = torch.optim.swa_utils.AveragedModel(module, multi_avg_fn=averages)
    averaged.update_parameters(module)  # the first call copies
    for step in range(STEPS):
        updates, state = optimiser.update(gradients(params, step), state, params)
        params = optim.apply(params, updates)
        for k in SHAPES:
            module[k].data = torch.tensor(params[k])
        averaged.update_parameters(module)
    others = {k: v.detach().numpy() for k, v in averaged.module.items()}
    assert_same(optim.averaged_parameters(state), others, 1e-10)


@pytest.mark.parametrize("cooldown", [0, 3])
def test_a_plateau_reduces_the_rate_where_pytorch_does(cooldown):
    losses = np.abs(np.random.default_rng(3).normal(size=STEPS)) + np.linspace(2, 0.5, STEPS)
    plateau = optim.reduce_on_plateau(0.5, 4, 1e-2, cooldown, min_scale=0.01)
    state = plateau.init(0.0)
    optimiser = torch.optim.SGD([torch.zeros(1)], lr=1.0)
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimiser, factor=0.5, patience=4, threshold=1e-2, cooldown=cooldown, min_lr=0.01
    )
    for loss in losses:
        updates, state = plateau.update(1.0, state, value=loss)
        scheduler.step(loss)
        assert float(updates) == optimiser.param_groups[0]["lr"]
    assert float(updates) < 0.2


def rosenbrock(x):
    return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()


@pytest.mark.parametrize("history", [3, 10])
def test_lbfgs_with_a_fixed_step_is_pytorchs(history):
    start = np.linspace(-0.5, 0.9, 6)
    optimiser = optim.lbfgs(0.3, history, line_search=False)
    x, state, mine = start, optimiser.init(start), []
    for _ in range(STEPS):
        updates, state = optimiser.update(cr.grad(rosenbrock)(x), state, x)
        x = optim.apply(x, updates)
        mine.append(x)
    y = torch.tensor(start, requires_grad=True)
    other = torch.optim.LBFGS(
        [y], 0.3, 1, tolerance_grad=0, tolerance_change=0, history_size=history
    )

    def closure():
        other.zero_grad()
        loss = rosenbrock(y)
        loss.backward()
        return loss

    for step in range(STEPS):
        other.step(closure)
        # Far from the minimum a step with a fixed length amplifies rounding.
        np.testing.assert_allclose(mine[step], y.detach().numpy(), rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(mine[-1], np.ones(6), atol=1e-3)


def test_an_optimiser_follows_its_schedule_as_pytorch_does():
    mine = ours(optim.adam(optim.cosine_decay(0.02, STEPS)), np.float64)
    after = lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, STEPS).step
    others = theirs(lambda p: torch.optim.Adam(p, 0.02), np.float64, after=after)
    assert_same(mine, others, 1e-10)


SCHEDULES = {
    "StepLR": (optim.step_decay(0.5, 7, 0.3), {"step_size": 7, "gamma": 0.3}),
    "MultiStepLR": (
        optim.piecewise_constant(0.5, {10: 0.2, 40: 0.2}),
        {"milestones": [10, 40], "gamma": 0.2},
    ),
    "ExponentialLR": (optim.exponential_decay(0.5, 0.97), {"gamma": 0.97}),
    "LinearLR": (
        optim.linear(0.05, 0.5, 30),
        {"start_factor": 0.1, "end_factor": 1.0, "total_iters": 30},
    ),
    "PolynomialLR": (optim.polynomial_decay(0.5, 0, 60, 2.5), {"total_iters": 60, "power": 2.5}),
    "CosineAnnealingLR": (
        optim.cosine_decay(0.5, STEPS, 0.01),
        {"T_max": STEPS, "eta_min": 0.01},
    ),
    "CosineAnnealingWarmRestarts": (
        optim.cosine_restarts(0.5, 7, growth=2, final=0.01),
        {"T_0": 7, "T_mult": 2, "eta_min": 0.01},
    ),
    "OneCycleLR": (optim.one_cycle(0.5, STEPS), {"max_lr": 0.5, "total_steps": STEPS}),
}


# PyTorch asks for optimiser.step before scheduler.step; here only the rates are of interest.
@pytest.mark.filterwarnings("ignore:Detected call of")
@pytest.mark.parametrize("name", SCHEDULES)
def test_a_schedule_has_pytorchs_values(name):
    schedule, options = SCHEDULES[name]
    optimiser = torch.optim.SGD([torch.zeros(1)], lr=0.5)
    scheduler = getattr(torch.optim.lr_scheduler, name)(optimiser, **options)
    values = []
    for _ in range(STEPS - 1):
        values.append(optimiser.param_groups[0]["lr"])
        scheduler.step()
    np.testing.assert_allclose(schedule(np.arange(STEPS - 1)), values, rtol=1e-9, atol=1e-12)


@pytest.mark.filterwarnings("ignore:Detected call of")
def test_warm_up_and_cosine_are_pytorchs_in_a_row():
    optimiser = torch.optim.SGD([torch.zeros(1)], lr=0.5)
    parts = torch.optim.lr_scheduler
    rising = parts.LinearLR(optimiser, 0.1, 1.0, total_iters=20)
    falling = parts.CosineAnnealingLR(optimiser, STEPS - 20)
    scheduler = parts.SequentialLR(optimiser, [rising, falling], milestones=[20])
    schedule = optim.warmup_cosine(0.5, 20, STEPS, initial=0.05)
    for step in range(STEPS):
        assert schedule(step) == pytest.approx(optimiser.param_groups[0]["lr"], rel=1e-9)
        scheduler.step()
