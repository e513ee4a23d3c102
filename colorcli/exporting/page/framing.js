// What the network is shown of a picture, the twin of colorizing/framing.py.

const FRAMING = FACTS.framing;

/** A plane of gray with its sides. */
function plane(pixels, width, height) {
  return { pixels, width, height };
}

/** How often rows and columns are halved on their way to `side`. */
function halvings(width, height, side) {
  const times = (n) => {
    const over = Math.floor(n / (8 * side + 1));
    return over ? 32 - Math.clz32(over) : 0;
  };
  return { down: times(height), across: times(width) };
}

/** Means over 2 ** down rows and 2 ** across columns, rounded after each halving as OpenCV does. */
function halved({ pixels, width, height }, down, across) {
  while (down || across) {
    const stepX = across ? 2 : 1;
    const stepY = down ? 2 : 1;
    const [w, h] = [Math.floor(width / stepX), Math.floor(height / stepY)];
    const out = new pixels.constructor(w * h);
    for (let y = 0; y < h; y++) {
      for (let x = 0; x < w; x++) {
        const at = y * stepY * width + x * stepX;
        if (stepX === 2 && stepY === 2) {
          const below = at + width;
          const sum = pixels[at] + pixels[at + 1] + pixels[below] + pixels[below + 1];
          out[y * w + x] = (sum + 2) >> 2;
        } else {
          const sum = pixels[at] + pixels[at + (stepX === 2 ? 1 : width)];
          out[y * w + x] = (sum >> 1) + (sum & (sum >> 1) & 1); // halves to the even one
        }
      }
    }
    [pixels, width, height] = [out, w, h];
    [down, across] = [Math.max(down - 1, 0), Math.max(across - 1, 0)];
  }
  return plane(pixels, width, height);
}

/** OpenCV's INTER_AREA along one side: for each sample its first cell, and the weights from there. */
function areaTaps(inside, outside) {
  const scale = inside / outside;
  return Array.from({ length: outside }, (_, index) => {
    const left = index * scale;
    const right = left + scale;
    const cell = Math.min(scale, inside - left);
    const last = Math.min(Math.floor(right), inside - 1);
    const first = Math.min(Math.ceil(left), last);
    const weights = new Array(last - first).fill(1 / cell);
    if (right - last > 1e-3) weights.push(Math.min(right - last, 1, cell) / cell);
    const before = first - left > 1e-3;
    if (before) weights.unshift((first - left) / cell);
    return { first: before ? first - 1 : first, weights: Float32Array.from(weights) };
  });
}

/** OpenCV's INTER_LINEAR along one side, edges repeated. */
function linearTaps(inside, outside) {
  return Array.from({ length: outside }, (_, index) => {
    const place = Math.min(Math.max(((index + 0.5) * inside) / outside - 0.5, 0), inside - 1);
    const first = Math.min(Math.floor(place), Math.max(inside - 2, 0));
    const share = place - first;
    return { first, weights: Float32Array.from(share ? [1 - share, share] : [1]) };
  });
}

/** A plane resampled to wide × high by what `taps` gives for a side. */
function resampled({ pixels, width, height }, wide, high, taps) {
  const columns = taps(width, wide);
  const rows = taps(height, high);
  const out = new pixels.constructor(wide * high);
  const sums = new Float32Array(wide);
  const across = new Float32Array(wide);
  let filled = -1; // the row that `across` holds
  // Rows first and single precision throughout, as OpenCV has it: halves are frequent in 8 bits.
  const fill = (row) => {
    for (let x = 0; x < wide; x++) {
      const { first, weights } = columns[x];
      const at = row * width + first;
      let sum = 0;
      for (let tap = 0; tap < weights.length; tap++) {
        sum = Math.fround(sum + Math.fround(pixels[at + tap] * weights[tap]));
      }
      across[x] = sum;
    }
    filled = row;
  };
  rows.forEach(({ first, weights }, y) => {
    sums.fill(0);
    weights.forEach((weight, tap) => {
      if (filled !== first + tap) fill(first + tap);
      for (let x = 0; x < wide; x++) sums[x] += Math.fround(weight * across[x]);
    });
    for (let x = 0; x < wide; x++) out[y * wide + x] = rounded(sums[x]);
  });
  return plane(out, wide, high);
}

