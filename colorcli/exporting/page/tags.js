// What a PNG or JPEG that a canvas wrote says of itself: sRGB, by a profile whose creator is the mark
// by which `colorize predict` knows results (imaging/tags/provenance.py), and in XMP that a model
// predicted the colours (imaging/tags/origin.py).

const HEAD_OF_RESULT = 1 << 16; // bytes: all that canvases write before the pixels

const PROFILES = {
  /** Chunks iCCP and iTXt after IHDR, in place of what the browser itself says of colours. */
  "image/png": async (blob, head) => {
    const content = joined(["iCCP", "sRGB", [0, 2], new Uint8Array(await deflated(profile()))]);
    const words = joined(["iTXtXML:com.adobe.xmp", [0, 5], new TextEncoder().encode(FACTS.xmp)]);
    const own = [content, words].map((chunk) =>
      joined([[chunk.length - 4, 4], chunk, [crc32(chunk), 4]]));
    const [kept, end] = pngHead(head);
    return [head.subarray(0, 33), ...own, ...kept, blob.slice(end)];
  },
  /** Segments APP1 and APP2 after JFIF's, in place of the browser's own. */
  "image/jpeg": async (blob, head) => {
    const profiled = joined(["ICC_PROFILE", [0, 1], [1, 1], [1, 1], profile()]);
    const words = joined(["http://ns.adobe.com/xap/1.0/", [0, 1], new TextEncoder().encode(FACTS.xmp)]);
    const own = [[0xffe1, words], [0xffe2, profiled]].map(([marker, content]) =>
      joined([[marker, 2], [content.length + 2, 2], content]));
    const [kept, end] = jpegHead(head);
    const first = kept.findIndex((segment) => segment[1] === 0xe0) + 1;
    const [before, behind] = [kept.slice(0, first), kept.slice(first)];
    return [head.subarray(0, 2), ...before, ...own, ...behind, blob.slice(end)];
  },
};

/** Chunks between IHDR and the pixels that say nothing of colours, and where they end. */
function pngHead(head) {
  const kept = [];
  let at = 33;
  for (;;) {
    const name = String.fromCharCode(...head.subarray(at + 4, at + 8));
    if (name === "IDAT" || at + 8 > head.length) return [kept, at];
    const end = at + 12 + view(head).getUint32(at);
    if (!["iCCP", "sRGB", "gAMA", "cHRM"].includes(name)) kept.push(head.subarray(at, end));
    at = end;
  }
}

/** Segments before the pixels that hold no profile, and where they end. */
function jpegHead(head) {
  const kept = [];
  let last = 2;
  for (const { marker, start, end } of jpegSegments(head)) {
    if (marker === 0xda || end > head.length) break;
    const profiled = marker === 0xe2 && head[start] === 0x49; // ICC_PROFILE
    if (!profiled) kept.push(head.subarray(start - 4, end));
    last = end;
  }
  return [kept, last];
}

function profile() {
  return fromBase64(FACTS.profile);
}

async function deflated(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new CompressionStream("deflate"));
  return new Response(stream).arrayBuffer();
}

/** A picture of a canvas with the profile in it. */
async function tagged(blob) {
  const head = new Uint8Array(await blob.slice(0, HEAD_OF_RESULT).arrayBuffer());
  return new Blob(await PROFILES[blob.type](blob, head), { type: blob.type });
}
