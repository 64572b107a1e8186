"""Who may ask: keys, roles, how often, and what becomes of those who guess."""

from __future__ import annotations

import datetime as dt
import hashlib
import math
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass

from churnml.service.problems import Refused, unavailable
from churnml.state.keys import Key, Role

LADDER: dict[Role, int] = {"crm": 0, "retention": 1, "account_manager": 2, "admin": 3}

_WRONG_AT_ONCE = 5
_LONGEST_WAIT = 60.0
_MOST_ADDRESSES = 10_000
_KEYS_LAST = 30.0  # seconds that keys are trusted which can no longer be looked up: one may have been revoked


def allows(key: Key, role: Role) -> bool:
    """Tell whether a key may do what a role may."""
    return LADDER[key.role] >= LADDER[role]


@dataclass
class _Bucket:
    left: float
    at: float


class Access:
    """The keys that are valid now.

    Parameters
    ----------
    rate : float
        Requests a minute that one key may send to this process.
    """

    def __init__(self, rate: float) -> None:
        self._per_second, self._burst = rate / 60, max(rate, 1.0)
        self._keys: Mapping[str, Key] = {}
        self._known_at = -math.inf
        self._buckets: dict[str, _Bucket] = {}
        self._wrong: OrderedDict[str, tuple[int, float]] = OrderedDict()

    @property
    def fresh(self) -> bool:
        """Whether the keys could be looked up lately."""
        return time.monotonic() - self._known_at < _KEYS_LAST

    def renew(self, keys: Mapping[str, Key]) -> None:
        """Take the keys that are valid from now on, by the SHA-256 of their secret."""
        self._keys, self._known_at = keys, time.monotonic()
        names = {key.name for key in keys.values()}
        self._buckets = {name: bucket for name, bucket in self._buckets.copy().items() if name in names}

    def caller(self, headers: list[bytes], address: str) -> Key:
        """Return the key that a request was sent with.

        Parameters
        ----------
        headers : list of bytes
            What its ``Authorization`` headers hold.
        address : str
            Where it came from.

        Returns
        -------
        Key
            Valid now.

        Raises
        ------
        Refused
            401 without a key or with a wrong one, 429 after several wrong ones in a row (a right one is never held
            up) or too many requests, 503 where keys cannot be looked up.
        """
        if not self.fresh:
            raise unavailable("keys cannot be looked up at present; try again", after=2)
        scheme, _, secret = headers[0].partition(b" ") if len(headers) == 1 else (b"", b"", b"")
        if scheme.lower() != b"bearer" or not secret.strip():
            raise _unauthorized("send one key: Authorization: Bearer KEY")
        key = self._keys.get(hashlib.sha256(secret.strip()).hexdigest())
        if key is None or not key.is_valid(dt.datetime.now(dt.UTC)):
            raise self._wrong_key(address)
        self._wrong.pop(address, None)
        self._take(key.name)
        return key

    def _wrong_key(self, address: str) -> Refused:
        now = time.monotonic()
        count, until = self._wrong.get(address, (0, 0.0))
        if now < until:
            wait = {"Retry-After": str(math.ceil(until - now))}
            return Refused(
                429, "too_many_wrong_keys", "too many wrong keys in a row; wait, or send a right one", {}, wait
            )
        count += 1
        beyond = count - _WRONG_AT_ONCE
        self._wrong[address] = count, now + min(2.0**beyond, _LONGEST_WAIT) if beyond >= 0 else 0.0
        self._wrong.move_to_end(address)
        if len(self._wrong) > _MOST_ADDRESSES:
            self._wrong.popitem(last=False)
        return _unauthorized("the key is unknown, expired or revoked; ask an administrator for another")

    def _take(self, name: str) -> None:
        now = time.monotonic()
        bucket = self._buckets.setdefault(name, _Bucket(self._burst, now))
        bucket.left = min(self._burst, bucket.left + (now - bucket.at) * self._per_second)
        bucket.at = now
        if bucket.left < 1:
            wait = {"Retry-After": str(math.ceil((1 - bucket.left) / self._per_second))}
            raise Refused(429, "too_many_requests", "this key has sent too many requests; send fewer", {}, wait)
        bucket.left -= 1


def _unauthorized(message: str) -> Refused:
    return Refused(401, "unauthorized", message, headers={"WWW-Authenticate": "Bearer"})
