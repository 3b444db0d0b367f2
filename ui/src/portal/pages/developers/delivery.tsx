// One delivery: what was sent, what came back, which access it told of.
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";

import { api } from "../../api/client";
import { developers } from "../../app/words-developers";
import { Lamp } from "../../parts/badges";
import { When } from "../../parts/when";
import type { Delivery, State } from "./deliveries";
import { Copy, Json } from "./frame";

const said = developers.webhooks;

/** How a state looks: its mark, and the status that stands for it. */
export const WORDS: Record<State, { mark: string; dot: string; code: (reason: string) => string }> = {
  sent: { mark: "", dot: "run", code: () => "···" },
  delivered: { mark: "ok", dot: "ok", code: () => "2xx" },
  late: { mark: "warn", dot: "ok", code: () => "2xx" },
  failed: { mark: "warn", dot: "warn", code: status },
  dead: { mark: "bad", dot: "bad", code: status },
  again: { mark: "", dot: "run", code: () => "···" },
};

function status(reason: string): string {
  return /^http-(\d{3})$/.exec(reason)?.[1] ?? "–";
}

export function Told({ of }: { of: Delivery }): ReactNode {
  const payload = JSON.stringify(
    { specversion: "1.0", id: of.event, type: of.kind, datacontenttype: "application/json", data: of.grant ? { grant: of.grant } : {} },
    null,
    2,
  );
  return (
    <article className="dev-detail" aria-label={of.kind}>
      <div className="row g3" style={{ flexWrap: "wrap" }}>
        <h2 className="mono" style={{ fontSize: 15 }}>{of.kind}</h2>
        <span className={`st ${WORDS[of.state].dot}`}>{said.states[of.state]}</span>
        {of.took !== null && <span className="t2 xs">{said.took} {of.took.toLocaleString()} ms</span>}
        <span className="t2 mono xs">{of.application}</span>
      </div>
      <div className="dev-two">
        <div className="dev-col">
          <div className="row"><h3>{said.payload}</h3><span className="t2 xs ell">{said.payloadHint}</span><span className="end"><Copy text={payload} label={`${developers.copy}: ${said.payload}`} /></span></div>
          <Json text={payload} label={said.payload} />
          <p className="t2 xs">{said.payloadMore}</p>
          {of.grant && <Access grant={of.grant} opens={of.kind === "study.available" || of.kind === "study.changed"} />}
        </div>
        <div className="dev-col">
          <h3>{said.tries}</h3>
          <div className="card">
            <ul className="dev-tries">
              {of.steps.map((one) => (
                <li key={`${one.action}${one.at}`}>
                  <span>{said.trail[one.action] ?? one.action}{one.reason && <> <span className="mono">{one.reason}</span></>}</span>
                  <span className="xs t2"><When at={one.at} /></span>
                </li>
              ))}
            </ul>
          </div>
          <h3>{said.response}</h3>
          <pre className="dev-pre" tabIndex={0} aria-label={said.response}>{answer(of)}</pre>
          <p className="t2 xs">{said.responseHint}</p>
          <h3>{said.headers}</h3>
          <pre className="dev-pre wrap" tabIndex={0} aria-label={said.headers}>{`webhook-id: ${of.event}\nwebhook-timestamp: …\nwebhook-signature: v1,…`}</pre>
          <p className="t2 xs">{said.headersHint}</p>
        </div>
      </div>
    </article>
  );
}

function answer(of: Delivery): string {
  if (of.state === "delivered" || of.state === "late") return said.answered;
  if (of.state === "failed" || of.state === "dead") return /^http-/.test(of.reason) ? `HTTP ${status(of.reason)}` : of.reason;
  return said.nothingYet;
}

function Access({ grant, opens }: { grant: string; opens: boolean }): ReactNode {
  const found = useQuery({
    queryKey: ["grants"],
    queryFn: async () => (await api.GET("/api/v1/grants", { params: { query: { limit: 500 } } })).data?.grants ?? [],
  });
  const one = found.data?.find((each) => each.id === grant && !each.ended);
  if (found.isPending || found.error) return <div className="card dev-open" aria-busy={found.isPending}><span className="t2 mono">{grant}</span></div>;
  if (one === undefined) {
    return (
      <section className="card dev-open">
        <Lamp left={null} big />
        <span><span className="bb">{opens ? said.over : said.closed}</span><span className="t2" style={{ display: "block" }}>{said.closedHint}</span></span>
      </section>
    );
  }
  const [begin, end] = [Date.parse(one.not_before), Date.parse(one.expires_at)];
  return (
    <section className="card dev-open lit">
      <Lamp left={Math.max(0, Math.min(1, (end - Date.now()) / Math.max(1, end - begin)))} big />
      <span className="grow"><span className="bb">{said.opened}</span><span className="t2" style={{ display: "block" }}>{said.openedHint(one.purpose)} <When at={one.expires_at} /></span></span>
      {one.images_study && <Link className="btn sm" to="/studies/$study" params={{ study: one.images_study }}>{said.study}</Link>}
    </section>
  );
}
