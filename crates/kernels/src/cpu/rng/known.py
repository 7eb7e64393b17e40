"""The answers that tests.rs knows, by Philox 4x32-10 as its paper states it (Salmon et al. 2011, section 4), in plain Python.

    python3 known.py      # needs nothing but Python
"""

import math

KEY, STREAM, COUNTER = 0x0123456789ABCDEF, 3, (5 << 32) | 7
MASK = 0xFFFFFFFF


def philox(counter, key):
    """Ten rounds on one counter of four words and a key of two."""
    counter, key = list(counter), list(key)
    for _ in range(10):
        first, second = 0xD2511F53 * counter[0], 0xCD9E8D57 * counter[2]
        counter = [
            (second >> 32) ^ counter[1] ^ key[0],
            second & MASK,
            (first >> 32) ^ counter[3] ^ key[1],
            first & MASK,
        ]
        key = [(key[0] + 0x9E3779B9) & MASK, (key[1] + 0xBB67AE85) & MASK]
    return counter


def words(blocks):
    key = (KEY & MASK, KEY >> 32)
    for block in range(blocks):
        yield from philox((block, STREAM, COUNTER & MASK, COUNTER >> 32), key)


def normals(blocks):
    """Box and Muller on pairs of words, 24 bits of each; the first as a number in (0, 1]."""
    source = words(blocks)
    for a, b in zip(source, source):
        r = math.sqrt(-2 * math.log(((a >> 8) + 1) / 2**24))
        angle = 2 * math.pi * (b >> 8) / 2**24
        yield from (r * math.cos(angle), r * math.sin(angle))


def below(source, n):
    """Lemire's: the high half of word times n; words whose low half is in the uneven rest are thrown away."""
    while True:
        product = next(source) * n
        if product & MASK >= 2**32 % n:
            return product >> 32


def permutation(n):
    order, source = list(range(n)), words(100)
    for i in range(n - 1, 0, -1):
        j = below(source, i + 1)
        order[i], order[j] = order[j], order[i]
    return order


assert philox([0] * 4, [0] * 2) == [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]  # Random123's kat_vectors
print("words", [hex(w) for w in words(2)])
print("uniform", [(w >> 8) / 2**24 for w in words(2)])
print("normal", [round(x, 7) for x in normals(2)])
print("permutation", permutation(16))
source = words(100)
print("below 3 << 30", [below(source, 3 << 30) for _ in range(8)])
