// SHA-256 against WebCrypto; trees and proofs against the vectors and against recursive definitions.

import assert from "node:assert/strict";
import { test } from "node:test";
import { fromBase64, toBase64, toHex, utf8, type Bytes } from "../../src/audit/bytes.ts";
import { Sha256, sha256 } from "../../src/audit/sha256.ts";
import { EMPTY_ROOT, Frontier, isConsistent, leafHash, nodeHash, rootFromInclusion } from "../../src/audit/tree.ts";
import * as vectors from "./vectors.ts";

const leaves = vectors.LEAVES.map(fromBase64);
const roots = vectors.ROOTS.map(fromBase64);

/** MTH of RFC 9162 2.1.1. */
function treeHash(nodes: readonly Bytes[]): Bytes {
  if (nodes.length < 2) return nodes[0] ?? EMPTY_ROOT;
  const split = 2 ** Math.floor(Math.log2(nodes.length - 1));
  return nodeHash(treeHash(nodes.slice(0, split)), treeHash(nodes.slice(split)));
}

/** PATH of RFC 9162 2.1.3.1. */
function path(index: number, nodes: readonly Bytes[]): Bytes[] {
  if (nodes.length < 2) return [];
  const split = 2 ** Math.floor(Math.log2(nodes.length - 1));
  const [left, right] = [nodes.slice(0, split), nodes.slice(split)];
  return index < split ? [...path(index, left), treeHash(right)] : [...path(index - split, right), treeHash(left)];
}

/** SUBPROOF of RFC 9162 2.1.4.1. */
function subproof(old: number, nodes: readonly Bytes[], whole: boolean): Bytes[] {
  if (old === nodes.length) return whole ? [] : [treeHash(nodes)];
  const split = 2 ** Math.floor(Math.log2(nodes.length - 1));
  const [left, right] = [nodes.slice(0, split), nodes.slice(split)];
  return old <= split
    ? [...subproof(old, left, whole), treeHash(right)]
    : [...subproof(old - split, right, false), treeHash(left)];
}

const made = (size: number) => Array.from({ length: size }, (_, index) => leafHash(utf8(`leaf ${index}`)));

