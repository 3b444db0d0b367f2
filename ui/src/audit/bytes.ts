// Bytes and their texts: base64 in its one form, base64url, hexadecimal, UTF-8; comparison.

export type Bytes = Uint8Array<ArrayBuffer>;

/** What a bundle, a note or a key says is not in the form that it must have. */
export class FormatError extends Error {
  override readonly name = "FormatError";
}

const ENCODER = new TextEncoder();
// A byte order mark is no part of the format: it must reach the parser, which refuses it.
const DECODER = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

export function utf8(text: string): Bytes {
  return ENCODER.encode(text);
}

/** Throws `FormatError` for bytes that are no UTF-8. */
export function text(bytes: Uint8Array): string {
  try {
    return DECODER.decode(bytes);
  } catch {
    throw new FormatError("not UTF-8");
  }
}

/** Base64 with its padding and no stray bits. Throws `FormatError` for any other form, which `atob` would take. */
export function fromBase64(encoded: unknown): Bytes {
  if (typeof encoded !== "string") throw new FormatError("base64 is a text");
  let binary: string;
  try {
    binary = atob(encoded);
  } catch {
    throw new FormatError("not base64");
  }
  if (btoa(binary) !== encoded) throw new FormatError("base64 in another than its canonical form");
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
}

export function toBase64(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes));
}

/** Base64url without padding. Throws `FormatError` for any other form. */
export function fromBase64url(encoded: unknown): Bytes {
  if (typeof encoded !== "string" || /[^A-Za-z0-9_-]/.test(encoded)) throw new FormatError("not base64url");
  const padding = "=".repeat(-encoded.length & 3);
  return fromBase64(encoded.replaceAll("-", "+").replaceAll("_", "/") + padding);
}

export function toBase64url(bytes: Uint8Array): string {
  return toBase64(bytes).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

export function toHex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

export function equal(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && one.every((byte, index) => byte === other[index]);
}
