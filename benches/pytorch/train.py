"""The paper's MNIST recipe in PyTorch, to a Parzen score per epoch: what `ganforge train` does with the preset of that recipe.

    python benches/pytorch/train.py --epochs 60 --seed 1

Prints CSV. Needs MNIST's four files where `ganforge data fetch mnist` puts them, or the folder that --data names.
"""

import argparse
import json
import math
import os
import pathlib
import sys
import time

import numpy as np
import torch

from nets import PIXELS, Training, noise
from origin import origin

BATCH = 100
# log-odds of the pixels' means stay finite.
EDGE = 1e-7
# Widths that are tried on validation images.
WIDTHS = np.logspace(-1, 0, 10)


def cache():
    """The folder of MNIST in ganforge's cache."""
    if os.environ.get("GANFORGE_DATA"):
        root = pathlib.Path(os.environ["GANFORGE_DATA"])
    elif sys.platform == "darwin":
        root = pathlib.Path.home() / "Library/Caches/ganforge"
    else:
        root = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "ganforge"
    return root / "mnist"


def images(path):
    """Pixels in [0, 1] of an IDX file, an image per row."""
    if not path.is_file():
        sys.exit(f"{path}: not there; `ganforge data fetch mnist` fetches it, --data names another folder")
    data = path.read_bytes()
    magic, n, height, width = np.frombuffer(data, ">u4", 4)
    if magic != 0x803 or height * width != PIXELS or len(data) != 16 + int(n) * PIXELS:
        sys.exit(f"{path}: expected an IDX file of 28 x 28 images")
    pixels = np.frombuffer(data, np.uint8, offset=16).astype(np.float32) / 255
    return torch.from_numpy(pixels.reshape(-1, PIXELS))


def log_likelihood(points, samples, width):
    """Of each point under Gaussians of that width around the samples, in nats."""
    constant = math.log(len(samples)) + PIXELS * math.log(width * math.sqrt(2 * math.pi))
    squares = samples.square().sum(1)
    parts = []
    for block in points.split(1000):
        distances = (block.square().sum(1, keepdim=True) + squares - 2 * block @ samples.T).clamp_min(0)
        parts.append(torch.logsumexp(distances.double() / (-2 * width**2), 1) - constant)
    return torch.cat(parts)


@torch.no_grad()
def score(g, valid, test, n_samples):
    """Mean, standard error and width."""
    samples = torch.cat([g(noise(min(1000, n_samples - i))) for i in range(0, n_samples, 1000)])
    width = max(WIDTHS, key=lambda w: log_likelihood(valid, samples, w).mean())
    found = log_likelihood(test, samples, width)
    return found.mean().item(), found.std(unbiased=False).item() / math.sqrt(len(found)), width


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--every", type=int, default=1, help="epochs between scores")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, help="threads to compute with [default: all cores]")
    parser.add_argument("--samples", type=int, default=10_000, help="samples that a score is of")
    parser.add_argument("--data", type=pathlib.Path, default=None, help="folder of MNIST's files [default: ganforge's cache]")
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    folder = args.data or cache()
    train, test = images(folder / "train-images-idx3-ubyte"), images(folder / "t10k-images-idx3-ubyte")
    n_train = len(train) * 5 // 6  # 50,000 of 60,000
    train, valid = train[:n_train], train[n_train:][:1000]

    training = Training()
    mean = train.mean(0).clamp(EDGE, 1 - EDGE)
    with torch.no_grad():
        training.g[4].bias.copy_(torch.log(mean) - torch.log1p(-mean))
    print(f"# {json.dumps(origin())}")
    print("epoch,seconds,log_likelihood,stderr,sigma", flush=True)
    updates, start = 0, time.perf_counter()
    for epoch in range(1, args.epochs + 1):
        momentum = 0.5 + 0.2 * min((epoch - 1) / 249, 1)
        for batch in torch.randperm(len(train)).split(BATCH):
            if len(batch) == BATCH:
                training.set(max(0.1 / 1.000004**updates, 1e-6), momentum)
                training.simultaneous(train[batch])
                updates += 1
        if epoch % args.every == 0 or epoch == args.epochs:
            mean, error, width = score(training.g, valid, test, args.samples)
            print(f"{epoch},{time.perf_counter() - start:.1f},{mean:.2f},{error:.2f},{width:.4f}", flush=True)


main()
