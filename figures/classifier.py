"""Train the classifier whose features measure image quality: six epochs of Fashion-MNIST.

    python figures/classifier.py             about four minutes on two cores

Writes minidiffusion/weights/fashion_classifier.safetensors and figures/classifier.json.
"""

import json
import time

import torch
import torch.nn.functional as F
from common import WEIGHTS, Parser, record
from safetensors.torch import save_file
from tqdm import tqdm

import minidiffusion as md
from minidiffusion.nets.classifier import Classifier

EPOCHS, BATCH, PEAK, SEED = 6, 128, 3e-3, 0


def train(images: torch.Tensor, labels: torch.Tensor) -> Classifier:
    """Cross-entropy with label smoothing; each batch is mirrored with probability one half."""
    torch.manual_seed(SEED)
    net = Classifier().to(memory_format=torch.channels_last)
    steps = EPOCHS * (len(images) // BATCH)
    optimiser = torch.optim.AdamW(net.parameters(), PEAK, weight_decay=0.05, fused=True)
    rate = torch.optim.lr_scheduler.OneCycleLR(optimiser, PEAK, total_steps=steps)
    bar = tqdm(total=steps, desc="classifier")
    for _ in range(EPOCHS):
        for index in torch.randperm(len(images))[: len(images) // BATCH * BATCH].split(BATCH):
            batch = md.datasets.to_float(images[index]).contiguous(memory_format=torch.channels_last)
            if torch.rand(()) < 0.5:
                batch = batch.flip(3)
            with md.training.device.autocast(batch.device):
                scores = net(batch)
            F.cross_entropy(scores.float(), labels[index], label_smoothing=0.05).backward()
            optimiser.step()
            optimiser.zero_grad()
            rate.step()
            bar.update()
    return net.eval().requires_grad_(False)


def accuracy(net: Classifier, images: torch.Tensor, labels: torch.Tensor) -> float:
    right = [
        (net(md.datasets.to_float(x)).argmax(1) == y).sum()
        for x, y in zip(images.split(500), labels.split(500), strict=True)
    ]
    return sum(right).item() / len(images)


if __name__ == "__main__":
    Parser(__doc__).parse()
    started = time.time()
    net = train(*md.datasets.load("fashion_mnist"))
    result = record(
        __file__,
        {
            "data": "Fashion-MNIST, 60,000 training images",
            "test_accuracy": accuracy(net, *md.datasets.load("fashion_mnist", "test")),
            "parameters": sum(p.numel() for p in net.parameters()),
            "epochs": EPOCHS,
            "seed": SEED,
            "seconds": round(time.time() - started),
        },
    )
    weights = {key: value.contiguous() for key, value in net.state_dict().items()}
    save_file(weights, WEIGHTS / "fashion_classifier.safetensors", {"about": json.dumps(result)})
    print(json.dumps(result, indent=2))
