// Colours that the user gives for places of a picture, spread over what is near, as light and the
// same stuff to the network: the twin of colorizing/hints.py, its widths and powers FACTS.hints.

const HINTS = FACTS.hints;
const FINE_SIDE = HINTS.fine * FACTS.stride; // of the square that corrections are worked out on

/** Square roots (cells, Q) of the distributions of bin logits, as the network has them. */
function rootsOf(logits) {
  const out = new Float32Array(logits.length);
  for (let start = 0; start < logits.length; start += BINS) {
    let most = -Infinity;
    for (let q = 0; q < BINS; q++) most = Math.max(most, logits[start + q]);
    let sum = 0;
    for (let q = 0; q < BINS; q++) {
      const half = Math.exp((logits[start + q] - most) / 2);
      out[start + q] = half;
      sum += half * half;
    }
    const length = Math.sqrt(sum);
    for (let q = 0; q < BINS; q++) out[start + q] /= length;
  }
  return out;
}

/** The two cells of a row of `side` that a place in 0…1 lies between, and the second's share. */
function between(place, side) {
  const at = Math.min(Math.max(place * side - 0.5, 0), side - 1);
  const first = Math.floor(at);
  return [first, Math.min(first + 1, side - 1), at - first];
}

/** Bilinear sample of `channels` numbers of a square plane at a place in 0…1. */
function sampled(square, side, channels, x, y) {
  const [left, right, across] = between(x, side);
  const [top, bottom, down] = between(y, side);
  const at = (row, column, channel) => square[(row * side + column) * channels + channel];
  return Array.from({ length: channels }, (_, c) => {
    const upper = at(top, left, c) * (1 - across) + at(top, right, c) * across;
    const lower = at(bottom, left, c) * (1 - across) + at(bottom, right, c) * across;
    return upper + (lower - upper) * down;
  });
}

/** The sixteen cells, and their weights, that bicubic stretching makes a place in 0…1 of. */
function cells(side, x, y) {
  const [[left, across], [top, down]] = [x, y].map((place) => cubicTap(place * side - 0.5));
  return down.flatMap((vertical, j) => across.map((horizontal, i) => ({
    row: within(top + j, side), column: within(left + i, side), weight: vertical * horizontal,
  })));
}

/** How much of a correction goes from one place to another, 1 to itself. */
function kernel(distance, shade, stuff) {
  const near = Math.exp(-distance / HINTS.near);
  const light = Math.exp(-0.5 * (shade / HINTS.light) ** 2);
  const alike = Math.exp((Math.min(stuff, 1) - 1) / HINTS.stuff ** 2);
  const elsewhere = HINTS.elsewhere * alike ** (HINTS.same - 1);
  return light * alike * ((1 - HINTS.elsewhere) * near + elsewhere);
}

/** The solution (n, 2) of a symmetric system: Gauss's elimination with the largest pivots. */
function solved(matrix, right) {
  const rows = matrix.map((row, i) => [...row, ...right[i]]);
  const n = rows.length;
  for (let step = 0; step < n; step++) {
    let best = step;
    for (let i = step + 1; i < n; i++) {
      if (Math.abs(rows[i][step]) > Math.abs(rows[best][step])) best = i;
    }
    [rows[step], rows[best]] = [rows[best], rows[step]];
    for (let i = 0; i < n; i++) {
      if (i === step) continue;
      const factor = rows[i][step] / rows[step][step];
      for (let j = step; j < n + 2; j++) rows[i][j] -= factor * rows[step][j];
    }
  }
  return rows.map((row, i) => [row[n] / row[i], row[n + 1] / row[i]]);
}

const dot = (one, other) => one.reduce((sum, number, i) => sum + number * other[i], 0);

/** Scalar products of the roots of every cell with those of a hint. */
function likeness(roots, known) {
  const out = new Float32Array(roots.length / BINS);
  for (let cell = 0, at = 0; cell < out.length; cell++) {
    let sum = 0;
    for (let q = 0; q < BINS; q++, at++) sum += roots[at] * known[q];
    out[cell] = sum;
  }
  return out;
}

