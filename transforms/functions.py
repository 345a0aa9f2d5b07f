"""A definition's own Python functions: what they get, what they may give, and what makes one of them another one.

A function gets Python values as boto3's deserialiser makes them, but for two things: a number is exact, however many digits it has, and
binary content is `bytes`. What it raises is never told, for its text may hold a value of the item; the type of the exception is.
"""

from __future__ import annotations

import dis
import hashlib
import re
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from enum import Enum
from functools import partial
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

from transforms.rejects import ErrorCode, ValueRefused
from transforms.values import ABSENT, MAX_NESTING, AttributeValue, check_number, first_fault, is_missing

# -- what a function gets ------------------------------------------------------------------------------------------------------------------


def to_python(value: object) -> Any:
    """An attribute value as Python's own; None for a missing one. Raises `ValueRefused` for what is no attribute value."""
    if is_missing(value):
        return None
    fault = first_fault(value, allow_nul=True)
    if fault is not None:
        raise fault
    return _to_python(value)


def _to_python(value: Any) -> Any:  # noqa: PLR0911 - one return a tag
    ((tag, content),) = value.items()
    match tag:
        case "N":
            return check_number(content)
        case "B":
            return _to_bytes(content)
        case "NULL":
            return None
        case "M":
            return {name: _to_python(member) for name, member in content.items()}
        case "L":
            return [_to_python(member) for member in content]
        case "SS":
            return set(content)
        case "NS":
            return {check_number(member) for member in content}
        case "BS":
            return {_to_bytes(member) for member in content}
    return content


def _to_bytes(text: str) -> bytes:
    try:
        return b64decode(text, validate=True)
    except (Base64Error, ValueError):
        message = "must be base64"
        raise ValueRefused(ErrorCode.INVALID_BASE64, message) from None


# -- what it gives -------------------------------------------------------------------------------------------------------------------------

_GIVES = "must give str, int, Decimal, bool, bytes, list, dict or None"


def of_python(value: object, depth: int = 0) -> AttributeValue:  # noqa: PLR0911 - one return a type
    """What a function gave as an attribute value. Raises `TypeError` for another type, and `ValueError` for what nests too deep."""
    if depth > MAX_NESTING:
        message = f"nested deeper than {MAX_NESTING} levels"
        raise ValueError(message)
    kind = type(value)
    if value is None:
        return {"NULL": True}
    if kind is str:
        return {"S": _sound(value)}
    if kind is bool:
        return {"BOOL": value}
    if kind is int or (isinstance(value, Decimal) and value.is_finite()):
        return {"N": str(value)}
    if isinstance(value, bytes):
        return {"B": b64encode(value).decode()}
    if isinstance(value, list):
        return {"L": [of_python(member, depth + 1) for member in value]}
    if isinstance(value, dict):
        return {"M": {_sound(name): of_python(member, depth + 1) for name, member in value.items()}}
    raise TypeError(_GIVES)


def _sound(text: Any) -> str:
    if type(text) is not str:
        raise TypeError(_GIVES)
    text.encode()
    return text


# -- the call ------------------------------------------------------------------------------------------------------------------------------


class ReadsRefused(Exception):
    """Attributes that a function reads are no attribute values, by their number."""

    def __init__(self, refusals: Mapping[int, ValueRefused]) -> None:
        super().__init__(refusals)
        self.refusals = refusals


def compile_call(function: Callable[[Mapping[str, Any]], Any], reads: Sequence[str]) -> Callable[[Sequence[object]], Any]:
    """The function of attribute values at the paths that it reads; raises `ValueError` for what is no function, or reads no paths.

    The function raises `ReadsRefused`, `ValueRefused` (`function_failed`), and `MemoryError`, which says nothing of the item.
    """
    if not callable(function) or isinstance(function, type):
        message = f"{function!r} is no function"
        raise ValueError(message)
    if not all(isinstance(path, str) for path in reads):
        message = f"reads must be paths, not {reads!r}"
        raise ValueError(message)
    name = name_of(function)

    def call(values: Sequence[object]) -> Any:
        content: dict[str, Any] = {}
        refusals = {}
        for number, (path, value) in enumerate(zip(reads, values, strict=True)):
            try:
                content[path] = to_python(value)
            except ValueRefused as refused:
                refusals[number] = refused
        if refusals:
            raise ReadsRefused(refusals)
        try:
            return function(content)
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001 - it is the user's code
            raise failed(name, f"raised {type(error).__name__}") from None

    return call


def compile_computed(function: Callable[[Mapping[str, Any]], Any], reads: Sequence[str]) -> Callable[[Sequence[object]], object]:
    """As `compile_call`, of a function whose result is an attribute value; `ABSENT` where it gives None."""
    call = compile_call(function, reads)
    name = name_of(function)

    def compute(values: Sequence[object]) -> object:
        result = call(values)
        try:
            return ABSENT if result is None else of_python(result)
        except TypeError:
            raise failed(name, f"gave {type(result).__name__}, or something in it: it {_GIVES}") from None
        except ValueError:
            raise failed(name, f"gave {type(result).__name__} that cannot be stored: nested too deep, or text that is no Unicode") from None

    return compute


def failed(name: str, words: str) -> ValueRefused:
    return ValueRefused(ErrorCode.FUNCTION_FAILED, f"the definition's function {name} {words}")


