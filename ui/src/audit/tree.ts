// The tree of RFC 9162 section 2.1: hashes, growing edge, proofs. Sizes pass 2^32, so no bitwise operators on them.

import { equal, type Bytes } from "./bytes.ts";
import { sha256 } from "./sha256.ts";

const LEAF = Uint8Array.of(0);
const NODE = Uint8Array.of(1);

/** Root of the tree without leaves. */
export const EMPTY_ROOT: Bytes = sha256();

/** SHA-256(0x00 ‖ content). */
export function leafHash(content: Uint8Array): Bytes {
  return sha256(LEAF, content);
}

/** SHA-256(0x01 ‖ left ‖ right). */
export function nodeHash(left: Uint8Array, right: Uint8Array): Bytes {
  return sha256(NODE, left, right);
}

/** The sizes of the complete subtrees that a tree consists of, largest first: the bits of its size. */
function* subtrees(size: number): Generator<number> {
  for (let width = 2 ** 53; width >= 1; width /= 2) {
    if (size >= width) {
      yield width;
      size -= width;
    }
  }
}

/** The largest power of two smaller than `size`, which must be 2 at least. */
function half(size: number): number {
  let width = 1;
  while (width * 2 < size) width *= 2;
  return width;
}

/** The complete subtrees of a growing tree, largest first: all that is needed to go on or to know a root. */
export class Frontier {
  size: number;
  readonly #stack: Bytes[];

  /** Start at a size with the hashes of its subtrees. Throws `RangeError` for a wrong number of them. */
  constructor(size = 0, hashes: readonly Bytes[] = []) {
    if ([...subtrees(size)].length !== hashes.length) throw new RangeError("not the subtrees of that size");
    this.size = size;
    this.#stack = [...hashes];
  }

  /** A tree of a size whose subtrees are not known: goes on, to a root that nothing has. */
  static anyOf(size: number): Frontier {
    return new Frontier(size, Array.from(subtrees(size), () => EMPTY_ROOT));
  }

  append(leaf: Bytes): void {
    let hash = leaf;
    for (let rest = this.size; rest % 2 === 1; rest = (rest - 1) / 2) hash = nodeHash(this.#stack.pop()!, hash);
    this.#stack.push(hash);
    this.size++;
  }

  root(): Bytes {
    return this.#stack.length ? this.#stack.reduceRight((right, left) => nodeHash(left, right)) : EMPTY_ROOT;
  }

  /**
   * Root at a larger size, given the largest subtrees to the right, left to right.
   * Throws `RangeError` for a wrong number of them.
   */
  rootWith(right: readonly Bytes[], size: number): Bytes {
    const known = new Map<number, { width: number; hash: Bytes }>();
    let start = 0;
    for (const width of subtrees(this.size)) {
      known.set(start, { width, hash: this.#stack[known.size]! });
      start += width;
    }
    let used = 0;
    const node = (low: number, high: number): Bytes => {
      const found = known.get(low);
      if (found?.width === high - low) return found.hash;
      if (low >= this.size) {
        const hash = right[used++];
        if (!hash) throw new RangeError("too few subtrees");
        return hash;
      }
      const split = low + half(high - low);
      const left = node(low, split);
      return nodeHash(left, node(split, high));
    };
    const result = size ? node(0, size) : EMPTY_ROOT;
    if (used !== right.length) throw new RangeError("too many subtrees");
    return result;
  }
}

/**
 * Walks a proof's siblings up from a node. `number` and `last` are the node's and the last node's positions; `join`
 * is told each sibling and whether it stands on the left. False where the proof's length does not fit.
 */
function climb(
  number: number,
  last: number,
  proof: readonly Bytes[],
  join: (sibling: Bytes, left: boolean) => void,
): boolean {
  for (const sibling of proof) {
    if (last === 0) return false;
    const left = number % 2 === 1 || number === last;
    join(sibling, left);
    while (left && number > 0 && number % 2 === 0) {
      number /= 2;
      last = Math.floor(last / 2);
    }
    number = Math.floor(number / 2);
    last = Math.floor(last / 2);
  }
  return last === 0;
}

/** The root that an inclusion proof leads to (RFC 9162 2.1.3.2); null where its length does not fit. */
export function rootFromInclusion(leaf: Bytes, index: number, size: number, proof: readonly Bytes[]): Bytes | null {
  if (index < 0 || index >= size) return null;
  let hash = leaf;
  const fits = climb(index, size - 1, proof, (sibling, left) => {
    hash = left ? nodeHash(sibling, hash) : nodeHash(hash, sibling);
  });
  return fits ? hash : null;
}

/** Whether the tree of size `next` extends the one of size `old` (RFC 9162 2.1.4.2). */
export function isConsistent(
  old: number,
  oldRoot: Bytes,
  next: number,
  nextRoot: Bytes,
  proof: readonly Bytes[],
): boolean {
  if (old > next) return false;
  if (old === next || old === 0) return !proof.length && equal(oldRoot, old === next ? nextRoot : EMPTY_ROOT);
  const path = [...subtrees(old)].length === 1 ? [oldRoot, ...proof] : proof;
  let first = path[0];
  if (!first) return false;
  let second = first;
  let number = old - 1;
  let last = next - 1;
  while (number % 2 === 1) {
    number = (number - 1) / 2;
    last = Math.floor(last / 2);
  }
  const fits = climb(number, last, path.slice(1), (sibling, left) => {
    if (left) first = nodeHash(sibling, first!);
    second = left ? nodeHash(sibling, second) : nodeHash(second, sibling);
  });
  return fits && equal(first, oldRoot) && equal(second, nextRoot);
}
