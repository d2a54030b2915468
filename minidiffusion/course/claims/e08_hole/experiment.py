"""E5. One trained VAE, and codes from several sources: where do its images go bad?

The VAE is trained on Fashion-MNIST (28 x 28, residual MLPs, codes of 16 numbers, learned likelihood variance), then
frozen. Only the source of the codes changes: N(0, I), one Gaussian, ten Gaussians, a diffusion model of codes, or the
aggregate posterior q(z). Quality is the Frechet distance of 1,000 images to the 1,000 test images, in the 128 features
of the package's classifier. For each single code from N(0, I) we also measure how far the decoded image is from the
data (the distance of its features to those of the nearest test image), how sharp it is (the mean difference of
neighbouring pixels), how probable the code is under q(z), and how far it is from the nearest code of a training image.
"""

from __future__ import annotations

import torch
from matplotlib.figure import Figure
from torch import Tensor

import minidiffusion as md
from minidiffusion import rivals

SHAPE, LATENT, WIDTH = (1, 28, 28), 16, 256
COUNT = {"lesson": 500, "full": 1000}
STEPS = {"lesson": (500, 300), "full": (1500, 1500)}  # for the VAE, for the diffusion model of its codes
SCALES = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0)  # the same codes, multiplied by these


def ranks_agree(a: Tensor, b: Tensor) -> float:
    """Spearman's rank correlation, in [-1, 1]."""
    ranks = torch.stack([x.argsort().argsort().double() for x in (a, b)])
    return torch.corrcoef(ranks)[0, 1].item()


def sharpness(x: Tensor) -> Tensor:
    """The mean absolute difference of neighbouring pixels, for each image."""
    x = x.clamp(-1, 1)
    return 0.5 * (x.diff(dim=2).abs().mean((1, 2, 3)) + x.diff(dim=3).abs().mean((1, 2, 3)))


def run(seed: int, scale: str, device: torch.device) -> dict:
    generator, count = torch.Generator().manual_seed(seed), COUNT[scale]
    train, test = (md.datasets.to_float(md.datasets.load("fashion_mnist_6k", s)[0]) for s in ("train", "test"))
    torch.manual_seed(seed)
    vae = rivals.VAE(rivals.Body(SHAPE, (2 * LATENT,), WIDTH), rivals.Body((LATENT,), SHAPE, WIDTH))
    *_, step = rivals.vae.fit(vae, train, STEPS[scale][0], ema_decay=0.99, seed=seed)
    vae, schedule = step.ema, md.schedule.cosine()
    mean, std = vae.encode(train)
    codes = rivals.codes.aggregate(mean, std, len(train), generator)

    net = md.Denoiser(md.nets.MLP(LATENT, 128, 3), schedule, md.heads.V)
    settings = dict(batch_size=256, ema_decay=0.99, precision="float32", seed=seed)
    *_, step = md.fit(net, codes, STEPS[scale][1], **settings)
    from_noise = torch.randn(count, LATENT, generator=generator)
    places = {
        "N(0, I)": from_noise,
        "one Gaussian": rivals.codes.one_gaussian(codes, schedule).sample(count, generator),
        "ten Gaussians": rivals.codes.several_gaussians(codes, schedule, 10, seed).sample(count, generator),
        "diffusion": md.sample(step.ema, from_noise, steps=50, method="ddpm", generator=generator),
        "q(z)": rivals.codes.aggregate(mean, std, count, generator),
        "test pictures": vae.encode(test)[0],
    }
    classifier = md.nets.fashion_classifier()

    def features(x: Tensor) -> Tensor:
        return classifier.features(x.clamp(-1, 1))

    wanted = features(test)
    distance = {"training pictures": md.metrics.frechet_distance(features(train[:count]), wanted)}
    copies, shown = {}, {}
    for name, z in places.items():
        x = vae.decode(z)
        distance[name] = md.metrics.frechet_distance(features(x), wanted)
        copies[name] = md.metrics.copy_ratio(x.flatten(1), train.flatten(1)).share
        shown[name] = md.datasets.to_uint8(x[:8]).flatten(1).tolist()

    x = vae.decode(from_noise)
    log_q = rivals.codes.log_q(from_noise, mean, std)
    from_code = torch.cdist(from_noise, mean).min(1).values
    badness, sharp = torch.cdist(features(x), wanted).min(1).values, sharpness(x)
    sweep = [sharpness(vae.decode(k * from_noise)).mean().item() for k in SCALES]
    swept = [torch.cdist(features(vae.decode(k * from_noise)), wanted).min(1).values.mean().item() for k in SCALES]
    drawn = ("one Gaussian", "ten Gaussians", "diffusion", "q(z)")
    base = distance["test pictures"]
    best, fitted = (min(distance[name] for name in names) for names in (drawn, drawn[:3]))  # q(z) is not fitted
    return {
        "distance": distance,
        "copies": copies,
        "shown": shown,
        "scales": list(SCALES),
        "sharpness": {"by scale": sweep, "test pictures": sharpness(test).mean().item()},
        "badness_by_scale": swept,
        "badness_by_log_q": ranks_agree(badness, log_q),
        "badness_by_distance": ranks_agree(badness, from_code),
        "sharpness_by_distance": ranks_agree(sharp, from_code),
        "sharpness_far_over_near": sweep[-1] / sweep[SCALES.index(1.0)],
        "prior_over_q": distance["N(0, I)"] / distance["q(z)"],
        "hole_left_by_best": (best - base) / (distance["N(0, I)"] - base),
        "hole_left_by_fitted": (fitted - base) / (distance["N(0, I)"] - base),
    }


def plot(runs: list[dict]) -> Figure:
    figure = Figure(figsize=(10, 5.6), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=(1, 1.1))
    upper, lower = left.subplots(2, 1)
    names = list(runs[0]["distance"])
    for i, name in enumerate(names):
        values = [run["distance"][name] for run in runs]
        upper.plot(values, [i] * len(values), md.plots.MARKERS[i], color=md.plots.COLOURS[i], ms=5)
    upper.set_yticks(range(len(names)), [name if i == 0 else f"codes: {name}" for i, name in enumerate(names)])
    upper.invert_yaxis()
    upper.set_xlabel("Frechet distance to test pictures", fontsize=9)
    scales = runs[0]["scales"]
    sharp = torch.tensor([run["sharpness"]["by scale"] for run in runs]).mean(0)
    bad = torch.tensor([run["badness_by_scale"] for run in runs]).mean(0)
    lower.plot(
        scales, sharp / sharp[2], color=md.plots.COLOURS[0], marker="o", label="difference of neighbouring pixels"
    )
    lower.plot(
        scales, bad / bad[2], color=md.plots.COLOURS[3], marker="s", label="distance to the nearest real picture"
    )
    lower.set_xlabel("codes from N(0, I), times", fontsize=9)
    lower.set_ylabel("as a share of that at 1", fontsize=9)
    lower.legend(frameon=False, fontsize=8)
    for axis in (upper, lower):
        axis.tick_params(labelsize=8)
        axis.spines[["top", "right"]].set_visible(False)
    shown = runs[0]["shown"]
    for axis, (name, x) in zip(right.subplots(len(shown), 1), shown.items(), strict=True):
        x = md.datasets.to_float(torch.tensor(x, dtype=torch.uint8)).view(-1, *SHAPE)
        axis.imshow(md.plots.tile(x, columns=8))
        axis.set_axis_off()
        axis.set_title(f"codes: {name}", fontsize=8, loc="left", pad=2)
    return figure