def name_of(function: Callable[..., Any]) -> str:
    """As messages have it, with its place in the user's own file."""
    function = function.func if isinstance(function, partial) else function
    name = getattr(function, "__qualname__", type(function).__qualname__)
    code = getattr(function, "__code__", None)
    if code is None:
        return name
    file = re.split(r"[\\/]", code.co_filename)[-1]
    return f"{name} ({file}, line {code.co_firstlineno})"


# -- fingerprints --------------------------------------------------------------------------------------------------------------------------


def text_of_function(function: Callable[..., Any], text_of: Callable[[object], str], seen: tuple[object, ...] = ()) -> str:
    """Text that is the same in every process, and another one where the function may do otherwise.

    It has the compiled code and what that names: constants, defaults, closures, nested functions, and globals of the function's own module,
    further functions among them. What is imported counts by its name. `text_of` is for other values.
    """

    def inner(value: object) -> str:
        return text_of_value(value, text_of, (*seen, function))

    if isinstance(function, partial):
        return f"partial({inner(function.func)}, {inner(function.args)}, {inner(function.keywords)})"
    if isinstance(function, MethodType):
        return f"method({inner(function.__func__)}, {inner(function.__self__)})"
    name = f"{getattr(function, '__module__', None)}.{function.__qualname__}"
    if isinstance(function, BuiltinFunctionType):
        owner = function.__self__
        return f"builtin {name}" if owner is None or isinstance(owner, ModuleType | type) else f"builtin {name} of {inner(owner)}"
    # The hash of our own rules' files has their code.
    if not isinstance(function, FunctionType) or name.startswith("transforms.rules.") or any(other is function for other in seen):
        return name
    cells = [inner(cell.cell_contents) for cell in function.__closure__ or () if _is_filled(cell)]
    names = sorted(set(_globals_of(function.__code__)) & function.__globals__.keys())
    known = [f"{name}={_of_global(function.__globals__[name], function, inner)}" for name in names]
    code = _text_of_code(function.__code__, inner, function.__doc__)
    parts = (code, inner(function.__defaults__), inner(function.__kwdefaults__), *cells, *known)
    return f"{name} {hashlib.sha256(chr(0).join(parts).encode(errors='surrogatepass')).hexdigest()}"


def text_of_value(value: object, text_of: Callable[[object], str], seen: tuple[object, ...] = ()) -> str:  # noqa: PLR0911 - one a type
    """Of what a function may name."""
    if isinstance(value, FunctionType | BuiltinFunctionType | MethodType | partial):
        return text_of_function(value, text_of, seen)
    if any(other is value for other in seen):
        return type(value).__qualname__
    inner = partial(text_of_value, text_of=text_of, seen=(*seen, value))
    match value:
        case None | bool() | int() | str() | bytes() | Decimal() | Enum():
            return f"{type(value).__qualname__} {value!r}"
        case tuple() | list():
            return f"{type(value).__qualname__}({', '.join(map(inner, value))})"
        case set() | frozenset():
            return f"set({', '.join(sorted(map(inner, value)))})"
        case dict():
            return f"dict({', '.join(f'{inner(key)}: {inner(member)}' for key, member in value.items())})"
        case re.Pattern():
            return f"pattern {value.pattern!r} {value.flags}"
        case CodeType():
            return _text_of_code(value, inner, None)
        case ModuleType():
            return f"module {value.__name__}"
        case type():
            return text_of_class(value, inner)
    # Of an object that says nothing of itself but where it is.
    return re.sub(r" at 0x[0-9a-fA-F]+", "", text_of(value))


def text_of_class(class_: type, inner: Callable[[object], str]) -> str:
    """A class of a user's own is what its methods do; one that is imported with ddb2pg or Python is what it is named."""
    name = f"{class_.__module__}.{class_.__qualname__}"
    if class_.__module__.partition(".")[0] in ("builtins", "transforms", "dataclasses", "enum", "decimal", "datetime"):
        return name
    methods = [f"{key}={inner(member)}" for key, member in sorted(vars(class_).items()) if _is_written(member)]
    return f"{name}({', '.join([*map(inner, class_.__bases__), *methods])})"


def _is_written(member: object) -> bool:
    """Not made by `dataclass` of the fields."""
    return isinstance(member, FunctionType) and not member.__code__.co_filename.startswith("<")


def _of_global(value: object, function: FunctionType, inner: Callable[[object], str]) -> str:
    """What another module defines is that module's; it is what it is named."""
    if isinstance(value, FunctionType) and value.__module__ != function.__module__:
        return f"{value.__module__}.{value.__qualname__}"
    return inner(value)


def _text_of_code(code: CodeType, inner: Callable[[object], str], doc: str | None) -> str:
    # A docstring is the first constant; no row depends on it.
    has_doc = doc is not None and code.co_consts[:1] == (doc,)
    constants = [*(["docstring"] if has_doc else []), *map(inner, code.co_consts[has_doc:])]
    arguments = (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags)
    return repr((code.co_code, code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars, arguments, constants))


def _globals_of(code: CodeType) -> Iterator[str]:
    """Names that are looked up in the module: those of attributes are not, though the code has them in one list."""
    yield from (str(step.argval) for step in dis.get_instructions(code) if step.opname in ("LOAD_GLOBAL", "LOAD_NAME"))
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _globals_of(constant)


def _is_filled(cell: Any) -> bool:
    try:
        cell.cell_contents  # noqa: B018 - an empty one raises
    except ValueError:
        return False
    return True
