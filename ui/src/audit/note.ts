// Signed notes of C2SP: checkpoints, their log signatures (type 0x01) and witness cosignatures (type 0x04).
// c2sp.org/signed-note, c2sp.org/tlog-checkpoint, c2sp.org/tlog-cosignature.

import { equal, FormatError, fromBase64, toBase64, toHex, utf8, type Bytes } from "./bytes.ts";
import { sha256 } from "./sha256.ts";

/** Kinds of keys: a log's, and a witness's. */
export const LOG = 1;
export const WITNESS = 4;
/** Most signature lines of a note. */
export const MAX_SIGNATURES = 16;

// No plus, no control character, no space of Unicode. Not `\s`: it knows others than Python's.
export const NAME = /^[^+\0-\x20\x7f-\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]{1,255}$/u;
const KEY_ID = /^[0-9a-f]{8}$/;
const NUMBER = /^(0|[1-9][0-9]{0,15})$/;

/** A public key: whose it is, and what it signs (kind `LOG` or `WITNESS`). */
export class VerifierKey {
  readonly name: string;
  readonly kind: number;
  readonly keyId: Bytes;
  /** As it was read. */
  readonly text: string;
  readonly #public: Bytes;
  #imported: Promise<CryptoKey> | undefined;

  /** Read `name+keyid+base64(kind ‖ public key)`. Throws `FormatError` for any other, and for a wrong key id. */
  constructor(vkey: string) {
    const [name = "", keyId = "", ...rest] = vkey.split("+");
    const data = fromBase64(rest.join("+"));
    if (!NAME.test(name) || !KEY_ID.test(keyId)) throw new FormatError("a verifier key is name+keyid+base64");
    if (data.length !== 33 || (data[0] !== LOG && data[0] !== WITNESS)) {
      throw new FormatError("the verifier key is of an unknown kind");
    }
    this.name = name;
    this.text = vkey;
    this.kind = data[0];
    this.#public = data.slice(1);
    this.keyId = sha256(utf8(`${name}\n`), data).slice(0, 4);
    if (toHex(this.keyId) !== keyId) throw new FormatError("the verifier key's id does not fit it");
  }

  /** What two names for one key have in common. */
  get publicKey(): string {
    return toHex(this.#public);
  }

  /** Whether the bytes after a signature line's key id are this key's over the note's text. */
  async verify(body: string, signature: Bytes): Promise<boolean> {
    if (signature.length !== (this.kind === WITNESS ? 72 : 64)) return false;
    const algorithm = { name: "Ed25519" };
    let key: CryptoKey;
    try {
      this.#imported ??= crypto.subtle.importKey("raw", this.#public, algorithm, false, ["verify"]);
      key = await this.#imported;
    } catch (error) {
      // DataError: no point of the curve. Whatever else fails is no verdict on a signature.
      if (error instanceof DOMException && error.name === "DataError") return false;
      throw error;
    }
    const time = this.kind === WITNESS ? new DataView(signature.buffer, signature.byteOffset).getBigUint64(0) : 0;
    const message = this.kind === WITNESS ? `cosignature/v1\ntime ${time}\n${body}` : body;
    return await crypto.subtle.verify(algorithm, key, signature.slice(-64), utf8(message));
  }
}

/** One signature line: the name, the key's id, and what follows it. */
export interface Signature {
  readonly name: string;
  readonly keyId: Bytes;
  readonly data: Bytes;
}

/** Read a signature line without its LF. Throws `FormatError`. */
export function parseSignature(line: string): Signature {
  const parts = line.split(" ");
  const [dash, name = "", encoded] = parts;
  if (parts.length !== 3 || dash !== "—" || !NAME.test(name)) throw new FormatError("not a signature line");
  const data = fromBase64(encoded);
  if (data.length < 5) throw new FormatError("the signature is too short");
  return { name, keyId: data.slice(0, 4), data: data.slice(4) };
}

/** A signed checkpoint: the head of a log. */
export class Note {
  readonly origin: string;
  readonly size: number;
  readonly root: Bytes;
  readonly signatures: readonly Signature[];

  /** Read a checkpoint without extension lines. Throws `FormatError` for anything else. */
  constructor(text: string) {
    const at = text.indexOf("\n\n");
    const lines = text.slice(0, Math.max(at, 0)).split("\n");
    const [origin = "", size = "", root] = lines;
    if (lines.length !== 3 || !text.endsWith("\n")) throw new FormatError("not a signed checkpoint");
    if (!NAME.test(origin) || !NUMBER.test(size) || !Number.isSafeInteger(Number(size))) {
      throw new FormatError("a checkpoint begins with origin and size");
    }
    const rows = text.slice(at + 2, -1).split("\n");
    this.root = fromBase64(root);
    if (this.root.length !== 32 || rows.length > MAX_SIGNATURES) {
      throw new FormatError("a checkpoint has a root of 32 bytes and at most 16 signatures");
    }
    this.origin = origin;
    this.size = Number(size);
    this.signatures = rows.map(parseSignature);
  }

  /** What is signed. */
  get body(): string {
    return `${this.origin}\n${this.size}\n${toBase64(this.root)}\n`;
  }

  /** Whether this key's signatures are good; null where there is none of it. */
  async signedBy(key: VerifierKey): Promise<boolean | null> {
    const own = this.signatures.filter((one) => one.name === key.name && equal(one.keyId, key.keyId));
    if (!own.length) return null;
    const good = await Promise.all(own.map((one) => key.verify(this.body, one.data)));
    return good.every(Boolean);
  }
}
