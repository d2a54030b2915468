"""Time to quality: from scratch on the whole of Fashion-MNIST, so many minutes each; then how good are the pictures?

    python figures/speed/quality.py plan --minutes 10          how many steps are ten minutes? On free cores: 3 minutes
    python figures/speed/quality.py train                      then these steps, project by project; two hours
    python figures/speed/quality.py train --only diffusers --threads 1

Each project trains the network of the other measurements with the settings of its own published example: batch,
learning rate, schedule, average (peers.py). This package trains a second one too, by its recipe for ten minutes, a
quarter of the size: in so short a time it gets further. All are without labels, as the examples are. The recipe itself
learns the labels of the clothes, so it is measured a third time as it stands. The distance is Frechet's, of 2,000
samples to the 10,000 test images, in the features of minidiffusion.nets.fashion_classifier; beside it the same distance
for 2,000 training images, and for the test images blurred.

The budget is a number of steps, measured with all projects taking turns on a free machine. So it does not matter how
long the training itself then takes, and projects may train side by side, a thread each. Both parts add to the
machine's JSON file.
"""

import argparse
import json
import os
import platform
import time
from pathlib import Path

os.environ.setdefault("TQDM_DISABLE", "1")

import torch
import torch.nn.functional as F
from filelock import FileLock
from torch import Tensor

import minidiffusion as md
import page
from minidiffusion.nets import fashion_classifier
from minidiffusion.training.device import as_device
from networks import default_way, prepared, trainer
from peers import CASES, PEERS, LabelledMinidiffusion, Peer, SmallMinidiffusion, installed, versions
from protocol import commit, machine, rate, rounded, summary, take_turns, watch_others

HERE = Path(__file__).parent
GREY = CASES[0]
ROUNDS, SECONDS = 3, 8.0
QUICK = (SmallMinidiffusion(), LabelledMinidiffusion())


def planned(peers: list[Peer], minutes: float, device: torch.device) -> dict:
    """How many steps of its own batch each project takes in so many minutes."""
    contenders = {
        peer.name: rate(trainer(peer, GREY, default_way(peer, device), device, peer.batch), device, SECONDS)
        for peer in peers
    }
    runs = {name: summary(values) for name, values in take_turns(contenders, ROUNDS).items()}
    return {
        peer.name: {
            "batch": peer.batch,
            "precision": default_way(peer, device).split()[0],
            "images_per_second": runs[peer.name],
        }
        | {"steps": round(60 * minutes * runs[peer.name]["median"] / peer.batch)}
        for peer in peers
    }


def trained(peer: Peer, steps: int, device: torch.device) -> torch.nn.Module:
    """The network to draw with, after so many steps."""
    net, precision = prepared(peer, GREY, default_way(peer, device), device)
    images, labels = md.datasets.load("fashion_mnist", "train")
    images = md.datasets.to_float(images).to(device)
    data = (images, labels) if peer.classes else images
    training = peer.train(net, data, peer.batch, precision, steps)
    for _ in range(steps):
        average = next(training)
    return average


def distance(net: torch.nn.Module, images: Tensor, real: Tensor) -> float:
    features = torch.cat([net.features(part) for part in images.split(500)])
    return md.metrics.frechet_distance(features, real)


def measure(peer: Peer, steps: int, samples: int, device: torch.device) -> dict:
    test = md.datasets.to_float(md.datasets.load("fashion_mnist", "test")[0])
    started = time.perf_counter()
    net, precision = trained(peer, steps, device), default_way(peer, device).split()[0]
    seconds = time.perf_counter() - started
    counts = [min(100, samples - i) for i in range(0, samples, 100)]
    pictures = torch.cat([peer.show(net, GREY, count, precision).cpu() for count in counts])
    pictures = md.datasets.to_float(md.datasets.to_uint8(pictures))  # the 256 grey levels that data has
    classifier = fashion_classifier()
    real = torch.cat([classifier.features(part) for part in test.split(500)])
    return {
        "commit": commit(),
        "threads": torch.get_num_threads(),
        "training_seconds": rounded(seconds),
        "sampling_seconds": rounded(time.perf_counter() - started - seconds),
        "frechet_distance": rounded(distance(classifier, pictures, real)),
    }


def yardsticks(samples: int) -> dict[str, float]:
    """The distance of as many real pictures, and of blurred ones."""
    train, test = (md.datasets.to_float(md.datasets.load("fashion_mnist", split)[0]) for split in ("train", "test"))
    classifier = fashion_classifier()
    real = torch.cat([classifier.features(part) for part in test.split(500)])
    blurred = F.avg_pool2d(F.pad(test, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    distances = {"training_images": train[:samples], "blurred": blurred}
    return {name: rounded(distance(classifier, images, real)) for name, images in distances.items()}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("part", choices=("plan", "train"))
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--samples", type=int, default=2000)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--only", choices=[*PEERS, *(quick.name for quick in QUICK)], action="append")
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()

    device = as_device(arguments.device)
    about = machine(device)
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    file = HERE / f"{page.slug(about)}.json"

    def add(found: dict) -> None:
        """Two of these may run at once."""
        with FileLock(HERE / ".lock"):
            known = json.loads(file.read_text()) if file.exists() else {"machine": about}
            part = known.get("quality", {})
            projects = {
                name: part.get("projects", {}).get(name, {}) | p for name, p in found.get("projects", {}).items()
            }
            used = part.get("versions", {}) | found.get("versions", {})
            known["quality"] = part | found | {"versions": used, "projects": part.get("projects", {}) | projects}
            file.write_text(json.dumps(known, indent=1) + "\n")

    there = installed()
    peers = [peer for peer in (*there, *QUICK) if not arguments.only or peer.name in arguments.only]
    if arguments.part == "plan":
        load: dict = {}
        with watch_others(load):
            plan = planned(peers, arguments.minutes, device)
        command = f"python figures/speed/quality.py plan --minutes {arguments.minutes:g}"
        about_the_plan = {"command": command, "minutes": arguments.minutes, "rounds": ROUNDS, "seconds_a_run": SECONDS}
        here = {"torch": torch.__version__, "python": platform.python_version()}
        add(about_the_plan | {"load": load, "versions": versions(there) | here, "commit": commit(), "projects": plan})
    else:
        add({"samples": arguments.samples, "yardsticks": yardsticks(arguments.samples)})
        plan = json.loads(file.read_text())["quality"]["projects"]
        for peer in peers:
            found = measure(peer, plan[peer.name]["steps"], arguments.samples, device)
            print(peer.name, found, flush=True)
            add({"projects": {peer.name: found}})
    page.write()
