"""Train the networks of the examples here and in PyTorch: the same weights, the same batches.

``python -m benchmarks.examples_beside_torch [NAME ...] [--seeds 3]`` trains to the end and prints
a row for each. The tests compare the first steps.
"""

import argparse
import itertools
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.optimize import minimize
from torch.nn import functional

from benchmarks import torch_models
from chainrule import jit, nn, optim, random, train, tree, value_and_grad

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "examples"))

import adding_problem
import autoencoder
import breast_cancer
import characters
import digits_cnn
import digits_mlp
import neural_ode
import physics_informed
import policy_gradient


@dataclass
class Case:
    """An example, and what is the same in PyTorch.

    ``start(seed, dtype)``, ``batches(seed)``, ``loss`` and ``optimiser`` are the example's;
    ``judge(model, state)`` gives what it says at its end.
    """

    start: Callable[..., Any]
    batches: Callable[[int], Any]
    loss: Callable[..., Any]
    optimiser: Any
    steps: int
    judge: Callable[[Any, Any], float]
    module: Callable[[], Any]
    torch_loss: Callable[..., Any]
    torch_optimiser: Callable[..., Any]
    rate: Callable[[int], float]
    clip: float | None = None


def batches_of(case, seed, steps):
    """Return the first batches, through as many epochs as that takes."""
    epochs = itertools.chain.from_iterable(case.batches(seed).epoch(i) for i in itertools.count())
    return itertools.islice(epochs, steps)


def train_here(case, seed, dtype, steps):
    """Return the model, its running statistics and the losses."""
    model = case.start(seed, dtype)
    state, memory = nn.init_state(model), case.optimiser.init(model)
    keeps = bool(tree.flatten(state)[0])
    slope = jit(value_and_grad(case.loss, has_aux=keeps))
    losses = []
    for batch in batches_of(case, seed, steps):
        batch = cast(batch, dtype)
        if keeps:
            (value, state), gradients = slope(model, *batch, state=state, train=True)
        else:
            value, gradients = slope(model, *batch)
        updates, memory = case.optimiser.update(gradients, memory, model)
        model = optim.apply(model, updates)
        losses.append(float(value))
    return model, state, losses


def train_in_torch(case, seed, dtype, steps):
    """Return the same from PyTorch, with the model and the state put back into ours."""
    model = case.start(seed, dtype)
    module = case.module().to(torch.float64 if dtype == np.float64 else torch.float32)
    put(module, model)
    parameters = list(module.parameters())
    rule = case.torch_optimiser(parameters)
    losses = []
    for step, batch in enumerate(batches_of(case, seed, steps)):
        for group in rule.param_groups:
            group["lr"] = float(case.rate(step))
        rule.zero_grad()
        value = case.torch_loss(module, *map(torch.tensor, cast(batch, dtype)))
        value.backward()
        if case.clip is not None:
            shorten([p.grad for p in parameters], case.clip)
        rule.step()
        losses.append(value.item())
    learned = [p.detach().numpy() for p in parameters]
    statistics = [b.numpy() for name, b in module.named_buffers() if "num_batches" not in name]
    state = tree.flatten(nn.init_state(model))[1].unflatten(statistics)
    return tree.flatten(model)[1].unflatten(learned), state, losses


def shorten(gradients, most):
    """Clip by the global norm; PyTorch's own function adds 1e-6 to the norm."""
    norm = torch.sqrt(sum(torch.sum(g**2) for g in gradients))
    for g in gradients:
        g.mul_(torch.clamp(most / norm, max=1.0))


def put(module, model):
    """Give a module of PyTorch the parameters of a model."""
    with torch.no_grad():
        leaves = tree.flatten(model)[0]
        for parameter, leaf in zip(module.parameters(), leaves, strict=True):
            parameter.copy_(torch.tensor(leaf))


def cast(batch, dtype):
    batch = batch if isinstance(batch, tuple) else (batch,)
    return tuple(x.astype(dtype) if x.dtype.kind == "f" else np.ascontiguousarray(x) for x in batch)


def accuracy_of(module, test):
    def judge(model, state):
        options = {} if not tree.flatten(state)[0] else {"state": state}
        outputs = model(test[0].astype(tree.flatten(model)[0][0].dtype), **options)
        return float(train.accuracy(outputs[0] if options else outputs, test[1]))

    return judge


