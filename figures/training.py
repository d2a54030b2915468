"""Training as it happens: the loss at each noise level, and what the network makes of the same noise as it learns.

    python figures/training.py               about three minutes on two cores

Follows the recipe `fashion_mnist_6k`, which is what `minidiffusion train` uses if you name no recipe. Writes
figures/training.png, figures/training_loss.png and figures/training.json.
"""

import time
from pathlib import Path

import torch
from common import Parser, record
from tqdm import tqdm

import minidiffusion as md
from minidiffusion.training.recipes import RECIPES

HERE = Path(__file__).parent
RECIPE = RECIPES["fashion_mnist_6k"]
SHOWN = [0, 50, 100, 200, 500, RECIPE.steps]  # the steps after which we look at samples
EDGES = torch.tensor([-20.0, -6.0, -2.0, 2.0, 6.0, 20.0])  # of the bins in log-SNR
WINDOW = 50  # steps that are averaged into one point of the curve

if __name__ == "__main__":
    Parser(__doc__).parse()
    denoise = RECIPE.denoiser(seed=0)
    data = md.datasets.load(RECIPE.data)
    # one image of each class: the first ten on the sheet that `minidiffusion train` writes
    labels = torch.arange(10)
    x_1 = md.prior((64, 1, 28, 28), denoise.schedule, torch.Generator().manual_seed(0))[:10]

    def pictures(network: md.Denoiser) -> torch.Tensor:
        return md.sample(network, x_1, steps=25, method="dpmpp_2m", cond=labels)

    started = time.time()
    rows, seen, levels = [("0", pictures(denoise))], [], []
    curve: dict[str, list[float]] = {"step": [], "loss": [], "by_log_snr": []}
    training = md.fit(
        denoise,
        data,
        RECIPE.steps,
        batch_size=RECIPE.batch_size,
        learning_rate=RECIPE.learning_rate,
        weighting=RECIPE.weighting,
        ema_decay=RECIPE.ema_decay,
    )
    for step in tqdm(training, total=RECIPE.steps):
        seen.append(step.loss_per_item)
        levels.append(step.log_snr)
        if step.number % WINDOW == 0:
            losses, log_snr = torch.cat(seen), torch.cat(levels)
            seen, levels = [], []
            bins = torch.bucketize(log_snr, EDGES) - 1
            curve["step"].append(step.number)
            curve["loss"].append(losses.mean().item())
            curve["by_log_snr"].append([losses[bins == i].mean().item() for i in range(len(EDGES) - 1)])
        if step.number in SHOWN:
            rows.append((str(step.number), pictures(step.ema)))
    seconds = time.time() - started

    names = [f"log SNR {low:g} to {high:g}" for low, high in zip(EDGES, EDGES[1:], strict=False)]
    columns = list(zip(*curve["by_log_snr"], strict=True))
    lines = {name: (curve["step"], column) for name, column in zip(names, columns, strict=True)}
    lines["all"] = (curve["step"], curve["loss"])
    figure = md.plots.curves(lines, "step", "weighted loss", y_scale="log")
    figure.axes[0].legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    figure.savefig(HERE / "training_loss.png", dpi=120)
    md.plots.strips(rows, titles=md.datasets.class_names(RECIPE.data)).savefig(HERE / "training.png", dpi=120)
    result = {
        "recipe": RECIPE.name,
        "steps": RECIPE.steps,
        "seconds": round(seconds),
        "log_snr_edges": EDGES.tolist(),
        "step": curve["step"],
        "loss": [round(loss, 5) for loss in curve["loss"]],
        "by_log_snr": [[round(loss, 5) for loss in row] for row in curve["by_log_snr"]],
    }
    record(__file__, result, indent=None)
    print(f"{seconds:.0f} s")
