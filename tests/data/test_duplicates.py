import cv2
import numpy as np
import pytest

from colorcli.data import duplicates
from colorcli.data.duplicates import TONE, Duplicates, perceptual_hash


def clouds(seed: int) -> np.ndarray:
    """Soft colours at every scale, as in photographs."""
    random = np.random.default_rng(seed)
    sides = (3, 6, 12, 24)
    layers = (
        cv2.resize(random.normal(0, 120 / n, (n, n, 3)), (192, 160), interpolation=cv2.INTER_CUBIC)
        for n in sides
    )
    return np.clip(128 + sum(layers), 0, 255).astype(np.uint8)


def bits(a: int, b: int) -> int:
    return (a ^ b).bit_count()


def brute(kept, hash, tone, distance):
    near = [
        (bits(hash, other), at)
        for at, (_, other, there) in enumerate(kept)
        if bits(hash, other) <= distance
        and np.hypot(there[0] - tone[0], there[1] - tone[1]) <= TONE
    ]
    return min(near)[::-1] if near else None


@pytest.mark.parametrize("distance", [-1, 0, 1, 4, 9])
def test_banded_look_up_finds_what_comparing_all_finds(monkeypatch, distance):
    monkeypatch.setattr(duplicates, "RECENT", 16)  # sorted many times on the way
    random = np.random.default_rng(distance + 1)
    seen, kept = Duplicates(distance), []
    for number in range(400):
        if kept and random.random() < 0.5:  # near one that was there
            hash = kept[random.integers(len(kept))][1]
            for bit in random.choice(64, random.integers(0, 12), replace=False):
                hash ^= 1 << int(bit)
            tone = tuple(float(t) for t in random.integers(-4, 5, 2))
        else:
            hash, tone = int(random.integers(2**63)) << 1, (0.0, 0.0)
        expected = brute(kept, hash, tone, distance) if distance >= 0 else None
        assert seen.near(hash, tone) == expected
        digest = int(random.integers(2**62)) * 4
        assert seen.exact(digest) is None
        seen.add(number, digest, hash, tone)
        kept.append((digest, hash, tone))
    assert len(seen) == 400
    for number, (digest, _, _) in enumerate(kept):
        assert seen.exact(digest) == number


@pytest.mark.parametrize(
    "change",
    [
        lambda p: cv2.imdecode(cv2.imencode(".jpg", p, [cv2.IMWRITE_JPEG_QUALITY, 40])[1], 1),
        lambda p: cv2.resize(p, None, fx=0.6, fy=0.6, interpolation=cv2.INTER_AREA),
        lambda p: cv2.convertScaleAbs(p, alpha=0.85),
    ],
    ids=["recompressed", "smaller", "darker"],
)
def test_the_hash_survives_what_copies_suffer(change):
    apart = [
        bits(perceptual_hash(clouds(i)), perceptual_hash(change(clouds(i)))) for i in range(30)
    ]
    assert np.mean(np.array(apart) <= 4) >= 0.95


def test_other_pictures_are_far_apart():
    hashes = [perceptual_hash(clouds(i)) for i in range(30)]
    assert min(bits(a, b) for i, a in enumerate(hashes) for b in hashes[:i]) > 8
