"""The service: where it listens, and for whom."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from colorcli.config.settings import WORKERS, value


@dataclass(frozen=True)
class ServeConfig:
    """Where the service listens, who may ask, and for how much."""

    host: str = value("127.0.0.1", "Address; any but this machine's own needs a token.")
    port: int = value(8017, "Port; 0: a free one.", least=0, most=65535)
    token: str | None = value(
        None, "Asked of everybody: Authorization: Bearer TOKEN.", environment="COLORIZE_TOKEN"
    )
    page: Path | None = value(None, "HTML file to show at /. [default: a form to send pictures]")
    max_upload: int = value(64, "Megabytes of the largest picture that is taken.", least=1)
    max_megapixels: int = value(100, "Refuse larger pictures.", least=1)
    timeout: float = value(30.0, "Seconds in which a picture must have come.", least=0.1)
    workers: int = value(
        0, "Photographs at once; 0: one for each core.", least=0, environment=WORKERS
    )
