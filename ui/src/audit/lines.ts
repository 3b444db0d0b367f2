// A file as lines of bytes, without ever holding more than a piece of it.

/** Longest line of a bundle with its LF, in bytes. */
export const LINE_BYTES = 65_536;

const LF = 10;

/**
 * The lines with their LF, in batches. A last line may be without LF; of a line longer than allowed, the first
 * `LINE_BYTES` + 1 bytes come as a line of their own.
 */
export async function* linesOf(file: Blob): AsyncGenerator<Uint8Array[]> {
  let rest = new Uint8Array();
  for await (const piece of file.stream() as ReadableStream<Uint8Array<ArrayBuffer>>) {
    let bytes = piece;
    if (rest.length) {
      bytes = new Uint8Array(rest.length + piece.length);
      bytes.set(rest);
      bytes.set(piece, rest.length);
    }
    const batch: Uint8Array[] = [];
    let start = 0;
    for (;;) {
      const at = bytes.indexOf(LF, start);
      const end = at < 0 ? bytes.length : at + 1;
      if (end - start > LINE_BYTES) {
        batch.push(bytes.subarray(start, start + LINE_BYTES + 1));
        start += LINE_BYTES + 1;
      } else if (at < 0) {
        break;
      } else {
        batch.push(bytes.subarray(start, end));
        start = end;
      }
    }
    rest = bytes.slice(start);
    if (batch.length) yield batch;
  }
  if (rest.length) yield [rest];
}
