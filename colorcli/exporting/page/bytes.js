// Bytes in and out of texts, streams and checksums; what the page and its worker share.

const CRC = (() => {
  const table = new Uint32Array(256);
  for (let n = 0; n < 256; n++) {
    let c = n;
    for (let bit = 0; bit < 8; bit++) c = c & 1 ? 0xedb88320 ^ (c >>> 1) : c >>> 1;
    table[n] = c >>> 0;
  }
  return table;
})();

/** CRC-32 of bytes, as PNG and ZIP have it. */
function crc32(bytes) {
  let c = 0xffffffff;
  for (let i = 0; i < bytes.length; i++) c = CRC[(c ^ bytes[i]) & 255] ^ (c >>> 8);
  return (c ^ 0xffffffff) >>> 0;
}

/** `parts` (byte arrays, or numbers big-endian as [value, bytes]) one after the other. */
function joined(parts) {
  const arrays = parts.map((part) => {
    if (part instanceof Uint8Array) return part;
    if (typeof part === "string") return Uint8Array.from(part, (c) => c.charCodeAt(0));
    const [value, count] = part;
    return Uint8Array.from({ length: count }, (_, i) => value / 256 ** (count - 1 - i) & 255);
  });
  const out = new Uint8Array(arrays.reduce((sum, array) => sum + array.length, 0));
  let at = 0;
  for (const array of arrays) {
    out.set(array, at);
    at += array.length;
  }
  return out;
}

function fromBase64(text) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text);
  const letters = atob(text);
  const bytes = new Uint8Array(letters.length);
  for (let i = 0; i < letters.length; i++) bytes[i] = letters.charCodeAt(i);
  return bytes;
}

/** Bytes of base64 of gzip. */
async function unpacked(text) {
  const stream = new Blob([fromBase64(text.trim())]).stream();
  const plain = stream.pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(plain).arrayBuffer());
}

function scriptUrl(code) {
  return URL.createObjectURL(new Blob([code], { type: "text/javascript" }));
}
