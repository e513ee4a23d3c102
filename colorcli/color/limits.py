"""What counts as gray, toned and coloured, in numbers alone: the options' defaults are read from here.

Units of CIE Lab, of a picture reduced to about 64 pixels (``tone``).
"""

from dataclasses import dataclass

ONE_HUE = 0.95  # length of the mean (a, b) over mean chroma: 1 when every pixel has the same hue
SPOT = 15.0  # distance to its lightness' tone of a hundredth of a picture that is colour, however small


@dataclass(frozen=True)
class Limits:
    """``min_chroma``: a mean √(a²+b²) below it is gray.

    ``min_spread``: a picture of one hue whose colours lie closer than this, as root mean square, to
    the mean colour of their lightness is toned: sepia, cyanotype, a faded print.
    """

    min_chroma: float = 3.0
    min_spread: float = 2.0
