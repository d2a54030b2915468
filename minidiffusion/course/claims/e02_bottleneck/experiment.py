"""E2, the linear core. If a network is narrower than its data, which is easier to carry: x0 or the noise?

The data is Gaussian with 4 dimensions inside 64, so the best denoiser is linear. A network with a bottleneck of r units
is then a matrix of rank r. The best such matrix is known (Eckart and Young), and we also fit it to samples, by
reduced-rank regression. x0_hat has only 4 dimensions and fits through the bottleneck, but the noise fills all 64.
Errors are compared in x0. With a skip from input to output, the
noise need not pass the bottleneck: what is left to say is x0_hat again.
"""

from __future__ import annotations

import torch
from matplotlib.figure import Figure

import minidiffusion as md

DIMENSION, INSIDE, ALPHA = 64, 4, 0.5
RANKS = (4, 8, 16, 32, 48, 64)
COUNT = {"lesson": 4000, "full": 40_000}


def fitted(x: torch.Tensor, y: torch.Tensor, rank: int) -> torch.Tensor:
    """Reduced-rank regression: the matrix of this rank that maps x to y with the least squared error."""
    free = torch.linalg.lstsq(x, y).solution
    _, _, directions = torch.linalg.svd(x @ free, full_matrices=False)
    kept = directions[:rank]
    return free @ kept.T @ kept


def closed_form(s: torch.Tensor, sigma2: float, rank: int) -> tuple[float, float]:
    """The excess error in x0 of the best map of this rank, for outputs x0 and eps. s: the variances of the data."""
    total = ALPHA**2 * s + sigma2
    in_x0 = (ALPHA**2 * s**2 / total).sort(descending=True).values[rank:].sum()
    in_eps = (sigma2 / total).sort(descending=True).values[rank:].sum() * sigma2 / ALPHA**2
    return in_x0.item(), in_eps.item()


def run(seed: int, scale: str, device: torch.device) -> dict:
    generator = torch.Generator().manual_seed(seed)
    sigma = (1 - ALPHA**2) ** 0.5
    s = torch.zeros(DIMENSION, dtype=torch.float64)
    s[:INSIDE] = 1.0
    turn = torch.linalg.qr(torch.randn(DIMENSION, DIMENSION, generator=generator, dtype=torch.float64)).Q

    def draw() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        x0, eps = (torch.randn(COUNT[scale], DIMENSION, generator=generator, dtype=torch.float64) for _ in range(2))
        x0 = x0 * s.sqrt() @ turn.T
        return x0, eps, ALPHA * x0 + sigma * eps

    x0, eps, x_t = draw()
    test_x0, _, test_x_t = draw()
    best = (s * sigma**2 / (ALPHA**2 * s + sigma**2)).sum().item()  # the error that no network can avoid
    excess: dict[str, list[float]] = {"x0": [], "eps": [], "eps with a skip": []}
    for rank in RANKS:
        guess = test_x_t @ fitted(x_t, x0, rank)
        excess["x0"].append((test_x0 - guess).square().sum(1).mean().item() - best)
        guess = (test_x_t - sigma * test_x_t @ fitted(x_t, eps, rank)) / ALPHA
        excess["eps"].append((test_x0 - guess).square().sum(1).mean().item() - best)
        # with a skip, x_t / sigma reaches the output directly, and the network adds the rest, -alpha x0_hat / sigma
        rest = test_x_t @ fitted(x_t, eps - x_t / sigma, rank)
        excess["eps with a skip"].append((test_x0 + sigma * rest / ALPHA).square().sum(1).mean().item() - best)
    exact = [closed_form(s, sigma**2, rank) for rank in RANKS]
    half = RANKS.index(32)
    return {
        "ranks": list(RANKS),
        "excess": excess,
        "closed_form": {"x0": [e[0] for e in exact], "eps": [e[1] for e in exact]},
        "eps_excess_at_half_width": excess["eps"][half],
        "eps_excess_with_a_skip": excess["eps with a skip"][half],
        "x0_excess_at_half_width": excess["x0"][half],
        "off_the_closed_form": abs(excess["eps"][half] / exact[half][1] - 1),
    }


def plot(runs: list[dict]) -> Figure:
    ranks = runs[0]["ranks"]
    means = {name: torch.tensor([run["excess"][name] for run in runs]).mean(0).tolist() for name in runs[0]["excess"]}
    said = {"eps with a skip": "eps as output, with a skip, fitted"}
    lines = {said.get(name, f"{name} as output, fitted"): (ranks, mean) for name, mean in means.items()}
    figure = md.plots.curves(lines, "units in the bottleneck, of 64 dimensions", "excess squared error in x0")
    figure.axes[0].lines[0].set(linewidth=6, alpha=0.4, markersize=12)  # or the line with a skip would hide it
    for name in ("x0", "eps"):
        label = "closed form" if name == "x0" else None
        figure.axes[0].plot(ranks, runs[0]["closed_form"][name], "kx", markersize=5, label=label)
    figure.axes[0].legend(frameon=False, fontsize=8)
    return figure
