// Checks the receipt of a deletion in the browser (docs/reference/deletion.md), as `wardlight receipt verify` does.
import { equal, fromBase64, utf8 } from "../../audit/bytes.ts";
import { Note, parseSignature, VerifierKey } from "../../audit/note.ts";
import { leafHash, rootFromInclusion } from "../../audit/tree.ts";
import type { components } from "../api/schema";

export type Receipt = components["schemas"]["DeletionReceipt"];

interface Placed {
  audit_position?: { log: string; index: number; tree_size: number } | null;
  audit?: { entry: string | null; leaf: string; proof: string[]; checkpoint: string } | null;
  id: string;
  log?: string;
}

/** RFC 8785 for what a receipt holds: integers, texts, lists, objects, null. */
function canonical(value: unknown): string {
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  const members = Object.entries(value as Record<string, unknown>).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${members.map(([name, one]) => `${JSON.stringify(name)}:${canonical(one)}`).join(",")}}`;
}

export type ReceiptState = "verified" | "signed" | "altered" | "other-key" | "unsupported";

/** `signed`: its entry is not sealed yet, so only the signature could be checked. */
export async function verifyReceipt(document: Receipt, vkey: string): Promise<ReceiptState> {
  if (crypto.subtle === undefined) return "unsupported";
  try {
    const receipt = document.receipt as unknown as Placed;
    const key = new VerifierKey(vkey);
    const signature = parseSignature(document.signature);
    if (signature.name !== receipt.log || signature.name !== key.name || !equal(signature.keyId, key.keyId)) return "other-key";
    if (!(await key.verify(`${document.format}\n${canonical(document.receipt)}\n`, signature.data))) return "altered";
    const { audit, audit_position: position } = receipt;
    if (!audit || !position) return "signed";
    const note = new Note(audit.checkpoint);
    const leaf = fromBase64(audit.leaf);
    const root = rootFromInclusion(leaf, position.index, note.size, audit.proof.map(fromBase64));
    const fits = note.origin === position.log && note.size === position.tree_size && (await note.signedBy(key)) === true;
    if (!fits || root === null || !equal(root, note.root)) return "altered";
    if (audit.entry === null) return "verified";
    const entry = JSON.parse(audit.entry) as { action?: string; detail?: { deletion?: string } };
    const same = equal(leafHash(utf8(audit.entry)), leaf) && entry.action === "archive:study:delete" && entry.detail?.deletion === receipt.id;
    return same ? "verified" : "altered";
  } catch {
    return "altered";
  }
}
