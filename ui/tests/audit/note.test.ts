// Signed notes and keys: the vectors, C2SP's own example, and what is refused.

import assert from "node:assert/strict";
import { test } from "node:test";
import { FormatError } from "../../src/audit/bytes.ts";
import { Note, parseSignature, VerifierKey } from "../../src/audit/note.ts";
import { CHECKPOINT_3, CHECKPOINT_5, LOG_VKEY, ORIGIN, ROOTS, WITNESS_VKEY } from "./vectors.ts";

test("checkpoints and cosignature of the vectors", async () => {
  const [log, witness] = [new VerifierKey(LOG_VKEY), new VerifierKey(WITNESS_VKEY)];
  const [three, five] = [new Note(CHECKPOINT_3), new Note(CHECKPOINT_5)];
  assert.deepEqual([five.origin, five.size, five.body], [ORIGIN, 5, `${ORIGIN}\n5\n${ROOTS[5]}\n`]);
  assert.equal(await three.signedBy(log), true);
  assert.equal(await three.signedBy(witness), null);
  assert.equal(await five.signedBy(log), true);
  assert.equal(await five.signedBy(witness), true);
  assert.equal(await new Note(CHECKPOINT_5.replace("\n5\n", "\n6\n")).signedBy(log), false);
  assert.equal(await new Note(CHECKPOINT_5.replace("\n5\n", "\n6\n")).signedBy(witness), false);
});

test("the note with which C2SP and Go's sumdb/note show the format", async () => {
  const key = new VerifierKey("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW");
  const body =
    "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";
  const line =
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=";
  const signature = parseSignature(line);
  assert.deepEqual([signature.name, signature.keyId], [key.name, key.keyId]);
  assert.equal(await key.verify(body, signature.data), true);
  assert.equal(await key.verify(`${body}\n`, signature.data), false);
  assert.throws(() => new Note(`${body}\n${line}\n`), FormatError);
});

test("what is no checkpoint", () => {
  const changes: ((note: string) => string)[] = [
    (note) => note.slice(0, -1),
    (note) => `${note}\n`,
    (note) => `${note} `,
    (note) => note.replace("\n\n", "\n"),
    (note) => note.replace("\n5\n", "\n05\n"),
    (note) => note.replace("\n5\n", "\n+5\n"),
    (note) => note.replace("\n5\n", "\n\n"),
    (note) => note.replace("\n5\n", "\n٥\n"),
    (note) => note.replace("\n5\n", "\n9007199254740992\n"),
    (note) => note.replace("kGk=", ""),
    (note) => note.replace("kGk=\n", "kGl=\n"),
    (note) => note.replace("kGk=\n", "kGk\n"),
    (note) => note.replace("kGk=\n", "kGk=\nextension\n"),
    (note) => note.replace("— ", "- "),
    (note) => note.replace("— ", "—  "),
    (note) => note.replace(`— ${ORIGIN}`, "— a b"),
    (note) => note.replaceAll("\n", "\r\n"),
    (note) => note + note.split("\n").slice(4, 5).join("").concat("\n").repeat(15),
    () => "",
    () => "\n\n",
  ];
  for (const change of changes) assert.throws(() => new Note(change(CHECKPOINT_5)), FormatError, String(change));
});

test("what is no key", () => {
  for (const wrong of [
    "",
    "a+b",
    LOG_VKEY.replace("5e0a1198", "5e0a1199"),
    LOG_VKEY.replace("5e0a1198", "5E0A1198"),
    LOG_VKEY.replace("stmary", "stjohn"),
    LOG_VKEY.replace("+AQ", "+AR"),
    `${LOG_VKEY} `,
    `${LOG_VKEY}=`,
    ` ${LOG_VKEY}`,
  ]) {
    assert.throws(() => new VerifierKey(wrong), FormatError, wrong);
  }
});
