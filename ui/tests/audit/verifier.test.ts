// Bundles of the vectors: as they are, under each kind of trust, and attacked.

import assert from "node:assert/strict";
import { test } from "node:test";
import { toHex, utf8 } from "../../src/audit/bytes.ts";
import { parseTrust, UsageError, verify, type Trust, type Verdict } from "../../src/audit/index.ts";
import { linesOf } from "../../src/audit/lines.ts";
import { sha256 } from "../../src/audit/sha256.ts";
import { rows, sealed, TRUST } from "./kit.ts";
import * as vectors from "./vectors.ts";

const END = "2a6e7497a67a21157c67db61b372ce1a26206f2385ad18a4fb813f1f6fcd1359";

async function found(bundle: Blob, trust: Trust = TRUST): Promise<[string, number | undefined]> {
  const { verdict, first_bad } = await verify(bundle, trust);
  return [verdict, first_bad];
}

test("the whole range bundle, byte for byte", async () => {
  const bundle = sealed(rows());
  const text = await bundle.text();
  assert.equal(bundle.size, 4463);
  assert.equal(text.split("\n").length - 1, 11);
  assert.ok(text.endsWith(`{"kind":"end","lines":10,"sha256":"${END}"}\n`));
  const verdict: Verdict = await verify(bundle, TRUST);
  assert.deepEqual(verdict, {
    verdict: "verified",
    size: 5,
    leaves: 5,
    pruned: 0,
    withheld: 0,
    anchored_to: 5,
    warnings: [],
    origin: vectors.ORIGIN,
    mode: "range",
    start: 0,
    stop: 5,
    first: "2026-11-24T08:00:00.000Z",
    last: "2026-11-24T08:05:00.000Z",
  });
});

test("what is trusted decides", async () => {
  const bundle = sealed(rows());
  assert.deepEqual(await found(bundle, {}), ["unanchored", 0]);
  assert.deepEqual(await found(bundle, { logKeyOnly: true }), ["unanchored", 0]);
  assert.deepEqual(await found(bundle, { vkeys: [vectors.LOG_VKEY] }), ["unanchored", 0]);
  assert.deepEqual(await found(bundle, { vkeys: [vectors.LOG_VKEY], logKeyOnly: true }), ["verified", undefined]);
  const anchored = { vkeys: [vectors.LOG_VKEY], anchors: [vectors.CHECKPOINT_3] };
  assert.deepEqual(await found(bundle, anchored), ["unanchored", 3]);
  assert.deepEqual(await found(bundle, { ...anchored, anchors: [vectors.CHECKPOINT_5] }), ["verified", undefined]);
  assert.deepEqual(await found(bundle, { origin: "other.example/audit/x/1" }), ["wrong-log", undefined]);
  const trust = parseTrust(JSON.stringify({ origin: vectors.ORIGIN, vkeys: TRUST.vkeys, witnesses: TRUST.witnesses }));
  assert.deepEqual(await found(bundle, trust), ["verified", undefined]);
});

test("trust that cannot be used", async () => {
  const bundle = sealed(rows());
  for (const wrong of [
    { vkeys: ["none"] },
    { vkeys: [vectors.WITNESS_VKEY] },
    { witnesses: [vectors.LOG_VKEY] },
    { ...TRUST, origin: "other.example/audit/x/1" },
    { ...TRUST, threshold: 0 },
    { ...TRUST, threshold: 2 },
    { ...TRUST, anchors: ["none"] },
    { ...TRUST, anchors: [vectors.CHECKPOINT_3.replace("\n3\n", "\n4\n")] },
  ]) {
    await assert.rejects(verify(bundle, wrong), UsageError);
  }
  for (const wrong of ["", "[]", "{}", '{"origin":"a","vkeys":"b"}', '{"origin":"a","vkeys":[],"k":1.5}']) {
    assert.throws(() => parseTrust(wrong), UsageError);
  }
});

const at = (index: number, change: (row: Record<string, unknown>) => object) => rows().with(1 + index, {
  ...change(rows()[1 + index]!),
});

test("attacks", async () => {
  const other = { ...JSON.parse(vectors.ENTRIES[1]!), outcome: "denied" } as object;
  const attacks: [string, number | undefined, Blob][] = [
    ["altered", 1, sealed(at(1, (row) => ({ ...row, entry: other })))],
    // A changed leaf hash tells of its entry, which no longer fits it.
    ["altered", 1, sealed(at(1, (row) => ({ ...row, leaf: vectors.LEAVES[2] })))],
    ["altered", 2, sealed(rows().toSpliced(3, 1))],
    ["altered", 2, sealed(rows().toSpliced(4, 0, rows()[3]!))],
    ["altered", 1, sealed(rows().with(2, rows()[3]!).with(3, rows()[2]!))],
    ["wrong-log", undefined, sealed(rows().with(0, { ...rows()[0], origin: "other.example/audit/x/1" }))],
    ["wrong-log", 1, sealed(at(1, (row) => ({ ...row, entry: { ...(row["entry"] as object), log: "x" } })))],
    ["malformed", undefined, sealed(rows().toSpliced(7, 0, rows()[7]!))],
    ["malformed", undefined, sealed(rows().slice(1))],
    ["malformed", undefined, sealed(at(1, (row) => ({ ...row, index: -1 })))],
    ["malformed", undefined, sealed(rows().with(6, { kind: "range", left: [], right: [], more: 1 }))],
    ["malformed", undefined, sealed(rows().toSpliced(8, 2))],
    ["altered", 3, sealed(rows().with(8, { ...rows()[8], proof: vectors.CONSISTENCY_3_TO_5.slice(1) }))],
    ["altered", 5, sealed(rows().with(6, { kind: "range", left: [], right: [vectors.LEAVES[0]] }))],
    ["bad-signature", 3, sealed(rows().with(7, { ...rows()[7], note: vectors.CHECKPOINT_3.replace("BcB6", "BcB7") }))],
  ];
  for (const [place, [verdict, bad, bundle]] of attacks.entries()) {
    assert.deepEqual(await found(bundle), [verdict, bad], `attack ${place}`);
  }
});

