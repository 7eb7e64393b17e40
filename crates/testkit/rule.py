"""Numbers and images that a rule makes: those of src/rule.rs."""

import numpy as np

U32 = np.uint64(0xFFFFFFFF)


def mixed(x):
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B), (16, 1)):
        x = (x ^ (x >> np.uint64(shift))) * np.uint64(factor) & U32
    return x


def noise(name, count):
    """32 bits for each of `count` elements: a hash of the element's index and of the name (FNV-1a)."""
    seed = 0x811C9DC5
    for byte in name.encode():
        seed = (seed ^ byte) * 0x01000193 % 2**32
    return mixed((mixed(np.arange(count, dtype=np.uint64)) + np.uint64(seed)) & U32)


def unit(name, count):
    """float64 in [-1, 1), of 24 bits."""
    return (noise(name, count) >> np.uint64(8)).astype(np.float64) / 2**23 - 1


def image(name, h, w, channels=3):
    """[channels, h, w] uint8: a ramp in each channel, each in a direction of its own, and noise."""
    c, y, x = np.ogrid[:3, :h, :w]
    ramp = (255 * x // (w - 1) * (c + 1) + 255 * y // (h - 1) * (3 - c)) // 4
    grain = (noise(name, 3 * h * w) % np.uint64(64)).astype(np.int64).reshape(3, h, w) - 32
    return np.clip(ramp + grain, 0, 255).astype(np.uint8)[:channels]