def classifier(module, test, twin, **torch_settings):
    """Return the case of an example that sorts into classes with AdamW along a cosine."""

    def torch_loss(net, x, y):
        settings = {
            name: torch.tensor(value, dtype=x.dtype) if name == "weight" else value
            for name, value in torch_settings.items()
        }
        return functional.cross_entropy(net(x), y, label_smoothing=0.1, **settings)

    peak = 3e-3 if module is digits_mlp else 1e-2
    steps = module.EPOCHS * len(module.batches())
    return Case(
        module.start, module.batches, module.loss, module.optimiser(), steps,
        accuracy_of(module, test), twin, torch_loss,
        lambda p: torch.optim.AdamW(p, weight_decay=0.1), optim.cosine_decay(peak, steps),
    )  # fmt: skip


def adding(kind):
    half = adding_problem.STEPS // 2
    unseen = adding_problem.problem(random.key(2), 1000)
    return Case(
        lambda seed, dtype: adding_problem.start(getattr(nn, kind), seed, dtype),
        adding_problem.batches, adding_problem.loss, adding_problem.optimiser(),
        adding_problem.STEPS, lambda model, state: float(adding_problem.loss(model, *unseen)),
        lambda: torch_models.Adding(kind), lambda net, x, y: functional.mse_loss(net(x), y),
        torch.optim.Adam,
        optim.join_schedules([optim.constant(2e-2), optim.linear(2e-2, 0, half)], [half]),
        clip=1.0,
    )  # fmt: skip


def language(kind, peak, twin):
    unseen = characters.pieces(characters.UNSEEN, characters.LENGTH + 1)
    return Case(
        lambda seed, dtype: characters.start(kind, seed, dtype), characters.batches,
        characters.loss, characters.optimiser(kind), characters.STEPS,
        lambda model, state: float(characters.loss(model, unseen) / np.log(2)), twin,
        lambda net, codes: torch_models.next_character(net, codes),
        torch.optim.Adam, optim.warmup_cosine(peak=peak, warmup=50, steps=characters.STEPS),
        clip=1.0,
    )  # fmt: skip


def ode():
    def judge(model, state):
        y = np.array([2.2, 0.0])
        path, predicted = (neural_ode.solve(f, y, 150) for f in (neural_ode.pendulum, model))
        return float(np.sqrt(np.mean((path - predicted) ** 2)))

    def torch_loss(net, y, seen):
        return functional.mse_loss(
            torch_models.solve(net, y, neural_ode.SEEN, neural_ode.STEP), seen
        )

    return Case(
        neural_ode.start, neural_ode.batches, neural_ode.loss, neural_ode.optimiser(),
        neural_ode.STEPS, judge, torch_models.neural_ode, torch_loss, torch.optim.Adam,
        optim.cosine_decay(1e-2, neural_ode.STEPS),
    )  # fmt: skip


def reconstruction():
    steps = autoencoder.EPOCHS * len(autoencoder.batches())
    return Case(
        autoencoder.start, autoencoder.batches, autoencoder.loss, autoencoder.optimiser(), steps,
        lambda model, state: float(autoencoder.loss(model, autoencoder.TEST)),
        torch_models.autoencoder, lambda net, x: functional.mse_loss(net(x), x),
        lambda p: torch.optim.AdamW(p, weight_decay=1e-2), optim.cosine_decay(3e-3, steps),
    )  # fmt: skip


def burgers_here(seed=0, iterations=10):
    """Return the residuals after each iteration of the quasi-Newton method."""
    t, x = physics_informed.points(seed)
    values = []
    optim.minimize(
        lambda model: physics_informed.loss(model, t, x), physics_informed.start(seed),
        options={"maxiter": iterations, "maxcor": 50}, jit=True,
        callback=lambda model: values.append(float(physics_informed.loss(model, t, x))),
    )  # fmt: skip
    return values


