"""Where the bits go: the bound's diffusion term at each noise level, and the variance of its estimators.

    python figures/bound.py                  ten minutes on one core, nearly all of it for the 200 images

A step from log_snr to log_snr + h costs 1/2 snr (e^h - 1) E ||x0 - x0_hat||^2. Divided by e^h - 1, this is the cost per
unit of log_snr. It does not depend on the number of steps, and the area under its curve is the diffusion term in the
limit of infinitely many steps. The dashed line in bound.png is the cost of guessing x_t / alpha, half a nat: a denoiser
above that line is worse than no denoiser.

bound_variance.png shows the variance of a single estimate of the bound for one x0. It compares one path of the HVAE
with the consistency terms and the denoising-matching terms; the dashed line is the part of the variance that
the reconstruction term contributes to the latter two.

Writes figures/bound.png, figures/bound_variance.png and figures/bound.json.
"""

import math
from pathlib import Path

import torch
from common import Parser, digits, record

import minidiffusion as md
from minidiffusion import likelihood
from minidiffusion.likelihood import hvae

HERE = Path(__file__).parent
STEPS, IMAGES, POINTS, SEED = 64, 200, 5000, 0
LADDERS, DRAWS, ITEMS = (32, 64, 128, 256, 512), 200, 40


def mixture() -> md.oracle.Mixture:
    means = torch.tensor([[-1.0, 0.5], [0.8, -0.3], [0.6, 1.0]])
    covs = torch.tensor([[[0.3, 0.12], [0.12, 0.1]], [[0.05, -0.04], [-0.04, 0.2]], [[0.02, 0.0], [0.0, 0.02]]])
    return md.oracle.mixture(torch.tensor([0.3, 0.5, 0.2]), means, covs, md.schedule.cosine())


def measure(denoise, x0: torch.Tensor, levels: int | None = None, labels: torch.Tensor | None = None) -> dict:
    """The terms of the bound in bits/dim, averaged over the items, and the diffusion term per unit of log_snr."""
    generator, parts = torch.Generator().manual_seed(SEED), []
    for batch in torch.arange(len(x0)).split(1000 if levels is None else 50):
        cond = None if labels is None else labels[batch]
        parts.append(likelihood.elbo(denoise, x0[batch], steps=STEPS, levels=levels, cond=cond, generator=generator))
        print(f"{batch[-1] + 1} of {len(x0)}", flush=True)
    log_snr = denoise.schedule.log_snr(parts[0].times)
    density = torch.cat([part.steps for part in parts], 1).double() / log_snr.diff().expm1()[:, None]
    density = [round(value, 5) for value in density[1:].mean(1).tolist()]  # nothing of x0 is left at t = 1
    area = torch.trapezoid(torch.tensor([*density, density[-1]]), log_snr[1:]).item()
    names = ("prior", "diffusion", "reconstruction", "total")
    terms = {name: torch.cat([getattr(part, name) for part in parts]).double() for name in names}
    return {
        "items": len(x0),
        "bits_per_dim": {name: round(term.mean().item(), 4) for name, term in terms.items()},
        "standard_error": {name: round(term.std().item() / math.sqrt(len(x0)), 4) for name, term in terms.items()},
        "diffusion_of_infinitely_many_steps": round(area, 4),
        "log_snr": [round(value, 3) for value in log_snr[1:-1].tolist()],
        "bits_per_dim_per_log_snr": density,
    }


def variances(oracle: md.oracle.Mixture) -> dict[str, list[float]]:
    """The variance of one estimate given x0, averaged over ITEMS of x0, in (bits/dim)^2, for each number of latents."""
    generator = torch.Generator().manual_seed(SEED)
    x0 = oracle.sample(ITEMS, generator, torch.float64).repeat_interleave(DRAWS, 0)

    def of(estimates: torch.Tensor) -> float:
        return estimates.view(ITEMS, DRAWS).var(1).mean().item()

    lines: dict[str, list[float]] = {name: [] for name in ("path", "consistency", "matching", "reconstruction")}
    for latents in LADDERS:
        times = likelihood.bound.time_grid(oracle.schedule, latents - 1, None).tolist()
        path = hvae.diffusion(oracle, oracle.schedule, times).elbo(x0, generator)
        matching = likelihood.elbo(oracle, x0, times=times, generator=generator)
        lines["path"].append(of(likelihood.bits_per_dim(path, x0)))
        lines["consistency"].append(of(hvae.consistency_bound(oracle, x0, times=times, generator=generator).total))
        lines["matching"].append(of(matching.total))
        lines["reconstruction"].append(of(matching.reconstruction))
        print(f"{latents} latents", flush=True)
    return lines


def draw(result: dict) -> None:
    lines = {}
    for name, of in result["bound"].items():
        prior, last = (of["bits_per_dim"][term] for term in ("prior", "reconstruction"))
        area = of["diffusion_of_infinitely_many_steps"]
        label = f"{name}: prior {prior:.2f}, area {area:.2f}, reconstruction {last:.2f} bits/dim"
        lines[label] = (of["log_snr"], of["bits_per_dim_per_log_snr"])
    y_label = "diffusion term,\nbits/dim per unit of log-SNR"
    no_denoiser = {"no denoiser": 0.5 / math.log(2)}
    figure = md.plots.curves(lines, "log-SNR (noise on the left, data on the right)", y_label, no_denoiser)
    figure.axes[0].set_ylim(top=1)  # room for the legend
    figure.savefig(HERE / "bound.png", dpi=150)

    variance = result["variance"]
    names = {"path": "one path of the HVAE", "consistency": "consistency", "matching": "denoising matching"}
    rows = {label: (LADDERS, variance[name]) for name, label in names.items()}
    shared = {"reconstruction": sum(variance["reconstruction"]) / len(LADDERS)}
    y_label = "variance of one estimate, (bits/dim)$^2$"
    figure = md.plots.curves(rows, "latents T", y_label, shared, y_scale="log")
    figure.axes[0].set_xscale("log", base=2)
    figure.savefig(HERE / "bound_variance.png", dpi=150)


if __name__ == "__main__":
    Parser(__doc__).parse()
    torch.set_grad_enabled(False)
    toy = mixture()
    variance = variances(toy)
    points = toy.sample(POINTS, torch.Generator().manual_seed(SEED), torch.float64)
    exact = likelihood.bits_per_dim(toy.log_density(points, 0.0), points).mean().item()
    images, labels = md.datasets.load("fashion_mnist", "test")
    x0 = md.datasets.to_float(images[:IMAGES])
    about = {
        "unit": "(bits/dim)^2, of one estimate given x0, mean over the items",
        "of": "2-D mixture",
        "items": ITEMS,
        "draws": DRAWS,
        "latents": list(LADDERS),
    }
    result = record(
        __file__,
        {
            "steps": STEPS,
            "seed": SEED,
            "bound": {
                "2-D mixture": measure(toy, points) | {"exact_bits_per_dim": round(exact, 4)},
                "Fashion-MNIST": measure(md.shipped(), x0, 256, labels[:IMAGES].long()),
            },
            "variance": about | {name: [digits(value) for value in row] for name, row in variance.items()},
        },
    )
    draw(result)
