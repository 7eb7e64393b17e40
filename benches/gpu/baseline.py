"""The work of `ganforge bench` in PyTorch, on the GPU: prints one JSON object of times in microseconds.

The training step is that of preset `mnist-2014`, Algorithm 1 with k = 1: G 100-1200-1200-784 (relu, relu, sigmoid), D maxout
240 x 5, maxout 240 x 5, one logit, with dropout; a minibatch of 100 gathered from 50,000 images of bytes on the device; SGD
with momentum. `--device cpu --quick` tries the script out without a GPU."""

import argparse
import json
import math
import time

import torch
import torch.nn.functional as F
from torch import nn

BATCH = 100
PRODUCTS = [
    ("NN", 100, 1200, 100),
    ("NN", 100, 1200, 1200),
    ("NN", 100, 784, 1200),
    ("NN", 200, 1200, 784),
    ("NT", 100, 1200, 784),
    ("NT", 200, 784, 1200),
    ("TN", 784, 1200, 200),
    ("TN", 1200, 1200, 100),
    ("NN", 4096, 4096, 4096),
]


class Maxout(nn.Module):
    def __init__(self, inputs, units, pieces):
        super().__init__()
        self.linear = nn.Linear(inputs, units * pieces)
        self.shape = (units, pieces)

    def forward(self, x):
        return self.linear(x).unflatten(1, self.shape).amax(2)


def nets(device):
    g = [nn.Linear(100, 1200), nn.ReLU(), nn.Linear(1200, 1200), nn.ReLU(), nn.Linear(1200, 784), nn.Sigmoid()]
    d = [nn.Dropout(0.2), Maxout(784, 240, 5), nn.Dropout(0.5), Maxout(240, 240, 5), nn.Dropout(0.5), nn.Linear(240, 1)]
    return nn.Sequential(*g).to(device), nn.Sequential(*d).to(device)


class Training:
    """One iteration of Algorithm 1 by `step`, which takes its examples from a permutation on the device."""

    def __init__(self, device, compiled):
        self.device = device
        self.g, self.d = nets(device)
        self.run_g, self.run_d = (torch.compile(n) if compiled else n for n in (self.g, self.d))
        self.opt_g = torch.optim.SGD(self.g.parameters(), 0.1, momentum=0.5)
        self.opt_d = torch.optim.SGD(self.d.parameters(), 0.1, momentum=0.5)
        self.data = torch.randint(0, 256, (50_000, 784), dtype=torch.uint8, device=device)
        self.order = torch.randperm(50_000, device=device)
        self.at = torch.zeros((), dtype=torch.long, device=device)
        self.lanes = torch.arange(BATCH, device=device)

    def noise(self):
        return (torch.rand(BATCH, 100, device=self.device) * 2 - 1) * math.sqrt(3)

    def step(self):
        rows = self.order[(self.at + self.lanes) % 50_000]
        self.at += BATCH
        x = self.data[rows].float() / 255
        with torch.no_grad():
            fake = self.run_g(self.noise())
        real, false = self.run_d(torch.cat([x, fake])).split(BATCH)
        loss_d = 0.5 * (F.softplus(-real).mean() + F.softplus(false).mean())
        self.opt_d.zero_grad()
        loss_d.backward()
        self.opt_d.step()
        for p in self.d.parameters():
            p.requires_grad_(False)
        loss_g = F.softplus(-self.run_d(self.run_g(self.noise()))).mean()
        self.opt_g.zero_grad()
        loss_g.backward()
        self.opt_g.step()
        for p in self.d.parameters():
            p.requires_grad_(True)


def graphed(step):
    """The step as one CUDA graph."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(5):
            step()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    return graph.replay


class Timer:
    def __init__(self, device, quick):
        self.sync = torch.cuda.synchronize if device == "cuda" else (lambda: None)
        self.repeats = 1 if quick else 5

    def __call__(self, run, times):
        """Microseconds per call, the best of several rounds."""
        for _ in range(3):
            run()
        best = math.inf
        for _ in range(self.repeats):
            self.sync()
            start = time.perf_counter()
            for _ in range(times):
                run()
            self.sync()
            best = min(best, (time.perf_counter() - start) / times)
        return best * 1e6


def repeated(run, times, device):
    """Several calls as one CUDA graph, so that small kernels are not timed by their launches."""
    if device != "cuda":
        return run, 1
    run()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for _ in range(times):
            run()
    return graph.replay, times


def products(device, timer, quick, precision):
    torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    times = {}
    for form, m, n, k in PRODUCTS:
        if quick:
            m, n, k = (max(1, i // 20) for i in (m, n, k))
        a = torch.rand(*((k, m) if form[0] == "T" else (m, k)), device=device, dtype=dtype)
        b = torch.rand(*((n, k) if form[1] == "T" else (k, n)), device=device, dtype=dtype)
        a, b = (a.T if form[0] == "T" else a), (b.T if form[1] == "T" else b)
        c = torch.empty(m, n, device=device, dtype=dtype)
        run, per_call = repeated(lambda: torch.matmul(a, b, out=c), 5 if m > 2000 else 50, device)
        times[f"product {form} {m}x{n} k={k}"] = timer(run, 5) / per_call
    torch.backends.cuda.matmul.allow_tf32 = False
    return times


def parzen(device, timer, n):
    s, x = torch.rand(n, 784, device=device), torch.rand(n, 784, device=device)

    def run():
        parts = []
        for block in x.split(2000):
            square = (block.square().sum(1, True) + s.square().sum(1) - 2 * block @ s.T).clamp_min(0)
            parts.append(torch.logsumexp(square * -12.5, 1))
        return torch.cat(parts)

    return timer(run, 3)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--quick", action="store_true")
    args = parser.parse_args()
    device, quick = args.device, args.quick
    timer, steps = Timer(device, quick), 2 if quick else 500
    torch.manual_seed(0)
    found = {"torch": torch.__version__, "device": torch.cuda.get_device_name() if device == "cuda" else "cpu"}
    found["step"] = {"eager": timer(Training(device, False).step, steps)}
    if device == "cuda":
        found["step"]["graph"] = timer(graphed(Training(device, False).step), steps)
        found["step"]["compile"] = timer(Training(device, True).step, steps)
        found["step"]["compile and graph"] = timer(graphed(Training(device, True).step), steps)
    for precision in ("f32", "tf32", "bf16"):
        found[precision] = products(device, timer, quick, precision)
    n = 1 << (16 if quick else 26)
    x, y, bias = torch.rand(n // 1024, 1024, device=device), torch.empty(n // 1024, 1024, device=device), torch.rand(1024, device=device)
    found["copy"] = timer(lambda: y.copy_(x), 10)
    fused = torch.compile(lambda x, b: torch.sigmoid(x + b) * x) if device == "cuda" else (lambda x, b: torch.sigmoid(x + b) * x)
    found["program"] = timer(lambda: fused(x, bias), 10)
    found["elements"] = n
    found["parzen"] = parzen(device, timer, 200 if quick else 10_000)
    print(json.dumps(found))


main()