def burgers_in_torch(seed=0, iterations=10):
    t, x = map(torch.tensor, physics_informed.points(seed))
    module = torch_models.physics_informed(physics_informed.WIDTH).double()
    put(module, physics_informed.start(seed))
    parameters = list(module.parameters())

    def value_and_gradient(vector):
        torch.nn.utils.vector_to_parameters(torch.tensor(vector), parameters)
        left = torch_models.residual(module, t, x, physics_informed.VISCOSITY)
        value = torch.mean(left**2)
        gradients = torch.autograd.grad(value, parameters)
        return value.item(), np.concatenate([g.numpy().ravel() for g in gradients])

    values = []
    minimize(
        value_and_gradient, torch.nn.utils.parameters_to_vector(parameters).detach().numpy(),
        jac=True, method="L-BFGS-B", options={"maxiter": iterations, "maxcor": 50},
        callback=lambda vector: values.append(value_and_gradient(vector)[0]),
    )  # fmt: skip
    return values


def carts_here(seed=0, rounds=policy_gradient.ROUNDS):
    """Return how long each cart stayed up in each round."""
    return policy_gradient.learn(seed)[1][:rounds]


def carts_in_torch(seed=0, rounds=policy_gradient.ROUNDS):
    start, lengths = policy_gradient.start(seed), []
    module = torch_models.policy_gradient().double()
    put(module, start)
    rule = torch.optim.Adam(module.parameters())
    rate = optim.cosine_decay(2e-2, policy_gradient.ROUNDS)
    keys = random.split(random.key(seed + 1), policy_gradient.ROUNDS)
    for step, key in enumerate(keys[:rounds]):
        with torch.no_grad():
            played = policy_gradient.play(lambda x: module(torch.tensor(x)).numpy(), key)
        lengths.append(np.sum(played[2], axis=0))
        weights = policy_gradient.advantage(played[2])
        states, actions, weights = map(torch.tensor, (*played[:2], weights))
        surprise = functional.cross_entropy(
            module(states).flatten(0, 1), actions.flatten(), reduction="none"
        )
        rule.param_groups[0]["lr"] = float(rate(step))
        rule.zero_grad()
        (torch.sum(weights.flatten() * surprise) / torch.sum(weights != 0.0)).backward()
        rule.step()
    return np.array(lengths)


SIZES = len(characters.ALPHABET), characters.WIDTH
CASES = {
    "digits_mlp": lambda: classifier(digits_mlp, digits_mlp.DIGITS.test, torch_models.digits_mlp),
    "digits_cnn": lambda: classifier(digits_cnn, digits_cnn.TEST, torch_models.digits_cnn),
    "breast_cancer": lambda: classifier(
        breast_cancer, breast_cancer.TEST, torch_models.breast_cancer, weight=breast_cancer.WEIGHTS
    ),
    "adding_problem, LSTM": lambda: adding("LSTM"),
    "adding_problem, RNN": lambda: adding("RNN"),
    "characters, GRU": lambda: language(
        characters.Recurrent, 2e-2, lambda: torch_models.Recurrent(*SIZES)
    ),
    "characters, transformer": lambda: language(
        characters.Transformer, 5e-3, lambda: torch_models.Transformer(*SIZES, characters.LENGTH)
    ),
    "neural_ode": ode,
    "autoencoder": reconstruction,
}


def main():
    options = argparse.ArgumentParser(description="Train the examples here and in PyTorch.")
    options.add_argument("names", nargs="*", default=list(CASES))
    options.add_argument("--seeds", type=int, default=3)
    args = options.parse_args()
    torch.set_num_threads(1)
    print(f"{'example':25} seed  {'first 10 losses differ by':26} {'here':>8} {'PyTorch':>8}")
    for name in args.names:
        case = CASES[name]()
        dtype = np.float64 if name in ("breast_cancer", "neural_ode") else np.float32
        for seed in range(args.seeds):
            model, state, ours = train_here(case, seed, dtype, case.steps)
            other, other_state, theirs = train_in_torch(case, seed, dtype, case.steps)
            apart = np.max(np.abs(np.subtract(ours[:10], theirs[:10])))
            results = case.judge(model, state), case.judge(other, other_state)
            print(
                f"{name:25} {seed:4}  {apart:26.1e} {results[0]:8.4f} {results[1]:8.4f}", flush=True
            )


if __name__ == "__main__":
    main()
