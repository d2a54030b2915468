"""Time to quality: how good are the samples after ten minutes of training from scratch on Fashion-MNIST?

    python figures/speed/quality.py plan --minutes 10          how many steps fit into ten minutes? Takes 3 minutes
    python figures/speed/quality.py train                      then takes these steps in each project; two hours
    python figures/speed/quality.py train --only diffusers --threads 1

Each project trains the network of the other measurements with the settings of its own published example: batch size,
learning rate, schedule and EMA (peers.py). This package trains a second, smaller network by its ten-minute recipe, with
a quarter of the parameters, because in so short a time a smaller network gets further. All of these train without
labels, like the published examples. The ten-minute recipe itself uses labels, so it is measured again, unchanged.

Quality is the Frechet distance of 2,000 samples to the 10,000 test images, in the features of
minidiffusion.nets.fashion_classifier. The distances of 2,000 training images and of blurred test images give it a
scale.

The budget is a number of steps, planned while all projects take turns on a free machine. So it does not matter how
long the training itself takes afterwards, and several projects may train side by side with a thread each. Both parts
add their results to the JSON file of the machine.
"""

import json
import os
import sys
import time
from pathlib import Path

os.environ.setdefault("TQDM_DISABLE", "1")  # progress bars take time
sys.path.append(str(Path(__file__).parents[1]))  # for figures/common.py

import page
import torch
from common import VERSIONS, Parser, Quality
from filelock import FileLock
from networks import default_way, prepared, trainer
from peers import CASES, PEERS, LabelledMinidiffusion, Peer, SmallMinidiffusion, installed, versions
from protocol import commit, machine, rate, rounded, summary, take_turns, watch_others

import minidiffusion as md
from minidiffusion.training.device import as_device

HERE = Path(__file__).parent
GREY = CASES[0]
ROUNDS, SECONDS = 3, 8.0
QUICK = (SmallMinidiffusion(), LabelledMinidiffusion())


def planned(peers: list[Peer], minutes: float, device: torch.device) -> dict:
    """How many steps with its own batch size each project takes in this many minutes."""
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
    """The network to sample with, after this many training steps."""
    net, precision = prepared(peer, GREY, default_way(peer, device), device)
    images, labels = md.datasets.load("fashion_mnist", "train")
    images = md.datasets.to_float(images).to(device)
    data = (images, labels) if peer.classes else images
    training = peer.train(net, data, peer.batch, precision, steps)
    for _ in range(steps):
        average = next(training)
    return average


def measure(peer: Peer, steps: int, samples: int, device: torch.device, quality: Quality) -> dict:
    started = time.perf_counter()
    net, precision = trained(peer, steps, device), default_way(peer, device).split()[0]
    seconds = time.perf_counter() - started
    counts = [min(100, samples - i) for i in range(0, samples, 100)]
    pictures = torch.cat([peer.show(net, GREY, count, precision).cpu() for count in counts])
    pictures = md.datasets.to_float(md.datasets.to_uint8(pictures))  # rounded to 256 grey levels, like the data
    return {
        "commit": commit(),
        "threads": torch.get_num_threads(),
        "training_seconds": rounded(seconds),
        "sampling_seconds": rounded(time.perf_counter() - started - seconds),
        "frechet_distance": rounded(quality.distance(pictures)),
    }


if __name__ == "__main__":
    parser = Parser(__doc__)
    parser.add_argument("part", choices=("plan", "train"))
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--samples", type=int, default=2000)
    parser.add_argument("--only", choices=[*PEERS, *(quick.name for quick in QUICK)], action="append")
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse()

    device = as_device(arguments.device)
    here = machine(device)
    file = HERE / f"{page.slug(here)}.json"

    def add(found: dict) -> None:
        """Add to the file; the lock allows several of these scripts to run at the same time."""
        with FileLock(HERE / ".lock"):
            known = json.loads(file.read_text()) if file.exists() else {"machine": here}
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
        about = {"command": command, "minutes": arguments.minutes, "rounds": ROUNDS, "seconds_a_run": SECONDS}
        about |= {"load": load, "versions": versions(there) | VERSIONS, "commit": commit()}
        add(about | {"projects": plan})
    else:
        quality = Quality()
        yardsticks = {"training_images": quality.floor(arguments.samples), "blurred": quality.yardstick()}
        yardsticks = {name: rounded(distance) for name, distance in yardsticks.items()}
        add({"samples": arguments.samples, "yardsticks": yardsticks})
        plan = json.loads(file.read_text())["quality"]["projects"]
        for peer in peers:
            found = measure(peer, plan[peer.name]["steps"], arguments.samples, device, quality)
            print(peer.name, found, flush=True)
            add({"projects": {peer.name: found}})
    page.write()
