// A ZIP archive of pictures, stored as they are: they are compressed already.

const MOST = 4e9; // bytes, beyond which the format would need its 64-bit form

/** A ZIP of `entries` ({name, blob}); throws RangeError where it would be too large. */
async function zipped(entries, now = new Date()) {
  const date = ((now.getFullYear() - 1980) << 9) | ((now.getMonth() + 1) << 5) | now.getDate();
  const time = (now.getHours() << 11) | (now.getMinutes() << 5) | (now.getSeconds() >> 1);
  const [files, directory] = [[], []];
  let offset = 0;
  for (const { name, blob } of entries) {
    const bytes = new Uint8Array(await blob.arrayBuffer());
    const encoded = new TextEncoder().encode(name);
    // Version 2.0, names in UTF-8, stored; then time, date, checksum and both sizes.
    const common = [
      ...[20, 0x800, 0, time, date].map((value) => little(value, 2)),
      ...[crc32(bytes), bytes.length, bytes.length].map((value) => little(value, 4)),
      little(encoded.length, 2), little(0, 2),
    ];
    const local = joined(["PK\x03\x04", ...common, encoded]);
    files.push(local, blob);
    directory.push(joined([
      "PK\x01\x02", little(20, 2), ...common, little(0, 2), little(0, 2), little(0, 2),
      little(0, 4), little(offset, 4), encoded,
    ]));
    offset += local.length + bytes.length;
    if (offset > MOST) throw new RangeError("more than 4 GB");
  }
  const index = joined(directory);
  const count = little(directory.length, 2);
  const end = joined([
    "PK\x05\x06", little(0, 2), little(0, 2), count, count, little(index.length, 4),
    little(offset, 4), little(0, 2),
  ]);
  return new Blob([...files, index, end], { type: "application/zip" });
}

/** A number in `count` bytes, the lowest first. */
function little(value, count) {
  return Uint8Array.from({ length: count }, (_, i) => Math.floor(value / 256 ** i) % 256);
}
