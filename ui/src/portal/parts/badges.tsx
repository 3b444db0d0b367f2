// Data classes are boxes, states are dots, access is a lamp (mockups/README.md).
import { IconCpu, IconKey, IconUser, IconUserOff } from "@tabler/icons-react";
import type { ReactNode } from "react";

import { whenText } from "./when";

export type DataClass = "identified" | "pseudonymised" | "anonymised" | "machine";

const CLASSES = {
  identified: { icon: IconUser, label: "Identified" },
  pseudonymised: { icon: IconKey, label: "Pseudonymised" },
  anonymised: { icon: IconUserOff, label: "Anonymised" },
  machine: { icon: IconCpu, label: "Machine data" },
} as const;

export function ClassBadge({ of }: { of: DataClass }): ReactNode {
  const { icon: Icon, label } = CLASSES[of];
  return <span className={`cls ${of}`}><Icon aria-hidden size={14} stroke={1.7} />{label}</span>;
}

export function StateDot({ state, children }: { state: "ok" | "warn" | "bad" | "run" | "off"; children: ReactNode }): ReactNode {
  return <span className={`st ${state}`}>{children}</span>;
}

/** left: the share of the access time that is left; null: nobody besides us can see it. */
export function Lamp({ left, big = false }: { left: number | null; big?: boolean }): ReactNode {
  const size = big ? " big" : "";
  if (left === null) return <span className={`lamp off${size}`} aria-hidden />;
  return <span className={`lamp${size}`} style={{ "--p": left } as React.CSSProperties} aria-hidden />;
}

export interface Access {
  application?: string | null;
  person?: string | null;
  not_before: string;
  expires_at: string;
}

/** "2 apps, 1 person until Fri"; less than a day left is said in amber. */
export function AccessBadge({ grants, now = Date.now() }: { grants: readonly Access[]; now?: number }): ReactNode {
  if (grants.length === 0) return <span className="acc none"><Lamp left={null} />Only us</span>;
  const applications = new Set(grants.map((one) => one.application).filter(Boolean)).size;
  const people = new Set(grants.map((one) => one.person).filter(Boolean)).size;
  const last = grants.reduce((a, b) => (a.expires_at > b.expires_at ? a : b));
  const end = Date.parse(last.expires_at);
  const begin = Date.parse(last.not_before);
  const who = [
    applications ? `${applications} ${applications === 1 ? "app" : "apps"}` : "",
    people ? `${people} ${people === 1 ? "person" : "people"}` : "",
  ].filter(Boolean).join(", ");
  const until = whenText(new Date(end), new Date(now)).replace(/^Today /, "");
  return (
    <span className={end - now < 86_400_000 ? "acc soon" : "acc"}>
      <Lamp left={Math.max(0, Math.min(1, (end - now) / Math.max(1, end - begin)))} />
      {who} until {until}
    </span>
  );
}
