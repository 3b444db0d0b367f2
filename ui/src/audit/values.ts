// Members of a line as the types that they must have. All throw `FormatError`.

import { FormatError, fromBase64, type Bytes } from "./bytes.ts";
import { isObject, type Json, type JsonObject } from "./canonical.ts";

export function asText(value: Json | undefined): string {
  if (typeof value !== "string") throw new FormatError("not a text");
  return value;
}

export function asCount(value: Json | undefined): number {
  if (typeof value !== "number" || value < 0) throw new FormatError("not a count");
  return value;
}

export function asList(value: Json | undefined): readonly Json[] {
  if (!Array.isArray(value)) throw new FormatError("not a list");
  return value;
}

export function asObject(value: Json | undefined): JsonObject {
  if (!isObject(value)) throw new FormatError("not an object");
  return value;
}

export function asHash(value: Json | undefined): Bytes {
  const bytes = fromBase64(value);
  if (bytes.length !== 32) throw new FormatError("not a hash");
  return bytes;
}

export function asHashes(value: Json | undefined): readonly Bytes[] {
  return asList(value).map(asHash);
}
