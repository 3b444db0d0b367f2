// Receivers in the hospital: how they are, how one is let in and out, and how a PACS sends to one.
import { IconAlertTriangle, IconPlus } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { type ReactNode, useState } from "react";

import "../admin.css";
import "./receivers.css";
import { api } from "../../api/client";
import type { components } from "../../api/schema";
import { useRole } from "../../app/session";
import { Top } from "../../app/shell";
import { words } from "../../app/words";
import { useAct } from "../../parts/ask";
import { ClassBadge, StateDot } from "../../parts/badges";
import { Confirm } from "../../parts/confirm";
import { Copy } from "../../parts/copy";
import { Empty, Failure } from "../../parts/states";
import { Levels } from "../../parts/terms";
import { When } from "../../parts/when";
import { useApplications } from "../applications";
import { AddReceiver, Enrolling } from "./enrolment";

export type Receiver = components["schemas"]["Receiver"];
type Dicom = NonNullable<components["schemas"]["Receivers"]["dicom"]>;

const text = words.receivers;
export const RECEIVERS = ["receivers"] as const;
/** It renews its token before five minutes are over. */
const IN_TOUCH_MS = 10 * 60_000;

function health(row: Receiver): { dot: "ok" | "warn" | "bad" | "off"; says: string } {
  if (row.state === "revoked") return { dot: "bad", says: text.states.revoked };
  if (row.state === "pending") return { dot: "off", says: text.states.pending };
  if (!row.seen) return { dot: "warn", says: text.states.never };
  return Date.now() - Date.parse(row.seen) < IN_TOUCH_MS ? { dot: "ok", says: text.states.active } : { dot: "warn", says: text.states.quiet };
}

export function Receivers(): ReactNode {
  const may = useRole("administrator");
  const [chosen, setChosen] = useState("");
  const [adding, setAdding] = useState(false);
  const found = useQuery({
    queryKey: RECEIVERS,
    queryFn: async () => (await api.GET("/api/v1/receivers")).data ?? { receivers: [] },
    refetchInterval: 5000,
  });
  const rows = found.data?.receivers ?? [];
  const shown = rows.find((one) => one.id === chosen) ?? rows[0];
  return (
    <>
      <Top crumbs={<b>{text.title}</b>} />
      {found.error ? <main className="page" id="content"><Failure error={found.error} again={() => void found.refetch()} /></main> : (
        <div className="rl">
          <aside className="list" aria-label={text.title}>
            <div className="row" style={{ padding: "0 12px 8px" }}>
              <h1>{text.title}</h1>
              {may && <button type="button" className="icb end" aria-label={text.add} onClick={() => setAdding(true)}><IconPlus size={16} /></button>}
            </div>
            {found.isPending && <div className="late" aria-busy aria-label={words.states.loading}><div className="skeleton" /></div>}
            {rows.map((row) => (
              <button key={row.id} type="button" className={row === shown ? "one on" : "one"} aria-current={row === shown} onClick={() => setChosen(row.id)}>
                <span className="row"><b className="bb ell">{row.name}</b><span className="end xs"><StateDot state={health(row).dot}>{health(row).says}</StateDot></span></span>
                <span className="xs t3 mono">{row.id}</span>
              </button>
            ))}
          </aside>
          <main className="det" id="content">
            {shown !== undefined ? <Detail key={shown.id} row={shown} dicom={found.data?.dicom} /> : found.data !== undefined && (
              <>
                <Empty title={text.none}>
                  <p className="t2">{text.noneHint}</p>
                  {may && <button type="button" className="btn pri" onClick={() => setAdding(true)}>{text.add}</button>}
                </Empty>
                {found.data.dicom && <Pacs dicom={found.data.dicom} />}
              </>
            )}
          </main>
        </div>
      )}
      {adding && <AddReceiver close={() => setAdding(false)} made={setChosen} />}
    </>
  );
}

