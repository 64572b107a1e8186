"""Random numbers that depend on the seed, the subject and the month only, never on what was drawn before."""

from __future__ import annotations

import zlib

import numpy as np

from churnml.simulator.clock import Array


class Draws:
    """Draw one array for each subject and key, one number for each customer.

    One stream gives one array, filled from its start: the first customers' numbers do not depend on how many
    customers come after them, so that a longer simulation repeats a shorter one exactly.

    Parameters
    ----------
    seed : int
        Zero or more.
    people : int
        How many customers there are.
    """

    def __init__(self, seed: int, people: int) -> None:
        self._seed = seed
        self._people = people

    def stream(self, subject: str, *key: int) -> np.random.Generator:
        """Open the stream of a subject; a subject always has the same number of keys."""
        entropy = [self._seed, zlib.crc32(subject.encode()), *key]
        return np.random.Generator(np.random.Philox(np.random.SeedSequence(entropy)))

    def normal(self, subject: str, *key: int) -> Array:
        """Draw standard normal numbers."""
        return self.stream(subject, *key).standard_normal(self._people)

    def uniform(self, subject: str, *key: int) -> Array:
        """Draw numbers in [0, 1)."""
        return self.stream(subject, *key).random(self._people)

    def exponential(self, subject: str, *key: int) -> Array:
        """Draw exponential numbers of mean 1."""
        return -np.log1p(-self.uniform(subject, *key))

    def choice(self, shares: tuple[float, ...], subject: str, *key: int) -> Array:
        """Draw positions in a list of shares that sum to 1."""
        return choose(shares, self.uniform(subject, *key))


def choose(shares: tuple[float, ...], uniform: Array) -> Array:
    """Turn uniform numbers into positions in a list of shares that sum to 1."""
    return np.searchsorted(np.cumsum(shares)[:-1], uniform, side="right").astype(np.int8)


def pick(weights: Array, uniform: Array) -> Array:
    """Turn uniform numbers into positions, each person with weights of their own (choices x people)."""
    shares = np.cumsum(weights, axis=0)
    result: Array = (uniform * shares[-1] > shares).sum(axis=0).astype(np.int8)
    return result


def count(rate: Array, uniform: Array, *, most: int = 3) -> Array:
    """Turn uniform numbers into Poisson counts of the given rates, at most ``most``."""
    term = np.exp(-rate)
    below = term.copy()
    total = np.zeros(rate.shape, dtype=np.int32)
    for k in range(1, most + 1):
        total += uniform > below
        term = term * rate / k
        below = below + term
    return total
