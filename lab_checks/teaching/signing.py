"""Ed25519 keys (RFC 8032) and what they sign: the learner's own key under the state folder, an instructor's in a file of its own.

Keys are PEM files as openssl writes them (`openssl genpkey -algorithm ed25519`). A private key that other accounts can read signs nothing.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import os
import stat
import tempfile
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

ALGORITHM = "Ed25519"
OWN = "certificate.key"
# What every fingerprint begins with.
FINGERPRINT = "SHA256:"
_MADE = "ai-lab certificate new-key FILE makes one"


class KeyProblem(Exception):
    """A key that cannot be used: `what` is the matter, and what to do `next`."""

    def __init__(self, what: str, next: str):
        super().__init__(f"{what}; {next}")
        self.what = what
        self.next = next


class Unsigned(ValueError):
    """A signature that does not hold; the message says why."""


def raw(key: Ed25519PublicKey) -> bytes:
    """The key's own 32 bytes."""
    return key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)


def fingerprint(key: Ed25519PublicKey) -> str:
    """`SHA256:` and the base64 of the hash of the key's 32 bytes: what people compare."""
    return f"{FINGERPRINT}{base64.b64encode(hashlib.sha256(raw(key)).digest()).decode().rstrip('=')}"


def own(state: Path) -> Ed25519PrivateKey:
    """The key of this state folder; it is made where there is none. Raises KeyProblem, OSError."""
    path = state / OWN
    if not os.path.lexists(path):
        state.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            make(path)
    return private(path)


def make(path: Path) -> Ed25519PrivateKey:
    """A new key in the file `path`, which only this account can read. Raises FileExistsError where something has that name, OSError."""
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    # Made beside and linked: the name never stands for half a key, and of two commands at once one wins.
    number, beside = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(number, "wb") as file:
            file.write(pem)
        os.link(beside, path)
    finally:
        os.unlink(beside)
    return key


def public_pem(key: Ed25519PublicKey) -> bytes:
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def private(path: Path) -> Ed25519PrivateKey:
    """The private key in a file. Raises KeyProblem."""
    try:
        with path.open("rb") as file:
            if stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077:
                raise KeyProblem(f"{path} can be read by other accounts, so it signs nothing", f"chmod 600 {path}")
            pem = file.read(10_000)
    except OSError as problem:
        raise KeyProblem(f"{path} cannot be read: {problem.strerror}", _MADE) from None
    try:
        key = serialization.load_pem_private_key(pem, None)
    except TypeError:
        raise KeyProblem(f"{path} is locked with a passphrase", "openssl pkey -in FILE -out UNLOCKED writes it without one") from None
    except (ValueError, UnsupportedAlgorithm):
        raise KeyProblem(f"{path} holds no private key in PEM", _MADE) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyProblem(f"{path} holds a key of another kind than {ALGORITHM}", _MADE)
    return key


def public(path: Path) -> Ed25519PublicKey:
    """The public key in a file. Raises KeyProblem."""
    beside = "give the file that ends in .pub, beside the private key"
    try:
        with path.open("rb") as file:
            pem = file.read(10_000)
    except OSError as problem:
        raise KeyProblem(f"{path} cannot be read: {problem.strerror}", beside) from None
    if b"PRIVATE KEY" in pem:
        raise KeyProblem(f"{path} holds a private key, which is not to be handed around", beside)
    try:
        key = serialization.load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm):
        raise KeyProblem(f"{path} holds no public key in PEM", beside) from None
    if not isinstance(key, Ed25519PublicKey):
        raise KeyProblem(f"{path} holds a key of another kind than {ALGORITHM}", beside)
    return key


def signed(content: bytes, key: Ed25519PrivateKey) -> dict[str, Any]:
    """The signature over `content` as a JSON object: with the public key, and with its fingerprint for people."""
    mine = key.public_key()
    return {
        "algorithm": ALGORITHM,
        "public_key": base64.b64encode(raw(mine)).decode(),
        "fingerprint": fingerprint(mine),
        "value": base64.b64encode(key.sign(content)).decode(),
    }


def signer(content: bytes, signature: Any) -> Ed25519PublicKey:
    """The key that signed `content`. Raises Unsigned where the signature is none, or is one over something else."""
    if not isinstance(signature, dict) or signature.keys() != {"algorithm", "public_key", "fingerprint", "value"}:
        raise Unsigned("it has no signature that can be read")
    if signature["algorithm"] != ALGORITHM:
        raise Unsigned(f"its signature is not of the kind {ALGORITHM}")
    try:
        key = Ed25519PublicKey.from_public_bytes(_decoded(signature["public_key"]))
        value = _decoded(signature["value"])
    except (TypeError, ValueError, binascii.Error):
        raise Unsigned("its signature cannot be read") from None
    if signature["fingerprint"] != fingerprint(key):
        raise Unsigned("the fingerprint in it is not that of its key")
    try:
        key.verify(value, content)
    except InvalidSignature:
        raise Unsigned("it was changed after it was signed") from None
    return key


def _decoded(text: str) -> bytes:
    """The bytes of a base64 in its one form: its last character may have bits that say nothing, and they are 0. Raises TypeError, ValueError."""
    found = base64.b64decode(text, validate=True)
    if base64.b64encode(found).decode() != text:
        raise ValueError(f"{text} is another form of {base64.b64encode(found).decode()}")
    return found
