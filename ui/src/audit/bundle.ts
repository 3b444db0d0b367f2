// Steps 1, 2 and 4 of the verification for one line, as far as they need no other line.

import { equal, FormatError, text, type Bytes } from "./bytes.ts";
import { canonicalBytes, holdsControls, parseCanonical, type JsonObject } from "./canonical.ts";
import { LINE_BYTES } from "./lines.ts";
import { leafHash } from "./tree.ts";
import { asCount, asHash, asHashes, asList, asObject, asText } from "./values.ts";

export const FORMAT = "wardlight-audit/1";
/** Longest entry, in bytes. */
const ENTRY_BYTES = 16_384;

/** Members of each kind of line: those that it must have, and those that it may. */
const MEMBERS: ReadonlyMap<string, readonly [must: readonly string[], may: readonly string[]]> = new Map([
  ["header", [["created", "format", "kind", "mode", "origin", "size", "vkeys"], ["range"]]],
  ["leaf", [["index", "kind", "leaf"], ["entry", "proof", "without"]]],
  ["tile", [["hash", "index", "kind"], []]],
  ["actor", [["id", "kind", "name", "salt"], []]],
  ["range", [["kind", "left", "right"], []]],
  ["consistency", [["from", "kind", "proof", "to"], []]],
  ["checkpoint", [["kind", "note"], []]],
  ["end", [["kind", "lines", "sha256"], []]],
]);

/** Read a line with its LF. Throws `FormatError` unless it is the one form of a known kind. */
export function parseLine(line: Uint8Array): JsonObject {
  if (line.at(-1) !== 10 || line.length > LINE_BYTES) throw new FormatError("not a line");
  const row = parseCanonical(text(line.subarray(0, -1)));
  const kind = asText(row["kind"]);
  const [must, may] = MEMBERS.get(kind) ?? [];
  if (!must || !may) throw new FormatError("an unknown kind of line");
  const names = Object.keys(row);
  if (!must.every((name) => Object.hasOwn(row, name)) || !names.every((name) => must.includes(name) || may.includes(name))) {
    throw new FormatError("members that the line must not have, or lacks");
  }
  if (holdsControls(row, kind === "checkpoint" ? "note" : "")) throw new FormatError("a control character");
  return row;
}

/** What one leaf line says, as far as the verdict needs it. */
export interface Leaf {
  readonly kind: "leaf";
  readonly index: number;
  readonly leaf: Bytes;
  readonly proof: readonly Bytes[] | undefined;
  /** Undefined where the entry is pruned or withheld. */
  readonly entry: Told | undefined;
}

/** What an entry says that the verdict or a warning needs. */
export interface Told {
  /** Whether its hash is the leaf. */
  readonly fits: boolean;
  readonly log: string;
  readonly id: string;
  readonly recorded: string;
  /** It begins a read. */
  readonly opens: boolean;
  /** Id of the entry whose read it ends. */
  readonly closes: string | undefined;
  /** The verifier key that follows. */
  readonly rotates: string | undefined;
  readonly prunes: readonly (readonly [low: number, high: number])[];
  /** Person, and commitment to their name. */
  readonly named: readonly [id: string, commitment: string] | undefined;
}

export interface Tile {
  readonly kind: "tile";
  readonly index: number;
  readonly hash: Bytes;
}

/** Read a line that tells of a leaf or a tile. Throws `FormatError` for any other. */
export function examine(line: Uint8Array): Leaf | Tile {
  const row = parseLine(line);
  if (row["kind"] === "tile") return { kind: "tile", index: asCount(row["index"]), hash: asHash(row["hash"]) };
  const missing = "without" in row;
  if (row["kind"] !== "leaf" || missing === "entry" in row) throw new FormatError("not a leaf");
  if (missing && row["without"] !== "pruned" && row["without"] !== "withheld") throw new FormatError("not a reason");
  const leaf = asHash(row["leaf"]);
  return {
    kind: "leaf",
    index: asCount(row["index"]),
    leaf,
    proof: "proof" in row ? asHashes(row["proof"]) : undefined,
    entry: missing ? undefined : tellOf(asObject(row["entry"]), leaf),
  };
}

function tellOf(entry: JsonObject, leaf: Bytes): Told {
  const content = canonicalBytes(entry);
  if (content.length > ENTRY_BYTES) throw new FormatError("a long entry");
  const action = asText(entry["action"]);
  const detail = "detail" in entry ? asObject(entry["detail"]) : {};
  const prunes = action === "audit:entries:prune" ? asList(detail["ranges"]) : [];
  return {
    fits: equal(leafHash(content), leaf),
    log: asText(entry["log"]),
    id: asText(entry["id"]),
    recorded: asText(entry["recorded"]),
    opens: entry["phase"] === "authorised",
    closes: entry["phase"] === "finished" ? asText(entry["of"]) : undefined,
    rotates: action === "audit:log:rotate_key" ? asText(detail["vkey"]) : undefined,
    prunes: prunes.map((range) => {
      const [low, high, ...more] = asList(range);
      if (more.length) throw new FormatError("not a range");
      return [asCount(low), asCount(high)];
    }),
    named: nameIn(action, entry, detail),
  };
}

function nameIn(action: string, entry: JsonObject, detail: JsonObject): readonly [string, string] | undefined {
  if (action !== "identity:person:create" && action !== "identity:person:change") return undefined;
  const name = detail["name"];
  return name === undefined ? undefined : [asText(asObject(entry["object"])["id"]), asText(name)];
}
