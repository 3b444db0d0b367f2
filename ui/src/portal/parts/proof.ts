// Checks the audit trail in the browser: the head's signature by the log's key, that the head extends the one that this
// browser saw last, and that entries stand in the tree below it (docs/reference/audit-api.md, audit-bundle.md).
// Kept in localStorage: public keys, of the log and of those who cosign its heads, as they were first seen, and its last
// signed head. None is a secret, nor tells of anybody; a change of one is what must be noticed.
import { equal, fromBase64, toBase64, toHex, type Bytes } from "../../audit/bytes.ts";
import { canonicalBytes } from "../../audit/canonical.ts";
import { LOG, Note, VerifierKey, WITNESS } from "../../audit/note.ts";
import { isConsistent, leafHash, nodeHash, rootFromInclusion } from "../../audit/tree.ts";
import { api, request } from "../api/client";

const KEY = "wardlight-log-key";
const HEAD = "wardlight-log-head";
const WITNESSES = "wardlight-log-witnesses";

export type HeadState = "good" | "key-changed" | "bad-signature" | "truncated" | "forked" | "unsupported";

export interface Head {
  state: HeadState;
  origin: string;
  generation: number;
  size: number;
  /** First and last of the root's hash, for people to compare. */
  root: string;
  note: Note | null;
  /** Verifier keys: what was seen first in this browser, and what the server says now. */
  pinned: string;
  vkeys: readonly string[];
  /** Size of the head that this browser saw before; 0: none. */
  seen: number;
  /** Witnesses whose cosignature of this head is good, by a key that this browser has known since it saw it first. */
  witnesses: number;
  /** Names of those who signed it, too, with a key that nobody vouches for: unknown here, or another than before. */
  unknown: readonly string[];
  checked: number;
}

function stored(name: string): Record<string, string> {
  try {
    const found: unknown = JSON.parse(localStorage.getItem(name) ?? "{}");
    return found !== null && typeof found === "object" ? (found as Record<string, string>) : {};
  } catch {
    return {};
  }
}

function keep(name: string, origin: string, value: string): void {
  localStorage.setItem(name, JSON.stringify({ ...stored(name), [origin]: value }));
}

/** People compared the key with what they were given on paper: it is the one from now on. */
export function trustKey(origin: string, vkey: string): void {
  keep(KEY, origin, vkey);
}

function supported(): boolean {
  return typeof crypto !== "undefined" && crypto.subtle !== undefined;
}

/** The newest signed head, checked. */
export async function newestHead(): Promise<Head> {
  const told = (await api.GET("/api/v1/audit/logs")).data;
  const log = told?.logs.at(-1);
  if (log === undefined) throw new Error("there is no log");
  const text = await (await request(`/api/v1/audit/log/checkpoint?generation=${log.generation}`)).text();
  const note = new Note(text);
  const pinned = stored(KEY)[log.origin] ?? log.vkeys[0] ?? "";
  const root = toHex(note.root);
  const head: Head = {
    state: "good", origin: log.origin, generation: log.generation, size: note.size, note, pinned, vkeys: log.vkeys, seen: 0,
    root: `${root.slice(0, 4)} ${root.slice(4, 8)} … ${root.slice(-4)}`,
    witnesses: 0, unknown: [],
    checked: Date.now(),
  };
  if (!supported()) return { ...head, state: "unsupported" };
  return { ...head, ...(await judged(head, note, text)), ...(await cosigned(head, note, told?.witnesses ?? [])) };
}

/**
 * Who else vouches for the head. A witness's key is taken from the server once, as the log's is; one that comes under a
 * name that had another before is not believed. A cosignature of a known key that is wrong makes the note worthless
 * (c2sp.org/signed-note).
 */
async function cosigned(head: Head, note: Note, said: readonly string[]): Promise<Partial<Head>> {
  const known = new Map(said.map((vkey) => [new VerifierKey(vkey).name, vkey]));
  for (const vkey of (stored(WITNESSES)[head.origin] ?? "").split(" ").filter(Boolean)) known.set(new VerifierKey(vkey).name, vkey);
  const keys = [...known.values()].map((vkey) => new VerifierKey(vkey)).filter((key) => key.kind === WITNESS);
  const verdicts = await Promise.all(keys.map((key) => note.signedBy(key)));
  const good = keys.filter((_, at) => verdicts[at] === true);
  keep(WITNESSES, head.origin, [...known.values()].join(" "));
  const names = new Set(note.signatures.map((one) => one.name).filter((name) => name !== head.origin));
  for (const key of good) names.delete(key.name);
  // One key under two names is one witness.
  const witnesses = new Set(good.map((key) => key.publicKey)).size;
  return { witnesses, unknown: [...names], ...(verdicts.includes(false) ? { state: "bad-signature" } : {}) };
}

