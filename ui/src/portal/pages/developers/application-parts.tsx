// What pages about applications share.
import type { ReactNode } from "react";

import type { components } from "../../api/schema";
import { developers } from "../../app/words-developers";

export type Application = components["schemas"]["Application"];

export const APPLICATIONS = ["developers", "applications"] as const;

const MARKS = { pending: "warn", active: "ok", suspended: "bad", deleted: "off" } as const;

export function State({ of }: { of: Application["state"] }): ReactNode {
  return <span className={`st ${MARKS[of]}`}>{developers.applications.states[of]}</span>;
}
