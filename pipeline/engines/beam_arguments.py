"""Beam's options as they stand on a command line, before Beam reads them."""

from __future__ import annotations

from collections.abc import Sequence


def is_given(arguments: Sequence[str], name: str) -> bool:
    """Whether an option is among arguments, in either spelling."""
    return any(argument.partition("=")[0] == f"--{name}" for argument in arguments)


def given_values(arguments: Sequence[str], *names: str) -> list[str]:
    """The values of an option that has these names, in their order: `--name=value` or `--name value`."""
    values = []
    for place, argument in enumerate(arguments):
        name, equals, value = argument.partition("=")
        if name.removeprefix("--") in names and name.startswith("--"):
            values.append(value if equals else "".join(arguments[place + 1 : place + 2]))
    return values


def given_number(arguments: Sequence[str], *names: str) -> int | None:
    """The value of an option that is a number, the last if there are several; None where it is not given."""
    numbers = [int(text) for text in given_values(arguments, *names) if text.isascii() and text.isdigit()]
    return numbers[-1] if numbers else None


def option_names(arguments: Sequence[str]) -> list[str]:
    """Options by their names only: what stands behind one may be a secret."""
    return [argument.partition("=")[0] for argument in arguments if argument.startswith("-")]
