"""What the service understands: parameters of a request, and their description for programs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from colorcli import __version__
from colorcli.config.predict import PredictConfig
from colorcli.imaging import writing
from colorcli.network.decoding import KNOBS, Knobs
from colorcli.system.errors import UsageError

FLAGS = {
    "keep_color": "Pass on what is in colour already.",
    "strip": "Leave EXIF, XMP, IPTC and DPI out.",
    "no_provenance": "Do not say that a model predicted the colours.",
}
FLIP = "flip_average"
_YES, _NO = ("1", "true", "yes", "on", ""), ("0", "false", "no", "off")
STATES = {
    400: "Parameters that cannot be.", 401: "The token is missing or wrong.",
    403: "A page of another site asks.", 408: "The picture came too slowly.",
    413: "The picture is larger than this service takes.",
    415: "The body is no picture by its content type.",
    422: "The picture is damaged, or cannot be coloured.",
    503: "Busy; try again after the seconds of Retry-After.",
}  # fmt: skip


@dataclass(frozen=True)
class Asked:
    """What a request wants beside its picture."""

    config: PredictConfig
    knobs: Knobs
    steered: bool


def _flag(name: str, text: str) -> bool:
    if text.lower() in _YES:
        return True
    if text.lower() in _NO:
        return False
    raise UsageError(f"{name}={text}: give 1 or 0")


def _number(name: str, text: str, kind: type) -> Any:
    try:
        return kind(text)
    except ValueError:
        raise UsageError(f"{name}={text}: give a number") from None


def asked(query: Mapping[str, str], config: PredictConfig, knobs: Knobs) -> Asked:
    """The parameters of a request, over the service's own. Raises ``UsageError``."""
    changes: dict[str, Any] = {}
    values: dict[str, Any] = {**knobs.values}
    flip, steered = knobs.flip_average, False
    for name, text in query.items():
        if name == "format":
            if text not in writing.FORMATS:
                raise UsageError(f"format={text}: unknown; known: {', '.join(writing.FORMATS)}")
            writing.check_format(text, f"format={text}")
            changes[name] = text
        elif name == "quality":
            changes[name] = _number(name, text, int)
            if not 1 <= changes[name] <= 100:
                raise UsageError(f"quality={text}: 1 to 100")
        elif name in FLAGS:
            changes[name] = _flag(name, text)
        elif name in KNOBS:
            values[name], steered = _number(name, text, float), True
        elif name == FLIP:
            flip, steered = _flag(name, text), True
        else:
            known = ", ".join(("format", "quality", *FLAGS, *KNOBS, FLIP))
            raise UsageError(f"{name}: unknown parameter; known: {known}")
    return Asked(replace(config, **changes), Knobs(flip_average=flip, **values), steered)


def _parameter(name: str, schema: dict[str, Any], about: str) -> dict[str, Any]:
    return {"name": name, "in": "query", "schema": schema, "description": about}


def openapi(knobs: Knobs, token: bool) -> dict[str, Any]:
    """OpenAPI 3.1 of the service."""
    parameters = [
        _parameter("format", {"enum": list(writing.FORMATS)}, "Of the result; else the source's."),
        _parameter("quality", {"type": "integer", "minimum": 1, "maximum": 100}, "Of lossy formats."),
        *(_parameter(name, {"type": "boolean"}, about) for name, about in FLAGS.items()),
        *(
            _parameter(
                k.name, {"type": "number", "minimum": k.least, "default": knobs.values.get(k.name, k.default)},
                k.help,
            )
            for k in KNOBS.values()
        ),
        _parameter(FLIP, {"type": "boolean"}, "Average with the mirrored picture's colours."),
    ]  # fmt: skip
    fault = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}}
    binary = {"schema": {"type": "string", "format": "binary"}}
    upload = {
        "type": "object", "required": ["picture"],
        "properties": {"picture": {"type": "string", "format": "binary"}},
    }  # fmt: skip
    operation: dict[str, Any] = {
        "operationId": "colorize", "summary": "A photograph in, the same in colour out.",
        "parameters": parameters,
        "requestBody": {
            "required": True,
            "content": {"image/*": binary, "application/octet-stream": binary,
                        "multipart/form-data": {"schema": upload}},
        },
        "responses": {
            "200": {"description": "The coloured picture.", "content": {"image/*": binary}},
            **{str(code): {"description": text, **fault} for code, text in STATES.items()},
        },
    }  # fmt: skip
    schemas = {
        "Error": {
            "type": "object", "required": ["error"], "properties": {"error": {"type": "string"}}
        }
    }  # fmt: skip
    components: dict[str, Any] = {"schemas": schemas}
    if token:
        operation["security"] = [{"token": []}]
        components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    return {
        "openapi": "3.1.0", "info": {"title": "colorize", "version": __version__},
        "paths": {"/colorize": {"post": operation}}, "components": components,
    }  # fmt: skip
