"""``Colorizer``: image in, image out; what ``predict``, ``eval`` and ``export`` all use."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Protocol, overload

import numpy as np

from colorcli.color.lab import gray_to_L, join, neutral, tables
from colorcli.colorizing import framing
from colorcli.colorizing.hand import guided
from colorcli.colorizing.hand import reference as references
from colorcli.colorizing.hand.guidance import Guidance
from colorcli.colorizing.hand.hint import Hint, Known, placed
from colorcli.colorizing.hand.likeness import Square
from colorcli.colorizing.hand.reference import Reference, References
from colorcli.colorizing.scans import quads
from colorcli.colorizing.scans.records import Given
from colorcli.colorizing.scans.windows import View, Window, joined, stood, view
from colorcli.config.choices import DEVICES
from colorcli.config.predict import REGIONS, STRENGTH, ScansConfig
from colorcli.imaging.tags.origin import Origin
from colorcli.network.decoding import Knobs, after, confidence, distribution
from colorcli.network.runtimes import ENGINES, Opened, open_model
from colorcli.system.errors import ImageError, UsageError
from colorcli.system.parallel import cores, in_order

if TYPE_CHECKING:
    from PIL import Image

Hints = Iterable[str | tuple[Any, ...] | Hint]  # as a caller gives them


class Colours(Protocol):
    """What colours a photograph: a ``Colorizer``, or one for this photograph that stands before it."""

    @property
    def side(self) -> int:
        """See ``Colorizer``."""

    @property
    def origin(self) -> Origin | None:
        """See ``Colorizer``."""

    def view(
        self, gray: np.ndarray, *, size: tuple[int, int] | None = None, name: str = "-",
        page: tuple[int, int] = (1, 1),
    ) -> View:  # fmt: skip
        """See ``Colorizer``."""

    def ab_of(self, view: View) -> np.ndarray:
        """See ``Colorizer``."""


@dataclass(frozen=True)
class Predicted:
    """ab (h, w, 2) float32 and ``confidence`` (h, w) float32 in 0…1.

    The latter is that of ``decoding.confidence``, of the distribution before any knob.
    """

    ab: np.ndarray
    confidence: np.ndarray


def _shares(opened: Opened) -> np.ndarray:
    """The distribution (s, s, Q) of the last run."""
    logits = opened.engine.logits()
    assert logits is not None
    return distribution(logits, np)


def _with_confidence(square: Square) -> Square:
    """ab (s, s, 3): its third plane says how sure the model is."""
    assert square.shares is not None
    return replace(square, ab=np.dstack([square.ab, confidence(square.shares, np)]))


class Colorizer:
    """A model with its knobs, ready to colour. Serves any number of threads.

    >>> from colorcli import Colorizer
    >>> colorizer = Colorizer("default")
    >>> colorizer(Image.open("photo.jpg")).save("colour.jpg")
    >>> colours = colorizer(gray)  # NumPy (H, W) uint8 or uint16 to (H, W, 3) of the same dtype
    >>> for image in colorizer.map(Image.open(path) for path in paths): ...
    """

    def __init__(
        self, model: str | Path = "default", knobs: Knobs = Knobs(), *, device: str = "auto",
        scans: ScansConfig = ScansConfig(), hand: Guidance = Guidance(),
    ) -> None:  # fmt: skip
        """Load ``model`` (a bundled name, a model folder, a training run or an exported file) for ``device``.

        ``scans``: how photographs in a scan are seen; ``hand``: what is known of files' colours,
        and what they are to be like. Raises ``ModelError``, and ``UsageError`` for knobs out of range or that this model lacks,
        for an unknown device and for a GPU that is not there.
        """
        if device not in ENGINES:
            raise UsageError(f"unknown device {device!r}; known: {', '.join(DEVICES)}")
        tables()
        self._first = open_model(model, device)
        self.scans, self.hand = scans, hand
        self._given = None if scans.regions in REGIONS else Given(scans.regions)
        self.knobs = knobs.suiting(self._first.engine.distribution)
        self.origin = self._origin()
        self._idle: SimpleQueue[Opened] = SimpleQueue()
        self._idle.put(self._first)
        self._references = None if hand.reference is None else self.reference(hand.reference)
        self.stills = [(at, self.reference(one).only(hand.share)) for at, one in hand.stills]

    def steered(self, knobs: Knobs) -> Colorizer:
        """The same model under other ``knobs``; it shares the engines. Raises ``UsageError``."""
        twin = copy.copy(self)
        twin.knobs = knobs.suiting(self.distribution)
        twin.origin = twin._origin()
        return twin

    @property
    def side(self) -> int:
        """Side in pixels of the square L that the network is shown."""
        return self._first.engine.size

    def _origin(self) -> Origin:
        """What its pictures can say of where their colours come from."""
        opened, knobs = self._first, self.knobs
        return Origin(model=opened.name, digest=opened.digest, knobs=knobs.told())

    @property
    def distribution(self) -> bool:
        """Whether the model predicts how likely colours are, and so can say how sure it is."""
        return self._first.engine.distribution

    def view(
        self, gray: np.ndarray, *, size: tuple[int, int] | None = None, name: str = "-",
        page: tuple[int, int] = (1, 1),
    ) -> View:  # fmt: skip
        """What the network is to see of gray (H, W) uint8 or uint16, ``page`` of so many of the photograph ``name``.

        A huge picture of ``size`` (width, height) may be given ``framing.halved`` by
        ``framing.halvings``, strip by strip. Raises ``UsageError`` where regions or hints given for it
        lie outside.
        """
        size, given = size or (gray.shape[1], gray.shape[0]), self._given
        regions = given.of(name, size) if given else None
        turn = given.turn(name) if given else None
        found = view(gray, self.side, self.scans, size=size, given=regions, turn=turn or 0)
        head = self._first.head
        if head is not None and turn is None and self.scans.regions != "none":
            found = stood(found, self._look, head.sure, self.scans.squares)
        found = self.like(found)
        return self._told(found, self.hand.of(name, size, page))

    def reference(self, source: Reference) -> References:
        """What a photograph in colour, or a folder of them, teaches: for any number of calls.

        Raises ``UsageError`` where there is no such photograph, and for a model without a
        distribution, by which likeness is told.
        """
        if isinstance(source, References):
            return source
        self.require_distribution("tell what is like a reference")
        return references.opened(source, self.side, self._square)

    def like(self, view: View) -> View:
        """A view, of a frame too, with the colours of the reference that was given for all, if any."""
        return self._lent(view, self._references, self.hand.strength)

    def look(self, view: View) -> Square:
        """What is made of the whole of a view that is one photograph, before what is known of it."""
        return self._look(view, 0)

    def _lent(self, view: View, known: References | None, strength: float) -> View:
        """A view with the colours of the nearest of some references."""
        references.check_strength(strength)
        return view if known is None else guided.lent(view, known, strength, self._look)

    def _told(self, view: View, known: Sequence[Known]) -> View:
        """A view with colours that are known; ``UsageError`` where one is of no photograph in it."""
        if not known:
            return view
        guided.check(view, known)
        notes = guided.notes(view, known, self.distribution)
        return replace(view, known=(*view.known, *known), notes=(*view.notes, *notes))

    def ab(self, gray: np.ndarray) -> np.ndarray:
        """Predicted ab (h, w, 2) float32 of gray (H, W) uint8 or uint16, to be stretched over it."""
        return self.ab_of(self.view(gray))

    def ab_of(self, view: View) -> np.ndarray:
        """Predicted ab (h, w, 2) float32 of a picture, by what is to be seen of it."""
        return self._seen(view, sure=False)

    def predicted(self, gray: np.ndarray) -> Predicted:
        """Like ``ab``, with how sure the model is, by the same run of the network.

        Raises ``UsageError`` for a model that gives no distribution.
        """
        return self.predicted_of(self.view(gray))

    def predicted_of(self, view: View) -> Predicted:
        """Like ``ab_of``, with how sure the model is; raises as ``predicted``."""
        self.require_distribution()
        found = self._seen(view, sure=True)
        return Predicted(np.ascontiguousarray(found[..., :2]), np.clip(found[..., 2], 0, 1))

    def require_distribution(self, to: str = "say how sure it is") -> None:
        """Raise ``UsageError`` for a model without a distribution, which cannot do what it is asked ``to``."""
        if not self.distribution:
            raise UsageError(
                f"the model {self._first.name} has no colour distribution, so that it cannot {to}; "
                "choose one of --loss classification"
            )

    def _seen(self, view: View, sure: bool) -> np.ndarray:
        """ab (h, w, 2) of a picture; with a third plane, how sure it is, where asked for."""
        chroma = [self._photograph(view, at, sure) for at in range(len(view.windows))]
        if view.plain:  # as it lies again
            return np.ascontiguousarray(np.rot90(chroma[0][0], view.turn // 90))
        around = None
        if view.border and view.regions:
            whole = self._square(self._whole(view), shares=sure)
            around = (_with_confidence(whole) if sure else whole).ab
        return joined(view, chroma, around)

    def _whole(self, view: View) -> np.ndarray:
        """L (side, side) float32 of all of a picture as it lies, before it is stretched."""
        return gray_to_L(framing.squared(view.base, self.side))

    def _look(self, view: View, at: int) -> Square:
        """What is made of the whole of one of a view's photographs."""
        return self._square(self._light(view, view.windows[at][0]))

    def _light(self, view: View, window: Window) -> np.ndarray:
        """L (side, side) float32 of a window, before it is stretched."""
        if view.plain:
            return np.ascontiguousarray(np.rot90(self._whole(view), -view.turn // 90))
        height, width = view.base.shape
        scale = quads.scaling(width / view.size[0], height / view.size[1])
        corners = quads.moved(window.corners, scale)
        return gray_to_L(quads.straightened(view.base, corners, (self.side, self.side)))

    def _photograph(self, view: View, at: int, sure: bool) -> list[np.ndarray]:
        """ab of each window of one photograph, as ``Square`` has it; their contrast is judged by the first."""
        looked = view.looked[at] if view.looked else None
        limits, found = None, list[Square]()
        for window in view.windows[at]:
            if looked is None or found:
                light = self._light(view, window)
                limits = limits or framing.reach(light)
                found.append(self._square(light, limits, shares=sure or view.by_hand))
            else:
                found.append(looked)
                several = len(view.windows[at]) > 1
                limits = framing.reach(self._light(view, window)) if several else None
        if sure:
            found = [_with_confidence(square) for square in found]
        return guided.guided(view, view.windows[at], found)

    def _square(
        self, lightness: np.ndarray, limits: tuple[float, float] | None = None, *,
        shares: bool = True,
    ) -> Square:  # fmt: skip
        """What is made of L (side, side) float32. ``limits``: see ``framing.stretch``.

        ``shares``: with the distribution, where the model has one; it takes its time.
        """
        lightness, knobs = framing.stretch(lightness, limits), self.knobs
        try:
            opened = self._idle.get_nowait()
        except Empty:  # as many engines as threads that have met here
            opened = self._first.another()
        try:
            ab = opened.ab(lightness, knobs.decoding)
            ways = opened.ways()
            spread = _shares(opened) if self.distribution and shares else None
            if knobs.flip_average or self.scans.best:
                # The mean of ab is the mean over both pictures' distributions taken together;
                # the mean of logits would sharpen where they agree and gray where they do not.
                mirrored = opened.ab(lightness[:, ::-1], knobs.decoding)
                ab = (ab + mirrored[:, ::-1]) / 2
                if spread is not None:
                    spread = (spread + _shares(opened)[:, ::-1]) / 2
        finally:
            self._idle.put(opened)
        ab = after(ab, knobs.decoding).astype(np.float32, copy=False)
        return Square(ab, lightness, spread, ways)

    def colorize(
        self, gray: np.ndarray, dtype: np.dtype | type | None = None,
        known: Callable[[tuple[int, int]], Sequence[Known]] = lambda size: (),
        reference: Reference | None = None, strength: float = STRENGTH,
    ) -> np.ndarray:  # fmt: skip
        """sRGB (H, W, 3) of gray (H, W) uint8 or uint16; the same depth unless ``dtype``.

        ``known``: colours that are known of a picture of (width, height); ``reference``: what it is
        to be like, by ``strength``.
        """
        view = self.view(gray)
        view = self._told(view, known(view.size))
        if reference is not None:
            view = self._lent(view, self.reference(reference), strength)
        return join(view.shown(gray), self.ab_of(view), dtype)

    @overload
    def __call__(
        self, image: Image.Image, hints: Hints = ..., reference: Reference | None = ...,
        reference_strength: float = ...,
    ) -> Image.Image: ...  # fmt: skip
    @overload
    def __call__(
        self, image: np.ndarray, hints: Hints = ..., reference: Reference | None = ...,
        reference_strength: float = ...,
    ) -> np.ndarray: ...  # fmt: skip
    def __call__(
        self, image: Image.Image | np.ndarray, hints: Hints = (), reference: Reference | None = None,
        reference_strength: float = STRENGTH,
    ) -> Image.Image | np.ndarray:  # fmt: skip
        """A coloured copy of the same size; the picture's own colours are ignored.

        A PIL image of any mode becomes an RGB image, RGBA where it has transparency; EXIF and DPI
        stay in its ``info``, the pixels lie as they lay. A NumPy array of uint8 or uint16, gray
        (H, W) or (H, W, 1), sRGB (H, W, 3) or with alpha (H, W, 4), becomes (H, W, 3) or
        (H, W, 4) of the same dtype. ``hints``: colours that are known, each ``"120,80,#7a4b2c"``
        or ``(0.3, 0.5, "skyblue")``, in pixels as they lie or fractions. ``reference``: a photograph
        in colour of a like scene, by ``reference_strength`` in 0…1; for many pictures, what
        ``Colorizer.reference`` makes of it. Raises ``ImageError`` for other arrays and for empty
        pictures, ``UsageError`` for hints and references that cannot be.
        """
        how = {
            "known": partial(placed, hints), "reference": reference, "strength": reference_strength
        }  # fmt: skip
        if isinstance(image, np.ndarray):
            return self._array(image, how)
        return self._image(image, how)

    def _array(self, array: np.ndarray, how: dict[str, Any]) -> np.ndarray:
        channels = array.shape[2] if array.ndim == 3 else 1
        if (
            array.dtype not in (np.uint8, np.uint16)
            or array.ndim not in (2, 3)
            or channels not in (1, 3, 4)
            or not array.size
        ):
            raise ImageError(
                f"array {array.shape} of {array.dtype}: give gray (H, W), RGB (H, W, 3) or RGBA "
                "(H, W, 4) of uint8 or uint16"
            )
        if channels == 1:
            gray = np.ascontiguousarray(array.reshape(array.shape[:2]))
            return self.colorize(gray, **how)
        gray = neutral(np.ascontiguousarray(array[..., :3]))
        colours = self.colorize(gray, array.dtype, **how)
        return np.dstack([colours, array[..., 3]]) if channels == 4 else colours

    def _image(self, image: Image.Image, how: dict[str, Any]) -> Image.Image:
        from PIL import Image

        alpha = None
        if not (image.width and image.height):
            raise ImageError(f"image of {image.width} × {image.height} pixels: nothing to colour")
        if image.has_transparency_data:
            rgba = image.convert("RGBA")
            alpha, flat = rgba.getchannel("A"), rgba.convert("RGB")
        else:
            flat = image
        if image.mode.startswith("I"):
            gray = np.clip(np.asarray(image), 0, 65535).astype(np.uint16)
        elif flat.mode in ("1", "L"):
            gray = np.asarray(flat.convert("L"))
        else:
            gray = neutral(np.asarray(flat.convert("RGB")))
        coloured = Image.fromarray(self.colorize(gray, np.uint8, **how))
        if alpha is not None:
            coloured.putalpha(alpha)
        coloured.info = {k: image.info[k] for k in ("exif", "dpi") if k in image.info}
        return coloured

    @overload
    def map(self, images: Iterable[Image.Image], workers: int = 0) -> Iterator[Image.Image]: ...
    @overload
    def map(self, images: Iterable[np.ndarray], workers: int = 0) -> Iterator[np.ndarray]: ...
    def map(self, images: Iterable[Any], workers: int = 0) -> Iterator[Any]:
        """Colour many, in their order, on ``workers`` threads (0: one for each core).

        Lazy: at most two pictures for each worker are taken ahead of the one last given, so
        endless iterators do. An exception comes in its picture's turn.
        """
        workers = workers or cores()
        return in_order(self, images, threads=workers, window=2 * workers)
