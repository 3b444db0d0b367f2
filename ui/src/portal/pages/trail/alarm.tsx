// The red banner: the log is not what this browser knows it to be, or an entry is not what was recorded.
import { IconShieldX } from "@tabler/icons-react";
import type { ReactNode } from "react";

import { words } from "../../app/words";
import { trustKey } from "../../parts/proof";
import type { Proofs } from "./proofs";

export function TrailAlarm({ proofs }: { proofs: Proofs }): ReactNode {
  const { head, failed } = proofs;
  if (head === undefined || (head.state === "good" && failed === null)) return null;
  const changed = head.state === "key-changed";
  const key = head.vkeys.at(-1) ?? "";
  return (
    <div className={head.state === "unsupported" ? "note warn" : "note bad"} role="alert">
      <IconShieldX size={18} stroke={1.7} aria-hidden />
      <div className="grow">
        <div className="bb">{head.state === "good" ? words.trail.entryBad : words.trail.bad[head.state]}</div>
        <div className="t2">{head.state === "good" ? `${words.trail.entryBadSays} ${failed?.toLocaleString()}.` : words.trail.badSays[head.state]}</div>
        {changed && (
          <>
            <dl className="kv xs" style={{ margin: "6px 0" }}>
              <dt>{words.trail.keyBefore}</dt><dd className="mono" style={{ overflowWrap: "anywhere" }}>{head.pinned}</dd>
              <dt>{words.trail.keyNow}</dt><dd className="mono" style={{ overflowWrap: "anywhere" }}>{key}</dd>
            </dl>
            <button type="button" className="btn xs" onClick={() => { trustKey(head.origin, key); proofs.again(); }}>{words.trail.takeKey}</button>
          </>
        )}
      </div>
    </div>
  );
}
