// The audit trail: what happened, filtered, each entry checked by this browser; who may see it, exports it.
import { Menu } from "@mantine/core";
import { keepPreviousData, useInfiniteQuery } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { IconApps, IconChevronDown, IconCpu, IconDownload, IconQuestionMark, IconTool, IconUser, IconAntenna, type TablerIcon } from "@tabler/icons-react";
import { Fragment, type ReactNode, useMemo, useState } from "react";

import { ApiError } from "../../api/client";
import { Top } from "../../app/shell";
import { useRole } from "../../app/session";
import { words } from "../../app/words";
import { StateDot } from "../../parts/badges";
import { Empty, Failure, LoadingRows } from "../../parts/states";
import { save } from "../study/history";
import { Banner } from "./banner";
import { entriesQuery, type Filters, type Patient } from "./data";
import { basisOf, count, didWhat, type Entry, howMuch, isBad, nameOf, purposeOf, type Row, useApplications } from "./entry";
import { FilterBar } from "./filters";
import { HeatMap } from "./heat";
import { ProofMark, type Proofs, useProofs } from "./proofs";
import { Report } from "./report";
import "./trail.css";
import "../study/access.css";

const route = getRouteApi("/trail");
const TIME = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const WHOLE = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "long" });

export function Trail(): ReactNode {
  const may = useRole("administrator", "privacy-officer");
  if (!may) {
    return <><Crumbs /><main className="page" id="content"><Failure error={new ApiError({ status: 403, code: "forbidden", title: words.trail.forbidden })} /></main></>;
  }
  return <Page />;
}

const Crumbs = (): ReactNode => <Top crumbs={<b>{words.trail.title}</b>} />;

function Page(): ReactNode {
  const filters = route.useSearch();
  const navigate = route.useNavigate();
  const [patient, setPatient] = useState<Patient | null>(null);
  const [report, setReport] = useState(false);
  const found = useInfiniteQuery({ ...entriesQuery(filters, patient), placeholderData: keepPreviousData });
  const rows = useMemo(() => found.data?.pages.flatMap((page) => page.rows) ?? [], [found.data]);
  const actors = useMemo(() => Object.assign({}, ...(found.data?.pages.map((page) => page.actors) ?? [])) as Record<string, string>, [found.data]);
  const proofs = useProofs(rows, found.isSuccess);
  const change = (next: Filters): void => void navigate({ search: next, replace: true });
  return (
    <>
      <Crumbs />
      <main className="page tr-p" id="content">
        <div className="phead">
          <h1>{words.trail.title}</h1>
          <p className="hide-md">{words.trail.says}</p>
          <span className="end row"><Exports report={() => setReport(true)} /></span>
        </div>
        <Banner proofs={proofs} shown={rows.filter((row) => row.index !== null && row.entry !== undefined).length} />
        <HeatMap chosen={filters.day} choose={(day) => change({ ...without(filters), day })} />
        <FilterBar filters={filters} patient={patient} change={change} search={setPatient} />
        {found.error ? <Failure error={found.error} again={() => void found.refetch()} /> : found.isSuccess && rows.length === 0 && !found.hasNextPage ? (
          <Empty title={words.trail.none}><p className="t2">{words.trail.noneHint}</p></Empty>
        ) : (
          <div className="tw">
            <div className="scroll" tabIndex={0} role="region" aria-label={words.trail.title}>
              <table className="tr-t">
                <colgroup><col style={{ width: 142 }} /><col style={{ width: 152 }} /><col style={{ width: 190 }} /><col /><col className="hide-md" style={{ width: 140 }} /><col className="hide-md" style={{ width: 112 }} /><col className="hide-md" style={{ width: 96 }} /><col style={{ width: 128 }} /><col style={{ width: 46 }} /></colgroup>
                <thead>
                  <tr>
                    <th>{words.trail.time}</th><th>{words.trail.who}</th><th>{words.trail.what}</th><th>{words.trail.object}</th>
                    <th className="hide-md">{words.trail.purpose}</th><th className="hide-md">{words.trail.basis}</th><th className="hide-md">{words.trail.address}</th><th>{words.trail.result}</th><th><span className="vh">{words.trail.proof}</span></th>
                  </tr>
                </thead>
                {found.isPending ? <LoadingRows rows={12} columns={9} /> : <Rows rows={rows} actors={actors} proofs={proofs} filter={(more) => change({ ...filters, ...more })} />}
              </table>
            </div>
            <div className="tfoot">
              <span>{rows.length.toLocaleString()} {words.trail.shown}</span>
              {found.hasNextPage && <button type="button" className="btn sm end" disabled={found.isFetchingNextPage} onClick={() => void found.fetchNextPage()}>{words.trail.older}</button>}
            </div>
          </div>
        )}
      </main>
      {report && <Report close={() => setReport(false)} />}
    </>
  );
}

