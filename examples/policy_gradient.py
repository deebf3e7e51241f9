"""A network learns to balance a pole on a cart by trying, from rewards alone.

A reward is given for each step until the pole falls. The gradient of the expected reward is that
of the log of the probability of what was done, weighted by what came of it (REINFORCE; Williams,
1992).

    python policy_gradient.py
"""

import numpy as np
from _cart_pole import STEP, is_up, push
from _shared import arguments, save
from matplotlib.figure import Figure

from chainrule import jit, nn, optim, random, value_and_grad

CARTS, LIMIT, ROUNDS, DISCOUNT = 32, 500, 60, 0.99


def start(seed=0):
    """Return the policy before training: from a state to the logits of left and right."""
    first, second = random.split(random.key(seed))
    return nn.Sequential(nn.Linear.init(first, 4, 32), nn.tanh, nn.Linear.init(second, 32, 2))


def play(policy, key, carts=CARTS):
    """Return states (time, carts, 4), pushes to the right, and whether each cart was still up."""
    first, second = random.split(key)
    state = random.uniform(first, (carts, 4), low=-0.05, high=0.05)
    luck = random.uniform(second, (LIMIT, carts))
    up, states, actions, alive = np.ones(carts, bool), [], [], []
    for t in range(LIMIT):
        right = luck[t] < nn.softmax(policy(state))[:, 1]
        states.append(state)
        actions.append(right)
        alive.append(up)
        state = np.where(up[:, np.newaxis], push(state, right), state)
        up = up & is_up(state)
    return np.stack(states), np.stack(actions).astype(int), np.stack(alive).astype(float)


def advantage(alive):
    """Return how much better than usual the discounted rewards from each step on are."""
    returns, later = np.zeros_like(alive), 0.0
    for t in reversed(range(len(alive))):
        returns[t] = later = alive[t] + DISCOUNT * later * alive[t]
    mean, deviation = np.mean(returns[alive > 0]), np.std(returns[alive > 0])
    return alive * (returns - mean) / deviation


def loss(policy, states, actions, weights):
    """Return a function whose gradient is that of the expected reward, downwards."""
    surprise = nn.cross_entropy(policy(states), actions, reduction="none")
    return np.sum(weights * surprise) / np.sum(weights != 0.0)


def optimiser():
    return optim.adam(optim.cosine_decay(2e-2, ROUNDS))


def learn(seed=0):
    """Return the learned policy, and for each round how long each cart stayed up."""
    slope, rule, policy = jit(value_and_grad(loss)), optimiser(), start(seed)
    memory, lengths = rule.init(policy), []
    for key in random.split(random.key(seed + 1), ROUNDS):
        states, actions, alive = play(policy, key)
        lengths.append(np.sum(alive, axis=0))
        _, gradients = slope(policy, states, actions, advantage(alive))
        updates, memory = rule.update(gradients, memory, policy)
        policy = optim.apply(policy, updates)
    return policy, np.array(lengths)


def draw(lengths, states, alive):
    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot(lengths, ".", color="C0", alpha=0.15)
    left.plot(np.mean(lengths, axis=1), color="C0")
    left.set(title="How long the poles stay up, and their mean", xlabel="round", ylabel="steps")
    times = STEP * np.arange(len(states))
    for cart in range(5):
        right.plot(times, np.where(alive, np.degrees(states[:, :, 2]), np.nan)[:, cart])
    right.axhspan(-12, 12, color="C2", alpha=0.1)
    right.set(title="Five poles under the learned policy", xlabel="seconds", ylabel="degrees")
    return figure


def main():
    args = arguments(__doc__)
    policy, lengths = learn(args.seed)
    for i in (0, ROUNDS // 4, ROUNDS // 2):
        print(f"round {i + 1:3}: up for {np.mean(lengths[i]):5.1f} of {LIMIT} steps")
    states, _, alive = play(policy, random.key(args.seed + 2), carts=200)
    print(f"200 new carts: up for {np.mean(np.sum(alive, axis=0)):.1f} of {LIMIT} steps")
    save(draw(lengths, states, alive), args.out / "policy_gradient.png")
    assert np.mean(np.sum(alive, axis=0)) > 450


if __name__ == "__main__":
    main()
