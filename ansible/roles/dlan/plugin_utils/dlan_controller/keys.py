"""WireGuard's keys: read from their text, and the public one that belongs to a private one (RFC 7748)."""

from __future__ import annotations

import base64
import binascii

OCTETS = 32
_PRIME = 2**255 - 19
_A24 = 121665
_BASE_POINT = 9


class BadKey(ValueError):
    """A text that is no key."""


def decode(text: str) -> bytes:
    """Returns the octets of a key, or says why the text is none."""
    if not text.isascii():
        raise BadKey("it is not base64")
    try:
        octets = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadKey("it is not base64") from error
    if len(octets) != OCTETS:
        raise BadKey(f"it has {len(octets)} octets, a key has {OCTETS}")
    if base64.b64encode(octets).decode() != text:
        raise BadKey("it is not base64 as WireGuard writes it")
    return octets


def public_key(private: str) -> str:
    """Returns the public key of a private one."""
    octets = bytearray(decode(private))
    octets[0] &= 248
    octets[31] = octets[31] & 127 | 64
    shared = _multiply(int.from_bytes(octets, "little"), _BASE_POINT)
    return base64.b64encode(shared.to_bytes(OCTETS, "little")).decode()


def _multiply(scalar: int, point: int) -> int:
    """The Montgomery ladder of RFC 7748, section 5. It takes as long as it takes: what it is asked on the controller is
    whether two keys of one inventory belong together."""
    x2, z2, x3, z3, swap = 1, 0, point, 1, 0
    for position in reversed(range(255)):
        bit = scalar >> position & 1
        if swap != bit:
            x2, x3, z2, z3 = x3, x2, z3, z2
        swap = bit
        a, b = (x2 + z2) % _PRIME, (x2 - z2) % _PRIME
        aa, bb = a * a % _PRIME, b * b % _PRIME
        e = (aa - bb) % _PRIME
        da, cb = (x3 - z3) * a % _PRIME, (x3 + z3) * b % _PRIME
        x3, z3 = pow(da + cb, 2, _PRIME), point * pow(da - cb, 2, _PRIME) % _PRIME
        x2, z2 = aa * bb % _PRIME, e * (aa + _A24 * e) % _PRIME
    if swap:
        x2, z2 = x3, z3
    return x2 * pow(z2, _PRIME - 2, _PRIME) % _PRIME
