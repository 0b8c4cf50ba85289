"""The file of weights: safetensors, written by `training/train.py` and read here without a library (it is a header and raw numbers).

Layout: 8 bytes with the header's length (little-endian), the header (JSON: each tensor's dtype, shape and place, and text under
`__metadata__`), then the numbers. Our metadata also has the SHA-256 of the numbers, so that a file that was cut or damaged is not served.
"""

from __future__ import annotations

import hashlib
import json
import struct
import sys
from array import array
from dataclasses import dataclass
from pathlib import Path

_LONGEST_HEADER = 1_000_000


class SafetensorError(Exception):
    """A file that is no good; the words are those of the safetensors library."""


@dataclass(frozen=True)
class Weights:
    """A linear classifier: score of kind k is bias[k] plus the sum of weight[k][feature] times count. `sha256` is the whole file's."""

    kinds: tuple[str, ...]
    version: str
    dimension: int
    bigrams: bool
    weight: tuple[array[float], ...]
    bias: array[float]
    sha256: str = ""


def _little_endian(numbers: array[float]) -> array[float]:
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers


def write(path: Path, weights: Weights) -> None:
    rows = [_little_endian(array("f", row)).tobytes() for row in (*weights.weight, weights.bias)]
    data = b"".join(rows)
    end = len(data) - len(rows[-1])
    header = {
        "__metadata__": {
            "kinds": ",".join(weights.kinds),
            "version": weights.version,
            "bigrams": str(weights.bigrams).lower(),
            "sha256": hashlib.sha256(data).hexdigest(),
        },
        "weight": {"dtype": "F32", "shape": [len(weights.kinds), weights.dimension], "data_offsets": [0, end]},
        "bias": {"dtype": "F32", "shape": [len(weights.kinds)], "data_offsets": [end, len(data)]},
    }
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


class DigestError(Exception):
    """A whole file, and not the one that was asked for."""


def read(path: Path, sha256: str = "") -> Weights:
    """The weights in a file; with `sha256` only where that is the digest of the file.

    Raises OSError where the file cannot be read, DigestError before anything of another file is looked at, SafetensorError where it is not what was
    written. The digest that a file carries in itself tells damage, and not who wrote it: whoever changes the numbers writes that one anew.
    """
    content = path.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if sha256 and found != sha256:
        raise DigestError(f"{path} is another file than MODEL_SHA256 names: expected sha256:{sha256}, found sha256:{found}")
    if len(content) < 8:
        raise SafetensorError("Error while deserializing header: header too small")
    (length,) = struct.unpack("<Q", content[:8])
    if length > _LONGEST_HEADER:
        raise SafetensorError("Error while deserializing header: header too large")
    if 8 + length > len(content):
        raise SafetensorError("Error while deserializing header: invalid header length")
    try:
        header = json.loads(content[8 : 8 + length])
        metadata, weight, bias = header["__metadata__"], header["weight"], header["bias"]
        kinds, dimension = tuple(metadata["kinds"].split(",")), int(weight["shape"][1])
        end = int(bias["data_offsets"][1])
    except (ValueError, KeyError, TypeError, IndexError):
        raise SafetensorError("Error while deserializing header: invalid JSON in header") from None
    data = content[8 + length :]
    if len(data) != end or end != 4 * len(kinds) * (dimension + 1):
        raise SafetensorError("Error while deserializing header: incomplete metadata, file not fully covered")
    if hashlib.sha256(data).hexdigest() != metadata.get("sha256"):
        raise SafetensorError(f"checksum mismatch: the file says sha256 {metadata.get('sha256')}, its tensors have another")
    numbers = array("f")
    numbers.frombytes(data)
    _little_endian(numbers)
    return Weights(
        kinds=kinds,
        version=str(metadata.get("version", "")),
        dimension=dimension,
        bigrams=metadata.get("bigrams") == "true",
        weight=tuple(numbers[row * dimension : (row + 1) * dimension] for row in range(len(kinds))),
        bias=numbers[len(kinds) * dimension :],
        sha256=found,
    )
