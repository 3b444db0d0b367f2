// Deletes a study: says what will happen, asks for the pseudonym, shows how far it is, and gives the receipt.
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { getRouteApi, Link, useNavigate } from "@tanstack/react-router";
import { IconBell, IconCertificate, IconCheck, IconChevronRight, IconDownload, IconEyeOff, IconKeyOff, IconRosetteDiscountCheck, IconShieldX, IconTrash } from "@tabler/icons-react";
import { type ReactNode, useState } from "react";

import { api } from "../../api/client";
import { Top } from "../../app/shell";
import { useRole, useSession } from "../../app/session";
import { present } from "../../app/step-up";
import { words } from "../../app/words";
import { StateDot } from "../../parts/badges";
import { Confirm } from "../../parts/confirm";
import { newestHead } from "../../parts/proof";
import { type Receipt, type ReceiptState, verifyReceipt } from "../../parts/receipt";
import { Failure } from "../../parts/states";
import { When } from "../../parts/when";
import { useApplications } from "../trail/entry";
import { usePeople } from "./access";
import { save } from "./history";
import "./access.css";

const route = getRouteApi("/studies/deleted/$deletion");
const ICONS = [IconEyeOff, IconKeyOff, IconTrash, IconBell, IconCertificate];

export function DeleteButton({ study, name }: { study: string; name: string }): ReactNode {
  const may = useRole("administrator", "privacy-officer", "clinician");
  const navigate = useNavigate();
  const queries = useQueryClient();
  const [asking, setAsking] = useState(false);
  if (!may) return null;
  const go = async (): Promise<void> => {
    const { data } = await present(() => api.DELETE("/api/v1/studies/{study}", { params: { path: { study } } }));
    await navigate({ to: "/studies/deleted/$deletion", params: { deletion: data?.id ?? "" } });
    queries.removeQueries({ queryKey: ["study", study] });
    void queries.invalidateQueries({ queryKey: ["studies"] });
    void queries.invalidateQueries({ queryKey: ["grants"] });
  };
  return (
    <>
      <button type="button" className="btn sm dan-q" onClick={() => setAsking(true)}><IconTrash size={16} stroke={1.7} aria-hidden />{words.remove.act}</button>
      <Confirm opened={asking} title={words.remove.title} action={words.remove.go} type={name} act={go} close={() => setAsking(false)}>
        <p className="t2">{words.remove.says}</p>
        <ol className="steps">
          {words.remove.steps.map((step, at) => {
            const Icon = ICONS[at] ?? IconTrash;
            return (
              <li key={step.name}>
                <span className="k"><Icon size={16} stroke={1.7} aria-hidden /></span>
                <div><div className="b">{step.name}</div><div className="t2">{step.text}</div></div>
                <span className="when">{step.when}</span>
              </li>
            );
          })}
        </ol>
        <p className="t2">{words.remove.not} {words.remove.milder}</p>
      </Confirm>
    </>
  );
}

interface Placed { issued_at?: string; audit_position?: { index: number; tree_size: number } | null }

/** The page of one deletion: how far it is, its receipt, who has confirmed. */
export function Deletion(): ReactNode {
  const { deletion: id } = route.useParams();
  const found = useQuery({
    queryKey: ["deletion", id],
    queryFn: async (): Promise<Receipt> => {
      const { data } = await api.GET("/api/v1/deletions/{deletion}/receipt", { params: { path: { deletion: id } } });
      if (data === undefined) throw new Error("no answer");
      return data;
    },
    refetchInterval: (query) => (query.state.data?.receipt.state === "removed" && (query.state.data.receipt as Placed).audit_position ? false : 1500),
  });
  const document = found.data;
  const state = useVerified(document);
  const over = document?.receipt.state === "removed";
  return (
    <>
      <Top crumbs={<><Link to="/studies">{words.nav.studies}</Link><IconChevronRight aria-hidden /><b>{words.remove.receipt}</b></>} />
      <main className="page" id="content">
        <div className="scroll">
          {found.error ? <Failure error={found.error} again={() => void found.refetch()} /> : (
            <div className="card del">
              <div className="rc-h" role="status">
                <span className={over ? "ic" : "ic run"}>{over ? <IconCheck size={22} aria-hidden /> : <IconTrash size={20} aria-hidden />}</span>
                <div>
                  <h1>{over ? words.remove.done : words.remove.underWay}</h1>
                  <p className="t2">{over ? words.remove.doneSays : words.remove.states[document?.receipt.state ?? "ended"]}</p>
                </div>
              </div>
              <Progress state={document?.receipt.state ?? ""} />
              {document ? <Paper document={document} state={state} /> : <div className="paper late"><span className="skeleton" style={{ display: "block", height: 150 }} /></div>}
              {document && document.receipt.applications.length > 0 && <Copies document={document} />}
              <div className="row" style={{ justifyContent: "flex-end" }}>
                <button type="button" className="btn" disabled={!document} onClick={() => document && save(JSON.stringify(document, null, 1), `receipt-${id}.json`, "application/json")}>
                  <IconDownload size={16} aria-hidden />{words.remove.json}
                </button>
                <Link to="/studies" className="btn pri">{words.remove.back}</Link>
              </div>
            </div>
          )}
        </div>
      </main>
    </>
  );
}

