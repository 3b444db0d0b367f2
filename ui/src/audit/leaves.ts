// What verification keeps of the leaves while they pass: the tree of a tile, ids by their digests, what was pruned.

import { equal, utf8, type Bytes } from "./bytes.ts";
import type { Leaf, Tile } from "./bundle.ts";
import { sha256 } from "./sha256.ts";
import { Frontier } from "./tree.ts";
import type { Failures } from "./verdict.ts";

/** Leaves of a tile. */
const TILE = 256;

/** Step 5: after 256 leaves their root, which bounds where leaves were changed along with their hashes. */
export class Tiles {
  readonly #start: number;
  readonly #failures: Failures;
  #tree = new Frontier();
  /** The tile whose hash must come next; without hash, none can be right. */
  #due: { index: number; hash: Bytes | undefined } | undefined;

  constructor(start: number, failures: Failures) {
    this.#start = start;
    this.#failures = failures;
  }

  append(leaf: Leaf): void {
    this.finish();
    if (leaf.index % TILE === 0) this.#tree = new Frontier();
    this.#tree.append(leaf.leaf);
    const index = Math.floor(leaf.index / TILE);
    if (leaf.index % TILE === TILE - 1 && index * TILE >= this.#start) {
      this.#due = { index, hash: this.#tree.size === TILE ? this.#tree.root() : undefined };
    }
  }

  check(tile: Tile, line: number): void {
    const due = this.#due;
    if (due?.index !== tile.index || !due.hash || !equal(due.hash, tile.hash)) this.#fail(tile.index, line);
    this.#due = undefined;
  }

  /** No tile comes any more before the next leaf. */
  finish(): void {
    if (this.#due) this.#fail(this.#due.index);
    this.#due = undefined;
  }

  #fail(index: number, line?: number): void {
    this.#failures.add(5, "altered", { bad: index * TILE, to: (index + 1) * TILE, line });
  }
}

/** Digests of ids, eight bytes each: where two are equal, the ids themselves must be compared. */
export class Ids {
  readonly #full: Float64Array[] = [];
  #last = new Float64Array(65_536);
  #used = 0;

  add(id: string): void {
    if (this.#used === this.#last.length) {
      this.#full.push(this.#last);
      this.#last = new Float64Array(65_536);
      this.#used = 0;
    }
    this.#last[this.#used++] = Ids.digest(id);
  }

  /** Digests that stand for more than one id, or for one that came twice. */
  doubtful(): Set<number> {
    const all = new Float64Array(this.#full.length * 65_536 + this.#used);
    this.#full.forEach((part, place) => all.set(part, place * 65_536));
    all.set(this.#last.subarray(0, this.#used), this.#full.length * 65_536);
    all.sort();
    return new Set(all.filter((digest, place) => place > 0 && digest === all[place - 1]));
  }

  /** 48 bits of a hash. */
  static digest(id: string): number {
    const view = new DataView(sha256(utf8(id)).buffer);
    return view.getUint32(0) * 65_536 + view.getUint16(4);
  }
}

/** Ranges [low, high) that may overlap, merged: whether an index lies in one of them. */
export function within(spans: readonly (readonly [number, number])[]): (index: number) => boolean {
  const merged: [number, number][] = [];
  for (const [low, high] of [...spans].sort((one, other) => one[0] - other[0])) {
    const last = merged.at(-1);
    if (last && low <= last[1]) last[1] = Math.max(last[1], high);
    else merged.push([low, high]);
  }
  return (index) => {
    let below = 0;
    let above = merged.length;
    while (below < above) {
      const middle = (below + above) >>> 1;
      if (merged[middle]![0] <= index) below = middle + 1;
      else above = middle;
    }
    return below > 0 && index < merged[below - 1]![1];
  };
}

const RECORDED = /^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z$/;
/** `recorded` so far behind the latest before it is worth a warning, in seconds. */
const CLOCK_S = 120;

/** Whether `recorded` has the form of a time, so that it can be shown. */
export function isTime(recorded: string): boolean {
  return RECORDED.test(recorded);
}

/** Clocks of the entries: never a failure, as time orders nothing. */
export class Clock {
  #latest = "";

  /** What there is to say against the time of an entry. */
  take(recorded: string): string | undefined {
    if (!isTime(recorded)) return "its time has not the form of a time";
    if (recorded < this.#latest) {
      const behind = (timeOf(this.#latest) - timeOf(recorded)) / 1000;
      if (Number.isNaN(behind)) return "its time is none";
      if (behind > CLOCK_S) return `its clock was ${Math.floor(behind)} s behind others'`;
      return undefined;
    }
    this.#latest = recorded;
    return undefined;
  }
}

/** Milliseconds since 1970; NaN for the 30th of February and its like, which `Date` takes. */
function timeOf(recorded: string): number {
  const time = Date.parse(recorded);
  const real = !Number.isNaN(time) && new Date(time).toISOString() === recorded && !recorded.startsWith("0000");
  return real ? time : Number.NaN;
}
