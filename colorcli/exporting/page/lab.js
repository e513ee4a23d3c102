// CIE Lab and sRGB, the twin of color/lab.py: the same constants (FACTS.lab), the same tables, the
// same rule where sRGB ends. Planes are typed arrays, row by row; gray is a Uint8Array, or a
// Uint16Array where colours were made gray.

const LAB = FACTS.lab;
const FULL = 65535;
const [DARK, KAPPA, OFFSET] = [0.008856, 7.787, 16 / 116]; // of CIE's f: its line near black
const EDGE = 0.2068966; // f from which on it is the cube

function linearOf(srgb) {
  return srgb > 0.04045 ? ((srgb + 0.055) / 1.055) ** 2.4 : srgb / 12.92;
}

function encodedOf(linear) {
  return linear > 0.0031308 ? 1.055 * linear ** (1 / 2.4) - 0.055 : linear * 12.92;
}

/** L of neutral sRGB in 0…1. */
function lightnessOf(gray) {
  return 116 * cieF(linearOf(gray)) - 16;
}

function cieF(t) {
  return t > DARK ? Math.cbrt(t) : KAPPA * t + OFFSET;
}

/** A table of `count` numbers, made when it is first asked for. */
function lazily(Type, count, number) {
  let table = null;
  return () => (table ??= Type.from({ length: count }, (_, index) => number(index)));
}

const lightness8 = lazily(Float32Array, 256, (level) => lightnessOf(level / 255));
const lightness16 = lazily(Float32Array, FULL + 1, (level) => lightnessOf(level / FULL));
/** sRGB in 8 and in 16 bits, of linear light in 0…65535. */
const encoded8 = lazily(Uint8Array, FULL + 1, (light) => rounded(encodedOf(light / FULL) * 255));
const encoded16 = lazily(Uint16Array, FULL + 1, (light) => rounded(encodedOf(light / FULL) * FULL));

/** To the nearest whole number, halves to the even one, as NumPy and OpenCV round. */
function rounded(number) {
  const floor = Math.floor(number);
  const rest = number - floor;
  if (rest !== 0.5) return rest < 0.5 ? floor : floor + 1;
  return floor % 2 ? floor + 1 : floor;
}

/** The table of L for a plane of gray. */
function lightnessTable(gray) {
  return gray instanceof Uint8Array ? lightness8() : lightness16();
}

/** What red, green and blue give to Y of 0…65535; with one half, so that cutting rounds. */
const luminanceTables = (() => {
  let tables = null;
  const whole = LAB.luminance.reduce((sum, share) => sum + share, 0);
  const shares = LAB.luminance.map((share) => (share / whole) * FULL);
  return () =>
    (tables ??= shares.map((share, channel) =>
      Float32Array.from({ length: 256 }, (_, level) =>
        linearOf(level / 255) * share + (channel ? 0 : 0.499))));
})();

/** Whether R = G = B everywhere in RGBA. */
function isNeutral(rgba) {
  for (let at = 0; at < rgba.length; at += 4) {
    if (rgba[at] !== rgba[at + 1] || rgba[at] !== rgba[at + 2]) return false;
  }
  return true;
}

/** Gray of RGBA into `gray` from `start` on: the red plane into bytes, CIE L's gray into 16 bits. */
function grayInto(gray, start, rgba) {
  const count = rgba.length / 4;
  if (gray instanceof Uint8Array) {
    for (let i = 0; i < count; i++) gray[start + i] = rgba[4 * i];
    return;
  }
  const [red, green, blue] = luminanceTables();
  const encoded = encoded16();
  for (let i = 0, at = 0; i < count; i++, at += 4) {
    const sum = Math.fround(red[rgba[at]] + green[rgba[at + 1]]);
    gray[start + i] = encoded[Math.fround(sum + blue[rgba[at + 2]]) | 0];
  }
}

/** OpenCV's INTER_CUBIC (a = −0.75) at a place in cells: the first of four, and their weights. */
function cubicTap(place) {
  const a = -0.75;
  const far = (x) => ((a * x - 5 * a) * x + 8 * a) * x - 4 * a;
  const near = (x) => ((a + 2) * x - (a + 3)) * x * x + 1;
  const base = Math.floor(place);
  const x = place - base;
  const taps = [far(x + 1), near(x), near(1 - x)];
  return [base - 1, [...taps, 1 - taps[0] - taps[1] - taps[2]]];
}

/** The same (edges repeated) for each sample of a row: first column and four weights. */
function cubicTaps(inside, outside) {
  const scale = inside / outside;
  return cubicTapsAt(Float32Array.from({ length: outside }, (_, i) => (i + 0.5) * scale - 0.5));
}

