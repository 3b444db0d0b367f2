// Verifies an audit bundle: the ten steps of docs/reference/audit-bundle.md, with the same verdicts as
// `wardlight audit verify`. A bundle is read twice, as its checkpoints stand behind its leaves: therefore a `Blob`,
// which a file is in every browser. Held in memory: a piece of the file, 8 bytes an entry (its id), 8 for each entry
// without content, and reads that have not ended.

import { equal, FormatError, type Bytes } from "./bytes.ts";
import { examine, type Leaf, type Tile, type Told } from "./bundle.ts";
import { Frame } from "./frame.ts";
import { Clock, Ids, isTime, Tiles, within } from "./leaves.ts";
import { linesOf } from "./lines.ts";
import { LOG, WITNESS, type Note, type VerifierKey } from "./note.ts";
import { Frontier, isConsistent, rootFromInclusion } from "./tree.ts";
import { givenKeys, givenNotes, namedKeys, UsageError, type Trust } from "./trust.ts";
import { Failures, type Verdict } from "./verdict.ts";

/** Most warnings that are kept. */
const WARNINGS = 100;

export interface Options {
  /** Told now and then how many bytes are done, and how many there are to do. */
  readonly progress?: (done: number, total: number) => void;
  /** Stops the verification, which then throws the signal's reason. */
  readonly signal?: AbortSignal;
}

/** Verify a bundle. Throws `UsageError` for trust that cannot be used, and whatever reading the file throws. */
export async function verify(bundle: Blob, trust: Trust, options: Options = {}): Promise<Verdict> {
  return await new Run(bundle, trust, options).run();
}