/** What to add to ab (S, S, 2) so that `points` ({x, y, ab}) get their colours. */
function corrections(ab, lightness, roots, points) {
  const [side, coarse] = [FINE_SIDE, FACTS.stride];
  const known = points.map(({ x, y, ab: wanted }) => {
    const near = cells(side, x, y);
    const present = [0, 1].map((c) => near.reduce(
      (sum, { row, column, weight }) => sum + weight * ab[2 * (row * side + column) + c], 0));
    const root = sampled(roots, coarse, BINS, x, y);
    const length = Math.sqrt(dot(root, root));
    return {
      x, y, near,
      shade: sampled(lightness, side, 1, x, y)[0],
      root: root.map((number) => number / length),
      rest: [0, 1].map((c) => (wanted ? wanted[c] - present[c] : 0)),
    };
  });
  const gram = known.map((one, i) => known.map((other, j) => {
    const distance = Math.hypot(one.x - other.x, one.y - other.y);
    return kernel(distance, one.shade - other.shade, dot(one.root, other.root)) +
      (i === j ? HINTS.noise : 0);
  }));
  const alike = known.map(({ root }) => likeness(roots, root));
  const share = (row, column, i) => {
    const [x, y] = [(column + 0.5) / side, (row + 0.5) / side];
    const distance = Math.hypot(x - known[i].x, y - known[i].y);
    const stuff = sampled(alike[i], coarse, 1, x, y)[0];
    return kernel(distance, lightness[row * side + column] - known[i].shade, stuff);
  };
  const reached = known.map(({ near }) => known.map((_, i) => near.reduce(
    (sum, { row, column, weight }) => sum + weight * share(row, column, i), 0)));
  let weights = solved(gram, known.map(({ rest }) => rest));
  for (let round = 0; round < HINTS.rounds; round++) {
    const missing = known.map(({ rest }, j) => rest.map(
      (number, c) => number - reached[j].reduce((sum, part, i) => sum + part * weights[i][c], 0)));
    const more = solved(gram, missing);
    weights = weights.map((pair, i) => pair.map((number, c) => number + more[i][c]));
  }
  const out = new Float32Array(2 * side * side);
  for (let row = 0, cell = 0; row < side; row++) {
    for (let column = 0; column < side; column++, cell++) {
      for (let i = 0; i < known.length; i++) {
        const part = share(row, column, i);
        out[2 * cell] += part * weights[i][0];
        out[2 * cell + 1] += part * weights[i][1];
      }
    }
  }
  return out;
}

/** Hints at the centres of the pixels that they lie on: between pixels none would show what was asked. */
function onPixels(hints, width, height) {
  const centre = (place, side) => (Math.min(Math.floor(place * side), side - 1) + 0.5) / side;
  return hints.map((hint) => ({ ...hint, x: centre(hint.x, width), y: centre(hint.y, height) }));
}

/** Those of `points` that lie in a window, in shares of its sides. */
function inWindow(points, { left, top, right, bottom }) {
  const spots = points.map((point) => ({
    ...point, x: (point.x - left) / (right - left), y: (point.y - top) / (bottom - top),
  }));
  return spots.filter((spot) => [spot.x, spot.y].every((at) => at >= -1e-6 && at <= 1 + 1e-6));
}

/** ab (s, s, 2) of the network as (S, S, 2). */
function fineOf(ab) {
  const side = FINE_SIDE;
  const fine = new Float32Array(2 * side * side);
  const join = new Join(ab, FACTS.stride, side, side);
  for (let y = 0, at = 0; y < side; y++) {
    join.chroma(y);
    for (let x = 0; x < side; x++, at += 2) [fine[at], fine[at + 1]] = [join.a[x], join.b[x]];
  }
  return fine;
}

/** Adds to ab (S, S, 2) of a window what the whole's corrections are there. */
function carry(corrections, { left, top, right, bottom }, ab) {
  const side = FINE_SIDE;
  for (let row = 0, at = 0; row < side; row++) {
    const y = top + ((row + 0.5) / side) * (bottom - top);
    for (let column = 0; column < side; column++, at += 2) {
      const x = left + ((column + 0.5) / side) * (right - left);
      const [a, b] = sampled(corrections, side, 2, x, y);
      ab[at] += a;
      ab[at + 1] += b;
    }
  }
}

/** ab (S, S, 2) of each of `squares`, the whole first, from the network's `planes`, drawn to hints ({x, y, rgb}).
 *
 * Parts take the whole's corrections along, and then meet the hints within them exactly.
 */
function guided(squares, planes, hints) {
  const points = hints.map(({ x, y, rgb }) => ({ x, y, ab: rgb && labOf(rgb).slice(1) }));
  let first = null;
  return squares.map((square, index) => {
    const ab = fineOf(planes[index]);
    if (first) carry(first, square, ab);
    const lightness = averaged(square.lightness, FACTS.side, FINE_SIDE);
    const more = corrections(ab, lightness, rootsOf(square.logits), inWindow(points, square));
    first ??= more;
    return ab.map((number, i) => number + more[i]);
  });
}

/** L (inside × inside) shrunk to outside × outside. */
function averaged(lightness, inside, outside) {
  const taps = areaTaps(inside, outside);
  return Float32Array.from({ length: outside * outside }, (_, cell) => {
    const [row, column] = [taps[Math.floor(cell / outside)], taps[cell % outside]];
    let sum = 0;
    row.weights.forEach((down, y) => column.weights.forEach((across, x) => {
      sum += down * across * lightness[(row.first + y) * inside + column.first + x];
    }));
    return sum;
  });
}