test("SHA-256 of FIPS 180-4, and as WebCrypto for all lengths around its blocks, in pieces of any size", async () => {
  assert.equal(toHex(sha256(utf8("abc"))), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  for (let length = 0; length < 300; length++) {
    const bytes = crypto.getRandomValues(new Uint8Array(length));
    const running = new Sha256();
    for (let at = 0; at < length; at += 1 + (length % 71)) running.update(bytes.subarray(at, at + 1 + (length % 71)));
    assert.equal(toHex(running.digest()), toHex(new Uint8Array(await crypto.subtle.digest("SHA-256", bytes))));
  }
  const long = new Uint8Array(3_000_000).fill(0x61);
  assert.equal(toHex(sha256(long)), toHex(new Uint8Array(await crypto.subtle.digest("SHA-256", long))));
});

test("leaf hashes and roots of the vectors", () => {
  assert.deepEqual(vectors.ENTRIES.map((entry) => toBase64(leafHash(utf8(entry)))), vectors.LEAVES);
  const tree = new Frontier();
  assert.deepEqual(toBase64(tree.root()), vectors.ROOTS[0]);
  leaves.forEach((leaf, index) => {
    tree.append(leaf);
    assert.equal(toBase64(tree.root()), vectors.ROOTS[index + 1]);
  });
});

test("proofs of the vectors", () => {
  const inclusion = vectors.INCLUSION_2_IN_5.map(fromBase64);
  const consistency = vectors.CONSISTENCY_3_TO_5.map(fromBase64);
  assert.deepEqual(rootFromInclusion(leaves[2]!, 2, 5, inclusion), roots[5]);
  assert.ok(isConsistent(3, roots[3]!, 5, roots[5]!, consistency));
  assert.ok(!isConsistent(3, roots[2]!, 5, roots[5]!, consistency));
  assert.ok(!isConsistent(3, roots[3]!, 5, roots[4]!, consistency));
  assert.ok(!isConsistent(4, roots[3]!, 5, roots[5]!, consistency));
  assert.equal(rootFromInclusion(leaves[2]!, 2, 5, inclusion.slice(1)), null);
  assert.equal(rootFromInclusion(leaves[2]!, 2, 5, [...inclusion, roots[1]!]), null);
  assert.equal(rootFromInclusion(leaves[2]!, 5, 5, inclusion), null);
});

test("proofs of all positions and sizes, made by the recursive definitions, and none of them for another", () => {
  for (const size of [1, 2, 3, 7, 8, 9, 31, 33, 64, 70]) {
    const nodes = made(size);
    const root = treeHash(nodes);
    for (let index = 0; index < size; index++) {
      const proof = path(index, nodes);
      assert.deepEqual(rootFromInclusion(nodes[index]!, index, size, proof), root);
      const other = rootFromInclusion(nodes[index]!, (index + 1) % size, size, proof);
      assert.ok(size === 1 || !other || toHex(other) !== toHex(root));
    }
    for (let old = 1; old < size; old++) {
      const [before, proof] = [treeHash(nodes.slice(0, old)), subproof(old, nodes, true)];
      assert.ok(isConsistent(old, before, size, root, proof));
      for (let place = 0; place < proof.length; place++) {
        assert.ok(!isConsistent(old, before, size, root, proof.with(place, EMPTY_ROOT)));
        assert.ok(!isConsistent(old, before, size, root, proof.toSpliced(place, 1)));
      }
    }
  }
});

test("a part of a tree with the subtrees before and after it", () => {
  const nodes = made(77);
  for (const [low, high] of [[0, 77], [0, 0], [5, 5], [13, 61], [64, 65], [76, 77], [77, 77], [32, 64]] as const) {
    const left: Bytes[] = [];
    for (let at = 0, width = 64; width; width = Math.floor(width / 2)) {
      if (low - at >= width) left.push(treeHash(nodes.slice(at, (at += width))));
    }
    const right = subtreesAfter(nodes, 0, 77, high);
    const tree = new Frontier(low, left);
    nodes.slice(low, high).forEach((leaf) => tree.append(leaf));
    assert.deepEqual(tree.rootWith(right, 77), treeHash(nodes));
    assert.throws(() => tree.rootWith([...right, EMPTY_ROOT], 77), RangeError);
    if (right.length) assert.throws(() => tree.rootWith(right.slice(1), 77), RangeError);
  }
  assert.throws(() => new Frontier(3, [EMPTY_ROOT]), RangeError);
});

function subtreesAfter(nodes: readonly Bytes[], low: number, high: number, from: number): Bytes[] {
  if (high <= from) return [];
  if (low >= from) return [treeHash(nodes.slice(low, high))];
  const split = low + 2 ** Math.floor(Math.log2(high - low - 1));
  return [...subtreesAfter(nodes, low, split, from), ...subtreesAfter(nodes, split, high, from)];
}

test("sizes past 2^32, where bitwise operators would count wrong", () => {
  const size = 2 ** 40 + 3;
  const proof = Array.from({ length: 41 }, (_, place) => leafHash(utf8(`sibling ${place}`)));
  const leaf = leafHash(utf8("leaf"));
  // Index 2^33 of 2^40 + 3: forty siblings in the large subtree, then the one at its right.
  let hash = leaf;
  for (let level = 0, at = 2 ** 33; level < 40; level++, at = Math.floor(at / 2)) {
    hash = at % 2 ? nodeHash(proof[level]!, hash) : nodeHash(hash, proof[level]!);
  }
  assert.deepEqual(rootFromInclusion(leaf, 2 ** 33, size, proof), nodeHash(hash, proof[40]!));
});

test("references of patients and studies", async () => {
  const raw = Uint8Array.from({ length: 32 }, (_, index) => 0x40 + index);
  const key = await crypto.subtle.importKey("raw", raw, { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
  const reference = async (label: string, ...parts: string[]) => {
    const message = [...utf8(`${label}\0`)];
    for (const part of parts) message.push(part.length >> 8, part.length & 255, ...utf8(part));
    const mac = new Uint8Array(await crypto.subtle.sign("HMAC", key, Uint8Array.from(message)));
    return toBase64(mac.slice(0, 16)).replaceAll("+", "-").replaceAll("/", "_").replace("==", "");
  };
  assert.equal(await reference("wardlight/audit/patient/v1", "", "PAT-0042"), "RAhcAkm4Im2hUgQwW0-XcA");
  assert.equal(await reference("wardlight/audit/study/v1", "1.2.826.0.1.3680043.8.498.1"), "m3yFZR_RhIVA69nuhWTP9w");
});
