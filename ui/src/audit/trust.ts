// What the reader knows from elsewhere than the bundle.

import { FormatError } from "./bytes.ts";
import { isObject, type Json } from "./canonical.ts";
import { Note, VerifierKey } from "./note.ts";
import { asCount, asList, asText } from "./values.ts";

/** What was given along with the bundle cannot be used; the message says what. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** Without `vkeys` the best verdict is `unanchored`. */
export interface Trust {
  /** Name of the log. */
  readonly origin?: string;
  /** Its keys, oldest first. */
  readonly vkeys?: readonly string[];
  /** Verifier keys, of which `threshold` (default 1) must have signed one head. */
  readonly witnesses?: readonly string[];
  readonly threshold?: number;
  /** Signed checkpoints that came another way. */
  readonly anchors?: readonly string[];
  /** Take a head on the log key's word alone. */
  readonly logKeyOnly?: boolean;
  /** An entry that is withheld is no longer fine. */
  readonly complete?: boolean;
}

/** Read a trust file: {"origin", "vkeys", "witnesses", "k"}. Throws `UsageError`. */
export function parseTrust(text: string): Trust {
  try {
    const found: unknown = JSON.parse(text);
    if (!isObject(found)) throw new FormatError("not an object");
    const threshold = asCount(found["k"] ?? 1);
    if (!Number.isSafeInteger(threshold)) throw new FormatError("not a count");
    const texts = (value: Json | undefined) => asList(value).map(asText);
    return {
      origin: asText(found["origin"]),
      vkeys: texts(found["vkeys"]),
      witnesses: texts(found["witnesses"] ?? []),
      threshold,
    };
  } catch (error) {
    if (error instanceof FormatError || error instanceof SyntaxError) {
      throw new UsageError("the trust file cannot be read");
    }
    throw error;
  }
}

/** Keys that are given. Throws `UsageError` for one that is no key of this kind. */
export function givenKeys(vkeys: readonly string[], kind: number): VerifierKey[] {
  const keys = namedKeys(vkeys, kind);
  if (keys.length !== vkeys.length) throw new UsageError("a key given is no verifier key: name+keyid+base64");
  return keys;
}

/** Keys that a bundle names; what is no key of this kind is left out. */
export function namedKeys(vkeys: readonly string[], kind: number): VerifierKey[] {
  return vkeys.flatMap((vkey) => {
    try {
      const key = new VerifierKey(vkey);
      return key.kind === kind ? [key] : [];
    } catch (error) {
      if (error instanceof FormatError) return [];
      throw error;
    }
  });
}

/** Checkpoints that are given. Throws `UsageError`. */
export function givenNotes(notes: readonly string[]): Note[] {
  try {
    return notes.map((note) => new Note(note));
  } catch (error) {
    if (error instanceof FormatError) throw new UsageError("a checkpoint given is no signed note");
    throw error;
  }
}
