"""The orders of the solvers, against solutions by scipy, with the script that draws them: figures/orders.py."""

import importlib.util
import json
from pathlib import Path

import pytest
import torch

import minidiffusion as md

FIGURES = Path(__file__).parent.parent / "figures"
spec = importlib.util.spec_from_file_location("orders", FIGURES / "orders.py")
orders = importlib.util.module_from_spec(spec)
spec.loader.exec_module(orders)
TABLE = {(r["schedule"], r["grid"], r["method"]): r for r in json.loads((FIGURES / "orders.json").read_text())["rows"]}
STEPS = [32, 64, 128]
pytestmark = pytest.mark.usefixtures("unchecked")  # the checks of shapes would take most of the time here


def test_the_reference_is_the_ode_of_a_gaussian():
    # data N(0, c): x_s = x_t sqrt(v_s / v_t), v = alpha^2 c + sigma^2. Two equal components are one
    cosine, x = md.schedule.cosine(), torch.tensor([[0.3, -1.0], [2.0, 0.1]], dtype=torch.float64)
    original, orders.plane = (
        orders.plane,
        lambda schedule: md.oracle.gaussian(torch.zeros(2), 0.3 * torch.eye(2), schedule),
    )
    try:
        for t, s in [(1.0, 0.0), (0.9, 0.1), (0.5, 0.0)]:
            v_t, v_s = (cosine.alpha(u) ** 2 * 0.3 + cosine.sigma(u) ** 2 for u in (t, s))
            expected = x * (v_s / v_t) ** 0.5
            torch.testing.assert_close(orders.exact(x, t, s, cosine), expected, rtol=1e-7, atol=0)
    finally:
        orders.plane = original


@pytest.mark.parametrize(
    "name, grid, lost",
    [
        *((name, "inside", ()) for name in ("linear", "cosine", "flow", "ve")),
        # the whole way, from pure noise to data: until the fixed ends of the grid, 80 and 0.002, are felt
        *((name, "karras", ()) for name in ("cosine", "flow", "ve")),
        *((name, "log_snr", ()) for name in ("cosine", "ve")),
        # not on a uniform grid: the last step leaves from sigma(1 / N), and its own error is sigma^2 for all methods
        ("flow", "uniform, to 0.1", ()),
        ("flow", "uniform", ("dpmpp_2m", "unipc")),
        ("linear", "uniform", ("heun", "dpmpp_2m", "unipc")),
    ],
)
def test_errors_fall_with_the_order_of_the_method(name, grid, lost):
    for method, errors in orders.path_errors(name, grid, STEPS).items():
        order, row = orders.ORDER[method], TABLE[name, grid, method]
        slope = orders.row({}, method, order, STEPS, errors)["slope"]
        if method not in lost:
            assert slope == pytest.approx(order, abs=0.15 if grid == "inside" else 0.3), (method, errors)
        for n, error in zip(STEPS, errors, strict=True):  # and the table is of this code
            assert row["errors"][row["steps"].index(n)] == pytest.approx(error, rel=2e-3, abs=1e-9), (method, n)


@pytest.mark.parametrize("label", orders.NOISY)
def test_with_noise_the_variance_is_of_first_order(label):
    method, eta = orders.NOISY[label]
    errors = [orders.law_error(method, eta, n) for n in (64, 128, 256)]
    assert orders.row({}, method, 1, [64, 128, 256], errors)["slope"] == pytest.approx(1, abs=0.12), errors
    assert TABLE["cosine", "karras", label]["errors"][-3:] == pytest.approx(errors, rel=2e-3)
