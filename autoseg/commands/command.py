"""Makes a command of a public function: its docstring and the bounds of its numbers come from its options' types."""

from __future__ import annotations

import functools
import inspect
import re
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Annotated, Any, TypeVar, cast, get_args, get_origin, get_type_hints

from cyclopts import Parameter

from autoseg.commands.option_bounds import refuse_out_of_bounds
from autoseg.machine.stop_answer import own_stops

Function = TypeVar("Function", bound=Callable[..., Any])


def command(function: Function) -> Function:
    """Complete the docstring of a command's function by its options, and refuse numbers beyond the options' bounds.

    Args:
        function: public function whose parameters have the types of `autoseg.commands.options`.

    Returns:
        The function with the same signature; it raises `InputError` for such a number before it does anything.
    """
    about, *rest = re.split(r"\n\n(?=Returns:|Raises:)", inspect.cleandoc(function.__doc__ or ""), maxsplit=1)
    types = types_of_options(function)
    arguments = [f"    {name} ({_type_text(hint)}): {option_of(hint).help}" for name, hint in types.items()]
    function.__doc__ = "\n\n".join([about, "\n".join(["Args:", *arguments]), *rest])
    signature = inspect.signature(function)

    @functools.wraps(function)
    def bounded(*positional: Any, **by_name: Any) -> Any:
        refuse_out_of_bounds(types, signature.bind(*positional, **by_name).arguments)
        with own_stops():
            return function(*positional, **by_name)

    return cast(Function, bounded)


def _type_text(hint: object) -> str:
    """The type of an option as Python writes it, such as `Path | str`, without what concerns the command line alone."""
    bare = get_args(hint)[0] if get_origin(hint) is Annotated else hint
    text = bare.__name__ if isinstance(bare, type) and not get_args(bare) else str(bare)
    return re.sub(r"\b(pathlib|collections\.abc|typing)\.", "", text)


def types_of_options(function: Callable[..., Any]) -> dict[str, Any]:
    """Return the types of a function's parameters; that of its result may need modules that take long to import."""
    written = {name: hint for name, hint in function.__annotations__.items() if name != "return"}
    return get_type_hints(SimpleNamespace(__annotations__=written), vars(sys.modules[function.__module__]), None, True)


def option_of(hint: object) -> Parameter:
    """Return what the type of an option says about the command line; nothing for other types."""
    found = get_args(hint)[1:] if get_origin(hint) is Annotated else ()
    return next((part for part in found if isinstance(part, Parameter)), Parameter())
