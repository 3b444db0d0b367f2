// Machine data: how much came and what went wrong, what waits at receivers, which studies came; and a search of records.
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { useState, type ReactNode } from "react";

import { api } from "../../api/client";
import type { components } from "../../api/schema";
import { Top } from "../../app/shell";
import { words } from "../../app/words";
import { Empty, Failure, LoadingRows } from "../../parts/states";
import { When } from "../../parts/when";
import "./machine.css";

type Summary = components["schemas"]["MachineDataSummary"];
type Series = components["schemas"]["MachineDataSeries"];
type Page = components["schemas"]["MachineDataPage"];
type Row = Page["records"][number];
type Severity = "info" | "warn" | "error";

const say = words.machine;
const QUEUE = "receiver.queue.objects";
const HOUR = 3_600_000;
const HOURS = 168;
/** The first number of ERROR in OpenTelemetry. */
const ERROR = 17;

export function MachineData(): ReactNode {
  const summary = useQuery({ queryKey: ["machine-data", "summary"], queryFn: async () => (await api.GET("/api/v1/machine-data/summary")).data as Summary });
  const queue = useQuery({
    queryKey: ["machine-data", "queue"],
    queryFn: async () => (await api.GET("/api/v1/machine-data/series", { params: { query: { metric: QUEUE } } })).data as Series,
  });
  return (
    <>
      <Top crumbs={<b>{say.title}</b>} />
      <main className="page wide" id="content">
        <div className="phead"><h1>{say.title}</h1></div>
        <p className="t2 lead">{say.says}</p>
        {summary.error ? <Failure error={summary.error} again={() => void summary.refetch()} /> : (
          <>
            <div className="md-charts">
              <section className="card" aria-label={say.week}><header><h2>{say.week}</h2></header><div className="body">{summary.data && <Week of={summary.data} />}</div></section>
              <section className="card" aria-label={say.queue}><header><h2>{say.queue}</h2></header><div className="body">{queue.error ? <p className="t3">{queue.error.message}</p> : queue.data && <Line of={queue.data} />}</div></section>
              <section className="card" aria-label={say.usage}><header><h2>{say.usage}</h2></header><div className="body">{summary.data && <Usage of={summary.data} />}</div></section>
            </div>
            <Records sources={[...new Set((summary.data?.hours ?? []).map((row) => row.source).filter(Boolean))].sort()} />
          </>
        )}
      </main>
    </>
  );
}

function Week({ of }: { of: Summary }): ReactNode {
  const begin = Date.parse(of.from);
  const records = new Array<number>(HOURS + 1).fill(0);
  const errors = new Array<number>(HOURS + 1).fill(0);
  for (const row of of.hours) {
    const at = Math.min(HOURS, Math.max(0, Math.floor((Date.parse(row.hour) - begin) / HOUR) + 1));
    records[at] = (records[at] ?? 0) + row.records;
    errors[at] = (errors[at] ?? 0) + row.errors;
  }
  const sum = (name: "records" | "errors" | "masked"): number => of.hours.reduce((all, row) => all + row[name], 0);
  if (of.hours.length === 0) return <p className="t3">{say.noHours}</p>;
  const most = Math.max(1, ...records);
  return (
    <>
      <p className="md-sums"><span><b>{sum("records").toLocaleString()}</b> {say.received}</span><span><b>{sum("errors").toLocaleString()}</b> {say.errors}</span><span><b>{sum("masked").toLocaleString()}</b> {say.masked}</span></p>
      <svg className="md-bars" viewBox={`0 0 ${HOURS + 1} 100`} preserveAspectRatio="none" role="img" aria-label={say.hour(sum("records"), sum("errors"))}>
        {records.map((count, at) => count > 0 && <rect key={at} x={at} width={0.8} y={100 - Math.max(2, (count / most) * 100)} height={Math.max(2, (count / most) * 100)} />)}
        {errors.map((count, at) => count > 0 && <rect key={at} className="err" x={at} width={0.8} y={100 - Math.max(2, (count / most) * 100)} height={Math.max(2, (count / most) * 100)} />)}
      </svg>
    </>
  );
}

function Line({ of }: { of: Series }): ReactNode {
  const [first, last] = [of.points[0], of.points[of.points.length - 1]];
  if (!first || !last) return <p className="t3">{say.noPoints}</p>;
  const begin = Date.parse(first.time);
  const span = Math.max(1, Date.parse(last.time) - begin);
  const most = Math.max(1, ...of.points.map((one) => one.most));
  const line = of.points.map((one) => `${((Date.parse(one.time) - begin) / span) * 100},${98 - (one.average / most) * 96}`).join(" ");
  return (
    <>
      <p className="md-sums"><span><b>{last.average.toLocaleString()}</b> <When at={last.time} /></span></p>
      <svg className="md-bars" viewBox="0 0 100 100" preserveAspectRatio="none" role="img" aria-label={`${say.queue}: ${last.average}`}><polyline points={line} /></svg>
    </>
  );
}