function Detail({ row, dicom }: { row: Receiver; dicom: Dicom | undefined }): ReactNode {
  const may = useRole("administrator");
  const [tab, setTab] = useState<"overview" | "aets">("overview");
  const [asking, setAsking] = useState<"revoke" | "key" | null>(null);
  const act = useAct(RECEIVERS);
  const { dot, says } = health(row);
  const close = (): void => setAsking(null);
  return (
    <>
      <div className="row g3">
        <h1>{row.name}</h1>
        <StateDot state={dot}>{says}</StateDot>
        {may && (
          <span className="end row">
            <button type="button" className="btn sm" onClick={() => setAsking("key")}>{text.newKey}</button>
            {row.state !== "revoked" && <button type="button" className="btn sm dan-q" onClick={() => setAsking("revoke")}>{text.revoke}</button>}
          </span>
        )}
      </div>
      <dl className="kpi">
        <div><dt>{text.seen}</dt><dd>{row.seen ? <When at={row.seen} /> : row.state === "active" ? text.overADay : "–"}<small>{text.seenHint}</small></dd></div>
        <div><dt>{text.lastObject}</dt><dd>{row.last_object ? <When at={row.last_object} /> : text.longAgo}<small>{text.lastHint}</small></dd></div>
        <div><dt>{text.enrolment}</dt><dd>{row.enrolment ? text.enrolments[row.enrolment] : "–"}<small>{row.enrolment === "open" && row.code_expires ? <>{text.codeUntil} <When at={row.code_expires} /></> : <>{text.made} <When at={row.created} /></>}</small></dd></div>
      </dl>
      {may && <Enrolling row={row} />}
      <div className="tabs" role="tablist">
        {(["overview", "aets"] as const).map((one) => (
          <button key={one} type="button" role="tab" aria-selected={tab === one} className={tab === one ? "on" : ""} onClick={() => setTab(one)}>{text[one]}</button>
        ))}
      </div>
      {tab === "overview" ? (
        <div className="two">
          {dicom ? <Pacs dicom={dicom} /> : null}
          <section className="card">
            <header><h2>{text.status}</h2></header>
            <div className="body col" style={{ gap: 8 }}><p className="t2">{text.unknown}</p><Copy text="wardlight receiver status" /></div>
          </section>
        </div>
      ) : <Aets />}
      {asking === "key" && <AddReceiver close={close} made={() => undefined} known={row.name} />}
      {asking === "revoke" && (
        <Confirm opened title={`${text.revokeTitle} ${row.name}`} action={text.revokeAct} type={row.name} close={close}
          act={() => act(() => api.DELETE("/api/v1/receivers/{receiver}", { params: { path: { receiver: row.id } } }))}>
          <ol className="says">{text.revokeSays.map((one) => <li key={one}>{one}</li>)}</ol>
          <p className="t2">{text.revokeNot}</p>
        </Confirm>
      )}
    </>
  );
}

/** What a PACS needs to know, and how to try it. */
export function Pacs({ dicom: { ae_title: title, host, port } }: { dicom: Dicom }): ReactNode {
  return (
    <section className="card">
      <header><h2>{text.pacs}</h2></header>
      <div className="body col" style={{ gap: 12 }}>
        <p className="t2">{text.pacsSays}</p>
        <dl className="kv wide">
          <dt>{text.aeTitle}</dt><dd><Copy text={title} label={`${words.copy.copy} ${text.aeTitle}`} /></dd>
          <dt>{text.address}</dt><dd><Copy text={host} label={`${words.copy.copy} ${text.address}`} /></dd>
          <dt>{text.port}</dt><dd><Copy text={String(port)} label={`${words.copy.copy} ${text.port}`} /></dd>
        </dl>
        <p className="t2">{text.pacsTest}</p>
        <Copy text={`echoscu -aec ${title} ${host} ${port}`} />
        <Copy text={`storescu -aec ${title} +sd ${host} ${port} FOLDER`} />
      </div>
    </section>
  );
}

const COMMANDS = [
  ["list", "wardlight admin route list"],
  ["create", "wardlight admin route create WARD_MEDIUM --to images:medium --network 10.20.0.0/16"],
  ["sender", "wardlight admin route change WARD_MEDIUM --calling PACSNORTH --calling 'CT*'"],
  ["show", "wardlight admin route show TEAMPLAYISHARE"],
] as const;

function Aets(): ReactNode {
  const applications = useApplications();
  const agreed = useQuery({ queryKey: ["agreements"], queryFn: async () => (await api.GET("/api/v1/agreements")).data?.agreements ?? [] });
  const rows = (agreed.data ?? []).filter((one) => one.state === "in-force");
  const name = (id: string): string => (id === "images" ? words.agreements.images : applications.data?.find((one) => one.id === id)?.name ?? id);
  return (
    <div className="two">
      <section className="card">
        <header><h2>{text.aets}</h2></header>
        <div className="body col" style={{ gap: 12 }}>
          <p className="t2">{text.atReceiver}</p>
          {COMMANDS.map(([key, command]) => (
            <div key={key} className="col" style={{ gap: 4 }}><span className="b">{text.commands[key]}</span><Copy text={command} /></div>
          ))}
        </div>
      </section>
      <section className="card">
        <header><h2>{text.allowed}</h2></header>
        {agreed.error ? <Failure error={agreed.error} again={() => void agreed.refetch()} /> : (
          <table>
            <tbody>
              {rows.map((row) => (
                <tr key={row.id}>
                  <td><Link className="link" to="/agreements/$application" params={{ application: row.application }}>{name(row.application)}</Link></td>
                  <td><Levels of={row.levels} /></td>
                </tr>
              ))}
            </tbody>
          </table>
        )}
        <div className="body col" style={{ gap: 12 }}>
          <p className="t2">{text.allowedSays}</p>
          {rows.some((row) => row.levels.includes("identified")) && (
            <div className="note warn"><IconAlertTriangle size={16} aria-hidden /><span><ClassBadge of="identified" /> {text.identifiedSays}</span></div>
          )}
        </div>
      </section>
    </div>
  );
}
