// What changes while one looks on: a stream of the server (server-sent events) that says how much is unread, and that there
// are other studies. It carries no data of anybody; pages ask again for what they show.
import { type QueryClient, useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect } from "react";

import { useSession } from "./session";

export const NOTIFICATIONS = ["notifications"] as const;
const UNREAD = ["unread"] as const;
/** Longer without a key or a pointer, and nobody is there: what one does not look at keeps no session from ending. */
const AWAY_MS = 300_000;
const TOGETHER_MS = 800;
const AGAIN_MS = 5_000;

let touched = Date.now();
for (const event of ["pointerdown", "keydown", "wheel", "pointermove"]) {
  addEventListener(event, () => { touched = Date.now(); }, { passive: true, capture: true });
}

function somebodyIsThere(): boolean {
  return document.visibilityState === "visible" && Date.now() - touched < AWAY_MS;
}

/** How much is not read; null while that is not known. */
export function useUnread(): number | null {
  return useQuery<number | null>({ queryKey: UNREAD, queryFn: () => null, enabled: false, staleTime: Infinity }).data ?? null;
}

/** Follows what changes, for as long as the page is there. */
export function useLive(): void {
  const queries = useQueryClient();
  const { role } = useSession();
  useEffect(() => (role === "operator" ? undefined : follow(queries)), [queries, role]);
}

function follow(queries: QueryClient): () => void {
  let source: EventSource | null = null;
  let timer = 0;
  const stale = new Set<string>();
  const refresh = (key: string): void => {
    stale.add(key);
    clearTimeout(timer);
    timer = window.setTimeout(() => {
      const refetchType = somebodyIsThere() ? "active" : "none";
      for (const one of stale) void queries.invalidateQueries({ queryKey: [one], refetchType });
      stale.clear();
    }, TOGETHER_MS);
  };
  const open = (): void => {
    source = new EventSource("/api/v1/notifications/stream");
    source.addEventListener("unread", (event) => {
      const { unread } = JSON.parse((event as MessageEvent<string>).data) as { unread: number };
      if (queries.getQueryData(UNREAD) !== undefined) refresh(NOTIFICATIONS[0]);
      queries.setQueryData(UNREAD, unread);
    });
    source.addEventListener("studies", () => {
      refresh("studies");
      refresh("grants");
    });
  };
  // The browser comes again by itself where the connection broke; not after a refusal, as when the session is over.
  const back = (): void => {
    if (document.visibilityState === "visible" && source?.readyState === EventSource.CLOSED) {
      window.setTimeout(() => { if (source?.readyState === EventSource.CLOSED) open(); }, AGAIN_MS);
    }
  };
  open();
  document.addEventListener("visibilitychange", back);
  return () => {
    document.removeEventListener("visibilitychange", back);
    clearTimeout(timer);
    source?.close();
  };
}
