"""Time to quality: from scratch on the whole of Fashion-MNIST, so many minutes each; then how good are the pictures?

    python figures/speed/quality.py --minutes 10             an hour and a half of two free cores

Each project trains the network of the other measurements with the settings of its own published example: batch,
learning rate, schedule, average (peers.py). Without labels. The distance is Frechet's, of 2,000 samples to the
10,000 test images, in the features of minidiffusion.nets.fashion_classifier; beside it the same distance for 2,000
training images, and for the test images blurred. Adds to the machine's JSON file, unless minutes are below one.
"""

import argparse
import json
import os
import time
from pathlib import Path

os.environ.setdefault("TQDM_DISABLE", "1")

import torch
import torch.nn.functional as F
from torch import Tensor

import minidiffusion as md
import page
from minidiffusion.device import as_device
from minidiffusion.nets import fashion_classifier
from networks import default_way, prepared
from peers import CASES, PEERS, Peer, installed, versions
from protocol import machine, rounded, watch_others

HERE = Path(__file__).parent
GREY = CASES[0]


def trained(peer: Peer, images: Tensor, minutes: float, device: torch.device) -> tuple[torch.nn.Module, dict]:
    """The network to draw with, after so many minutes; a trial first says how many steps they hold."""
    net, precision = prepared(peer, GREY, default_way(peer, device), device)
    trial = peer.train(net, images, peer.batch, precision)
    next(trial)
    started = time.perf_counter()
    for _ in range(3):
        next(trial)
    planned = max(1, int(60 * minutes / (time.perf_counter() - started) * 3))
    net, precision = prepared(peer, GREY, default_way(peer, device), device)
    training = peer.train(net, images, peer.batch, precision, planned)
    started, done = time.perf_counter(), 0
    while done < planned and time.perf_counter() - started < 60 * minutes:
        average = next(training)
        done += 1
    seconds = time.perf_counter() - started
    return average, {"precision": precision, "batch": peer.batch, "steps": done, "seconds": rounded(seconds)}


def distance(net: torch.nn.Module, images: Tensor, real: Tensor) -> float:
    features = torch.cat([net.features(part) for part in images.split(500)])
    return md.metrics.frechet_distance(features, real)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--samples", type=int, default=2000)
    parser.add_argument("--only", choices=PEERS, action="append")
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()

    device = as_device(arguments.device)
    train, test = (md.datasets.to_float(md.datasets.load("fashion_mnist", split)[0]) for split in ("train", "test"))
    classifier = fashion_classifier()
    real = torch.cat([classifier.features(part) for part in test.split(500)])
    blurred = F.avg_pool2d(F.pad(test, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    result: dict = {
        "command": f"python figures/speed/quality.py --minutes {arguments.minutes:g}",
        "minutes": arguments.minutes,
        "samples": arguments.samples,
        "training_images": rounded(distance(classifier, train[: arguments.samples], real)),
        "blurred": rounded(distance(classifier, blurred, real)),
        "load": {},
        "projects": {},
    }
    peers = [peer for peer in installed() if not arguments.only or peer.name in arguments.only]
    with watch_others(result["load"]):
        for peer in peers:
            net, about = trained(peer, train.to(device), arguments.minutes, device)
            counts = [min(100, arguments.samples - i) for i in range(0, arguments.samples, 100)]
            started = time.perf_counter()
            pictures = torch.cat([peer.show(net, GREY, count, about["precision"]).cpu() for count in counts])
            about["sampling_seconds"] = rounded(time.perf_counter() - started)
            pictures = md.datasets.to_float(md.datasets.to_uint8(pictures))  # the 256 grey levels that data has
            about["frechet_distance"] = rounded(distance(classifier, pictures, real))
            result["projects"][peer.name] = about
            print(peer.name, about, flush=True)
    result["versions"] = versions(peers)
    if arguments.minutes >= 1:
        file = HERE / f"{page.slug(machine(device))}.json"
        known = json.loads(file.read_text()) if file.exists() else {"machine": machine(device)}
        file.write_text(json.dumps(known | {"quality": result}, indent=1) + "\n")
        page.write()
