"""E5, again. Are the pictures of a VAE hazy, or bad in another way, where no training picture has its code?

A convolutional VAE of the U-Net's blocks learns Fashion-MNIST (28 x 28, codes of 16 numbers, learned likelihood
variance). Then we decode codes of four kinds: of training pictures, of test pictures, which are the control, and codes
from N(0, I), near to the training codes and far from them (the nearest and the farthest fifth).

A picture's badness is the distance of its features to those of the nearest test picture, not counting its own, less
that of real pictures. A set's sharpness is `metrics.sharpness`, which neither speckle nor contrast can raise. To be
fair to improbable codes, each test code is also paired with a code from N(0, I) that is as improbable, to within two
nats, under the aggregate posterior of the training codes.
"""

from __future__ import annotations

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

import minidiffusion as md
from minidiffusion import rivals
from minidiffusion.nets.unet import Block, Norm

LATENT, BATCH, SHOWN = 16, 64, 10
STEPS, COUNT = {"lesson": 20, "full": 2000}, {"lesson": 500, "full": 5000}  # of training; of codes from N(0, I)


class Encoder(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(
            *(nn.Conv2d(1, 32, 4, stride=2, padding=1), Block(32), nn.Conv2d(32, 64, 2, stride=2)),
            *(Block(64), Norm(64), nn.SiLU(), nn.Flatten(), nn.Linear(64 * 49, 2 * LATENT)),
        )


class Decoder(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(
            *(nn.Linear(LATENT, 64 * 49), nn.Unflatten(1, (64, 7, 7)), Block(64)),
            *(nn.ConvTranspose2d(64, 32, 2, stride=2), Block(32), Norm(32), nn.SiLU()),
            nn.ConvTranspose2d(32, 1, 4, stride=2, padding=1),
        )


def run(seed: int, scale: str, device: torch.device) -> dict:
    generator = torch.Generator().manual_seed(seed)
    train, test = (md.datasets.to_float(md.datasets.load("fashion_mnist_6k", s)[0]) for s in ("train", "test"))
    torch.manual_seed(seed)
    options = dict(batch_size=BATCH, learning_rate=2e-3, ema_decay=0.995, seed=seed)
    *_, step = rivals.vae.fit(rivals.VAE(Encoder(), Decoder()), train, STEPS[scale], **options)
    vae, classifier = step.ema, md.nets.fashion_classifier()

    mean, std = vae.encode(train)
    some = torch.randperm(len(train), generator=generator)[: len(test)]
    codes = {
        "training pictures": (mean[some], std[some]),
        "test pictures": vae.encode(test),
        "N(0, I)": (torch.zeros(COUNT[scale], LATENT), torch.ones(COUNT[scale], LATENT)),
    }
    z = {name: m + s * torch.randn(m.shape, generator=generator) for name, (m, s) in codes.items()}
    x = {name: torch.cat([vae.decode(part).clamp(-1, 1) for part in c.split(500)]) for name, c in z.items()}
    wanted = classifier.features(test)

    def distance(x: Tensor, own: bool = False) -> Tensor:  # to the nearest test picture, other than the item's own
        apart = torch.cdist(torch.cat([classifier.features(part) for part in x.split(500)]), wanted)
        return (apart.fill_diagonal_(torch.inf) if own else apart).min(1).values

    floor = distance(train[some]).mean()
    bad = {name: distance(pictures, name == "test pictures") - floor for name, pictures in x.items()}
    away = torch.cdist(z["N(0, I)"], mean).min(1).values
    order = away.argsort()
    fifths = order.view(5, -1)
    log_q = {name: rivals.codes.log_q(z[name], mean, std) for name in ("test pictures", "N(0, I)")}
    off, partner = (log_q["test pictures"][:, None] - log_q["N(0, I)"]).abs().min(1)
    paired = off < 2
    nearest, farthest = (x["N(0, I)"][i] for i in (fifths[0], fifths[-1]))
    sharp = {name: md.metrics.sharpness(pictures) for name, pictures in x.items()}
    rows = {"test pictures": test, "decoded test pictures": x["test pictures"]}
    rows |= {"N(0, I), nearest to training codes": x["N(0, I)"][order], "farthest": x["N(0, I)"][order.flip(0)]}
    return {
        "bad": {name: one.mean().item() for name, one in bad.items()},
        "bad_by_fifth": [bad["N(0, I)"][i].mean().item() for i in fifths],
        "away_by_fifth": [away[i].mean().item() for i in fifths],
        "sharp": {**sharp, "real": md.metrics.sharpness(test)},
        "sharp_by_fifth": [md.metrics.sharpness(x["N(0, I)"][i]) for i in fifths],
        "paired": paired.double().mean().item(),
        "shown": {name: md.datasets.to_uint8(one[:SHOWN]).flatten(1).tolist() for name, one in rows.items()},
        "test_over_training": ratio(bad["test pictures"].mean(), bad["training pictures"].mean()),
        "prior_over_test": ratio(bad["N(0, I)"].mean(), bad["test pictures"].mean()),
        "paired_over_test": ratio(bad["N(0, I)"][partner[paired]].mean(), bad["test pictures"][paired].mean()),
        "sharp_far_over_near": md.metrics.sharpness(farthest) / md.metrics.sharpness(nearest),
        "sharp_prior_over_test": sharp["N(0, I)"] / sharp["test pictures"],
    }


def ratio(a: Tensor, b: Tensor) -> float:  # of two excesses, which an untrained network may make negative
    return max(a.item(), 1e-3) / max(b.item(), 1e-3)


def plot(runs: list[dict]) -> Figure:
    figure = Figure(figsize=(10, 4.2), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=(1, 1.3))
    upper, lower = left.subplots(2, 1, sharex=True)
    away = torch.tensor([run["away_by_fifth"] for run in runs]).mean(0)
    for axis, fifths, whole, label in (
        (upper, "bad_by_fifth", "bad", "badness"),
        (lower, "sharp_by_fifth", "sharp", "sharpness"),
    ):
        axis.plot(away, torch.tensor([run[fifths] for run in runs]).mean(0), "o-", color=md.plots.COLOURS[0])
        for name, style in (("test pictures", "--"), ("real", ":")):
            if name in runs[0][whole]:
                level = torch.tensor([run[whole][name] for run in runs]).mean().item()
                text = "real pictures" if name == "real" else "codes of test pictures"
                axis.axhline(level, color="0.3", ls=style, label=text)
        axis.set_ylim(0, None)
        axis.set_ylabel(label, fontsize=9)
        axis.legend(frameon=False, fontsize=8, loc="center right")
        axis.tick_params(labelsize=8)
        axis.spines[["top", "right"]].set_visible(False)
    lower.set_xlabel("codes from N(0, I): distance to the nearest training code", fontsize=9)
    shown = runs[0]["shown"]
    for axis, (name, rows) in zip(right.subplots(len(shown), 1), shown.items(), strict=True):
        pictures = md.datasets.to_float(torch.tensor(rows, dtype=torch.uint8)).view(-1, 1, 28, 28)
        axis.imshow(md.plots.tile(pictures, columns=SHOWN))
        axis.set_axis_off()
        axis.set_title(name, fontsize=8, loc="left", pad=2)
    return figure
