"""Pickle of a checkpoint, read without running it: which functions it calls, and how long it is.

``torch.load`` with ``weights_only`` runs no code of a stranger's. But it calls some functions that copy what they are
given, as often as a few bytes ask for it. A checkpoint of ``fit`` calls none of these.
"""

from __future__ import annotations

import pickletools
from typing import Any, Final

MAX_PICKLE_BYTES = 1 << 22  # without tensors; a vocabulary has at most 3 MiB
MAX_OPERATIONS = 1 << 20
EMPTY: Final = "collections OrderedDict"  # without arguments
CALLS = {
    "torch device",
    "torch.serialization _get_layout",
    *(f"torch._utils _rebuild_{name}" for name in ("tensor", "tensor_v2", "tensor_v3", "sparse_tensor", "parameter")),
}
PUT, GET = ("PUT", "BINPUT", "LONG_BINPUT"), ("GET", "BINGET", "LONG_BINGET")
BUILDS = ("NEWOBJ", "NEWOBJ_EX", "OBJ", "INST")
MARK, KEPT = object(), object()  # an opcode's mark; a value that is used again


def check_pickle(data: bytes) -> None:
    """Check the pickle of a checkpoint.

    Raises:
        ValueError: it is damaged or too long, or calls a function that no checkpoint of ``fit`` calls.
    """
    try:
        called = _first_unknown_call(data)
    except Exception:  # pickletools and an empty stack raise several types
        raise ValueError("its pickle is damaged or too long") from None
    if called:
        raise ValueError(f"it calls {called}, as no checkpoint does")


def _first_unknown_call(data: bytes) -> str:
    """Name of the first call that is not allowed, or empty. The stack has names of globals, and sizes of tuples."""
    stack: list[Any] = []
    memo: dict[Any, Any] = {}
    for number, (opcode, argument, _) in enumerate(pickletools.genops(data)):
        if number > MAX_OPERATIONS:
            raise ValueError
        if opcode.name in PUT:
            memo[argument] = stack[-1]
            continue
        if opcode.name in GET:
            stack.append(memo[argument] if isinstance(memo[argument], str) else KEPT)
            continue
        found = _pop(stack, opcode)
        if opcode.name == "REDUCE":
            function, arguments = found
            if not (function == EMPTY and arguments == 0) and not (function in CALLS and type(arguments) is int):
                return str(function) if isinstance(function, str) else "something"
        if opcode.name in BUILDS or (opcode.name == "BUILD" and found[-1] is KEPT):
            return "a constructor"
        if opcode.name == "MARK":
            stack.append(MARK)
        elif opcode.name == "GLOBAL":
            stack.append(argument)
        elif "TUPLE" in opcode.name:
            stack.append(len(found))
        else:
            stack += [None] * len(opcode.stack_after)
    return ""


def _pop(stack: list[Any], opcode: pickletools.OpcodeInfo) -> list[Any]:
    """Pop what an opcode takes, in its order; a mark itself is left out."""
    found: list[Any] = []
    takes = list(opcode.stack_before)
    if pickletools.markobject in takes:
        while (value := stack.pop()) is not MARK:
            found.append(value)
        takes = takes[: takes.index(pickletools.markobject)]
    found += [stack.pop() for _ in takes]
    return found[::-1]
