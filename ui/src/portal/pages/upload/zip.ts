// Zip archives, opened in the browser by their central directory, within the limits of docs/reference/uploads.md.
export interface Source {
  /** A label for the person; never sent, never a path. */
  name: string;
  size: number;
  head: (bytes: number) => Promise<Uint8Array<ArrayBuffer>>;
  blob: () => Promise<Blob>;
}

export class ZipRefused extends Error {}

export const ENTRIES = 100_000;
export const BYTES = 50 * 2 ** 30;
const RATIO = 100;
const FREE = 2 ** 20;
const LARGEST_DIRECTORY = 64 * 2 ** 20;
/** One entry is inflated at a time and held by the browser. */
const ENTRY = 4 * 2 ** 30;

export function isZip(bytes: Uint8Array): boolean {
  return bytes[0] === 0x50 && bytes[1] === 0x4b && bytes[2] === 3 && bytes[3] === 4;
}

/** The files of an archive. Throws ZipRefused. */
export async function openZip(archive: Blob): Promise<Source[]> {
  const tail = await bytesOf(archive, Math.max(0, archive.size - 65_557), archive.size);
  let end = tail.byteLength - 22;
  while (end >= 0 && tail.getUint32(end, true) !== 0x06054b50) end -= 1;
  if (end < 0) throw new ZipRefused("it has no directory");
  let [count, size, start] = [tail.getUint16(end + 10, true), tail.getUint32(end + 12, true), tail.getUint32(end + 16, true)];
  if (count === 0xffff || start === 0xffffffff) {
    const locator = end - 20;
    if (locator < 0 || tail.getUint32(locator, true) !== 0x07064b50) throw new ZipRefused("its directory is broken");
    const at = Number(tail.getBigUint64(locator + 8, true));
    const large = await bytesOf(archive, at, at + 56);
    if (large.byteLength < 56 || large.getUint32(0, true) !== 0x06064b50) throw new ZipRefused("its directory is broken");
    [count, size, start] = [Number(large.getBigUint64(32, true)), Number(large.getBigUint64(40, true)), Number(large.getBigUint64(48, true))];
  }
  if (count > ENTRIES) throw new ZipRefused("it has more than 100,000 files");
  if (size > LARGEST_DIRECTORY || start + size > archive.size) throw new ZipRefused("its directory is broken");
  return entries(archive, await bytesOf(archive, start, start + size), count, start);
}

function entries(archive: Blob, view: DataView, count: number, limit: number): Source[] {
  const found: Source[] = [];
  const places: [number, number][] = [];
  let at = 0;
  let whole = 0;
  for (let index = 0; index < count; index += 1) {
    if (at + 46 > view.byteLength || view.getUint32(at, true) !== 0x02014b50) throw new ZipRefused("its directory is broken");
    const [flags, method] = [view.getUint16(at + 8, true), view.getUint16(at + 10, true)];
    let [packed, size] = [view.getUint32(at + 20, true), view.getUint32(at + 24, true)];
    const [names, extra, comment] = [view.getUint16(at + 28, true), view.getUint16(at + 30, true), view.getUint16(at + 32, true)];
    const mode = view.getUint32(at + 38, true) >>> 16;
    let place = view.getUint32(at + 42, true);
    if (at + 46 + names + extra > view.byteLength) throw new ZipRefused("its directory is broken");
    const name = new TextDecoder().decode(new Uint8Array(view.buffer, view.byteOffset + at + 46, names));
    [packed, size, place] = large(view, at + 46 + names, extra, packed, size, place);
    at += 46 + names + extra + comment;
    if (name.endsWith("/")) continue;
    if (flags & 1) throw new ZipRefused("it is encrypted");
    if ((mode & 0xf000) === 0xa000) throw new ZipRefused("it holds a link");
    if (method !== 0 && method !== 8) throw new ZipRefused("it is packed in a way that is not taken");
    if (size > FREE && size > packed * RATIO) throw new ZipRefused("it would grow more than a hundredfold");
    whole += size;
    if (whole > BYTES || size > ENTRY) throw new ZipRefused("it is too large");
    if (place + 30 + packed > limit) throw new ZipRefused("its directory is broken");
    places.push([place, place + 30 + packed]);
    found.push(entry(archive, name.split(/[\\/]/).pop() ?? "", place, packed, size, method === 8));
  }
  places.sort((one, other) => one[0] - other[0]);
  if (places.some((one, index) => index > 0 && one[0] < places[index - 1]![1])) throw new ZipRefused("its files lie over each other");
  return found;
}

/** The fields of 64 bits of an entry that has them. */
function large(view: DataView, from: number, length: number, packed: number, size: number, place: number): [number, number, number] {
  for (let at = from; at + 4 <= from + length; at += 4 + view.getUint16(at + 2, true)) {
    if (view.getUint16(at, true) !== 1) continue;
    let value = at + 4;
    const next = (given: number): number => {
      if (given !== 0xffffffff || value + 8 > from + length) return given;
      value += 8;
      return Number(view.getBigUint64(value - 8, true));
    };
    return [size, packed, place].map(next).reduce<[number, number, number]>((all, one, index) => ((all[[1, 0, 2][index]!] = one), all), [0, 0, 0]);
  }
  return [packed, size, place];
}

function entry(archive: Blob, name: string, place: number, packed: number, size: number, deflated: boolean): Source {
  const raw = async (): Promise<Blob> => {
    const local = await bytesOf(archive, place, place + 30);
    if (local.byteLength < 30 || local.getUint32(0, true) !== 0x04034b50) throw new ZipRefused("its directory is broken");
    const from = place + 30 + local.getUint16(26, true) + local.getUint16(28, true);
    return archive.slice(from, from + packed);
  };
  return {
    name,
    size,
    head: async (bytes) => (deflated ? first(await raw(), Math.min(bytes, size)) : new Uint8Array(await (await raw()).slice(0, bytes).arrayBuffer())),
    blob: async () => (deflated ? new Blob([await first(await raw(), size)]) : raw()),
  };
}

/** The first bytes of what a deflated blob inflates to; never more, whatever it says. */
async function first(blob: Blob, bytes: number): Promise<Uint8Array<ArrayBuffer>> {
  const reader = blob.stream().pipeThrough(new DecompressionStream("deflate-raw")).getReader();
  const out = new Uint8Array(bytes);
  let at = 0;
  while (at < bytes) {
    const { done, value } = await reader.read();
    if (done) break;
    const part = value.subarray(0, bytes - at);
    out.set(part, at);
    at += part.length;
  }
  await reader.cancel().catch(() => undefined);
  if (at < bytes) throw new ZipRefused("a file in it is shorter than it says");
  return out;
}

async function bytesOf(blob: Blob, start: number, end: number): Promise<DataView> {
  return new DataView(await blob.slice(start, end).arrayBuffer());
}
