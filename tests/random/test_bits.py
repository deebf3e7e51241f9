"""The integers: known answers of the hash function, and what keys promise."""

import numpy as np
import pytest

from chainrule import random, vmap
from chainrule.random.threefry import hashed, threefry2x32

# threefry2x32 with 20 rounds from Random123's kat_vectors: counter, key, result
KNOWN = [
    ("00000000 00000000", "00000000 00000000", "6b200159 99ba4efe"),
    ("ffffffff ffffffff", "ffffffff ffffffff", "1cb996fc bb002be7"),
    ("243f6a88 85a308d3", "13198a2e 03707344", "c4923a9c 483df7a0"),
]

# what the key of seed 2024 gives
BITS = [1982900149, 1742385569, 3182450046, 2030646690]
SPLIT = [[3049174127, 2820703232], [2237951562, 3853780623]]
FOLDED = [1542946133, 3899865404]
UNIFORM = ["0x1.d8c29eb3ed58cp-2", "0x1.7b60aade424d6p-1"]
NORMAL = ["-0x1.8a0b87907cc5ep-4", "0x1.4aedacea3ac1bp-1", "-0x1.1ba0d1c586b02p-3"]
GAMMA = ["0x1.7c720af5877d2p+1", "0x1.517090b1cad89p-3"]
POISSON = [5, 274]
PERMUTATION = [3, 4, 5, 2, 0, 1]


def words(text):
    return [np.array([int(word, 16)], np.uint32) for word in text.split()]


@pytest.mark.parametrize(("counter", "key", "result"), KNOWN)
def test_known_answers(counter, key, result):
    got = threefry2x32(*words(key), *words(counter))
    assert " ".join(f"{int(w[0]):08x}" for w in got) == result


def test_one_hash_is_that_of_an_array():
    numbers = np.random.default_rng(0).integers(0, 2**32, (4, 50), np.uint32)
    x, y = threefry2x32(*numbers)
    for k, given in enumerate(numbers.T.tolist()):
        assert hashed(*given) == (x[k], y[k])
    key = random.split(random.key(9), 3)
    folded = vmap(random.fold_in)(key, np.arange(3))
    assert folded.tolist() == [random.fold_in(k, i).tolist() for i, k in enumerate(key)]


def test_words_are_the_hashes_of_their_positions():
    key = random.key(0x13198A2E_03707344)
    drawn = random.bits(key, 40_001)  # several chunks, and an odd number
    k0, k1 = (key[i : i + 1] for i in range(2))
    for block in (0, 1, 16_383, 16_384, 20_000):
        position = np.array([block], np.uint32)
        x, y = threefry2x32(k0, k1, position, np.zeros(1, np.uint32))
        assert drawn[2 * block] == x[0]
        assert block == 20_000 or drawn[2 * block + 1] == y[0]


def test_numbers_never_change():
    """A program that was published with a seed must give its numbers for ever."""
    key = random.key(2024)
    assert random.bits(key, 4).tolist() == BITS
    assert random.split(key, 2).tolist() == SPLIT
    assert random.fold_in(key, 7).tolist() == FOLDED
    assert [x.hex() for x in random.uniform(key, 2)] == UNIFORM
    assert [x.hex() for x in random.normal(key, 3)] == NORMAL
    assert [x.hex() for x in random.gamma(key, 0.7, 2)] == GAMMA
    assert random.poisson(key, np.array([3.0, 300.0])).tolist() == POISSON
    assert random.permutation(key, 6).tolist() == PERMUTATION


def test_a_key_gives_the_same_numbers_again_and_is_a_value():
    key = random.key(1)
    before = key.copy()
    assert np.array_equal(random.normal(key, 5), random.normal(key, 5))
    assert np.array_equal(key, before)
    with pytest.raises(ValueError, match="read-only"):
        key[0] = 3
    assert random.key(2**64 - 1).tolist() == [2**32 - 1, 2**32 - 1]


def test_longer_draws_begin_alike():
    key = random.key(3)
    assert np.array_equal(random.bits(key, 9)[:4], random.bits(key, 4))
    assert np.array_equal(random.normal(key, 9)[:4], random.normal(key, 4))
    assert np.array_equal(random.gamma(key, 2.0, 9)[:4], random.gamma(key, 2.0, 4))
    assert np.array_equal(random.split(key, 9)[:4], random.split(key, 4))


def test_new_keys_differ_from_each_other_and_from_draws():
    key = random.key(0)
    made = [*random.split(key, 1000), *(random.fold_in(key, i) for i in range(1000))]
    made += list(random.bits(key, 2000).reshape(-1, 2))
    assert len({tuple(k.tolist()) for k in made}) == 3000


@pytest.mark.parametrize(
    "derive", [random.split, lambda k, n: [random.fold_in(k, i) for i in range(n)]]
)
def test_streams_of_derived_keys_are_independent(derive):
    draws = np.array([random.normal(k, 2000) for k in derive(random.key(5), 20)])
    correlations = np.corrcoef(draws)[np.triu_indices(20, 1)]
    # 190 correlations with standard deviation 1/sqrt(2000)
    assert np.max(np.abs(correlations)) < 4.5 / np.sqrt(2000)
    assert abs(np.mean(correlations)) < 4.5 / np.sqrt(2000 * 190)


def test_each_bit_is_fair_and_hashing_mixes():
    drawn = random.bits(random.key(11), 100_000)
    ones = [np.count_nonzero(drawn >> i & 1) for i in range(32)]
    assert np.max(np.abs(np.array(ones) - 50_000)) < 4.5 * np.sqrt(25_000)
    flipped = random.bits(random.key(11 ^ 1), 100_000) ^ drawn
    assert abs(np.mean(np.bitwise_count(flipped)) - 16) < 0.1


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32, np.uint64])
def test_bits_of_every_width(dtype):
    drawn = random.bits(random.key(0), (3, 1000), dtype)
    assert drawn.shape == (3, 1000)
    assert drawn.dtype == dtype
    top = np.iinfo(dtype).max
    assert abs(np.mean(drawn / top) - 0.5) < 4.5 / np.sqrt(12 * 3000)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: random.key(-1), ValueError, "between 0 and"),
        (lambda: random.key(2**64), ValueError, "between 0 and"),
        (lambda: random.key(0.5), TypeError, "integer"),
        (lambda: random.normal(0), TypeError, r"chainrule\.random\.key"),
        (lambda: random.normal(np.random.default_rng(0)), TypeError, "takes a key"),
        (lambda: random.normal(np.zeros(2)), TypeError, "takes a key"),
        (lambda: random.normal(random.split(random.key(0))), ValueError, "vmap"),
        (lambda: random.split(random.key(0), -1), ValueError, "-1 keys"),
        (lambda: random.fold_in(random.key(0), -1), ValueError, "between 0 and"),
        (lambda: random.fold_in(random.key(0), 2**32), ValueError, "between 0 and"),
        (lambda: random.bits(random.key(0), 2, np.int32), ValueError, "unsigned"),
        (lambda: random.bits(random.key(0), -2), ValueError, "negative"),
    ],
)
def test_what_is_no_key_or_no_seed_is_refused(call, error, text):
    with pytest.raises(error, match=text):
        call()