function without(filters: Filters): Filters {
  const { from: _from, to: _to, day: _day, ...rest } = filters;
  return rest;
}

function Exports({ report }: { report: () => void }): ReactNode {
  return (
    <Menu position="bottom-end" width={270}>
      <Menu.Target><button type="button" className="btn sm"><IconDownload size={16} stroke={1.7} aria-hidden />{words.trail.export}<IconChevronDown size={14} aria-hidden /></button></Menu.Target>
      <Menu.Dropdown>
        {(["ndjson", "csv", "fhir", "dicom"] as const).map((form) => (
          <Menu.Item key={form} component="a" href={`/api/v1/audit/export${form === "ndjson" ? "" : `?format=${form}`}`} download>{words.trail.forms[form]}</Menu.Item>
        ))}
        <Menu.Divider />
        <Menu.Item onClick={report}>{words.trail.patientReport}</Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}

const ICONS: Record<string, TablerIcon> = { person: IconUser, application: IconApps, receiver: IconAntenna, system: IconCpu, operator: IconTool };

interface Listed { rows: readonly Row[]; actors: Record<string, string>; proofs: Proofs; filter: (more: Filters) => void }

function Rows({ rows, actors, proofs, filter }: Listed): ReactNode {
  const applications = useApplications();
  const [open, setOpen] = useState("");
  return (
    <tbody>
      {rows.map((row, at) => {
        const key = row.entry?.id ?? `${row.index ?? at}`;
        if (row.entry === undefined) {
          return <tr key={key}><td className="mono t3">{row.index?.toLocaleString()}</td><td colSpan={8} className="t3">{words.trail.pruned}</td></tr>;
        }
        const entry = row.entry;
        const { proof, path } = proofs.of(row);
        const opened = open === key;
        const Icon = ICONS[entry.actor.kind] ?? IconQuestionMark;
        const told = entry.time ?? entry.recorded;
        return (
          <Fragment key={key}>
            <tr className={opened ? "open cur" : proof === "failed" ? "open wrong" : "open"} onClick={() => setOpen(opened ? "" : key)}>
              <td className="t2"><button type="button" className="mono tr-b" aria-expanded={opened} title={WHOLE.format(new Date(told))}>{TIME.format(new Date(told))}</button></td>
              <td><span className="row"><Icon size={16} stroke={1.7} className="t3" aria-hidden /><b className="b ell">{nameOf(entry.actor, actors, applications)}</b></span></td>
              <td title={entry.action}>{didWhat(entry)}{entry.phase === "finished" && <span className="t3">, {words.trail.counts.toLowerCase()}</span>}</td>
              <td><span className="ell">{objectOf(entry, applications)}</span></td>
              <td className="t2 hide-md">{purposeOf(entry.purpose) || "–"}</td>
              <td className="t2 hide-md">{entry.agreement ? `${words.trail.agreement} v${entry.agreement.version}` : basisOf(entry.basis) || "–"}</td>
              <td className="t2 hide-md">{entry.network?.address ?? "–"}</td>
              <td>{isBad(entry) ? <StateDot state="bad">{[words.trail.outcomes[entry.outcome] ?? entry.outcome, entry.reason].filter(Boolean).join(", ")}</StateDot> : <span className="t3">{words.trail.outcomes[entry.outcome] ?? entry.outcome}</span>}</td>
              <td><ProofMark proof={proof} /></td>
            </tr>
            {opened && <Detail row={row} entry={entry} proof={proof} path={path} size={proofs.head?.size ?? 0} filter={filter} />}
          </Fragment>
        );
      })}
    </tbody>
  );
}

/** To what: ids where they tell of nobody, else how many patients and studies; never who. */
function objectOf(entry: Entry, applications: ReadonlyMap<string, string>): ReactNode {
  const patients = new Set((entry.subjects ?? []).map((one) => one.patient).filter(Boolean)).size;
  const studies = new Set((entry.subjects ?? []).map((one) => one.study).filter(Boolean)).size;
  const parts = [
    studies ? count(studies, "study", "studies") : patients ? count(patients, "patient", "patients") : "",
    howMuch(entry),
  ].filter(Boolean).join(", ");
  const { kind = "", id = "", ref = "" } = entry.object ?? {};
  const named = kind === "application" ? applications.get(id) ?? id : id;
  return (
    <>
      {ref ? <span className="mono">{ref.slice(0, 10)}…</span> : kind === "log" || !named ? null : <span className="mono">{named.length > 24 ? `${named.slice(0, 23)}…` : named}</span>}
      {parts && <span className="t3"> {parts}</span>}
      {!parts && (ref || named) ? <span className="t3"> {kind}</span> : null}
      {!parts && !ref && !named ? "–" : null}
    </>
  );
}

function Detail({ row, entry, proof, path, size, filter }: { row: Row; entry: Entry; proof: Proofs["of"] extends (row: Row) => { proof: infer P } ? P : never; path: number; size: number; filter: (more: Filters) => void }): ReactNode {
  const counts = Object.entries(entry.counts ?? {}).map(([name, value]) => `${value.toLocaleString()} ${name}`).join(", ");
  return (
    <tr className="ex">
      <td colSpan={9}>
        <div className="pf">
          <dl className="kv xs">
            <dt>{words.trail.entry}</dt><dd className="mono">{row.index === null ? words.trail.waitingSeal : row.index.toLocaleString()}</dd>
            <dt>{words.trail.action}</dt><dd className="mono">{entry.action}</dd>
            {counts && <><dt>{words.trail.counts}</dt><dd>{counts}</dd></>}
            {entry.reason && <><dt>{words.trail.reason}</dt><dd>{entry.reason}</dd></>}
            {entry.request && <><dt>{words.trail.request}</dt><dd className="mono">{entry.request}</dd></>}
          </dl>
          <dl className="kv xs">
            <dt>{words.trail.leaf}</dt><dd className="mono">{row.leaf ?? "–"}</dd>
            <dt>{words.trail.proof}</dt><dd>{path} {words.trail.path} {size.toLocaleString()}</dd>
            <dt>{words.trail.result}</dt><dd><ProofMark proof={proof} label /></dd>
            {entry.grant && <><dt>{words.trail.grant}</dt><dd className="mono">{entry.grant}</dd></>}
          </dl>
          <div className="col end" style={{ gap: 6 }}>
            <button type="button" className="btn xs" onClick={() => save(JSON.stringify({ index: row.index, leaf: row.leaf, entry }, null, 1), `entry-${row.index ?? entry.id}.json`, "application/json")}>{words.trail.downloadProof}</button>
            <button type="button" className="btn xs qt" onClick={() => filter({ actor: `${entry.actor.kind}:${entry.actor.id}` })}>+ {words.trail.who}</button>
            <button type="button" className="btn xs qt" onClick={() => filter({ action: entry.action })}>+ {words.trail.action}</button>
          </div>
        </div>
      </td>
    </tr>
  );
}
