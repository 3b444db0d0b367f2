// Step 1 of the verification: RFC 8785 in the subset of the format. No null, no fractions, names of a-z, 0-9 and _, so
// that sorting by UTF-16 code units and by code points is the same; texts in normal form C.

import { FormatError, utf8 } from "./bytes.ts";

/** A value of the subset. */
export type Json = boolean | number | string | readonly Json[] | JsonObject;
export interface JsonObject {
  readonly [name: string]: Json;
}

const NAMES = /^[a-z0-9_]+$/;
const NOT_ASCII = /[^\0-\x7f]/;
const CONTROL = /[\0-\x1f]/;
/** Deepest nesting of a line; an entry stands one deeper in it than alone. */
const DEPTH = 10;

/** The one form of a value as text. Throws `FormatError` where it leaves the subset. */
export function canonical(value: unknown): string {
  return write(value, DEPTH);
}

/** The bytes of an entry that are the leaf of its log. Throws `FormatError`. */
export function canonicalBytes(value: unknown): Uint8Array<ArrayBuffer> {
  return utf8(canonical(value));
}

function write(value: unknown, depth: number): string {
  switch (typeof value) {
    case "boolean":
      return String(value);
    case "number":
      // From 2^53 on parsing loses digits, and two numbers look like one.
      if (!Number.isSafeInteger(value)) throw new FormatError("a number that is no integer, or too large");
      return String(value);
    case "string":
      if (!value.isWellFormed()) throw new FormatError("half a surrogate pair");
      return JSON.stringify(value);
    case "object":
      if (value === null || depth <= 0) throw new FormatError("null, or nested too deeply");
      if (Array.isArray(value)) return `[${value.map((one) => write(one, depth - 1)).join(",")}]`;
      return `{${Object.keys(value)
        .sort()
        .map((name) => member(name, (value as JsonObject)[name], depth - 1))
        .join(",")}}`;
    default:
      throw new FormatError("no JSON");
  }
}

function member(name: string, value: unknown, depth: number): string {
  if (!NAMES.test(name)) throw new FormatError("a name that is not made of a-z, 0-9 and _");
  return `"${name}":${write(value, depth)}`;
}

/**
 * Read a text that must be in the one form: equality refuses doubled members, spaces, escapes and other numbers alike.
 * Throws `FormatError`.
 */
export function parseCanonical(text: string): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new FormatError("no JSON");
  }
  if (canonical(value) !== text || !isObject(value)) throw new FormatError("not in canonical form");
  if (NOT_ASCII.test(text) && text.normalize("NFC") !== text) throw new FormatError("not in normal form C");
  return value;
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Whether a text within, but for the member named, holds a control character. */
export function holdsControls(value: Json, except = ""): boolean {
  if (typeof value === "string") return CONTROL.test(value);
  if (typeof value !== "object") return false;
  return Object.entries(value).some(([name, one]) => name !== except && holdsControls(one));
}
