"""Eight bytes at a time: the few machine operations that numba lacks and the record kernels stand on.

All take and give `uint64`; mixing it with signed integers would make floats. Words are little-endian on every
machine: byte k of the text is bits 8k to 8k + 7.
"""

import sys
from typing import Any

import numpy as np

from foldline.kernels import Bytes, Int, operation, operation_like, part


@operation
def load64(_context: Any, array: Any, _index: Any) -> Any:
    """The eight bytes of `array` at `index`; the caller has checked that they are within it."""
    from llvmlite import ir  # type: ignore[import-untyped]  # ships no types
    from numba import types

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, values[0]).data
        pointer = builder.bitcast(builder.gep(data, [values[1]]), ir.IntType(64).as_pointer())
        word = builder.load(pointer, align=1)
        return word if sys.byteorder == "little" else builder.bswap(word)

    return types.uint64(array, types.int64), generate


@operation
def store64(_context: Any, array: Any, _index: Any, _word: Any) -> Any:
    """Writes eight bytes into `array` at `index`; the caller has checked that they are within it."""
    from llvmlite import ir
    from numba import types

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, values[0]).data
        pointer = builder.bitcast(builder.gep(data, [values[1]]), ir.IntType(64).as_pointer())
        word = values[2] if sys.byteorder == "little" else builder.bswap(values[2])
        builder.store(word, pointer, align=1)
        return context.get_dummy_value()

    return types.void(array, types.int64, types.uint64), generate


class _Text:
    """Bytes at an address, as numpy takes them."""

    def __init__(self, address: int, size: int) -> None:
        self.__array_interface__ = {
            "data": (address, True),
            "shape": (size,),
            "typestr": "|u1",
            "version": 3,
        }


@operation_like(lambda address, size: np.asarray(_Text(int(address), int(size))))
def text_at(_context: Any, _address: Any, _size: Any) -> Any:
    """The bytes at an address as a (size,) uint8 array; who calls keeps that memory."""
    from llvmlite import ir
    from numba import types

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        array = context.make_array(signature.return_type)(context, builder)
        one = ir.Constant(ir.IntType(64), 1)
        context.populate_array(
            array,
            data=builder.inttoptr(values[0], ir.IntType(8).as_pointer()),
            shape=[values[1]],
            strides=[one],
            itemsize=one,
            meminfo=None,
        )
        return array._getvalue()  # noqa: SLF001 - numba's structures have no other way out

    return types.Array(types.uint8, 1, "C", readonly=True)(types.int64, types.int64), generate


@operation
def low_zeros(_context: Any, _word: Any) -> Any:
    """How many zero bits stand below the lowest one bit; 64 for zero."""
    from llvmlite import ir
    from numba import types

    def generate(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        return builder.cttz(values[0], ir.Constant(ir.IntType(1), 0))

    return types.uint64(types.uint64), generate


@operation
def high_zeros(_context: Any, _word: Any) -> Any:
    """How many zero bits stand above the highest one bit; 64 for zero."""
    from llvmlite import ir
    from numba import types

    def generate(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        return builder.ctlz(values[0], ir.Constant(ir.IntType(1), 0))

    return types.uint64(types.uint64), generate


@operation
def high_product(_context: Any, _left: Any, _right: Any) -> Any:
    """The upper 64 bits of the 128-bit product."""
    from llvmlite import ir
    from numba import types

    wide = ir.IntType(128)

    def generate(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        left, right = (builder.zext(value, wide) for value in values)
        return builder.trunc(builder.lshr(builder.mul(left, right), ir.Constant(wide, 64)), ir.IntType(64))

    return types.uint64(types.uint64, types.uint64), generate


@operation
def as_float(_context: Any, _word: Any) -> Any:
    """The float64 with these bits."""
    from llvmlite import ir
    from numba import types

    def generate(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        return builder.bitcast(values[0], ir.DoubleType())

    return types.float64(types.uint64), generate


@part
def word_at(buffer: Bytes, index: Int, stop: Int) -> Any:
    """The eight bytes at `index`, zeros beyond `stop`; `stop` is the buffer's length."""
    if index + 8 <= stop:
        return load64(buffer, index)
    word = np.uint64(0)
    for place in range(min(8, stop - index)):
        word |= np.uint64(buffer[index + place]) << np.uint64(8 * place)
    return word
