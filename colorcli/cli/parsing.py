"""What the parser makes of values, without Typer's pydantic, which takes 0.1 s to load."""

from __future__ import annotations

import functools
import re
from typing import Any, Literal, get_args, get_origin

from typer.core import TyperCommand

_NUMBER = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,15})?")


class _Plain:
    """What a parameter's values become.

    Pydantic is asked where there is something to convert or to refuse, and so in few calls.
    """

    def __init__(self, parameter: Any) -> None:
        self._typers = parameter.get_runtime_param  # makes it
        told = parameter.type_descriptor
        self._kind, self._about = told.annotation, told.parameter_info
        self._many = parameter.multiple or parameter.nargs == -1

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        """The value; raises Typer's error."""
        if value is None:
            return () if self._many else None
        if self._about.parser is None:
            if self._kind == list[str] and isinstance(value, list | tuple):
                return [*value]
            if self._kind is str and isinstance(value, str | int):
                return str(value)
            if get_origin(self._kind) is Literal and value in get_args(self._kind):
                return value
            number = self._number(value)
            if number is not None:
                return number
        return self._typers().coerce(value, param=param, ctx=ctx)

    def _number(self, value: Any) -> float | int | None:
        """A number within its limits; None for all else."""
        if isinstance(value, str) and self._kind in (int, float) and _NUMBER.fullmatch(value):
            value = self._kind(value) if self._kind is float or "." not in value else None
        if type(value) is not self._kind or self._kind not in (int, float):
            return None
        least, most = self._about.min, self._about.max
        fits = (least is None or value >= least) and (most is None or value <= most)
        return value if fits else None


def plainly(parameters: list[Any]) -> list[Any]:
    """Parameters of Typer's that ask pydantic only where they must."""
    for parameter in parameters:
        own = vars(parameter)
        if hasattr(parameter, "get_runtime_param") and "get_runtime_param" not in own:
            own["get_runtime_param"] = functools.partial(_itself, _Plain(parameter))
    return parameters


def _itself(plain: _Plain) -> _Plain:
    return plain


class Command(TyperCommand):
    """A command of Typer's, with values taken ``plainly``."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Its parameters, that of the help among them."""
        return plainly(super().get_params(ctx))
