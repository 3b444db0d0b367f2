// What the institution's trail tells of webhooks: where events go, and what became of each.
import { api } from "../../api/client";

interface Entry {
  id: string;
  recorded: string;
  action: string;
  actor: { kind: string; id: string };
  object?: { kind: string; id?: string };
  grant?: string;
  reason?: string;
  change?: { path: string; before?: string | number; after?: string | number }[];
  detail?: { event?: string; kind?: string; application?: string };
}

export interface Page {
  entries: Entry[];
  next: string | null;
}

export interface Endpoint {
  id: string;
  application: string;
  url: string;
  kinds: string;
  since: string;
  rotated: string;
  ended: string;
}

export type State = "sent" | "delivered" | "late" | "failed" | "dead" | "again";

export interface Delivery {
  key: string;
  webhook: string;
  event: string;
  kind: string;
  application: string;
  grant: string;
  state: State;
  reason: string;
  at: string;
  /** From what was sent to the answer, in milliseconds; null where it took more than one try, or there is none yet. */
  took: number | null;
  /** What happened, newest first. */
  steps: { action: string; at: string; reason: string }[];
}

const CHANGES = ["events:webhook:create", "events:webhook:change", "events:webhook:delete"];
const TELLINGS = ["send", "deliver", "fail", "dead", "redeliver"].map((word) => `events:notification:${word}`);

async function read(actions: readonly string[], cursor: string): Promise<Page> {
  const { data } = await api.GET("/api/v1/audit/entries", {
    params: { query: { action: actions.join(","), limit: 200, ...(cursor ? { cursor } : {}) } },
  });
  const sealed = (data?.entries ?? []).flatMap((row) => ("entry" in row ? [row.entry] : []));
  return { entries: [...(data?.sealing ?? []), ...sealed] as unknown as Entry[], next: data?.next ?? null };
}

export const tellings = (cursor: string): Promise<Page> => read(TELLINGS, cursor);

/** All of them: webhooks are few. */
export async function endpoints(): Promise<Endpoint[]> {
  const entries: Entry[] = [];
  for (let cursor = "", page = 0; page < 5; page += 1) {
    const found = await read(CHANGES, cursor);
    entries.push(...found.entries);
    if (found.next === null) break;
    cursor = found.next;
  }
  const known = new Map<string, Endpoint>();
  for (const entry of entries.sort((a, b) => a.recorded.localeCompare(b.recorded))) {
    const id = entry.object?.id ?? "";
    const was = known.get(id) ?? { id, application: entry.actor.id, url: "", kinds: "", since: entry.recorded, rotated: "", ended: "" };
    const to = (path: string): string | undefined => entry.change?.find((one) => one.path === path)?.after?.toString();
    known.set(id, {
      ...was,
      url: to("url") ?? was.url,
      kinds: to("kinds") ?? was.kinds,
      rotated: entry.change?.some((one) => one.path === "secret") ? entry.recorded : was.rotated,
      ended: entry.action === "events:webhook:delete" ? entry.recorded : "",
    });
  }
  return [...known.values()].sort((a, b) => Number(Boolean(a.ended)) - Number(Boolean(b.ended)) || b.since.localeCompare(a.since));
}

/** Entries of one event at one webhook are one delivery; newest first. */
export function deliveriesOf(entries: readonly Entry[]): Delivery[] {
  const found = new Map<string, Delivery>();
  for (const entry of [...entries].sort((a, b) => b.recorded.localeCompare(a.recorded) || b.id.localeCompare(a.id))) {
    const [webhook, event] = [entry.object?.id ?? "", entry.detail?.event ?? ""];
    if (!webhook || !event) continue;
    const key = `${webhook}:${event}`;
    const one = found.get(key) ?? {
      key, webhook, event, kind: "", application: "", grant: "", state: "sent" as const, reason: entry.reason ?? "", at: entry.recorded, took: null, steps: [],
    };
    found.set(key, {
      ...one,
      kind: one.kind || (entry.detail?.kind ?? ""),
      application: one.application || (entry.detail?.application ?? ""),
      grant: one.grant || (entry.grant ?? ""),
      steps: [...one.steps, { action: entry.action, at: entry.recorded, reason: entry.reason ?? "" }],
    });
  }
  return [...found.values()].map((one) => ({ ...one, state: stateOf(one.steps), took: tookOf(one.steps) }));
}

/** The first try alone is in the trail with both its ends. */
function tookOf(steps: Delivery["steps"]): number | null {
  const [end, begin] = steps;
  if (end?.action !== "events:notification:deliver" || begin?.action !== "events:notification:send") return null;
  return Math.max(0, Date.parse(end.at) - Date.parse(begin.at));
}

/** The middle one; null where none is known. */
export function median(deliveries: readonly Delivery[]): number | null {
  const took = deliveries.flatMap((one) => (one.took === null ? [] : [one.took])).sort((a, b) => a - b);
  return took[took.length >> 1] ?? null;
}

function stateOf(steps: Delivery["steps"]): State {
  switch (steps[0]?.action) {
    case "events:notification:deliver":
      return steps.some((one) => one.action === "events:notification:fail") ? "late" : "delivered";
    case "events:notification:fail":
      return "failed";
    case "events:notification:dead":
      return "dead";
    case "events:notification:redeliver":
      return "again";
    default:
      return "sent";
  }
}