async function judged(head: Head, note: Note, text: string): Promise<Partial<Head>> {
  const { origin, generation } = head;
  if (!head.vkeys.includes(head.pinned)) return { state: "key-changed" };
  const key = new VerifierKey(head.pinned);
  if (note.origin !== origin || key.kind !== LOG) return { state: "bad-signature" };
  const signed = await note.signedBy(key);
  if (signed === null) return { state: "key-changed" };
  if (!signed) return { state: "bad-signature" };
  const before = stored(HEAD)[origin];
  let seen = 0;
  if (before !== undefined) {
    const old = new Note(before);
    seen = old.size;
    if (note.size < old.size) return { state: "truncated", seen };
    const proof = old.size === note.size || old.size === 0 ? [] : await consistency(old.size, note.size, generation);
    if (!isConsistent(old.size, old.root, note.size, note.root, proof)) return { state: "forked", seen };
  }
  keep(KEY, origin, head.pinned);
  keep(HEAD, origin, text);
  return { seen };
}

async function consistency(from: number, to: number, generation: number): Promise<Bytes[]> {
  const { data } = await api.GET("/api/v1/audit/log/proof/consistency", { params: { query: { from, to, generation } } });
  return (data?.proof ?? []).map(fromBase64);
}

const WIDTH = 256;

/** Hashes of the tree of one head, from tiles (C2SP tlog-tiles): asked for once each. */
class Tree {
  readonly #head: Head;
  readonly #tiles = new Map<string, Promise<Bytes[]>>();
  readonly #nodes = new Map<string, Promise<Bytes>>();

  constructor(head: Head) {
    this.#head = head;
  }

  #tile(level: number, index: number): Promise<Bytes[]> {
    const rows = Math.floor(this.#head.size / WIDTH ** level);
    const width = Math.min(WIDTH, rows - index * WIDTH);
    const path = `${level}/${index}${width < WIDTH ? `.p/${width}` : ""}`;
    let found = this.#tiles.get(path);
    if (found === undefined) {
      found = request(`/api/v1/audit/log/tile/${path}?generation=${this.#head.generation}`).then(async (answer) => {
        const bytes = new Uint8Array(await answer.arrayBuffer());
        if (bytes.length < 32 * width) throw new RangeError("a tile is too short");
        return Array.from({ length: width }, (_, at) => bytes.slice(32 * at, 32 * at + 32));
      });
      this.#tiles.set(path, found);
    }
    return found;
  }

  /** The complete subtree of 2^`height` leaves. */
  async #complete(height: number, index: number): Promise<Bytes> {
    const name = `${height}/${index}`;
    let found = this.#nodes.get(name);
    if (found === undefined) {
      found = this.#make(height, index);
      this.#nodes.set(name, found);
    }
    return found;
  }

  async #make(height: number, index: number): Promise<Bytes> {
    if (height % 8 === 0) {
      const hash = (await this.#tile(height / 8, Math.floor(index / WIDTH)))[index % WIDTH];
      if (hash === undefined) throw new RangeError("a tile is too short");
      return hash;
    }
    return nodeHash(await this.#complete(height - 1, 2 * index), await this.#complete(height - 1, 2 * index + 1));
  }

  /** The root of the leaves from `low` to before `high`, which begin where such a subtree may. */
  async #root(low: number, high: number): Promise<Bytes> {
    const count = high - low;
    const height = Math.log2(count);
    if (Number.isInteger(height)) return this.#complete(height, low / count);
    const split = low + half(count);
    return nodeHash(await this.#root(low, split), await this.#root(split, high));
  }

  /** The siblings of a leaf, its own first (RFC 9162 2.1.3.1). */
  async proof(leaf: number): Promise<Bytes[]> {
    const path: Bytes[] = [];
    let [low, high] = [0, this.#head.size];
    while (high - low > 1) {
      const split = low + half(high - low);
      if (leaf < split) {
        path.unshift(await this.#root(split, high));
        high = split;
      } else {
        path.unshift(await this.#root(low, split));
        low = split;
      }
    }
    return path;
  }
}

function half(count: number): number {
  let width = 1;
  while (width * 2 < count) width *= 2;
  return width;
}

export interface Sealed {
  index: number;
  leaf?: string;
  entry?: unknown;
}

export type Proof = "verified" | "failed" | "waiting";

/**
 * Whether each entry is in the tree of the head, by index. `waiting`: sealed after that head. Throws only where the
 * server did not answer.
 */
export async function proofsOf(head: Head, entries: readonly Sealed[]): Promise<Map<number, { proof: Proof; path: number }>> {
  const tree = new Tree(head);
  const found = new Map<number, { proof: Proof; path: number }>();
  for (const one of entries) {
    if (one.entry === undefined) continue;
    if (one.index >= head.size) {
      found.set(one.index, { proof: "waiting", path: 0 });
      continue;
    }
    found.set(one.index, await proofOf(head, tree, one));
  }
  return found;
}

async function proofOf(head: Head, tree: Tree, one: Sealed): Promise<{ proof: Proof; path: number }> {
  try {
    const leaf = leafHash(canonicalBytes(one.entry));
    const path = await tree.proof(one.index);
    const root = rootFromInclusion(leaf, one.index, head.size, path);
    const good = head.state === "good" && toBase64(leaf) === one.leaf && root !== null && head.note !== null && equal(root, head.note.root);
    return { proof: good ? "verified" : "failed", path: path.length };
  } catch (error) {
    if (error instanceof RangeError || (error instanceof Error && error.name === "FormatError")) return { proof: "failed", path: 0 };
    throw error;
  }
}
