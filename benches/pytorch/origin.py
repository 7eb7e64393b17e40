"""Where figures of PyTorch come from, with the fields of `ganforge bench step --json`, so that each can be the other's baseline."""

import datetime
import os
import platform
import subprocess

import torch

# What ganforge's kernels make use of; the same words as in /proc/cpuinfo.
FEATURES = ["avx2", "fma", "avx512f", "avx512bw", "avx512dq", "avx512vl"]


def cpuinfo():
    """The first processor's entries, where the system has them."""
    try:
        with open("/proc/cpuinfo") as file:
            lines = file.read().split("\n\n")[0].splitlines()
    except OSError:
        return {}
    return {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}


def processor(info):
    if "model name" not in info:
        return platform.processor() or platform.machine()
    name = " ".join(info["model name"].split())
    return f"{name} (family {info.get('cpu family')}, model {info.get('model')})"


def commit():
    folder = os.path.dirname(os.path.abspath(__file__))
    try:
        done = subprocess.run(["git", "-C", folder, "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return done.stdout.strip()


def isa():
    """The instruction set of PyTorch's own kernels; its libraries for products choose for themselves."""
    capability = torch.backends.cpu.get_cpu_capability().lower()
    return "portable" if capability == "default" else capability


def origin(device="cpu"):
    """Of a measurement that begins now."""
    info = cpuinfo()
    flags = info.get("flags", "").split()
    return {
        "program": "PyTorch",
        "version": torch.__version__,
        "commit": commit(),
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "processor": processor(info),
        "cpu_features": [f for f in FEATURES if f in flags],
        "isa": isa(),
        "threads": torch.get_num_threads(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "system": f"{platform.machine()} {platform.system().lower()}",
        "device": device,
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
    }
