// Partner applications: what each asks for, who made it, whether it may see anything, and how to let it in and out.
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { type ReactNode, useState } from "react";

import "./admin.css";
import { api } from "../api/client";
import type { components } from "../api/schema";
import { useRole } from "../app/session";
import { Top } from "../app/shell";
import { words } from "../app/words";
import { Ask, useAct } from "../parts/ask";
import { Lamp, StateDot } from "../parts/badges";
import { Confirm } from "../parts/confirm";
import { Empty, Failure } from "../parts/states";
import { Classes, LevelBars, Purposes } from "../parts/terms";
import { When } from "../parts/when";

type Application = components["schemas"]["Application"];
type Entitlement = components["schemas"]["Entitlement"];
type Grant = components["schemas"]["Grant"];

const text = words.applications;
const MOST = 500;
export const APPLICATIONS = ["applications"] as const;
export const SUBSCRIPTIONS = ["subscriptions"] as const;

/** What the institution could use, with names. */
export function useApplications() {
  return useQuery({ queryKey: APPLICATIONS, queryFn: async () => (await api.GET("/api/v1/applications")).data?.applications ?? [] });
}

/** Grants that an application has now; the first of them where there are very many. */
export function useGrantsOf(application: string) {
  return useQuery({
    queryKey: ["grants", application],
    queryFn: async () => (await api.GET("/api/v1/grants", { params: { query: { application, limit: MOST } } })).data ?? { grants: [] },
  });
}

export function studiesOf(grants: readonly Grant[], more: boolean): string {
  return text.studies(new Set(grants.map((one) => one.study)).size, more);
}

export function Applications(): ReactNode {
  const found = useApplications();
  const asked = useQuery({ queryKey: ["entitlements"], queryFn: async () => (await api.GET("/api/v1/entitlements")).data?.entitlements ?? [] });
  const subscribed = useQuery({ queryKey: SUBSCRIPTIONS, queryFn: async () => (await api.GET("/api/v1/subscriptions")).data?.subscriptions ?? [] });
  const error = found.error ?? asked.error ?? subscribed.error;
  const again = (): void => void Promise.all([found.refetch(), asked.refetch(), subscribed.refetch()]);
  return (
    <>
      <Top crumbs={<b>{text.title}</b>} />
      <main className="page wide" id="content">
        <div className="phead"><h1>{text.title}</h1></div>
        <p className="t2 lead">{text.says}</p>
        {error ? <Failure error={error} again={again} /> : !found.data || !asked.data || !subscribed.data ? (
          <div className="apps late" aria-busy aria-label={words.states.loading}>
            {[0, 1].map((one) => <div key={one} className="card app-card"><div className="body"><div className="skeleton" /></div></div>)}
          </div>
        ) : found.data.length === 0 ? (
          <Empty title={text.none}><p className="t2">{text.noneHint}</p></Empty>
        ) : (
          <div className="apps">
            {found.data.map((one) => (
              <Card
                key={one.id}
                application={one}
                asks={asked.data.find((row) => row.application === one.id)}
                subscribed={subscribed.data.some((row) => row.application === one.id && row.active)}
              />
            ))}
          </div>
        )}
      </main>
    </>
  );
}