test("other bytes for the same JSON", async () => {
  const lines = (await sealed(rows()).text()).split("\n").slice(0, -2);
  const changes: ((line: string) => string)[] = [
    (line) => line.replace(":", ": "),
    (line) => ` ${line}`,
    (line) => `\ufeff${line}`,
    (line) => `${line}\r`,
    (line) => line.replace("medium", "m").replace("é", "\\u00e9"),
    (line) => line.replace("é", "e\u0301"),
    (line) => line.replace('"v":1', '"v":1.0'),
    (line) => line.replace('"v":1', '"v":1e0'),
    (line) => line.replace('"v":1', '"v":9007199254740993'),
    (line) => line.replace('"v":1', '"v":9007199254740992'),
    (line) => line.replace('"v":1', '"v":-0'),
    (line) => line.replace('"v":1', '"v":null'),
    (line) => line.replace('"v":1', '"v":1,"v":1'),
    (line) => line.replace('"v":1', '"v":"\\ud800"'),
    (line) => line.replace('"v":1', '"v":"\\n"'),
    (line) => line.replace('"v":1', '"v":"\\/"'),
    (line) => line.replace('"v":1', '"v":1,"é":1'),
    (line) => line.replace('"v":1', '"v":1,"w w":1'),
    (line) => line.replace('"v":1', `"v":${"[".repeat(9)}${"]".repeat(9)}`),
    (line) => line.replace('"v":1', `"v":${"[".repeat(20_000)}${"]".repeat(20_000)}`),
    (line) => line.replace('"v":1', `"v":"${"x".repeat(16_384)}"`),
    (line) => line.replace('"v":1', `"v":"${"x".repeat(66_000)}"`),
    (line) => line.replace('{"entry"', '{"action":1,"entry"'),
    (line) => line.replace("Ly0=", "Ly1="),
    (line) => line.replace("Ly0=", "Ly0"),
  ];
  for (const change of changes) {
    assert.ok(change(lines[5]!) !== lines[5], String(change));
    assert.deepEqual(await found(sealed(lines.with(5, change(lines[5]!)))), ["malformed", undefined], String(change));
  }
});

test("a file cut anywhere is incomplete, or is no bundle; bytes changed are found", async () => {
  const bytes = new Uint8Array(await sealed(rows()).arrayBuffer());
  for (let length = 0; length < bytes.length; length += 31) {
    assert.deepEqual(await found(new Blob([bytes.slice(0, length)])), ["incomplete", undefined]);
  }
  for (let place = 0; place < bytes.length; place += 11) {
    const [verdict] = await found(new Blob([bytes.with(place, bytes[place]! ^ (1 << place % 8))]));
    assert.ok(verdict !== "verified", `byte ${place}`);
  }
  assert.deepEqual(await found(new Blob([bytes, "x"])), ["malformed", undefined]);
  assert.deepEqual(await found(new Blob([bytes, "\n"])), ["malformed", undefined]);
  assert.deepEqual(await found(new Blob([new Uint8Array(200_000)])), ["malformed", undefined]);
});

test("end.sha256 wrong only where all else is right", async () => {
  const text = await sealed(rows()).text();
  assert.deepEqual(await found(new Blob([text.replace(END, END.replace("2a", "2b"))])), ["malformed", undefined]);
  assert.equal(toHex(sha256(utf8(text.slice(0, text.lastIndexOf("{"))))), END);
});

test("lines come whole from pieces of any size", async () => {
  const text = `a\n\n${"b".repeat(65_535)}\n${"c".repeat(65_537)}\nlast`;
  const lengths: number[] = [];
  for await (const batch of linesOf(new Blob([text]))) lengths.push(...batch.map((line) => line.length));
  assert.deepEqual(lengths, [2, 1, 65_536, 65_537, 1, 4]);
});

test("progress is told, and it can be stopped", async () => {
  const told: [number, number][] = [];
  await verify(sealed(rows()), TRUST, { progress: (done, total) => told.push([done, total]) });
  assert.ok(told.length >= 2 && told.every(([done, total]) => done <= total));
  assert.ok(told.some(([done, total]) => done === 4463 && total === 2 * 4463));
  const stopped = AbortSignal.abort(new Error("enough"));
  await assert.rejects(verify(sealed(rows()), TRUST, { signal: stopped }), /enough/);
});
