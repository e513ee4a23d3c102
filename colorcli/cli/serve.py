"""``colorize serve``: a service of this machine."""

from __future__ import annotations

import contextlib

import typer

from colorcli.cli import terminal
from colorcli.cli.options import Model, Quiet, configured, steerable
from colorcli.config.predict import PredictConfig
from colorcli.config.serving import ServeConfig
from colorcli.network.decoding import Knobs
from colorcli.system.errors import UsageError


@steerable
@configured(ServeConfig)
def serve(
    context: typer.Context, model: Model = "default", quiet: Quiet = False, *,
    config: ServeConfig, knobs: Knobs,
) -> None:  # fmt: skip
    """Colour what is sent to it: POST /colorize, a page at /, until Ctrl-C or SIGTERM."""
    knobs.suiting(distribution=True)
    try:
        from colorcli.extras.serving import server
        from colorcli.extras.serving.app import LOOPBACK, Limits, make
    except ModuleNotFoundError as error:
        raise UsageError(
            f"serve needs {error.name}, which is not installed; pip install 'colorcli[serve]'"
        ) from None
    if config.host not in LOOPBACK and not config.token:
        raise UsageError(
            f"--host {config.host}: others could ask there; give --token, or set COLORIZE_TOKEN"
        )
    listening = server.bound(config.host, config.port)
    from colorcli.colorizing.colorizer import Colorizer

    app = make(
        Colorizer(model, knobs), PredictConfig(max_megapixels=config.max_megapixels),
        limits=Limits(
            upload=config.max_upload * 1_000_000, seconds=config.timeout, workers=config.workers
        ),
        token=config.token, page=config.page, hosts=(config.host,),
    )  # fmt: skip
    if not quiet:
        host = f"[{config.host}]" if ":" in config.host else config.host
        port = listening.getsockname()[1]
        terminal.say(f"colorize: http://{host}:{port}/ colours; Ctrl-C ends it")
    with contextlib.suppress(KeyboardInterrupt), context.obj.deferred() as stop:
        server.serve(app, listening, stop)
