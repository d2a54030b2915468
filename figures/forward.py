"""The forward process as a strip: six images at eight times, from clean data to pure noise.

    python figures/forward.py

Writes figures/forward.png, and figures/forward.json with the log-SNR at each time of the strip.
"""

from pathlib import Path

import torch
from common import Parser, record

import minidiffusion as md

HERE = Path(__file__).parent
TIMES = [0.0, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 1.0]

if __name__ == "__main__":
    Parser(__doc__).parse()
    schedule = md.schedule.cosine()
    images, labels = md.datasets.load("fashion_mnist_6k")
    x0 = md.datasets.to_float(torch.stack([images[labels == label][0] for label in (9, 1, 3, 8, 5, 7)]))
    eps = torch.randn(x0.shape, generator=torch.Generator().manual_seed(0))  # the same noise at every time
    noisy = [md.diffuse(x0, t, eps, schedule).clamp(-1, 1) for t in TIMES]
    rows = [("", torch.stack([x_t[i] for x_t in noisy])) for i in range(len(x0))]
    figure = md.plots.strips(rows, titles=[f"t = {t:g}" for t in TIMES])
    figure.savefig(HERE / "forward.png", dpi=120)
    log_snr = [round(schedule.log_snr(t), 2) if t > 0 else "inf" for t in TIMES]
    record(__file__, {"schedule": "cosine", "t": TIMES, "log_snr": log_snr})
