// The ward line: what we hold, who can see it, why, until when, and the one click that ends it. In this order on every page about data.
import type { ReactNode } from "react";

import { words } from "../app/words";
import { type Access, Lamp } from "./badges";

export interface Ward {
  hold: ReactNode;
  who: ReactNode;
  why: ReactNode;
  until: ReactNode;
  /** Those besides us who can see it now; none: the lamp is dark. */
  grants: readonly Access[];
  end?: ReactNode;
}

export function WardLine({ hold, who, why, until, grants, end }: Ward): ReactNode {
  const lit = grants.length > 0;
  return (
    <section className={lit ? "ward lit" : "ward"} aria-label={words.ward.label}>
      <span className="l"><Lamp left={lit ? share(grants) : null} big /></span>
      <dl><dt>{words.ward.hold}</dt><dd>{hold}</dd></dl>
      <dl><dt>{words.ward.who}</dt><dd>{who}</dd></dl>
      <dl><dt>{words.ward.why}</dt><dd>{why}</dd></dl>
      <dl><dt>{words.ward.until}</dt><dd>{until}</dd></dl>
      {end && <div className="act">{end}</div>}
    </section>
  );
}

/** The share that is left of the access that ends last. */
function share(grants: readonly Access[]): number {
  const last = grants.reduce((a, b) => (a.expires_at > b.expires_at ? a : b));
  const [begin, end] = [Date.parse(last.not_before), Date.parse(last.expires_at)];
  return Math.max(0, Math.min(1, (end - Date.now()) / Math.max(1, end - begin)));
}
