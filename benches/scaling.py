#!/usr/bin/env python3
"""Milliseconds per training step with threads and with ranks, measured in turns.

    benches/scaling.py PROGRAM [--preset mnist] [--batch 100] [--rounds 5] [--epochs 4] [--subset 5000]

PROGRAM is a release build of ganforge; mpirun is Open MPI's. A step's time is the difference of two runs that differ in
their epochs alone, so that start and the score at the end do not count; a picture per epoch does. The ways take turns, round by round, and
the median is printed with the least and the greatest value: on a machine that does other things, look at the least.

Strong scaling: the same minibatch for one process of one thread, one process of two threads, two ranks of one thread each.
Weak scaling: the minibatch of one thread by itself, and twice as large on two threads and on two ranks.
"""

import argparse
import json
import os
import statistics
import subprocess
import tempfile
import time

MPIRUN = ["mpirun", "--oversubscribe", "--bind-to", "none"]
ENVIRONMENT = {
    "OMPI_ALLOW_RUN_AS_ROOT": "1",
    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    "OMPI_MCA_btl_vader_single_copy_mechanism": "none",
}


def run(program, preset, subset, batch, shards, ranks, threads, epochs, folder):
    """Seconds of a run of so many epochs, and its steps."""
    out = os.path.join(folder, f"{time.monotonic_ns()}")
    command = [program, "train", preset, "--quiet", "--out", out, "--epochs", str(epochs)]
    command += ["--threads", str(threads)]
    settings = [f"train.batch={batch}", f"train.shards={shards}", "eval.every=0", "eval.samples=50"]
    settings += [f"data.subset={subset}", "output.checkpoint_every=1000", "output.grid=[1, 1]", "output.log_every=1000000"]
    for setting in settings:
        command += ["--set", setting]
    if ranks > 0:
        command = MPIRUN + ["-n", str(ranks)] + command + ["--ranks", "mpi"]
    begin = time.monotonic()
    subprocess.run(command, check=True, env=os.environ | ENVIRONMENT, stdout=subprocess.DEVNULL)
    seconds = time.monotonic() - begin
    with open(os.path.join(out, "metrics.csv"), encoding="utf-8") as rows:
        steps = int(rows.readlines()[-1].split(",")[0])
    return seconds, steps


def step_ms(epochs, **way):
    """Milliseconds of a step."""
    short, few = run(epochs=1, **way)
    long, many = run(epochs=1 + epochs, **way)
    return 1000 * (long - short) / (many - few)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--preset", default="mnist")
    parser.add_argument("--batch", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--subset", type=int, default=5000, help="training images")
    asked = parser.parse_args()
    b = asked.batch
    # Name, minibatch, shards, ranks (0: without mpirun), threads.
    ways = [
        ("1 thread", b, 0, 0, 1),
        ("2 threads", b, 0, 0, 2),
        ("2 threads, 2 shards", b, 2, 0, 2),
        ("2 ranks of 1 thread", b, 2, 2, 1),
        ("2 threads, twice the batch", 2 * b, 0, 0, 2),
        ("2 ranks of 1 thread, twice the batch", 2 * b, 2, 2, 1),
    ]
    times = {name: [] for name, *_ in ways}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(asked.rounds):
            for name, batch, shards, ranks, threads in ways:
                way = {"program": asked.program, "preset": asked.preset, "folder": folder}
                way["subset"] = asked.subset
                way |= {"batch": batch, "shards": shards, "ranks": ranks, "threads": threads}
                times[name].append(step_ms(asked.epochs, **way))
    print(f"{asked.preset}, batch {b}, ms per step: median (least to greatest of {asked.rounds})")
    for name, ms in times.items():
        print(f"{name:<38}{statistics.median(ms):8.2f} ({min(ms):.2f} to {max(ms):.2f})")
    print(json.dumps({"preset": asked.preset, "batch": b, "ms": times}))


if __name__ == "__main__":
    main()
