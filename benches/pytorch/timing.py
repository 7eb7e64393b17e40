"""What is printed of steps that were timed, in the words and the JSON of `ganforge bench`."""

import json
import statistics
import time

# As `ganforge bench`: beyond this, slowest by fastest, a result says nothing about the program.
UNUSABLE = 3


def timed(step, warm_up, steps):
    """Milliseconds of steps number 0, 1, .., without those that warm up."""
    times = []
    for i in range(warm_up + steps):
        start = time.perf_counter()
        step(i)
        times.append((time.perf_counter() - start) * 1e3)
    return times[warm_up:]


def report(found, times, batch, as_json):
    """`found`: what was timed, and its origin."""
    slowest = max(times) / min(times)
    found = found | {
        "is_usable": slowest < UNUSABLE,
        "median_ms": statistics.median_high(times),
        "min_ms": min(times),
        "max_ms": max(times),
        "batch": batch,
        "steps": len(times),
    }
    if as_json:
        print(json.dumps(found))
        return
    print(f"step             {found['what']}")
    if not found["is_usable"]:
        print(f"warning          unusable: the slowest step took {slowest:.1f} times as long as the fastest")
    print(f"median           {found['median_ms']:.4f} ms/step")
    print(f"min ... max      {found['min_ms']:.4f} ... {found['max_ms']:.4f} ms/step")
    for key, value in found["origin"].items():
        print(f"{key:<17}{' '.join(value) if isinstance(value, list) else value}")
