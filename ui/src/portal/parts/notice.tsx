// One notification, with the way to what it is about.
import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";

import { api } from "../api/client";
import type { components } from "../api/schema";
import { NOTIFICATIONS } from "../app/live";
import { words } from "../app/words";
import { useAct } from "./ask";
import { When } from "./when";

export type Notification = components["schemas"]["Notification"];

/** Pages that a notification of the platform's own leads to; those about a study lead there. */
const PAGES: Record<string, string> = {
  "study-available": "/studies", "upload-refused": "/upload", "agreement-changed": "/agreements", "agreement-ended": "/agreements",
  "receiver-silent": "/receivers", "webhook-dead": "/developers/webhooks",
};

function target(one: Notification): string | null {
  if (one.study) return `/studies/${one.study}`;
  if (one.application !== "wardlight") return null;
  if (one.name === "deletion-done" && one.object) return `/studies/deleted/${one.object}`;
  return PAGES[one.name] ?? null;
}

export function Notice({ one, close }: { one: Notification; close?: () => void }): ReactNode {
  const act = useAct(NOTIFICATIONS);
  const to = target(one);
  const read = (): void => {
    if (!one.read) void act(() => api.POST("/api/v1/notifications/read", { body: { ids: [one.id] } }));
    close?.();
  };
  return (
    <li className={one.read ? "notice" : "notice new"}>
      <i aria-hidden />
      <div className="said">
        {to ? <Link to={to} className="b" onClick={read}>{one.title}</Link> : one.read ? <span className="b">{one.title}</span> : (
          <button type="button" className="b" onClick={read}>{one.title}</button>
        )}
        {!one.read && <span className="vh"> ({words.bell.unread})</span>}
        <p className="t2">{one.text}</p>
        {one.source && <span className="src">{one.source}</span>}
      </div>
      <When at={one.created} />
    </li>
  );
}
