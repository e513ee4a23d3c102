// All that takes time, away from the page: files to pixels, network, colours, files again.
//
// Messages in, by `task`: begin {packed}, open and adopt {id, file}, show {id, values, hints},
// compare {id}, save {id, values, hints, type}, forget {id}. Out, by `did`: ready {seconds},
// broken {why}, opened {id, width, height, loses, pass}, refused {id, why}, shown {id, buffer, width,
// height}, compared {id, before}, progress {id, share}, saved {id, blob}, failed {id, why}.

const LIMIT = 80e6; // pixels of a picture: its decoded forms take about 12 bytes for each
const PREVIEW = 1.6e6; // pixels of what the page shows
const STRIP = 1 << 20; // pixels worked on between two looks at the messages
const KEPT = 16; // squares whose logits, with the previews of their pictures, stay at hand

const pictures = new Map(); // id to what is known of a picture, the least lately used first
let network = null;

/** What goes wrong with one picture, in words for its owner. */
class Refusal extends Error {}

// --- pictures in ---------------------------------------------------------------------------------

const COMMAND = "the command line, colorize predict, takes it";

function megapixels(width, height) {
  return `${Math.round((width * height) / 1e6)} megapixels`;
}

function checkSize(width, height) {
  if (width * height > LIMIT) {
    const most = `at most ${LIMIT / 1e6}`;
    throw new Refusal(`${megapixels(width, height)} are too many for this page (${most}); ${COMMAND}`);
  }
}

function unreadable(kind) {
  if (!kind.bytes) return "an empty file";
  if (!kind.name) return "not a picture that browsers know; photographs are JPEG, PNG or WebP files";
  if (kind.advice) return `this browser does not read ${kind.name}; ${kind.advice}`;
  return `a damaged ${kind.name}: the browser cannot decode it; try another copy of the file`;
}

async function bitmapOf(file, kind) {
  if (kind.size) checkSize(...kind.size);
  let bitmap;
  try {
    bitmap = await createImageBitmap(file, { imageOrientation: "from-image" });
  } catch {
    throw new Refusal(unreadable(kind));
  }
  checkSize(bitmap.width, bitmap.height);
  return bitmap;
}

/** A 2D context of an OffscreenCanvas; throws where there is no memory for one. */
function canvasOf(width, height) {
  const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  if (!context) throw new RangeError("no canvas");
  return context;
}

function strips(width, height) {
  const rows = Math.max(1, Math.floor(STRIP / width));
  const count = Math.ceil(height / rows);
  return Array.from({ length: count }, (_, i) => [i * rows, Math.min(rows, height - i * rows)]);
}

/** Gray, and alpha where there is any, of a bitmap: the gray that `colorize predict` makes of it. */
async function grayOf(bitmap) {
  const { width, height } = bitmap;
  let gray = new Uint8Array(width * height);
  let alpha = null;
  const tall = strips(width, height)[0][1];
  const context = canvasOf(width, tall);
  for (const [top, rows] of strips(width, height)) {
    context.clearRect(0, 0, width, tall);
    context.drawImage(bitmap, 0, top, width, rows, 0, 0, width, rows);
    const rgba = context.getImageData(0, 0, width, rows).data;
    const start = top * width;
    if (gray instanceof Uint8Array && !isNeutral(rgba)) {
      gray = Uint16Array.from(gray, (level) => level * 257);
    }
    grayInto(gray, start, rgba);
    for (let i = 0; i < width * rows; i++) {
      if (rgba[4 * i + 3] === 255) continue;
      alpha ??= new Uint8Array(width * height).fill(255);
      alpha[start + i] = rgba[4 * i + 3];
    }
    await turn();
  }
  return { ...plane(gray, width, height), alpha };
}

/** Sides of the same shape with at most `most` pixels. */
function fitting(width, height, most) {
  const scale = Math.min(1, Math.sqrt(most / (width * height)));
  return [width, height].map((side) => Math.max(1, Math.round(side * scale)));
}

function smaller(gray, width, height) {
  if (width === gray.width && height === gray.height) return gray;
  const shrink = (pixels) => resampled(plane(pixels, gray.width, gray.height), width, height, areaTaps);
  return { ...shrink(gray.pixels), alpha: gray.alpha && shrink(gray.alpha).pixels };
}

/** All that is known of a picture after the network has seen it. */
async function read(file) {
  const kind = await kindOf(file);
  const bitmap = await bitmapOf(file, kind);
  const full = await grayOf(bitmap);
  const sides = fitting(full.width, full.height, PREVIEW);
  const context = canvasOf(...sides);
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, 0, 0, ...sides);
  bitmap.close();
  const squares = shownInWindows(full, FACTS.side);
  const began = performance.now();
  for (const square of squares) square.logits = await network.logits(square.lightness);
  const pass = (performance.now() - began) / squares.length;
  const preview = smaller(full, ...sides);
  const size = [full.width, full.height];
  return { file, kind, full, size, preview, before: context.canvas, squares, pass };
}

/** Keeps a picture: one in full, a few with all that showing it takes, of the others the file. */
function remember(id, picture) {
  for (const other of pictures.values()) other.full = null;
  pictures.delete(id);
  pictures.set(id, picture);
  let kept = 0;
  for (const [old, { file, squares = [] }] of [...pictures].reverse()) {
    kept += squares.length;
    if (kept > KEPT && old !== id) pictures.set(old, { file });
  }
  return picture;
}

