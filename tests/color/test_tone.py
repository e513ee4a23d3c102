"""What counts as colour."""

import numpy as np
from conftest import scene, sepia

from colorcli.color.tone import is_colour


def test_is_colour():
    assert is_colour(scene(1))
    assert is_colour(scene(1).astype(np.uint16) * 257)
    assert not is_colour(sepia(1))
    gray = np.dstack([scene(1)[..., 0]] * 3)
    noise = np.random.default_rng(0).normal(0, 2, gray.shape)
    assert not is_colour(np.clip(gray + noise, 0, 255).astype(np.uint8))
    rose = gray.copy()
    rose[20:32, 20:36] = 200, 20, 30  # 2.5 % of the picture
    assert is_colour(rose)
