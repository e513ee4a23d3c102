"""What rebuilds a network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from colorcli.config.choices import BACKBONE_NAMES, LOSS_NAMES
from colorcli.config.settings import value

MODEL_SCHEMA = 2
LARGEST_SIDE = 4096  # pixels of the square that a network may be asked to see
MOST_STAGES = 5  # of a decoder: they end at the resolution of L


@dataclass(frozen=True)
class ModelConfig:
    """What rebuilds a network, and nothing that training may change.

    ``size`` is the side in pixels of the square L the network sees when it colours; ``decoder``
    gives the width of each decoder stage, every stage doubling the resolution of the backbone's
    deepest feature map.
    """

    backbone: str = value("efficientnet-lite0", "Encoder.", choices=BACKBONE_NAMES)
    loss: str = value("classification", "Head and loss.", choices=LOSS_NAMES)
    size: int = value(
        224, "Side in pixels that the finished model sees.",
        least=32, most=LARGEST_SIDE, multiple=32,
    )  # fmt: skip
    decoder: tuple[int, ...] = value(
        (128, 96, 64), "Widths of the decoder's stages.", least=1, most=4096
    )

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> ModelConfig:
        """Rebuild from ``config.json``; raises ``TypeError`` on unknown or missing keys."""
        return cls(**{**values, "decoder": tuple(values["decoder"])})
