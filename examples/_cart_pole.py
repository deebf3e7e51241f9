"""The cart with a pole of Barto, Sutton and Anderson (1983), many at a time.

A state holds the cart's place and speed and the pole's angle and angular speed. The cart is pushed
left or right at each step, until the pole falls or the cart leaves its track.
"""

import numpy as np

GRAVITY, CART, POLE, HALF_LENGTH, FORCE, STEP = 9.8, 1.0, 0.1, 0.5, 10.0, 0.02


def push(state, right):
    """Return the states (carts, 4) after one step of pushes to the right or to the left."""
    _, speed, angle, spin = state.T
    sin, cos = np.sin(angle), np.cos(angle)
    total = CART + POLE
    pushed = (np.where(right, FORCE, -FORCE) + POLE * HALF_LENGTH * spin**2 * sin) / total
    turn = (GRAVITY * sin - cos * pushed) / (HALF_LENGTH * (4 / 3 - POLE * cos**2 / total))
    thrust = pushed - POLE * HALF_LENGTH * turn * cos / total
    return state + STEP * np.stack([speed, thrust, spin, turn], axis=1)


def is_up(state):
    """Tell which carts are on their track with the pole no more than 12 degrees from upright."""
    return (np.abs(state[:, 0]) < 2.4) & (np.abs(state[:, 2]) < np.radians(12))
