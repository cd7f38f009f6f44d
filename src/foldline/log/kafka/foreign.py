"""Memory and functions of a C library, for use in loops: addresses are int64, and nothing checks them.

Each operation does the same where a loop runs as it stands, by ctypes.
"""

import ctypes
from typing import Any

from foldline.kernels import operation_like

_TIME = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p)
_CODE_OF_2 = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p, ctypes.c_void_p)
_CODE_OF_5 = ctypes.CFUNCTYPE(
    ctypes.c_int32, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p
)
_NOTHING = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


def _loaded(bits: int) -> Any:
    from llvmlite import ir  # type: ignore[import-untyped]  # ships no types
    from numba import types

    def generate(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        number = builder.load(builder.inttoptr(values[0], ir.IntType(bits).as_pointer()), align=1)
        return number if bits == 64 else builder.sext(number, ir.IntType(64))

    return types.int64(types.int64), generate


@operation_like(lambda address: ctypes.c_int64.from_address(int(address)).value)
def load_word(_context: Any, _address: Any) -> Any:
    """The int64 at an address."""
    return _loaded(64)


@operation_like(lambda address: ctypes.c_int32.from_address(int(address)).value)
def load_half(_context: Any, _address: Any) -> Any:
    """The int32 at an address."""
    return _loaded(32)


@operation_like(lambda address: ctypes.c_int8.from_address(int(address)).value)
def load_byte(_context: Any, _address: Any) -> Any:
    """The int8 at an address."""
    return _loaded(8)


def _copied(array: Any, place: int, address: int, size: int) -> None:
    ctypes.memmove(array.ctypes.data + int(place), int(address), int(size))


@operation_like(_copied)
def copy_in(_context: Any, array: Any, _place: Any, _address: Any, _size: Any) -> Any:
    """Copies so many bytes from an address into a uint8 array, which must have room for them."""
    from llvmlite import ir
    from numba import types

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, values[0]).data
        source = builder.inttoptr(values[2], ir.IntType(8).as_pointer())
        byte, word = source.type, values[3].type
        copy = builder.module.declare_intrinsic("llvm.memcpy", [byte, byte, word])
        volatile = ir.Constant(ir.IntType(1), 0)
        builder.call(copy, [builder.gep(data, [values[1]]), source, values[3], volatile])
        return context.get_dummy_value()

    return types.void(array, types.int64, types.int64, types.int64), generate


def _called(bits: int, count: int) -> Any:
    """A call of a function of `count` words; its integer result, none for 0 bits."""
    from llvmlite import ir
    from numba import types

    result, word = ir.IntType(bits) if bits else ir.VoidType(), ir.IntType(64)

    def generate(context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        form = ir.FunctionType(result, [word] * count)
        given = builder.call(builder.inttoptr(values[0], form.as_pointer()), values[1:])
        if not bits:
            return context.get_dummy_value()
        return given if bits == 64 else builder.sext(given, word)

    return (types.int64 if bits else types.void)(*[types.int64] * (1 + count)), generate


@operation_like(lambda function, *words: _TIME(int(function))(*map(int, words)))
def call_time(_context: Any, _function: Any, _message: Any, _kind: Any) -> Any:
    """`rd_kafka_message_timestamp`."""
    return _called(64, 2)


@operation_like(lambda function, *words: _CODE_OF_2(int(function))(*map(int, words)))
def call_code_2(_context: Any, _function: Any, _first: Any, _second: Any) -> Any:
    """A function of two addresses that gives an error code."""
    return _called(32, 2)


@operation_like(lambda function, *words: _CODE_OF_5(int(function))(*map(int, words)))
def call_code_5(_context: Any, _function: Any, _1: Any, _2: Any, _3: Any, _4: Any, _5: Any) -> Any:
    """A function of an address, a number and three addresses that gives an error code."""
    return _called(32, 5)


@operation_like(lambda function, address: _NOTHING(int(function))(int(address)))
def call_nothing(_context: Any, _function: Any, _address: Any) -> Any:
    """A function of one address that gives nothing."""
    return _called(0, 1)
