// Bundles of the test vectors, whole and changed.

import { toHex, utf8 } from "../../src/audit/bytes.ts";
import { canonical } from "../../src/audit/canonical.ts";
import { sha256 } from "../../src/audit/sha256.ts";
import type { Trust } from "../../src/audit/index.ts";
import * as vectors from "./vectors.ts";

export const TRUST: Trust = {
  origin: vectors.ORIGIN,
  vkeys: [vectors.LOG_VKEY],
  witnesses: [vectors.WITNESS_VKEY],
};

/** The lines of the whole range bundle, but for the end. */
export function rows(): Record<string, unknown>[] {
  return [
    {
      created: "2026-11-24T08:06:00.000Z",
      format: "wardlight-audit/1",
      kind: "header",
      mode: "range",
      origin: vectors.ORIGIN,
      range: { from: 0, to: 5 },
      size: 5,
      vkeys: [vectors.LOG_VKEY],
    },
    ...vectors.ENTRIES.map((entry, index) => ({
      entry: JSON.parse(entry) as object,
      index,
      kind: "leaf",
      leaf: vectors.LEAVES[index],
    })),
    { kind: "range", left: [], right: [] },
    { kind: "checkpoint", note: vectors.CHECKPOINT_3 },
    { from: 3, kind: "consistency", proof: vectors.CONSISTENCY_3_TO_5, to: 5 },
    { kind: "checkpoint", note: vectors.CHECKPOINT_5 },
  ];
}

/** A bundle of these lines with its end. */
export function sealed(lines: readonly (object | string)[]): Blob {
  const text = lines.map((line) => `${typeof line === "string" ? line : canonical(line)}\n`).join("");
  const end = { kind: "end", lines: lines.length, sha256: toHex(sha256(utf8(text))) };
  return new Blob([text, `${canonical(end)}\n`]);
}
