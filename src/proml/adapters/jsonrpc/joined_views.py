"""Many views of one contract in one ``eth_call``, by a program that exists only while it is answered.

A client sets up a state for every ``eth_call`` (0.2 ms in go-ethereum), and services that sell access count each. The
program is handed in as the code of a contract to be created: it calls the contract for each view, and reverts with all
that came back. A revert, because what a creation returns would be held against the limit of a contract's size.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from proml.adapters.jsonrpc.endpoint import RpcError
from proml.adapters.jsonrpc.refusals import revert_of
from proml.adapters.jsonrpc.transport import TimedOut, TooLarge
from proml.core.words import address_bytes
from proml.ports import Reverted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from proml.adapters.jsonrpc.endpoint import EndPoints
    from proml.asking import Question

_WORTH_IT = 8
"""From how many views on they are joined."""
_MOST_BYTES = 40_000
"""Call data in one program: code of a creation has at most 49,152 bytes (EIP-3860)."""
_WORD = 32
_HEADER = 2 * _WORD  # before what came back: whether the call succeeded, and the size in bytes


class JoinedViews:
    """Asks end points for many views at once, and remembers which of them cannot.

    Args:
        end_points: Who is asked.
    """

    def __init__(self, end_points: EndPoints) -> None:
        self._end_points = end_points
        self._unable: set[str] = set()

    def ask(self, questions: Sequence[Question]) -> dict[Question, bytes | Reverted]:
        """Returns what views returned, or their reverts, as far as they could be asked for together.

        Raises:
            UnreachableError: No answer.
        """
        alike: dict[tuple[str, int], list[Question]] = {}
        for question in dict.fromkeys(questions):
            if question.method == "view":
                to, data = _arguments(question)
                alike.setdefault((to, len(data)), []).append(question)
        found: dict[Question, bytes | Reverted] = {}
        for (to, size_bytes), some in alike.items():
            at_once = _MOST_BYTES // max(1, size_bytes)
            for start in range(0, len(some), max(1, at_once)):
                found |= self._ask(to, some[start : start + at_once])
        return found

    def _ask(self, to: str, questions: Sequence[Question]) -> dict[Question, bytes | Reverted]:
        if len(questions) < _WORTH_IT or self._end_points.where in self._unable:
            return {}
        code = program(address_bytes(to), [_arguments(question)[1] for question in questions])
        try:
            self._end_points.request("eth_call", {"data": f"0x{code.hex()}"}, "latest")
        except RpcError as error:
            reverted = revert_of(error)
            answers = read_answers(reverted.data, len(questions)) if reverted is not None else None
            if answers is not None:
                return {q: a for q, a in zip(questions, answers, strict=True) if a is not None}
        except (TooLarge, TimedOut):
            pass
        self._unable.add(self._end_points.where)
        return {}


def _arguments(question: Question) -> tuple[str, bytes]:
    to, data = question.arguments
    assert isinstance(to, str)
    assert isinstance(data, bytes)
    return to, data


def program(target: bytes, calls: Sequence[bytes]) -> bytes:
    """Returns code that calls a contract with each of the call data and reverts with what came back.

    Args:
        target: The contract's 20 bytes.
        calls: Call data, all of one length.
    """
    each, total = len(calls[0]), sum(map(len, calls))
    # Memory: the call data, and from `total` on what came back. Stack, the top on the right: [out, in], both offsets.
    loop = b"".join(
        (
            _JUMPDEST,
            _push(0), _push(0), _push(each), _DUP4, _push_bytes(target), _GAS, _STATICCALL,  # [out, in, succeeded]
            _DUP3, _MSTORE,
            _RETURNDATASIZE, _DUP3, _push(_WORD), _ADD, _MSTORE,
            _RETURNDATASIZE, _push(0), _DUP4, _push(_HEADER), _ADD, _RETURNDATACOPY,
            _SWAP1, _RETURNDATASIZE, _ADD, _push(_HEADER), _ADD, _SWAP1,  # [out + header + size, in]
            _push(each), _ADD,
            _push(total), _DUP2, _LT,  # [out, in, in < total]
        )
    )  # fmt: skip
    end = b"".join((_POP, _push(total), _SWAP1, _SUB, _push(total), _REVERT))
    copy = [_push(total), _push(0), _push(0), _CODECOPY, _push(total), _push(0)]
    start = sum(map(len, copy))
    jump = _push(start) + _JUMPI
    copy[1] = _push(start + len(loop) + len(jump) + len(end))  # where the call data begins
    return b"".join((*copy, loop, jump, end, *calls))


def read_answers(data: bytes, count: int) -> list[bytes | Reverted | None] | None:
    """Returns what a program of so many calls reverted with; None if it is nothing of the kind.

    None in the list stands for a call that failed without data: it may just have had too little gas.
    """
    try:
        found = list(itertools.islice(_answers(data), count + 1))
    except ValueError:
        return None
    return found if len(found) == count else None


def _answers(data: bytes) -> Iterator[bytes | Reverted | None]:
    position = 0
    while position < len(data):
        succeeded, size = (int.from_bytes(data[start : start + _WORD], "big") for start in (position, position + _WORD))
        position += _HEADER + size
        if position > len(data) or succeeded > 1:
            raise ValueError("cut off, or no such answer")
        answer = data[position - size : position]
        yield answer if succeeded else Reverted(answer) if answer else None


def _push(number: int) -> bytes:
    """Returns the code that pushes a number below 65,536, always of one length."""
    return b"\x61" + number.to_bytes(2, "big")


def _push_bytes(data: bytes) -> bytes:
    return bytes([0x5F + len(data)]) + data


_ADD, _SUB, _LT = b"\x01", b"\x03", b"\x10"
_CODECOPY, _RETURNDATASIZE, _RETURNDATACOPY = b"\x39", b"\x3d", b"\x3e"
_POP, _MSTORE, _JUMPI, _GAS, _JUMPDEST = b"\x50", b"\x52", b"\x57", b"\x5a", b"\x5b"
_DUP2, _DUP3, _DUP4, _SWAP1 = b"\x81", b"\x82", b"\x83", b"\x90"
_STATICCALL, _REVERT = b"\xfa", b"\xfd"
