// Whether the trail is whole: what this browser checked, against which head, and what it has not checked.
import { Popover } from "@mantine/core";
import { IconShieldCheck, IconShieldX } from "@tabler/icons-react";
import { type ReactNode, useState } from "react";

import { verify, type Verdict } from "../../../audit/index.ts";
import { request } from "../../api/client";
import { words } from "../../app/words";
import { count } from "./entry";
import { TrailAlarm } from "./alarm";
import type { Proofs } from "./proofs";

export function Banner({ proofs, shown }: { proofs: Proofs; shown: number }): ReactNode {
  const { head } = proofs;
  const [verdict, setVerdict] = useState<Verdict | null>(null);
  const [progress, setProgress] = useState<number | null>(null);
  const [failed, setFailed] = useState("");
  const all = async (): Promise<void> => {
    if (head === undefined) return;
    setFailed("");
    setProgress(0);
    try {
      const bundle = await (await request(`/api/v1/audit/export?generation=${head.generation}`)).blob();
      setVerdict(await verify(bundle, { origin: head.origin, vkeys: [head.pinned], logKeyOnly: true }, { progress: (done, total) => setProgress(done / Math.max(1, total)) }));
    } catch (error) {
      setFailed(error instanceof Error ? error.message : String(error));
    } finally {
      setProgress(null);
    }
  };
  const wrong = head !== undefined && (head.state !== "good" || proofs.failed !== null);
  if (wrong) return <TrailAlarm proofs={proofs} />;
  if (verdict !== null && verdict.verdict !== "verified") {
    return (
      <div className="note bad" role="alert">
        <IconShieldX size={18} aria-hidden />
        <div><div className="bb">{words.trail.verdictBad}: {verdict.verdict}</div>
          {verdict.first_bad !== undefined && <div className="t2">{words.trail.firstBad} {verdict.first_bad.toLocaleString()}</div>}</div>
      </div>
    );
  }
  const busy = head === undefined || proofs.busy;
  return (
    <section className={head === undefined ? "ban wait" : "ban"} aria-live="polite">
      <span className="ic"><IconShieldCheck size={20} stroke={2} aria-hidden /></span>
      <div className="grow">
        <div className="bb ell">
          {head === undefined ? words.trail.checking : verdict ? (
            `${words.trail.whole}: ${verdict.leaves.toLocaleString()} ${words.trail.entries}, ${words.trail.noneMissing}`
          ) : (
            `${words.trail.good}: ${head.size.toLocaleString()} ${words.trail.entries}, ${proofs.verified.toLocaleString()} / ${shown.toLocaleString()} ${words.trail.verified}`
          )}
        </div>
        <div className="t2 ell">
          {head === undefined ? (proofs.error ? String(proofs.error) : " ") : (
            <>
              {words.trail.against} <span className="mono">{head.root}</span>
              {head.witnesses > 0 && `, ${words.trail.cosigned} ${count(head.witnesses, words.trail.witness, words.trail.witnesses)}`}
              {head.unknown.length > 0 && `, ${words.trail.notWitnessed} ${head.unknown.join(", ")}`}.{" "}
              {head.seen > 0 ? `${words.trail.extends} ${head.seen.toLocaleString()}.` : words.trail.firstSeen}
            </>
          )}
        </div>
        {failed && <div className="dt" role="alert">{failed}</div>}
      </div>
      <span className="row end">
        <button type="button" className="btn sm" disabled={busy} onClick={proofs.again}>{words.trail.again}</button>
        <button type="button" className="btn sm" disabled={busy || progress !== null} onClick={() => void all()}>
          {progress === null ? words.trail.verifyAll : `${words.trail.verifying} ${Math.round(100 * progress)} %`}
        </button>
        <Popover width={340} position="bottom-end" withArrow shadow="md">
          <Popover.Target><button type="button" className="btn sm qt">{words.trail.how}</button></Popover.Target>
          <Popover.Dropdown><ul className="how">{words.trail.howSays.map((one) => <li key={one}>{one}</li>)}</ul></Popover.Dropdown>
        </Popover>
      </span>
    </section>
  );
}
