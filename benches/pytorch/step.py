"""The training step of the paper's MNIST nets in PyTorch, on the CPU: what `ganforge bench step` times, in its words.

    python benches/pytorch/step.py --threads 2 --json
"""

import argparse
import json
import statistics
import time

import torch

from nets import PIXELS, PRESET, Training
from origin import origin

WARM_UP = 10
# As `ganforge bench step`: beyond this, slowest by fastest, a result says nothing about the program.
UNUSABLE = 3


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--threads", type=int, help="threads to compute with [default: all cores]")
    parser.add_argument("--batch", type=int, default=100, help="images per step")
    parser.add_argument("--steps", type=int, default=100, help="steps to time")
    parser.add_argument("--update", choices=["alternating", "simultaneous"], default="alternating")
    parser.add_argument("--json", action="store_true", help="print JSON, also to be a --baseline of ganforge bench step")
    args = parser.parse_args()
    if min(args.batch, args.steps, args.threads or 1) < 1:
        parser.error("--threads, --batch and --steps: expected whole numbers from 1 on")
    if args.threads:
        torch.set_num_threads(args.threads)
    torch.manual_seed(1)
    found = {
        "what": f"training step of {PRESET}, {args.update} updates, batch {args.batch}",
        "origin": origin(),
    }
    training = Training()
    step = getattr(training, args.update)
    images = torch.rand(20 * args.batch, PIXELS).split(args.batch)
    times = []
    for i in range(WARM_UP + args.steps):
        start = time.perf_counter()
        step(images[i % len(images)])
        times.append((time.perf_counter() - start) * 1e3)
    times = times[WARM_UP:]
    slowest = max(times) / min(times)
    found |= {
        "is_usable": slowest < UNUSABLE,
        "median_ms": statistics.median_high(times),
        "min_ms": min(times),
        "max_ms": max(times),
        "batch": args.batch,
        "steps": args.steps,
    }
    if args.json:
        print(json.dumps(found))
        return
    print(f"step             {found['what']}")
    if not found["is_usable"]:
        print(f"warning          unusable: the slowest step took {slowest:.1f} times as long as the fastest")
    print(f"median           {found['median_ms']:.4f} ms/step")
    print(f"min ... max      {found['min_ms']:.4f} ... {found['max_ms']:.4f} ms/step")
    for key, value in found["origin"].items():
        print(f"{key:<17}{' '.join(value) if isinstance(value, list) else value}")


main()
