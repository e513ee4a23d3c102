"""A film from its container to one in colour."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any, BinaryIO

import numpy as np

from colorcli.color.tone import is_colour
from colorcli.colorizing.kind import Task
from colorcli.colorizing.result import Result, Stopwatch
from colorcli.config.predict import FilmConfig
from colorcli.extras.video.colouring import Means
from colorcli.extras.video.containers import reading
from colorcli.extras.video.containers.formats import Container, Encoder, asked, chosen
from colorcli.extras.video.containers.frames import Layout, layout
from colorcli.extras.video.containers.reading import Film, is_frame, turns
from colorcli.extras.video.containers.writing import Writer
from colorcli.extras.video.following import Glance, followed, moments
from colorcli.extras.video.steady import Look
from colorcli.system.files.delivery import delivered
from colorcli.system.native import give_back_large_blocks
from colorcli.system.parallel import Stopped, in_order

PROBES = 9  # frames by which a film is judged to be in colour already
TOLD = 10  # frames between two reports of progress


def coloured(
    task: Task, source: str | BinaryIO, config: FilmConfig, container: Container
) -> Result:
    """Colour a film, which FFmpeg reads from ``source``, into ``container``; see ``Kind.colour``."""
    name = task.job.source.path
    with Film(source, name) as film:
        film.check(task.config.max_pixels)
        give_back_large_blocks()
        with delivered(task.job.target) as file:
            if task.config.keep_color and in_colour(name):
                return _kept(task, film, file, container)
            return _Run(task, film, config, container).written(file, source)


# --- in colour already -------------------------------------------------------------------------


def in_colour(name: str) -> bool:
    """Whether most of a few frames all over a film hold more than grays of one tone."""
    with Film(name, name) as film:
        colourful = [is_colour(rgb) for rgb in _samples(film)]
    return sum(colourful) * 2 > len(colourful)


def _samples(film: Film) -> Iterator[np.ndarray]:
    with reading.failures(film.name):
        for index in range(PROBES):
            if film.seconds:
                at = film.seconds * (index + 0.5) / PROBES * 1_000_000
                film.container.seek(int(at) + (film.container.start_time or 0))
            frame = next(iter(film.container.decode(film.video)), None)
            if frame is None:
                return
            yield frame.reformat(width=128, height=128, format="rgb24").to_ndarray()


def _kept(task: Task, film: Film, file: BinaryIO, container: Container) -> Result:
    """Pass a film on: the very file, or its packets in another container."""
    source = os.path.splitext(task.job.source.path)[1].lower()
    width, height = film.size
    if source == os.path.splitext(task.job.target)[1].lower() and not task.config.strip:
        with open(task.job.source.path, "rb") as original:
            shutil.copyfileobj(original, file, 1 << 20)
        notes: tuple[str, ...] = ()
    else:
        with Writer(file, film, container, None, strip=task.config.strip) as writer:
            notes = writer.remuxed()
    return Result(
        task.job.source.path, None, "kept", width=width, height=height,
        frames=film.frames or None, notes=notes,
    )  # fmt: skip


# --- colouring ---------------------------------------------------------------------------------


class _Run:
    """One film on its way: decoded, coloured on threads, held steady, painted on threads, encoded.

    What is not pictures is passed on as it is met. All that waits is bounded: a few frames for
    each worker, and those the stabiliser waits for.
    """

    def __init__(self, task: Task, film: Film, config: FilmConfig, container: Container) -> None:
        self._task, self._film, self._config, self._container = task, film, config, container
        self._means = Means(task.colorizer, config.steady, task.workers, task.stop)
        self._clock = Stopwatch()
        self._layout: Layout
        self._writer: Writer

    def written(self, file: BinaryIO, source: str | BinaryIO) -> Result:
        """Colour it into ``file``; where moments of it are known, ``source`` is read twice."""
        film, encoder = self._film, self._encoder()
        quality = self._task.config.quality
        items = film.read(self._config.limit_seconds)
        early: list[Any] = []  # packets before the first frame
        for first in items:  # there is a frame: films without are refused
            if is_frame(first):
                break
            early.append(first)
        self._layout = layout(first, encoder, film.name)
        self._plan(source)
        strip = self._task.config.strip
        config = self._task.config
        origin = None if config.no_provenance else self._task.colorizer.origin
        self._writer = Writer(file, film, self._container, encoder, strip=strip, origin=origin)
        threads = self._task.config.workers
        with self._writer as writer:
            writer.begin(first, self._layout, encoder.settings(quality), threads)
            for packet in early:
                writer.packet(packet)
            count, shots = self._all(self._frames(first, items), film.frames)
            writer.finish()
        self._clock("encode")
        notes = (*self._noted(encoder, quality), *film.notes, *writer.notes)
        result = Result(
            film.name, None, "done", width=first.width, height=first.height, frames=count,
            milliseconds=self._clock.spent, notes=notes, shots=shots,
            provenance=origin.told() if origin else None,
        )  # fmt: skip
        return self._means.plan.on(result)

    def _encoder(self) -> Encoder:
        if self._config.video_codec is not None:
            return asked(self._config.video_codec)
        return chosen(self._container, self._film.video.codec_context.codec.canonical_name)

    def _noted(self, encoder: Encoder, quality: int | None) -> Iterator[str]:
        codec = self._film.video.codec_context.codec.canonical_name
        if self._config.video_codec is None and codec not in encoder.families:
            yield f"its {codec} is written as {encoder.families[0]}; --video-codec chooses another"
        if quality is not None and encoder.scale is None and self._config.video_codec is None:
            yield f"--quality does nothing: {encoder.name} has none"
        yield from self._layout.notes

    def _frames(self, first: Any, items: Iterator[Any]) -> Iterator[Any]:
        """The frames as they are worked with; packets go to the writer in passing."""
        yield self._layout.taken(first)
        for item in items:
            if self._task.stop.is_set():
                raise Stopped
            if is_frame(item):
                self._clock("decode")
                yield self._layout.taken(item)
            else:
                self._writer.packet(item)

    def _plan(self, source: str | BinaryIO) -> None:
        """Follow what is known of the film's moments through their shots."""
        colorizer, name = self._task.colorizer, self._film.name
        known = moments(colorizer.hand.of_film(name), colorizer.stills)
        if known:
            with Film(source, name) as film:
                plan = followed(known, self._glances(film), colorizer)
            if self._config.limit_seconds is None:
                plan.check()
            self._means = replace(self._means, plan=plan)

    def _glances(self, film: Film) -> Iterator[Glance]:
        frames = filter(is_frame, film.read(self._config.limit_seconds))
        for index, frame in enumerate(map(self._layout.taken, frames)):
            if self._task.stop.is_set():
                raise Stopped
            seconds = float(frame.pts * frame.time_base) - film.start
            yield self._means.glance(self._gray(frame), seconds, index, turns(frame))

    def _gray(self, frame: Any) -> np.ndarray:
        return self._layout.codes.gray(self._layout.luma(frame))

    def _look(self, item: tuple[int, Any]) -> Look:
        index, frame = item
        seconds = float(frame.pts * frame.time_base)
        return self._means.look(self._gray(frame), seconds, frame, index=index, turns=turns(frame))

    def _painted(self, seen: tuple[Look, np.ndarray]) -> Any:
        look, ab = seen
        return self._layout.painted(look.frame, ab)

    def _all(self, frames: Iterator[Any], total: int) -> tuple[int, int]:
        """Colour and encode; how many frames and shots there were."""
        means, task = self._means, self._task
        size = self._film.size[0] * self._film.size[1] * (2 if self._layout.codes.bits > 8 else 1)
        steadied = means.steadied(size * 3 // 2)
        with closing(means.looks(enumerate(frames), self._look)) as looks:
            seen = steadied(looks)
            coloured = in_order(
                self._painted, seen, threads=task.workers, window=task.workers + 1, stop=task.stop
            )
            count = 0
            with closing(coloured):
                for count, frame in enumerate(coloured, 1):
                    self._clock("network")
                    self._writer.frame(frame)
                    self._clock("encode")
                    if count % TOLD == 0:
                        task.progress(count, max(count, total))
        if task.stop.is_set():
            raise Stopped
        return count, steadied.shots