/** The same for samples at `places`, counted from the first pixel's centre. */
function cubicTapsAt(places) {
  const first = new Int32Array(places.length);
  const weights = new Float32Array(4 * places.length);
  places.forEach((place, i) => {
    const [start, taps] = cubicTap(place);
    first[i] = start;
    weights.set(taps, 4 * i);
  });
  return { first, weights };
}

const within = (index, count) => Math.min(Math.max(index, 0), count - 1);

/** `color.lab.Join`: a photograph's own lightness with ab (high, side, 2), in strips. */
class Join {
  constructor(ab, side, width, height, high = side) {
    Object.assign(this, { high, width, rows: cubicTaps(high, height) });
    const columns = cubicTaps(side, width);
    this.wide = [0, 1].map((channel) => {
      const plane = new Float32Array(high * width);
      for (let y = 0; y < high; y++) {
        for (let x = 0; x < width; x++) {
          let sum = 0;
          for (let tap = 0; tap < 4; tap++) {
            const column = within(columns.first[x] + tap, side);
            sum += columns.weights[4 * x + tap] * ab[2 * (y * side + column) + channel];
          }
          plane[y * width + x] = sum;
        }
      }
      return plane;
    });
    this.a = new Float32Array(width);
    this.b = new Float32Array(width);
  }

  /** ab of row `y` of the photograph into `a` and `b`. */
  chroma(y) {
    const { high, width, a, b } = this;
    const [wideA, wideB] = this.wide;
    const at = [0, 1, 2, 3].map((tap) => within(this.rows.first[y] + tap, high) * width);
    const [p, q, r, s] = this.rows.weights.subarray(4 * y, 4 * y + 4);
    const [i, j, k, l] = at;
    for (let x = 0; x < width; x++) {
      a[x] = p * wideA[i + x] + q * wideA[j + x] + r * wideA[k + x] + s * wideA[l + x];
      b[x] = p * wideB[i + x] + q * wideB[j + x] + r * wideB[k + x] + s * wideB[l + x];
    }
  }

  /** Rows of gray from `top` on as RGB into `rgba`, whose alpha stays. */
  paint(gray, top, rgba) {
    const { width, a, b } = this;
    const light = lightnessTable(gray);
    const shade = gray instanceof Uint8Array ? 1 : 1 / 257;
    for (let at = 0, y = top; at < gray.length; at += width, y++) {
      this.chroma(y);
      for (let x = 0; x < width; x++) {
        const level = gray[at + x];
        shown(rgba, 4 * (at + x), light[level], a[x], b[x], level * shade);
      }
    }
  }
}

const [LOW, HIGH] = LAB.neutral;
const [RED, GREEN, BLUE] = LAB.rgbFromF;
const [XR, YR, ZR] = RED;
const [XG, YG, ZG] = GREEN;
const [XB, YB, ZB] = BLUE;

/** `lab_to_shown`: one colour into `rgba` at `at`; neutral (`shade`) at either end of L. */
function shown(rgba, at, light, a, b, shade) {
  if (light <= LOW || light >= HIGH) {
    rgba[at] = rgba[at + 1] = rgba[at + 2] = rounded(shade);
    return;
  }
  const fy = (light + 16) / 116;
  const fx = fy + a * 0.002;
  const fz = fy - b * 0.005;
  const x = fx > EDGE ? fx * fx * fx : (fx - OFFSET) / KAPPA;
  const y = fy > EDGE ? fy * fy * fy : (fy - OFFSET) / KAPPA;
  const z = fz > EDGE ? fz * fz * fz : (fz - OFFSET) / KAPPA;
  let red = XR * x + YR * y + ZR * z;
  let green = XG * x + YG * y + ZG * z;
  let blue = XB * x + YB * y + ZB * z;
  const most = Math.max(red, green, blue);
  const least = Math.min(red, green, blue);
  if (most > 1 || least < 0) {
    // Towards gray until sRGB has the colour: in linear light the way to the cube's wall is straight.
    const beyond = Math.max((most - y) / Math.max(1 - y, 1e-3), (y - least) / Math.max(y, 1e-4), 1);
    red = Math.min(Math.max(y + (red - y) / beyond, 0), 1);
    green = Math.min(Math.max(y + (green - y) / beyond, 0), 1);
    blue = Math.min(Math.max(y + (blue - y) / beyond, 0), 1);
  }
  const encoded = encoded8();
  rgba[at] = encoded[(red * FULL + 0.5) | 0];
  rgba[at + 1] = encoded[(green * FULL + 0.5) | 0];
  rgba[at + 2] = encoded[(blue * FULL + 0.5) | 0];
}

/** Lab of 8-bit sRGB. */
function labOf(rgb) {
  const linear = rgb.map((level) => linearOf(level / 255));
  const [fx, fy, fz] = LAB.fFromRgb.map((row) => {
    return cieF(row[0] * linear[0] + row[1] * linear[1] + row[2] * linear[2]);
  });
  return [116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)];
}
