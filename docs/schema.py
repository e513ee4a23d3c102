"""Print docs/eval-schema.json with the metrics that are in evaluation/metrics.py.

The rest of it is written by hand, there.
"""

import json
from pathlib import Path

from colorcli.evaluation.metrics import METRICS, Metric

SCHEMA = Path(__file__).with_name("eval-schema.json")


def said(name: str, metric: Metric) -> str:
    """A metric's definition in one line."""
    asked = f"; with --with {name}" if metric.load else ""
    return f"{' in '.join(filter(None, (metric.title, metric.unit)))}: {metric.note}{asked}"


def described() -> dict[str, object]:
    """The metrics of a row: all that need no network, and those that were asked for."""
    return {
        "type": "object",
        "additionalProperties": False,
        "required": [name for name, metric in METRICS.items() if not metric.load],
        "properties": {
            name: {"$ref": "#/$defs/stat", "description": said(name, metric)}
            for name, metric in METRICS.items()
        },
    }


if __name__ == "__main__":
    schema = json.loads(SCHEMA.read_text("utf-8"))
    schema["$defs"]["row"]["properties"]["metrics"] = described()
    print(json.dumps(schema, ensure_ascii=False, indent=1))
