// What is held back, as the server lists it.
import { api } from "../../api/client";
import type { components } from "../../api/schema";
import { words } from "../../app/words";

export type Held = components["schemas"]["QuarantinedFile"];
export const QUARANTINE = ["quarantine"] as const;

const say = words.quarantine;
const DAY = 86_400_000;

export async function pageOf(after?: string): Promise<components["schemas"]["Quarantine"]> {
  const query = after ? { after } : {};
  return (await api.GET("/api/v1/quarantine", { params: { query } })).data ?? { files: [] };
}

/** In words; a code that has none as it is. */
export function codeText(code: string): string {
  return say.codes[code] ?? say.families.find(([begin]) => code.startsWith(begin))?.[1] ?? code;
}

/** (0010,0010) › (0040,A168) */
export function tagText(tags: readonly string[]): string {
  return tags.map((one) => `(${one.slice(0, 4)},${one.slice(4)})`).join(" › ");
}

export function leftText(row: Held, now = Date.now()): string {
  return say.left(Math.max(0, Date.parse(row.expires) - now) / DAY);
}

/** Kinds of images that people know by name (PS3.4 table B.5-1). */
const KINDS: readonly (readonly [string, string])[] = [
  ["1.2.840.10008.5.1.4.1.1.2", "CT"],
  ["1.2.840.10008.5.1.4.1.1.4", "MR"],
  ["1.2.840.10008.5.1.4.1.1.6", "Ultrasound"],
  ["1.2.840.10008.5.1.4.1.1.3", "Ultrasound, moving"],
  ["1.2.840.10008.5.1.4.1.1.7", "Secondary capture"],
  ["1.2.840.10008.5.1.4.1.1.11", "Presentation state"],
  ["1.2.840.10008.5.1.4.1.1.12", "Angiography"],
  ["1.2.840.10008.5.1.4.1.1.20", "Nuclear medicine"],
  ["1.2.840.10008.5.1.4.1.1.66", "Derived data"],
  ["1.2.840.10008.5.1.4.1.1.77", "Visible light"],
  ["1.2.840.10008.5.1.4.1.1.88", "Report"],
  ["1.2.840.10008.5.1.4.1.1.104", "Document"],
  ["1.2.840.10008.5.1.4.1.1.128", "PET"],
  ["1.2.840.10008.5.1.4.1.1.481", "Radiotherapy"],
  ["1.2.840.10008.5.1.4.1.1.1", "X-ray"],
];

export function kindText(row: Held): string {
  const uid = row.sop_class ?? "";
  return KINDS.find(([root]) => uid === root || uid.startsWith(`${root}.`))?.[1] ?? (uid || say.unknown);
}
