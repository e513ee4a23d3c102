// What the network is shown of a long picture: the whole, and squares along it, whose chroma is put
// together. The twin of colorizing/scans/windows.py for a picture that is one upright photograph;
// photographs in a scan are not looked for here.

const WINDOWS = FACTS.windows;
const WHOLE = { left: 0, top: 0, right: 1, bottom: 1, weight: 1, open: [false, false, false, false] };

/** The squares that are shown of a picture, in shares of its sides, the whole first. */
function windowsOf(width, height) {
  const ratio = Math.max(width, height) / Math.min(width, height);
  if (ratio < WINDOWS.long) return [WHOLE];
  const count = Math.min(WINDOWS.many, Math.ceil((ratio - 1) / WINDOWS.step) + 1);
  const part = Math.min(1, Math.max(1, ratio / (1 + (count - 1) * WINDOWS.step)) / ratio);
  const squares = Array.from({ length: count }, (_, index) => {
    const from = ((1 - part) * index) / (count - 1);
    const [before, beyond] = [from > 1e-6, from + part < 1 - 1e-6];
    const span = width >= height
      ? { left: from, right: from + part, open: [before, false, beyond, false] }
      : { top: from, bottom: from + part, open: [false, before, false, beyond] };
    return { ...WHOLE, weight: WINDOWS.parts, ...span };
  });
  return [WHOLE, ...squares];
}

/** A window of a plane of gray as side × side, averaged when shrinking. */
function straightened({ pixels, width, height }, { left, top, right, bottom }, side) {
  const [wide, high] = [(right - left) * width, (bottom - top) * height];
  const finest = Math.max(wide, high) / side;
  const dense = Math.min(8, Math.max(1, Math.ceil(finest / 1.4)));
  const whole = side * dense;
  const taps = (start, length, inside) => Array.from({ length: whole }, (_, index) => {
    const place = start + ((index + 0.5) * length) / whole - 0.5;
    const first = Math.floor(place);
    return [within(first, inside), within(first + 1, inside), place - first];
  });
  const columns = taps(left * width, wide, width);
  const rows = taps(top * height, high, height);
  const out = new pixels.constructor(whole * whole);
  let at = 0;
  for (const [above, below, down] of rows) {
    const [upper, lower] = [above * width, below * width];
    for (const [one, other, across] of columns) {
      const a = pixels[upper + one] + (pixels[upper + other] - pixels[upper + one]) * across;
      const b = pixels[lower + one] + (pixels[lower + other] - pixels[lower + one]) * across;
      out[at++] = rounded(a + (b - a) * down);
    }
  }
  const large = plane(out, whole, whole);
  return dense > 1 ? divided(large, side) : large;
}

/** What the network is shown of a plane of gray: windows, each with its `lightness`. */
function shownInWindows(gray, side) {
  const windows = windowsOf(gray.width, gray.height);
  if (windows.length === 1) return [{ ...WHOLE, lightness: shownToNetwork(gray, side) }];
  const { down, across } = halvings(gray.width, gray.height, side);
  const base = halved(gray, down, across);
  const table = lightnessTable(base.pixels);
  let limits = null; // of the whole: parts must not be stretched apart
  return windows.map((window) => {
    const square = straightened(base, window, side);
    const lightness = Float32Array.from(square.pixels, (level) => table[level]);
    limits ??= reach(lightness);
    return { ...window, lightness: stretched(lightness, limits) };
  });
}

/** Weights of `places` in 0…1 of a window, which fade to its open ends. */
function fading(places, low, high) {
  return Float32Array.from(places, (at) => {
    const ends = [1, ...(low ? [at] : []), ...(high ? [1 - at] : [])];
    const share = Math.max(Math.min(1, ...ends.slice(1).map((end) => end / (1 - WINDOWS.step))), 0);
    return share * share * (3 - 2 * share);
  });
}

/** Sides of the plane that chroma is put together on. */
function boardSides(width, height) {
  const most = WINDOWS.room / (8 * width + 4 * height);
  const share = Math.min(1, WINDOWS.canvas / Math.max(width, height), most / height);
  return [width, height].map((side) => Math.max(4, rounded(side * share)));
}

/** ab of a picture of width × height by that of its windows, `planes` (side, side, 2), as a Join takes it. */
function together(windows, planes, side, width, height) {
  const [wide, high] = boardSides(width, height);
  const ab = new Float32Array(2 * wide * high);
  const weights = new Float32Array(wide * high);
  windows.forEach(({ left, top, right, bottom, weight, open }, index) => {
    const into = (count, from, to) =>
      Float32Array.from({ length: count }, (_, i) => ((i + 0.5) / count - from) / (to - from));
    const [u, v] = [into(wide, left, right), into(high, top, bottom)];
    const [columns, rows] = [u, v].map((places) => cubicTapsAt(places.map((p) => p * side - 0.5)));
    const [across, down] = [fading(u, open[0], open[2]), fading(v, open[1], open[3])];
    for (let y = 0; y < high; y++) {
      for (let x = 0; x < wide; x++) {
        const own = weight * across[x] * down[y];
        if (!own) continue;
        const at = y * wide + x;
        weights[at] += own;
        for (let i = 0; i < 4; i++) {
          const row = within(rows.first[y] + i, side) * side;
          const share = own * rows.weights[4 * y + i];
          for (let j = 0; j < 4; j++) {
            const cell = 2 * (row + within(columns.first[x] + j, side));
            const part = share * columns.weights[4 * x + j];
            ab[2 * at] += part * planes[index][cell];
            ab[2 * at + 1] += part * planes[index][cell + 1];
          }
        }
      }
    }
  });
  return { ab: ab.map((sum, i) => sum / Math.max(weights[i >> 1], 1e-6)), wide, high };
}