/** A plane shrunk to side × side where both its sides are multiples of it: means of whole cells. */
function divided({ pixels, width, height }, side) {
  const [across, down] = [width / side, height / side];
  if (across === 2 && down === 2) return halved(plane(pixels, width, height), 1, 1);
  const share = Math.fround(1 / (across * down));
  const out = new pixels.constructor(side * side);
  for (let at = 0; at < out.length; at++) {
    const corner = Math.floor(at / side) * down * width + (at % side) * across;
    let sum = 0;
    for (let y = 0; y < down; y++) {
      for (let x = 0; x < across; x++) sum += pixels[corner + y * width + x];
    }
    out[at] = rounded(Math.fround(sum * share));
  }
  return plane(out, side, side);
}

/** Bytes enlarged as OpenCV does it: with shares of 1/2048, and bits cut off on the way. */
function enlarged({ pixels, width, height }, wide, high) {
  const across = new Int32Array(wide * height);
  linearTaps(width, wide).forEach(({ first, weights: [one, other = 0] }, x) => {
    const [left, right] = [rounded(one * 2048), rounded(other * 2048)];
    for (let y = 0; y < height; y++) {
      const at = y * width + first;
      across[y * wide + x] = pixels[at] * left + (right && pixels[at + 1] * right);
    }
  });
  const out = new Uint8Array(wide * high);
  for (let y = 0; y < high; y++) {
    const place = ((y + 0.5) * height) / high - 0.5;
    const share = rounded((place - Math.floor(place)) * 2048);
    const [above, below] = [0, 1].map((row) => within(Math.floor(place) + row, height) * wide);
    for (let x = 0; x < wide; x++) {
      const upper = ((across[above + x] >> 4) * (2048 - share)) >> 16;
      const lower = ((across[below + x] >> 4) * share) >> 16;
      out[y * wide + x] = (upper + lower + 2) >> 2;
    }
  }
  return plane(out, wide, high);
}

/** Gray stretched to side × side, averaged when shrinking. */
function squared(gray, side) {
  if (gray.width === side && gray.height === side) return gray;
  const { down, across } = halvings(gray.width, gray.height, side);
  const small = halved(gray, down, across);
  if (!(small.width % side || small.height % side)) return divided(small, side);
  if (Math.min(small.width, small.height) > side) return resampled(small, side, side, areaTaps);
  if (small.pixels instanceof Uint8Array) return enlarged(small, side, side);
  return resampled(small, side, side, linearTaps);
}

/** The value below which `percent` of sorted numbers lie, interpolated as NumPy does. */
function percentile(sorted, percent) {
  const at = ((sorted.length - 1) * percent) / 100;
  const low = Math.floor(at);
  const high = Math.min(low + 1, sorted.length - 1);
  return sorted[low] + (sorted[high] - sorted[low]) * (at - low);
}

/** The range of L that all but its tails lie in. */
function reach(lightness) {
  const sorted = lightness.slice().sort();
  return [FRAMING.tails, 100 - FRAMING.tails].map((p) => percentile(sorted, p));
}

/** L as the network is shown it: itself, or stretched where its range, or that of what it is a part of, is narrow. */
function stretched(lightness, [low, high] = reach(lightness)) {
  if (high - low >= FRAMING.narrow) return lightness;
  const [bottom, top] = FRAMING.spread;
  const factor = (top - bottom) / Math.max(high - low, FRAMING.blank);
  const middle = (low + high) / 2;
  return lightness.map((light) =>
    Math.min(Math.max((bottom + top) / 2 + (light - middle) * factor, 0), 100));
}

/** L (side × side, 0…100) that the network is shown of a plane of gray. */
function shownToNetwork(gray, side) {
  const square = squared(gray, side);
  const table = lightnessTable(square.pixels);
  return stretched(Float32Array.from(square.pixels, (level) => table[level]));
}
