"""The coefficients are those that the fit computes."""

import inspect

import mpmath as mp
import pytest

from chainrule.compile.kernels import (
    coefficients,
    fit,
    gamma_coefficients,
    quantile_coefficients,
    tables,
)

MODULES = [coefficients, gamma_coefficients, quantile_coefficients, tables]


@pytest.mark.parametrize("module", MODULES)
def test_coefficients_are_reproduced(module):
    with mp.workdps(fit.DIGITS):
        written = fit.MODULES[module.__name__.rpartition(".")[2]]()
    assert written == inspect.getsource(module)


def test_best_line_of_the_square():
    # Chebyshev: x - 1/8 is the best line for x² on [0, 1], with the error 1/8
    with mp.workdps(fit.DIGITS):
        line, error = fit.remez(fit.Fit(lambda x: x**2, 0, 1, 1, 1), 1)
    assert [float(c) for c in line] == pytest.approx([-0.125, 1.0])
    assert float(error) == pytest.approx(0.125)


@pytest.mark.parametrize("width", [64, 32])
def test_parts_of_a_constant_sum_to_it(width):
    with mp.workdps(fit.DIGITS):
        parts = fit.split(mp.pi, width, 3)
        assert abs(sum(map(mp.mpf, parts)) - mp.pi) < mp.mpf(2) ** (-2.9 * (width * 0.75))
