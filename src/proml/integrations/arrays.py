"""Arrays in memory as content: a NumPy array is the file that `numpy.save` makes of it, a sparse matrix some of these.

So the digest is that of a file which anybody can write and verify: `numpy.save("x.npy", x)`, `proml verify x.npy`. It
does not depend on how the array lies in memory (order of axes, byte order, gaps), only on type, shape and values. For
data frames see :mod:`proml.frames`.
"""

from __future__ import annotations

import hashlib
import io
from typing import TYPE_CHECKING, Any

from proml import frames
from proml.core.manifest import SINGLE_FILE, Manifest, Resource
from proml.errors import ContentError
from proml.integrations.session import framework

if TYPE_CHECKING:
    from collections.abc import Iterator

_KINDS = "biufcmMSU"  # of values whose bytes are all of them
_CHUNK_BYTES = 1 << 20


def content_of(data: Any) -> Manifest:
    """Returns the manifest of an array, a sparse matrix, a data frame, or of what NumPy makes an array of.

    Args:
        data: Its values are read, not copied, at most 1 MiB at once if it is an array.

    Raises:
        ContentError: It holds Python objects, whose bytes are not defined.
    """
    if frames.is_frame(data):
        return frames.manifest(data)
    if hasattr(data, "tocsr"):
        rows = data.tocsr(copy=True)
        rows.sum_duplicates()  # sorts, too
        parts = {"data.npy": rows.data, "indices.npy": rows.indices, "indptr.npy": rows.indptr}
        shape = framework("numpy", "sklearn").array(rows.shape, "<i8")
        return Manifest.of([_resource(name, part) for name, part in {**parts, "shape.npy": shape}.items()])
    return Manifest.of([_resource(SINGLE_FILE, data)])


def _resource(name: str, data: Any) -> Resource:
    numpy = framework("numpy", "sklearn")
    array = numpy.asarray(data)
    if array.dtype.kind not in _KINDS:
        raise ContentError(
            f"expected an array of numbers, times or text to hash; found one of type {array.dtype}.",
            hint="Convert it first, for example to a fixed type with .astype(…), or record the file it came from.",
        )
    array = array.astype(array.dtype.newbyteorder("<"), copy=False)
    header = io.BytesIO()
    description = {"descr": array.dtype.str, "fortran_order": False, "shape": array.shape}
    numpy.lib.format.write_array_header_1_0(header, description)
    hasher = hashlib.sha256(header.getvalue())
    for chunk in _chunks(numpy, array):
        hasher.update(chunk)
    return Resource(name, "sha256", hasher.digest(), len(header.getvalue()) + array.nbytes)


def _chunks(numpy: Any, array: Any) -> Iterator[Any]:
    """Yields the values in C order, as bytes."""
    if array.flags.c_contiguous:
        yield array.reshape(-1).view("u1")
        return
    count = max(1, _CHUNK_BYTES // max(1, array.nbytes // max(1, len(array))))
    for first in range(0, len(array), count):
        yield numpy.ascontiguousarray(array[first : first + count]).reshape(-1).view("u1")
