"""Random numbers that depend on the seed, the subject and the month only, never on what was drawn before."""

from __future__ import annotations

import zlib

import numpy as np

from churnml.simulator.clock import Array


class Draws:
    """Draw one array for each subject and key (such as the month), with one number for each customer.

    One stream gives one array, filled from its start: the first customers' numbers do not depend on how many customers
    come after them, so that a longer simulation repeats a shorter one exactly.
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
        place = np.searchsorted(np.cumsum(shares)[:-1], self.uniform(subject, *key), side="right")
        return place.astype(np.int8)


def pick(weights: Array, uniform: Array) -> Array:
    """Turn uniform numbers into positions, each person with weights of their own (choices x people)."""
    shares = np.cumsum(weights, axis=0)
    return np.asarray((uniform * shares[-1] > shares).sum(axis=0), dtype=np.int8)