class Run {
  readonly #file: Blob;
  readonly #trust: Trust;
  readonly #options: Options;
  readonly #keys: readonly VerifierKey[];
  readonly #witnesses: readonly VerifierKey[];
  readonly #anchors: readonly Note[];
  readonly #threshold: number;
  readonly #verdict: Verdict = {
    verdict: "verified",
    size: 0,
    leaves: 0,
    pruned: 0,
    withheld: 0,
    anchored_to: 0,
    warnings: [],
  };
  readonly #failures = new Failures();
  readonly #frame = new Frame(this.#verdict, this.#failures);
  #origin: string;

  // What the leaves say.
  readonly #ids = new Ids();
  readonly #missing: number[] = [];
  readonly #prunes: [low: number, high: number][] = [];
  readonly #rotations: { index: number; vkey: string }[] = [];
  readonly #names = new Map<string, Set<string>>();
  readonly #reads = new Map<string, number>();
  readonly #clock = new Clock();
  readonly #roots = new Map<number, Bytes>();

  constructor(file: Blob, trust: Trust, options: Options) {
    this.#file = file;
    this.#trust = trust;
    this.#options = options;
    this.#keys = givenKeys(trust.vkeys ?? [], LOG);
    this.#witnesses = givenKeys(trust.witnesses ?? [], WITNESS);
    this.#anchors = givenNotes(trust.anchors ?? []);
    this.#threshold = trust.threshold ?? 1;
    if (this.#keys.length && trust.origin && !this.#keys.some((key) => key.name === trust.origin)) {
      throw new UsageError("none of the keys is one of the log's");
    }
    const distinct = publicsOf(this.#witnesses).size;
    if (this.#threshold < 1 || (distinct && this.#threshold > distinct)) {
      throw new UsageError("so many witnesses are not known");
    }
    this.#origin = trust.origin || this.#keys[0]?.name || "";
  }

  async run(): Promise<Verdict> {
    if (await this.#frame.read(this.#file, (bytes) => this.#passed(bytes))) {
      this.#checkOrigin();
      await this.#readLeaves();
      await this.#checkIds();
      this.#checkActors();
      this.#countMissing();
      const known = await this.#checkNotes();
      this.#checkRoots();
      await this.#checkAnchors(known);
      this.#warnOfReads();
    }
    this.#failures.report(this.#verdict);
    return this.#verdict;
  }

  #passed(bytes: number): void {
    this.#options.signal?.throwIfAborted();
    this.#options.progress?.(bytes, 2 * this.#file.size);
  }

  /** Step 2. */
  #checkOrigin(): void {
    this.#origin ||= this.#verdict.origin ?? "";
    if (this.#origin !== this.#verdict.origin) this.#failures.add(2, "wrong-log");
  }

  /** Steps 1 to 5 for the leaves: each line as `examine` reads it, or undefined where it is none. */
  async *#examined(): AsyncGenerator<[line: number, found: Leaf | Tile | undefined][]> {
    const { start, end, line } = this.#frame.leaves;
    let number = line;
    let offset = start;
    for await (const batch of linesOf(this.#file.slice(start, end))) {
      yield batch.map((bytes) => {
        offset += bytes.length;
        return [number++, examined(bytes)];
      });
      this.#passed(this.#file.size + offset);
    }
  }

  async #readLeaves(): Promise<void> {
    const { range, left, right, notes } = this.#frame;
    const start = range?.from ?? 0;
    const wanted = new Set([...notes, ...this.#anchors].map((note) => note.size));
    const tree = this.#treeBefore(start, left);
    const tiles = new Tiles(start, this.#failures);
    const keepRoot = () => {
      if (range && wanted.has(tree.size)) this.#roots.set(tree.size, tree.root());
    };
    keepRoot();
    let following = start;
    for await (const batch of this.#examined()) {
      for (const [line, found] of batch) {
        if (!found || (found.kind === "tile" && !range)) {
          this.#failures.add(1, "malformed", { line });
        } else if (found.kind === "tile") {
          tiles.check(found, line);
        } else {
          following = this.#takeLeaf(found, following, line);
          if (!range) continue;
          tiles.append(found);
          tree.append(found.leaf);
          keepRoot();
        }
      }
    }
    if (!range) return;
    tiles.finish();
    if (following !== range.to) {
      const bad = Math.min(following, range.to);
      this.#failures.add(3, "altered", { bad, to: bad + 1 });
    }
    if (tree.size === range.to) this.#rootOfWhole(tree, right);
  }

  #treeBefore(start: number, left: readonly Bytes[]): Frontier {
    try {
      return new Frontier(start, left);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      this.#failures.add(7, "altered", { bad: 0, to: start });
      return Frontier.anyOf(start);
    }
  }

  #rootOfWhole(tree: Frontier, right: readonly Bytes[]): void {
    const { size } = this.#verdict;
    try {
      this.#roots.set(size, tree.rootWith(right, size));
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      // Without this root #checkRoots fails, unless an earlier head does.
      this.#roots.delete(size);
    }
  }

  /** Steps 2, 3, 4, 7 for one leaf; gives the index that must (range) or may (selection) come next. */
  #takeLeaf(found: Leaf, following: number, line: number): number {
    const { index, leaf, proof, entry } = found;
    const { range } = this.#frame;
    this.#verdict.leaves++;
    if ((proof === undefined) !== (range !== undefined)) {
      this.#failures.add(1, "malformed", { line });
    } else if (proof) {
      const head = this.#frame.notes.at(-1)!;
      const root = rootFromInclusion(leaf, index, head.size, proof);
      if (!root || !equal(root, head.root)) this.#failures.add(7, "altered", { bad: index, to: index + 1, line });
    }
    if (range ? index !== following : index < following) {
      const bad = Math.min(index, following);
      this.#failures.add(3, "altered", { bad, to: bad + 1, line });
    }
    if (entry) this.#takeEntry(entry, index, line);
    else this.#missing.push(index);
    return Math.max(index, following) + 1;
  }

  #takeEntry(entry: Told, index: number, line: number): void {
    const place = { bad: index, to: index + 1, line };
    if (entry.log !== this.#origin) this.#failures.add(2, "wrong-log", place);
    if (!entry.fits) {
      this.#failures.add(4, "altered", place);
      return;
    }
    this.#ids.add(entry.id);
    if (isTime(entry.recorded)) {
      this.#verdict.first ??= entry.recorded;
      this.#verdict.last = entry.recorded;
    }
    const late = this.#clock.take(entry.recorded);
    if (late) this.#warn(`entry ${index}: ${late}`);
    if (entry.rotates !== undefined) this.#rotations.push({ index, vkey: entry.rotates });
    for (const [low, high] of entry.prunes) {
      // An entry can only tell of what came before it.
      if (low < Math.min(high, index)) this.#prunes.push([low, Math.min(high, index)]);
    }
    if (entry.named) {
      const [person, commitment] = entry.named;
      this.#names.set(person, (this.#names.get(person) ?? new Set()).add(commitment));
    }
    if (entry.opens) this.#reads.set(entry.id, index);
    if (entry.closes) this.#reads.delete(entry.closes);
  }

  #warn(text: string): void {
    if (this.#verdict.warnings.length < WARNINGS) this.#verdict.warnings.push(text);
  }

  /** Step 3: no id twice. */
  async #checkIds(): Promise<void> {
    const doubtful = this.#ids.doubtful();
    if (!doubtful.size) return;
    const seen = new Set<string>();
    for await (const batch of this.#examined()) {
      for (const [line, found] of batch) {
        if (found?.kind !== "leaf" || !found.entry || !doubtful.has(Ids.digest(found.entry.id))) continue;
        const { index, entry } = found;
        if (seen.has(entry.id)) this.#failures.add(3, "altered", { bad: index, to: index + 1, line });
        seen.add(entry.id);
      }
    }
  }

  /** Step 5: names belong to what was committed to when the person was made or renamed. */
  #checkActors(): void {
    let unproven = 0;
    for (const { line, id, commitment } of this.#frame.actors) {
      const known = this.#names.get(id);
      if (!known) unproven++;
      else if (!known.has(commitment)) this.#failures.add(5, "altered", { line });
    }
    if (unproven) {
      this.#warn(`${unproven} names of people cannot be checked: the entries that made them are not here`);
    }
  }

  /** An entry without content is pruned where a later entry says so, else it is withheld from this reader. */
  #countMissing(): void {
    const isPruned = within(this.#prunes);
    for (const index of this.#missing) {
      if (isPruned(index)) {
        this.#verdict.pruned++;
        continue;
      }
      this.#verdict.withheld++;
      if (this.#trust.complete) this.#failures.add(7, "altered", { bad: index, to: index + 1 });
    }
  }

  /** Step 6: signatures, by the keys that were valid at each size. Gives all keys of the log that are known by then. */
  async #checkNotes(): Promise<readonly VerifierKey[]> {
    const given = this.#keys.length ? this.#keys : namedKeys(this.#frame.vkeys, LOG);
    const keys = given.filter((key) => key.name === this.#origin);
    const known = [...keys];
    let valid: readonly VerifierKey[] = keys;
    const rotations = [...this.#rotations];
    for (const note of this.#frame.notes) {
      if (note.origin !== this.#origin) this.#failures.add(2, "wrong-log", { bad: note.size });
      let fine = (await signersOf(note, valid)).length > 0;
      while (rotations[0] && rotations[0].index < note.size) {
        const [next] = namedKeys([rotations.shift()!.vkey], LOG).filter((key) => key.name === this.#origin);
        if (next) known.push(next);
        fine &&= next !== undefined && (await note.signedBy(next)) === true;
        // Keys that were given and are newer stay good: their rotation may lie outside this file.
        const place = keys.findIndex((key) => key.text === next?.text);
        valid = place < 0 ? (next ? [next] : []) : keys.slice(place);
      }
      // Keys are in order of age: once a newer one has signed, no older one may.
      const last = (await signersOf(note, valid)).at(-1);
      if (last) valid = valid.slice(valid.indexOf(last));
      const checks = await Promise.all([...known, ...this.#witnesses].map((key) => note.signedBy(key)));
      if (!fine || checks.includes(false)) {
        this.#failures.add(6, "bad-signature", { bad: note.size });
        break;
      }
    }
    return known;
  }

  /** Step 7: each head against the leaves, and against the head before. */
  #checkRoots(): void {
    const { notes, proofs, range } = this.#frame;
    let good = 0;
    for (const [place, note] of notes.entries()) {
      let fits = equal(this.#roots.get(note.size) ?? note.root, note.root);
      if (place) {
        const { from, to, proof } = proofs[place - 1]!;
        fits &&= isConsistent(from, notes[place - 1]!.root, to, note.root, proof);
      }
      if (!fits) {
        this.#failures.add(7, "altered", { bad: good, to: note.size });
        return;
      }
      good = note.size;
    }
    if (range && !this.#roots.has(this.#verdict.size)) {
      this.#failures.add(7, "altered", { bad: range.to, to: this.#verdict.size });
    }
  }

  /** Steps 8 to 10: heads that came another way, and what they or the witnesses vouch for. */
  async #checkAnchors(known: readonly VerifierKey[]): Promise<void> {
    const { size } = this.#verdict;
    const heads = new Map([...this.#roots, ...this.#frame.notes.map((note) => [note.size, note.root] as const)]);
    // Of an empty log, too, somebody else must have seen that it was empty.
    let covered = -1;
    for (const anchor of this.#anchors) {
      const root = heads.get(anchor.size);
      if (anchor.origin !== this.#origin) {
        this.#failures.add(2, "wrong-log", { bad: anchor.size });
      } else if (!(await isGenuine(anchor, [...known, ...this.#witnesses]))) {
        throw new UsageError("a checkpoint given is signed by none of the keys known");
      } else if (anchor.size > size) {
        this.#failures.add(9, "truncated", { bad: anchor.size });
      } else if (!root) {
        this.#warn(`the checkpoint of size ${anchor.size} cannot be compared with what this file holds`);
      } else if (!equal(root, anchor.root)) {
        this.#failures.add(9, "forked", { bad: anchor.size });
      } else {
        covered = Math.max(covered, anchor.size);
      }
    }
    for (const note of this.#frame.notes) {
      const signers = publicsOf(await signersOf(note, this.#witnesses));
      if (signers.size >= this.#threshold) covered = Math.max(covered, note.size);
    }
    this.#verdict.anchored_to = Math.max(covered, 0);
    if (!this.#keys.length || (covered < size && !this.#trust.logKeyOnly)) {
      this.#failures.add(10, "unanchored", { bad: this.#verdict.anchored_to });
    }
  }

  #warnOfReads(): void {
    if (!this.#frame.range || !this.#reads.size) return;
    const first = [...this.#reads.values()].reduce((one, other) => Math.min(one, other));
    this.#warn(
      `${this.#reads.size} reads begin here and do not end, the first at entry ${first}: ` +
        "they may have seen everything",
    );
  }
}

function examined(bytes: Uint8Array): Leaf | Tile | undefined {
  try {
    return examine(bytes);
  } catch (error) {
    if (error instanceof FormatError) return undefined;
    throw error;
  }
}

/** Those of the keys whose signatures a note bears, and that are good. */
async function signersOf(note: Note, keys: readonly VerifierKey[]): Promise<VerifierKey[]> {
  const good = await Promise.all(keys.map((key) => note.signedBy(key)));
  return keys.filter((_key, place) => good[place] === true);
}

/** One key under two names is one witness. */
function publicsOf(keys: readonly VerifierKey[]): Set<string> {
  return new Set(keys.map((key) => key.publicKey));
}

/** Whether a key that is known has signed it, so that it proves something against this bundle. */
async function isGenuine(anchor: Note, keys: readonly VerifierKey[]): Promise<boolean> {
  const signed = await Promise.all(keys.map((key) => anchor.signedBy(key)));
  return signed.includes(true) && !signed.includes(false);
}