const STATES = ["ended", "unlisted", "shredded", "removed"] as const;

function Progress({ state }: { state: string }): ReactNode {
  const at = STATES.findIndex((one) => one === state);
  return (
    <ol className="del-p" aria-label={words.remove.underWay}>
      {STATES.map((one, number) => (
        <li key={one} className={number <= at ? "on" : ""} aria-current={number === at ? "step" : undefined}>{words.remove.states[one]}</li>
      ))}
    </ol>
  );
}

/** Whether the receipt verifies by the log's key that this browser has kept; null: not known yet, or not ours to know. */
function useVerified(document: Receipt | undefined): ReceiptState | null {
  const may = useRole("administrator", "privacy-officer");
  const key = useQuery({ queryKey: ["audit", "head", "key"], enabled: may && document !== undefined, staleTime: Infinity, queryFn: newestHead });
  const found = useQuery({
    queryKey: ["receipt-verified", document?.signature, key.data?.pinned],
    enabled: document !== undefined && key.data !== undefined,
    queryFn: () => (document === undefined || key.data === undefined ? null : verifyReceipt(document, key.data.pinned)),
  });
  return may ? found.data ?? null : "unsupported";
}

function Paper({ document, state }: { document: Receipt; state: ReceiptState | null }): ReactNode {
  const session = useSession();
  const people = usePeople();
  const { receipt } = document;
  const position = (receipt as Placed).audit_position;
  const good = state === "verified" || state === "signed";
  const totals = receipt.totals ?? {};
  const by = receipt.deleted_by.id === session.id ? session.name : people.get(receipt.deleted_by.id ?? "") ?? receipt.deleted_by.id ?? "";
  return (
    <div className="paper">
      <div className="row" style={{ marginBottom: 10 }}>
        <h2>{words.remove.receipt}</h2>
        <span className="mono t3 xs">{receipt.id.slice(0, 8)}</span>
        <span className={`xs end ${good ? "ver" : state === "altered" || state === "other-key" ? "pm bad" : "t3"}`}>
          {good ? <IconRosetteDiscountCheck size={15} aria-hidden /> : state === "altered" || state === "other-key" ? <IconShieldX size={15} aria-hidden /> : null}
          {state === null ? words.remove.checking : words.remove.proofs[state]}
        </span>
      </div>
      <dl className="kv">
        <dt>{words.remove.deleted}</dt><dd><When at={receipt.access_ended_at} />{by && `, ${by}`}</dd>
        <dt>{words.remove.held}</dt><dd>{(totals.instances ?? 0).toLocaleString()} {words.remove.instances}, {megabytes(totals.bytes ?? 0)}</dd>
        <dt>{words.remove.key}</dt><dd>{receipt.key_destroyed_at ? <>{words.remove.keyGone} <When at={receipt.key_destroyed_at} />, <span className="mono">{receipt.releases[0]?.key.slice(0, 8)}</span></> : `${words.remove.waiting}…`}</dd>
        <dt>{words.remove.objects}</dt><dd>{receipt.objects_removed_at ? <>{(totals.objects ?? 0).toLocaleString()} {words.remove.removedAt} <When at={receipt.objects_removed_at} /></> : `${words.remove.waiting}…`}</dd>
        <dt>{words.remove.backups}</dt><dd>{receipt.backups_unreadable_since ? <>{words.remove.backupsGone} <When at={receipt.backups_unreadable_since} /></> : words.remove.backupsWait}</dd>
        <dt>{words.remove.entry}</dt><dd className="mono">{position ? `${position.index.toLocaleString()} ${words.remove.inCheckpoint} ${position.tree_size.toLocaleString()}` : words.trail.waitingSeal}</dd>
      </dl>
      <div className="sigl xs t3"><span className="mono ell" style={{ display: "block" }}>{document.signature}</span></div>
    </div>
  );
}

function Copies({ document }: { document: Receipt }): ReactNode {
  const names = useApplications();
  return (
    <div>
      <h2 style={{ marginBottom: 8 }}>{words.remove.copies}</h2>
      <ul className="steps">
        {document.receipt.applications.map((one) => (
          <li key={one.event}>
            <span className="b">{names.get(one.application) ?? one.application}</span>
            <span className="end"><StateDot state={one.acknowledged_at ? "ok" : "run"}>{one.acknowledged_at ? words.remove.confirmed : words.remove.told}</StateDot></span>
            <span className="xs t3" style={{ minWidth: 84, textAlign: "right" }}>{one.acknowledged_at ? <When at={one.acknowledged_at} /> : ""}</span>
          </li>
        ))}
      </ul>
    </div>
  );
}

function megabytes(bytes: number): string {
  return bytes >= 1e6 ? `${(bytes / 1e6).toFixed(1)} MB` : `${Math.ceil(bytes / 1e3)} kB`;
}
