#!/usr/bin/env python3
"""Cuts the bundled sample out of the full MNIST files; needs nothing but the standard library.

    python3 make_sample.py FOLDER [--check]

FOLDER holds train-images-idx3-ubyte and t10k-images-idx3-ubyte, plain or .gz (`ganforge data fetch mnist` puts them
into the cache folder). Writes mnist-sample.gz beside this script: one IDX file of 5,000 images, gzip level 9, no time:

    train   images      0 ..  3,999 of the training file
    valid   images 50,000 .. 50,499 of the training file
    test    images      0 ..    499 of the test file

With --check nothing is written: the file that is there must hold these very bytes.
"""

import gzip
import hashlib
import pathlib
import struct
import sys

SHA256 = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
}
PARTS = [
    ("train-images-idx3-ubyte", 0, 4000),
    ("train-images-idx3-ubyte", 50000, 500),
    ("t10k-images-idx3-ubyte", 0, 500),
]
HEADER = 16
IMAGE = 28 * 28


def read(folder, name):
    plain = folder / name
    content = plain.read_bytes() if plain.exists() else gzip.decompress((folder / (name + ".gz")).read_bytes())
    found = hashlib.sha256(content).hexdigest()
    if found != SHA256[name]:
        sys.exit(f"{folder / name}: SHA-256 is {found}, expected {SHA256[name]}")
    return content


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    folder = pathlib.Path(sys.argv[1])
    content = struct.pack(">IIII", 0x803, sum(count for _, _, count in PARTS), 28, 28)
    for name, first, count in PARTS:
        start = HEADER + first * IMAGE
        content += read(folder, name)[start : start + count * IMAGE]
    target = pathlib.Path(__file__).with_name("mnist-sample.gz")
    if "--check" in sys.argv:
        if gzip.decompress(target.read_bytes()) != content:
            sys.exit(f"{target}: holds other bytes")
    else:
        target.write_bytes(gzip.compress(content, 9, mtime=0))
    print(f"{target.name}: {target.stat().st_size} bytes, SHA-256 of the content {hashlib.sha256(content).hexdigest()}")


if __name__ == "__main__":
    main()