function Usage({ of }: { of: Summary }): ReactNode {
  const rows = Object.entries(of.modalities).sort(([, one], [, other]) => other - one);
  if (rows.length === 0) return <p className="t3">{say.noStudies}</p>;
  return <dl className="md-use">{rows.slice(0, 6).map(([name, count]) => <div key={name}><dt>{name}</dt><dd>{count.toLocaleString()}</dd></div>)}</dl>;
}

function Records({ sources }: { sources: readonly string[] }): ReactNode {
  const [kind, setKind] = useState("");
  const [severity, setSeverity] = useState("");
  const [source, setSource] = useState("");
  const [typed, setTyped] = useState("");
  const [text, setText] = useState("");
  const found = useInfiniteQuery({
    queryKey: ["machine-data", "records", kind, severity, source, text],
    initialPageParam: "",
    queryFn: async ({ pageParam }) => {
      const query = {
        ...(kind ? { class: kind } : {}),
        ...(severity ? { severity: severity as Severity } : {}),
        ...(source ? { source } : {}),
        ...(text ? { text } : {}),
        ...(pageParam ? { after: pageParam } : {}),
      };
      return (await api.GET("/api/v1/machine-data", { params: { query } })).data as Page;
    },
    getNextPageParam: (page) => page.next,
  });
  const rows = (found.data?.pages ?? []).flatMap((page) => page.records);
  const asked = Boolean(kind || severity || source || text);
  return (
    <section className="card" aria-label={say.records}>
      <header>
        <form className="md-search" role="search" aria-label={say.filters} onSubmit={(event) => { event.preventDefault(); setText(typed.trim()); }}>
          <input type="search" value={typed} maxLength={200} placeholder={say.find} aria-label={say.find} onChange={(event) => setTyped(event.target.value)} />
          <Choice label={say.what} value={kind} of={Object.entries(say.classes)} choose={setKind} />
          <Choice label={say.severity} value={severity} of={Object.entries(say.severities)} choose={setSeverity} />
          <Choice label={say.source} value={source} of={[["", say.anySource], ...sources.map((one): [string, string] => [one, one])]} choose={setSource} />
          <button type="submit" className="btn">{say.filters}</button>
        </form>
      </header>
      {found.error ? <Failure error={found.error} again={() => void found.refetch()} /> : found.data && rows.length === 0 && !found.hasNextPage ? (
        <Empty title={asked ? say.noneFound : say.nothing}><p className="t2">{asked ? say.noneFoundHint : say.nothingHint}</p></Empty>
      ) : (
        <div className="md-scroll" tabIndex={0} role="region" aria-label={say.records}>
          <table className="md">
            <colgroup><col style={{ width: 130 }} /><col style={{ width: 90 }} /><col style={{ width: 170 }} /><col /></colgroup>
            <thead><tr><th>{say.time}</th><th>{say.severity}</th><th>{say.source}</th><th>{say.what}</th></tr></thead>
            {found.data ? <tbody>{rows.map((row, at) => <Told key={at} row={row} />)}</tbody> : <LoadingRows rows={8} columns={4} />}
          </table>
        </div>
      )}
      {found.hasNextPage && <div className="body"><button type="button" className="btn" disabled={found.isFetchingNextPage} onClick={() => void found.fetchNextPage()}>{say.older}</button></div>}
    </section>
  );
}

function Choice({ label, value, of, choose }: { label: string; value: string; of: [string, string][]; choose: (value: string) => void }): ReactNode {
  return (
    <select aria-label={label} value={value} onChange={(event) => choose(event.target.value)}>
      {of.map(([name, shown]) => <option key={name} value={name}>{shown}</option>)}
    </select>
  );
}

function Told({ row }: { row: Row }): ReactNode {
  const attributes = Object.entries(row.attributes).map(([name, value]) => `${name}=${String(value)}`).join("  ");
  return (
    <tr>
      <td><When at={row.time} /></td>
      <td className={row.severity >= ERROR ? "bad" : "t2"}>{say.names[Math.ceil(row.severity / 4)] ?? ""}</td>
      <td>{row.source}</td>
      <td>{row.text}{row.value !== null && <b className="num"> {row.value.toLocaleString()}</b>}{attributes && <small className="mono">{attributes}</small>}</td>
    </tr>
  );
}
