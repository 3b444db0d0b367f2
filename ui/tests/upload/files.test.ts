// Headers and archives as the page of uploads reads them: what is broken or hostile is left out, and nothing is endless.
import assert from "node:assert/strict";
import { test } from "node:test";
import { deflateRawSync } from "node:zlib";

import { isDicom, readHeader } from "../../src/portal/pages/upload/part10.ts";
import { openZip, ZipRefused } from "../../src/portal/pages/upload/zip.ts";

function explicit(group: number, element: number, vr: string, value: string | Uint8Array): Uint8Array {
  const bytes = typeof value === "string" ? new TextEncoder().encode(value.length % 2 ? `${value}\0` : value) : value;
  const head = Buffer.alloc(vr === "SQ" ? 12 : 8);
  head.writeUInt16LE(group, 0);
  head.writeUInt16LE(element, 2);
  head.write(vr, 4, "latin1");
  if (vr === "SQ") head.writeUInt32LE(0xffffffff, 8);
  else head.writeUInt16LE(bytes.length, 6);
  return Buffer.concat([head, bytes]);
}

function mark(element: number, length = 0): Uint8Array {
  const head = Buffer.alloc(8);
  head.writeUInt16LE(0xfffe, 0);
  head.writeUInt16LE(element, 2);
  head.writeUInt32LE(length, 4);
  return head;
}

// A sequence of undefined length in an item of undefined length, behind another element of that item.
const NESTED = explicit(8, 0x1140, "SQ", Buffer.concat([
  mark(0xe000, 0xffffffff), explicit(8, 0x1150, "UI", "1.2"),
  explicit(8, 0x1199, "SQ", Buffer.concat([mark(0xe000, 0xffffffff), explicit(0x20, 0xd, "UI", "9.9"), mark(0xe00d), mark(0xe0dd)])),
  mark(0xe00d), mark(0xe0dd),
]));

const FILE = Buffer.concat([
  Buffer.alloc(128), Buffer.from("DICM"),
  explicit(2, 3, "UI", "1.2.3"), explicit(2, 0x10, "UI", "1.2.840.10008.1.2.1"),
  explicit(8, 0x16, "UI", "1.2.840.10008.5.1.4.1.1.2"), explicit(8, 0x18, "UI", "1.2.3"), explicit(8, 0x60, "CS", "CT"),
  explicit(8, 0x1030, "LO", "Thorax"), NESTED, explicit(0x10, 0x10, "PN", "A^B"), explicit(0x20, 0xd, "UI", "1.2.3.4"), explicit(0x20, 0xe, "UI", "5"),
]);

test("a header tells the study", () => {
  assert.deepEqual(readHeader(new Uint8Array(FILE)), { study: "1.2.3.4", instance: "1.2.3", sopClass: "1.2.840.10008.5.1.4.1.1.2", modality: "CT", description: "Thorax" });
});

test("wherever it is cut or broken, reading ends", () => {
  for (let end = 0; end < FILE.length; end += 1) readHeader(new Uint8Array(FILE.subarray(0, end)));
  let seed = 7;
  for (let round = 0; round < 2000; round += 1) {
    const broken = new Uint8Array(FILE);
    for (let change = 0; change < 4; change += 1) {
      seed = (seed * 1103515245 + 12345) % 2147483648;
      broken[132 + (seed % (broken.length - 132))] = seed >>> 8;
    }
    readHeader(broken);
  }
  assert.equal(readHeader(new Uint8Array(200)), null);
  assert.equal(isDicom(new TextEncoder().encode("x".repeat(300))), false);
});

interface Entry {
  name: string;
  data: Uint8Array;
  size?: number;
  flags?: number;
  mode?: number;
  place?: number;
}

function zip(entries: Entry[]): Blob {
  const parts: Buffer[] = [];
  const directory: Buffer[] = [];
  let at = 0;
  for (const one of entries) {
    const packed = deflateRawSync(one.data);
    const name = Buffer.from(one.name);
    const local = Buffer.alloc(30);
    local.writeUInt32LE(0x04034b50, 0);
    local.writeUInt16LE(name.length, 26);
    const central = Buffer.alloc(46);
    central.writeUInt32LE(0x02014b50, 0);
    central.writeUInt16LE(one.flags ?? 0, 8);
    central.writeUInt16LE(8, 10);
    central.writeUInt32LE(packed.length, 20);
    central.writeUInt32LE(one.size ?? one.data.length, 24);
    central.writeUInt16LE(name.length, 28);
    central.writeUInt32LE(((one.mode ?? 0x81a4) << 16) >>> 0, 38);
    central.writeUInt32LE(one.place ?? at, 42);
    parts.push(local, name, packed);
    directory.push(central, name);
    at += 30 + name.length + packed.length;
  }
  const list = Buffer.concat(directory);
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(entries.length, 10);
  end.writeUInt32LE(list.length, 12);
  end.writeUInt32LE(at, 16);
  return new Blob([...parts, list, end].map((one) => new Uint8Array(one)));
}

test("files of an archive are read; their paths are no paths", async () => {
  const found = await openZip(zip([{ name: "../../etc/one.dcm", data: FILE }, { name: "folder/", data: new Uint8Array() }, { name: "C:\\x\\two.dcm", data: FILE }]));
  assert.deepEqual(found.map((one) => one.name), ["one.dcm", "two.dcm"]);
  assert.deepEqual(new Uint8Array(await (await found[1]!.blob()).arrayBuffer()), new Uint8Array(FILE));
  assert.deepEqual(await found[0]!.head(132), new Uint8Array(FILE.subarray(0, 132)));
});

test("what is hostile is refused", async () => {
  const refused: [string, Entry[]][] = [
    ["a bomb", [{ name: "a", data: new Uint8Array(64 << 20) }]],
    ["encryption", [{ name: "a", data: FILE, flags: 1 }]],
    ["a link", [{ name: "a", data: FILE, mode: 0xa1ff }]],
    ["files over each other", [{ name: "a", data: FILE }, { name: "b", data: FILE, place: 0 }]],
    ["a place beyond the end", [{ name: "a", data: FILE, place: 1 << 30 }]],
    ["too much", Array.from({ length: 30 }, (_, index) => ({ name: `${index}`, data: FILE, size: 2 ** 31 }))],
  ];
  for (const [what, entries] of refused) await assert.rejects(openZip(zip(entries)), ZipRefused, what);
  await assert.rejects(openZip(new Blob(["PK\x03\x04 and no more"])), ZipRefused);
  // What says that it is smaller than it is gives no more than it said; what says that it is larger is refused.
  const [small] = await openZip(zip([{ name: "a", data: new Uint8Array(1000), size: 10 }]));
  assert.equal((await small!.blob()).size, 10);
  const [large] = await openZip(zip([{ name: "a", data: new Uint8Array(1000), size: 2000 }]));
  await assert.rejects(large!.blob(), ZipRefused);
});