function Card({ application, asks, subscribed }: { application: Application; asks: Entitlement | undefined; subscribed: boolean }): ReactNode {
  const [asking, setAsking] = useState<"subscribe" | "unsubscribe" | null>(null);
  const may = useRole("administrator");
  const grants = useGrantsOf(application.id);
  const act = useAct(SUBSCRIPTIONS, ["entitled", application.id], ["grants"], ["agreements"]);
  const purpose = asks?.purposes[0]?.code;
  const entitled = useQuery({
    queryKey: ["entitled", application.id, purpose, asks?.level],
    enabled: asks !== undefined && purpose !== undefined,
    queryFn: async () =>
      (await api.GET("/api/v1/entitlements/is-entitled", {
        params: { query: { application: application.id, purpose: purpose ?? "", level: asks?.level ?? "high" } },
      })).data,
  });
  const path = { params: { path: { application: application.id } } };
  const held = grants.data?.grants ?? [];
  const close = (): void => setAsking(null);
  return (
    <section className="card app-card" aria-label={application.name}>
      <header>
        <Logo name={application.name} />
        <span className="col grow">
          <b className="bb ell">{application.name}</b>
          <span className="xs t3 ell">{text.by} {application.vendor} · <span className="mono">{application.id}</span></span>
        </span>
        <span className="tag">{application.environment}</span>
      </header>
      <div className="body col" style={{ gap: 12 }}>
        {asks === undefined ? <p className="t2">{text.asksNothing}</p> : (
          <dl className="kv wide">
            <dt>{text.for}</dt><dd><Purposes of={asks.purposes} /></dd>
            <dt>{text.data}</dt><dd><Classes of={asks.classes} /></dd>
            <dt>{text.level}</dt><dd><span className="row"><LevelBars of={asks.level} />{asks.level !== "high" && <span className="t3">{text.atLeast}</span>}</span></dd>
            <dt>{text.region}</dt><dd>{asks.regions.map((one) => one.toUpperCase()).join(", ")}</dd>
            <dt>{text.declared}</dt><dd>{asks.declared_by || text.declaredBy} <span className="t3">· {asks.document} · <When at={asks.created} /></span></dd>
          </dl>
        )}
        <div className="row app-state">
          {entitled.data && (
            <StateDot state={entitled.data.entitled ? "ok" : "off"}>{entitled.data.entitled ? text.entitled : text.notEntitled}</StateDot>
          )}
          {grants.data && <Sees grants={held} more={Boolean(grants.data.next)} />}
        </div>
        {entitled.data && !entitled.data.entitled && (
          <ul className="says xs t2">{entitled.data.reasons.map((one) => <li key={one}>{words.reasons[one] ?? one}</li>)}</ul>
        )}
      </div>
      <footer className="row app-foot">
        <Link className="btn sm" to="/agreements/$application" params={{ application: application.id }}>{text.agreement}</Link>
        {may && (subscribed ? (
          <button type="button" className="btn sm dan-q end" onClick={() => setAsking("unsubscribe")}>{text.unsubscribe}</button>
        ) : (
          <button type="button" className="btn sm pri end" onClick={() => setAsking("subscribe")}>{text.subscribe}</button>
        ))}
        {!may && subscribed && <span className="tag end">{text.subscribed}</span>}
      </footer>
      {asking === "subscribe" && (
        <Ask title={`${text.subscribeTitle} ${application.name}`} action={text.subscribe} close={close}
          act={() => act(() => api.PUT("/api/v1/subscriptions/{application}", { ...path, body: {} })).then(close)}>
          <p>{text.subscribeSays}</p>
        </Ask>
      )}
      {asking === "unsubscribe" && (
        <Confirm opened title={`${text.unsubscribeTitle} ${application.name}`} action={text.unsubscribe.replace("…", "")} close={close}
          act={() => act(() => api.DELETE("/api/v1/subscriptions/{application}", path))}>
          <ol className="says">
            <li>{held.length > 0 ? text.ends(studiesOf(held, Boolean(grants.data?.next))) : text.endsNone}</li>
            {text.endsOthers.map((one) => <li key={one}>{one}</li>)}
          </ol>
          <p className="t2">{text.endsNot}</p>
        </Confirm>
      )}
    </section>
  );
}

/** How many studies it sees, and until when the last of them. */
function Sees({ grants, more }: { grants: readonly Grant[]; more: boolean }): ReactNode {
  if (grants.length === 0) return <span className="acc none end"><Lamp left={null} />{text.seesNothing}</span>;
  const last = grants.reduce((a, b) => (a.expires_at > b.expires_at ? a : b));
  const [begin, end] = [Date.parse(last.not_before), Date.parse(last.expires_at)];
  return (
    <span className="acc end">
      <Lamp left={Math.max(0, Math.min(1, (end - Date.now()) / Math.max(1, end - begin)))} />
      <span>{text.sees} {studiesOf(grants, more)} {text.until} <When at={last.expires_at} /></span>
    </span>
  );
}

const HUES = ["a", "b", "c", "d"] as const;

export function Logo({ name }: { name: string }): ReactNode {
  const sum = [...name].reduce((total, letter) => (total * 31 + (letter.codePointAt(0) ?? 0)) % 9973, 7);
  return <span className={`logo ${HUES[sum % HUES.length]}`} aria-hidden>{(name[0] ?? "?").toUpperCase()}</span>;
}
