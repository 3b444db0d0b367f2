// Step 1 of the verification: order, form and end of a bundle. Keeps all that it says but for its leaves.

import { FormatError, fromBase64url, toBase64url, toHex, utf8, type Bytes } from "./bytes.ts";
import { FORMAT, parseLine } from "./bundle.ts";
import type { JsonObject } from "./canonical.ts";
import { linesOf, LINE_BYTES } from "./lines.ts";
import { NAME, Note } from "./note.ts";
import { Sha256, sha256 } from "./sha256.ts";
import { asCount, asHashes, asList, asObject, asText } from "./values.ts";
import type { Failures, Verdict } from "./verdict.ts";

/** Which kinds of lines may follow one; tiles stand among the leaves. */
const NEXT: Readonly<Record<string, readonly string[]>> = {
  "": ["header"],
  header: ["leaf", "actor", "range", "checkpoint"],
  leaf: ["leaf", "actor", "range", "checkpoint"],
  actor: ["actor", "range", "checkpoint"],
  range: ["checkpoint"],
  checkpoint: ["consistency", "end"],
  consistency: ["checkpoint"],
  end: [],
};

/** First member of a line that tells of a leaf or a tile: members are sorted, so no other kind begins so. */
const LEAF_LINES = ['{"entry":', '{"index":', '{"hash":'].map(utf8);

export interface Actor {
  readonly line: number;
  readonly id: string;
  /** What the entry that made the person must say of salt and name. */
  readonly commitment: string;
}

export interface Consistency {
  readonly from: number;
  readonly to: number;
  readonly proof: readonly Bytes[];
}

/** All lines of a bundle but those of its leaves. */
export class Frame {
  /** Entries that a bundle of mode range tells of, `from` up to before `to`. */
  range: { readonly from: number; readonly to: number } | undefined;
  /** Keys that the bundle itself names. */
  vkeys: readonly string[] = [];
  /** Largest subtrees before and after the range. */
  left: readonly Bytes[] = [];
  right: readonly Bytes[] = [];
  readonly notes: Note[] = [];
  /** How each checkpoint but the first follows from the one before. */
  readonly proofs: Consistency[] = [];
  readonly actors: Actor[] = [];
  /** Where the lines of leaves begin and end in the file, in bytes, and the number of the first. */
  readonly leaves = { start: 0, end: 0, line: 0 };

  readonly #verdict: Verdict;
  readonly #failures: Failures;
  readonly #digest = new Sha256();
  #last = "";
  #hasRangeLine = false;

  constructor(verdict: Verdict, failures: Failures) {
    this.#verdict = verdict;
    this.#failures = failures;
  }

  /** Whether the rest of the file can be looked at. `passed` is told how many bytes were read. */
  async read(file: Blob, passed: (bytes: number) => void): Promise<boolean> {
    let line = 0;
    let offset = 0;
    for await (const batch of linesOf(file)) {
      for (const bytes of batch) {
        const wrong = this.#accept(bytes, ++line, offset);
        if (wrong) {
          this.#failures.add(1, wrong, { line });
          return false;
        }
        offset += bytes.length;
      }
      passed(offset);
    }
    if (this.#last !== "end") {
      this.#failures.add(1, "incomplete", { line: line + 1 });
      return false;
    }
    if ((this.range !== undefined) !== this.#hasRangeLine || this.notes.at(-1)?.size !== this.#verdict.size) {
      this.#failures.add(1, "malformed", { line });
      return false;
    }
    return true;
  }

  #accept(bytes: Uint8Array, line: number, offset: number): "incomplete" | "malformed" | undefined {
    if (bytes.at(-1) !== 10) return bytes.length <= LINE_BYTES && this.#last !== "end" ? "incomplete" : "malformed";
    try {
      if (LEAF_LINES.some((start) => start.every((byte, at) => byte === bytes[at]))) {
        this.#follow("leaf");
        if (!this.leaves.line) Object.assign(this.leaves, { start: offset, line });
        this.leaves.end = offset + bytes.length;
      } else {
        const row = parseLine(bytes);
        this.#follow(asText(row["kind"]));
        this.#take(row, line);
      }
    } catch (error) {
      if (error instanceof FormatError) return "malformed";
      throw error;
    }
    this.#digest.update(bytes);
    return undefined;
  }

  #follow(kind: string): void {
    if (!NEXT[this.#last]?.includes(kind)) throw new FormatError("out of order");
    this.#last = kind;
    this.#hasRangeLine ||= kind === "range";
  }

  #take(row: JsonObject, line: number): void {
    switch (row["kind"]) {
      case "header":
        return this.#takeHeader(row);
      case "actor":
        return this.#takeActor(row, line);
      case "range":
        this.left = asHashes(row["left"]);
        this.right = asHashes(row["right"]);
        return;
      case "consistency":
        return this.#takeProof({ from: asCount(row["from"]), to: asCount(row["to"]), proof: asHashes(row["proof"]) });
      case "checkpoint":
        return this.#takeNote(new Note(asText(row["note"])));
      default:
        return this.#takeEnd(row, line);
    }
  }

  #takeHeader(row: JsonObject): void {
    const { format, mode } = row;
    if (format !== FORMAT || (mode !== "range" && mode !== "selection")) throw new FormatError("another format");
    const size = asCount(row["size"]);
    const origin = asText(row["origin"]);
    if (!NAME.test(origin)) throw new FormatError("not the name of a log");
    Object.assign(this.#verdict, { origin, mode, size });
    this.vkeys = asList(row["vkeys"]).map(asText);
    asText(row["created"]);
    if ((mode === "range") !== "range" in row) throw new FormatError("a range belongs to its mode");
    if (mode !== "range") return;
    const range = asObject(row["range"]);
    const [from, to] = [asCount(range["from"]), asCount(range["to"])];
    if (from > to || to > size || Object.keys(range).length !== 2) throw new FormatError("not a range of the log");
    this.range = { from, to };
    Object.assign(this.#verdict, { start: from, stop: to });
  }

  #takeActor(row: JsonObject, line: number): void {
    const salt = fromBase64url(row["salt"]);
    // Of a salt of another length, bytes could be counted to the name.
    if (salt.length !== 16) throw new FormatError("a salt has 16 bytes");
    const commitment = toBase64url(sha256(salt, utf8(asText(row["name"]))));
    this.actors.push({ line, id: asText(row["id"]), commitment });
  }

  #takeProof(proof: Consistency): void {
    if (proof.from !== this.notes.at(-1)?.size) throw new FormatError("not from the checkpoint before");
    this.proofs.push(proof);
  }

  #takeNote(note: Note): void {
    const before = this.notes.at(-1);
    if (before && (note.size <= before.size || note.size !== this.proofs.at(-1)?.to)) {
      throw new FormatError("checkpoints rise, and a proof leads to each");
    }
    this.notes.push(note);
  }

  #takeEnd(row: JsonObject, line: number): void {
    const lines = asCount(row["lines"]);
    if (lines !== line - 1) this.#failures.add(1, lines > line - 1 ? "incomplete" : "malformed", { line });
    // Step 7 comes first: where an entry was changed, that is the better answer.
    if (asText(row["sha256"]) !== toHex(this.#digest.digest())) this.#failures.add(8, "malformed", { line });
  }
}
