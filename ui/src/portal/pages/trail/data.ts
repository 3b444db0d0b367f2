// What the trail's page asks: entries by filters, found by patient or study, and counters by day.
import { infiniteQueryOptions, queryOptions } from "@tanstack/react-query";

import { api } from "../../api/client";
import type { components } from "../../api/schema";
import { rowsOf } from "./entry";

type Group = NonNullable<components["schemas"]["AuditSearch"]["group"]>[number];
type Outcome = NonNullable<components["schemas"]["AuditSearch"]["outcome"]>[number];

/** Filters that stand in the address. */
export interface Filters {
  day?: string;
  from?: string;
  to?: string;
  actor?: string;
  group?: string;
  action?: string;
  outcome?: string;
  study?: string;
}

/** Who is looked for; never in an address. */
export interface Patient { id: string; issuer: string }

const DAY = 86_400_000;

export const isoDay = (time: number): string => new Date(time).toISOString().slice(0, 10);
export const dayAfter = (day: string): string => isoDay(Date.parse(`${day}T00:00:00Z`) + DAY);

function period(filters: Filters): { from?: string; to?: string } {
  if (filters.day) return { from: filters.day, to: dayAfter(filters.day) };
  return { ...(filters.from ? { from: filters.from } : {}), ...(filters.to ? { to: dayAfter(filters.to) } : {}) };
}

export const PAGE = 50;

export const entriesQuery = (filters: Filters, patient: Patient | null) => infiniteQueryOptions({
  queryKey: ["audit", "entries", filters, patient],
  staleTime: 30_000,
  refetchOnWindowFocus: false,
  initialPageParam: "",
  queryFn: async ({ pageParam, signal }) => {
    const more = pageParam ? { cursor: pageParam } : {};
    const common = { limit: PAGE, ...period(filters), ...(filters.actor ? { actor: filters.actor } : {}), ...more };
    if (patient !== null || filters.study) {
      const { data } = await api.POST("/api/v1/audit/search", {
        signal,
        body: {
          ...common,
          ...(patient ? { patients: [{ id: patient.id, ...(patient.issuer ? { issuer: patient.issuer } : {}) }] } : {}),
          ...(filters.study ? { studies: [filters.study] } : {}),
          ...(filters.group ? { group: [filters.group as Group] } : {}),
          ...(filters.action ? { action: [filters.action] } : {}),
          ...(filters.outcome ? { outcome: [filters.outcome as Outcome] } : {}),
        },
      });
      return paged(data);
    }
    const { group, action, outcome } = filters;
    const query = { ...common, ...(group ? { group } : {}), ...(action ? { action } : {}), ...(outcome ? { outcome } : {}) };
    return paged((await api.GET("/api/v1/audit/entries", { signal, params: { query } })).data);
  },
  getNextPageParam: (page) => page.next ?? undefined,
});

function paged(data: components["schemas"]["AuditPage"] | undefined) {
  if (data === undefined) throw new Error("no answer");
  return { rows: rowsOf(data), actors: data.actors as Record<string, string>, next: data.next };
}

/** The Monday, 51 weeks back, that the year's map begins with. */
export function firstDay(now = Date.now()): string {
  const today = Date.parse(`${isoDay(now)}T00:00:00Z`);
  const weekday = (new Date(today).getUTCDay() + 6) % 7;
  return isoDay(today - (weekday + 51 * 7) * DAY);
}

export const yearQuery = (denied: boolean) => queryOptions({
  queryKey: ["audit", "year", denied],
  staleTime: 300_000,
  refetchOnWindowFocus: false,
  queryFn: async () => {
    const query = { from: firstDay(), to: dayAfter(isoDay(Date.now())), ...(denied ? { group: "denial" } : {}) };
    const { data } = await api.GET("/api/v1/audit/aggregates", { params: { query } });
    return (data?.days ?? []).map((one) => ({ day: one.day, entries: one.hours.reduce((sum, hour) => sum + hour, 0) }));
  },
});
