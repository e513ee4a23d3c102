// What a file is, by its first bytes: its kind, and its size where the head tells it. Knows no
// pixels; what the browser makes of the file decides.

const KINDS = [
  { name: "JPEG", starts: [[0, "ff d8 ff"]], size: jpegSize, loses: jpegLoses },
  { name: "PNG", starts: [[0, "89 50 4e 47 0d 0a 1a 0a"]], size: pngSize, loses: pngLoses },
  { name: "WebP", starts: [[0, "52 49 46 46"], [8, "57 45 42 50"]] },
  { name: "GIF", starts: [[0, "47 49 46 38"]], size: gifSize, loses: () => ["all but its first frame"] },
  { name: "BMP", starts: [[0, "42 4d"]], size: bmpSize },
  { name: "AVIF", starts: [[4, "66 74 79 70 61 76 69"]] },
  { name: "HEIC", starts: [[4, "66 74 79 70"]], advice: "save it as JPEG in the camera or the album" },
  { name: "TIFF", starts: [[0, "49 49 2a 00"]], advice: "use the command line, which keeps its pages and depth" },
  { name: "TIFF", starts: [[0, "4d 4d 00 2a"]], advice: "use the command line, which keeps its pages and depth" },
  { name: "PDF", starts: [[0, "25 50 44 46"]], advice: "save its pictures as JPEG or PNG" },
];
const HEAD = 1 << 18; // bytes: what stands before a JPEG's size is seldom more

const bytesOf = (hex) => hex.split(" ").map((pair) => parseInt(pair, 16));

function begins(head, starts) {
  return starts.every(([at, hex]) => bytesOf(hex).every((byte, i) => head[at + i] === byte));
}

function view(head) {
  return new DataView(head.buffer, head.byteOffset, head.byteLength);
}

function pngSize(head) {
  return head.length < 24 ? null : [view(head).getUint32(16), view(head).getUint32(20)];
}

function pngLoses(head) {
  const loses = head[24] === 16 ? ["8 of its 16 bits"] : [];
  return [...loses, ...(holds(head, "acTL") ? ["all but its first frame"] : [])];
}

function gifSize(head) {
  return head.length < 10 ? null : [view(head).getUint16(6, true), view(head).getUint16(8, true)];
}

function bmpSize(head) {
  if (head.length < 26) return null;
  return [view(head).getInt32(18, true), Math.abs(view(head).getInt32(22, true))];
}

/** The segments of a JPEG's head: marker, and where its content begins and ends. */
function* jpegSegments(head) {
  let at = 2;
  while (at + 4 <= head.length && head[at] === 0xff) {
    const marker = head[at + 1];
    if (marker === 0xff) {
      at += 1;
      continue;
    }
    const end = at + 2 + view(head).getUint16(at + 2);
    yield { marker, start: at + 4, end };
    if (marker === 0xda) return;
    at = end;
  }
}

function jpegSize(head) {
  for (const { marker, start } of jpegSegments(head)) {
    const frame = marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker);
    if (frame && start + 5 <= head.length) {
      return [view(head).getUint16(start + 3), view(head).getUint16(start + 1)];
    }
  }
  return null;
}

function jpegLoses(head) {
  return holds(head.subarray(0, 1 << 16), "Exif") ? ["its EXIF data"] : [];
}

/** Whether four letters occur in the head. */
function holds(head, letters) {
  const codes = [...letters].map((letter) => letter.charCodeAt(0));
  for (let at = 0; at + 4 <= head.length; at++) {
    if (codes.every((code, i) => head[at + i] === code)) return true;
  }
  return false;
}

/** What a file is: `name` null for no kind of picture, `size` [width, height] or null, `loses`. */
async function kindOf(file) {
  const head = new Uint8Array(await file.slice(0, HEAD).arrayBuffer());
  const kind = KINDS.find(({ starts }) => begins(head, starts));
  if (!kind) return { name: null, bytes: head.length, size: null, loses: [], advice: "" };
  return {
    name: kind.name,
    bytes: head.length,
    size: kind.size?.(head) ?? null,
    loses: kind.loses?.(head) ?? [],
    advice: kind.advice ?? "",
  };
}
