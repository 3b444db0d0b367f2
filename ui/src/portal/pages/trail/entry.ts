// An entry of the trail as pages show it: who did what to what, in words.
import { useQuery } from "@tanstack/react-query";

import { api, ApiError } from "../../api/client";
import { useRole } from "../../app/session";
import { words } from "../../app/words";
import { useRecipients } from "../../parts/recipients";

export interface Who { kind: string; id: string; role?: string }

export interface Entry {
  id: string;
  log: string;
  recorded: string;
  time?: string;
  source: string;
  action: string;
  actor: Who;
  behalf?: { kind: string; id: string };
  outcome: string;
  reason?: string;
  phase?: string;
  of?: string;
  object?: { kind: string; id?: string; ref?: string; version?: number };
  subjects?: { patient?: string; study?: string; series?: string }[];
  counts?: Record<string, number>;
  classes?: string[];
  detail?: Record<string, unknown>;
  purpose?: string;
  basis?: string;
  agreement?: { id: string; version: number };
  grant?: string;
  network?: { address?: string };
  node?: string;
  request?: string;
}

/** index null: committed, not sealed yet. entry undefined: pruned. */
export interface Row { index: number | null; leaf?: string; entry?: Entry }

interface PageOf { sealing: unknown[]; entries: { index: number; leaf?: string; entry?: unknown }[] }

export function rowsOf(page: PageOf): Row[] {
  return [
    ...page.sealing.map((entry) => ({ index: null, entry: entry as Entry })),
    ...page.entries.map((one) => ({ index: one.index, ...(one.leaf === undefined ? {} : { leaf: one.leaf }), ...(one.entry === undefined ? {} : { entry: one.entry as Entry }) })),
  ];
}

export const isSealed = (row: Row): row is Row & { index: number } => row.index !== null;

/** Names of applications by their ids; for clinicians of those that the institution uses. */
export function useApplications(): Map<string, string> {
  const may = useRole("administrator", "privacy-officer");
  const { data } = useQuery({
    queryKey: ["applications", "names"],
    enabled: may,
    queryFn: async () => (await api.GET("/api/v1/applications")).data?.applications ?? [],
    retry: (count, error) => count < 2 && !(error instanceof ApiError),
  });
  const used = useRecipients("applications", !may);
  return new Map((data ?? used.data ?? []).map((one) => [one.id, one.name || one.id]));
}

/** Who did it, by name where there is one. */
export function nameOf(who: { kind: string; id: string }, actors: Readonly<Record<string, string>>, applications: ReadonlyMap<string, string>): string {
  if (who.kind === "application") return who.id === "images" ? "Images" : applications.get(who.id) ?? who.id;
  return actors[`${who.kind}:${who.id}`] ?? (who.kind === "person" || who.kind === "receiver" ? who.id : words.trail.kinds[who.kind] ?? who.id);
}

export function didWhat(entry: Entry): string {
  const known = words.trail.did[entry.action];
  if (known !== undefined) return known;
  const [, subject = "", verb = ""] = entry.action.split(":");
  return `${subject} ${verb.replaceAll("_", " ")}`;
}

export const isBad = (entry: Entry): boolean => entry.outcome === "denied" || entry.outcome === "failed" || entry.action === "access:decision:deny";

export function count(value: number, one: string, many: string): string {
  return value === 1 ? `1 ${one}` : `${value.toLocaleString()} ${many}`;
}

/** How much: "312 images". */
export function howMuch(entry: Entry): string {
  const { instances = 0, results = 0, frames = 0 } = entry.counts ?? {};
  if (instances) return count(instances, "object", "objects");
  if (frames) return count(frames, "frame", "frames");
  if (results) return count(results, "result", "results");
  return "";
}

export function purposeOf(code: string | undefined): string {
  if (code === undefined) return "";
  return (words.purposes as Record<string, string>)[code] ?? code;
}

/** `gdpr:6.1.e+9.2.h` → Art. 6(1)(e), 9(2)(h). */
export function basisOf(basis: string | undefined): string {
  if (!basis) return "";
  const [law = "", articles = ""] = basis.split(":");
  if (law !== "gdpr") return basis;
  return `Art. ${articles.split("+").map((one) => {
    const [article = "", ...rest] = one.split(".");
    return article + rest.map((part) => `(${part})`).join("");
  }).join(", ")}`;
}