/** A picture with its logits, and with its gray where `whole`. */
async function recalled(id, whole = false) {
  const picture = pictures.get(id);
  if (!picture.squares) return remember(id, await read(picture.file));
  if (whole && !picture.full) {
    const full = await grayOf(await bitmapOf(picture.file, picture.kind));
    return remember(id, { ...picture, full });
  }
  return picture;
}

async function open({ id, file }) {
  const { full, kind, pass } = remember(id, await read(file));
  const loses = [...kind.loses, ...(full.alpha ? ["exact colours where it is translucent"] : [])];
  tell({ did: "opened", id, width: full.width, height: full.height, loses, pass });
}

/** A picture that another worker had opened. */
async function adopt({ id, file }) {
  pictures.set(id, { file });
}

// --- colours -------------------------------------------------------------------------------------

/** ab of a picture by knobs and hints, as what joins it with gray of width × height. */
function joining({ squares, size }, values, hints, { width, height }) {
  let [side, planes] = [FACTS.stride, squares.map(({ logits }) => after(decoded(logits, values), values))];
  if (hints.length) [side, planes] = [FINE_SIDE, guided(squares, planes, onPixels(hints, ...size))];
  if (planes.length === 1) return new Join(planes[0], side, width, height);
  const { ab, wide, high } = together(squares, planes, side, width, height);
  return new Join(ab, wide, width, height, high);
}

/** Rows of a picture as RGBA. */
function painted(join, { pixels, alpha, width }, top, rows) {
  const [from, to] = [top * width, (top + rows) * width];
  const rgba = new Uint8ClampedArray(4 * (to - from)).fill(255);
  join.paint(pixels.subarray(from, to), top, rgba);
  if (alpha) for (let i = from; i < to; i++) rgba[4 * (i - from) + 3] = alpha[i];
  return rgba;
}

async function show({ id, values, hints }) {
  const picture = await recalled(id);
  const { width, height } = picture.preview;
  const join = joining(picture, values, hints, picture.preview);
  const { buffer } = painted(join, picture.preview, 0, height);
  tell({ did: "shown", id, width, height, buffer }, [buffer]);
}

/** The photograph as it was, as large as the preview. */
async function compare({ id }) {
  const before = await createImageBitmap((await recalled(id)).before);
  tell({ did: "compared", id, before }, [before]);
}

// --- pictures out --------------------------------------------------------------------------------

const QUALITY = 0.95;

async function save({ id, values, hints, type }) {
  const picture = await recalled(id, true);
  const { width, height } = picture.full;
  const opaque = type === "image/jpeg"; // which holds no transparency
  const gray = opaque ? { ...picture.full, alpha: null } : picture.full;
  const join = joining(picture, values, hints, gray);
  const context = canvasOf(width, height);
  for (const [top, rows] of strips(width, height)) {
    const rgba = painted(join, gray, top, rows);
    context.putImageData(new ImageData(rgba, width, rows), 0, top);
    tell({ did: "progress", id, share: (top + rows) / height });
    await turn();
  }
  const blob = await context.canvas.convertToBlob({ type, quality: QUALITY });
  tell({ did: "saved", id, blob: await tagged(blob) });
}

// --- messages ------------------------------------------------------------------------------------

function tell(message, moved = []) {
  self.postMessage(message, moved);
}

/** Lets messages in; a timer would wait longer than the work takes. */
function turn() {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = resolve;
    port2.postMessage(null);
  });
}

function sentence(error) {
  if (error instanceof Refusal) return error.message;
  const memory = error instanceof RangeError || /memory|alloc/i.test(error.message);
  if (memory) return `too little memory for it; close other pages and pictures, or ${COMMAND}`;
  return `unexpected ${error.name} (${error.message}); please report it`;
}

async function begin({ packed }) {
  const began = performance.now();
  network = await Network.open(packed);
  tell({ did: "ready", seconds: (performance.now() - began) / 1000 });
  // The first pass takes twice as long: best while nobody waits for it.
  if (!waiting.length) await network.logits(new Float32Array(FACTS.side ** 2));
}

async function forget({ id }) {
  pictures.delete(id);
  waiting.splice(0, waiting.length, ...waiting.filter((message) => message.id !== id));
}

const TASKS = { begin, adopt, forget, show, compare, open, save }; // the most urgent first
const FAILED = { begin: "broken", open: "refused" };
const waiting = [];
let busy = false;

/** Takes the most urgent task; of what is to be shown of a picture only the newest. */
function next() {
  const order = Object.keys(TASKS);
  waiting.sort((one, other) => order.indexOf(one.task) - order.indexOf(other.task));
  const chosen = waiting.shift();
  if (chosen.task !== "show") return chosen;
  const newer = waiting.filter(({ task, id }) => task === "show" && id === chosen.id);
  for (const one of newer) waiting.splice(waiting.indexOf(one), 1);
  return newer.at(-1) ?? chosen;
}

self.onmessage = async ({ data }) => {
  waiting.push(data);
  if (busy) return;
  busy = true;
  while (waiting.length) {
    const message = next();
    try {
      await TASKS[message.task](message);
    } catch (error) {
      tell({ did: FAILED[message.task] ?? "failed", id: message.id, why: sentence(error) });
    }
    await turn();
  }
  busy = false;
};
