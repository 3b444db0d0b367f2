// The data map: what we hold, where, how much, how long, on which basis; who may see it and why; the documents to print.
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";

import "../admin.css";
import { api } from "../../api/client";
import type { components } from "../../api/schema";
import { Top } from "../../app/shell";
import { words } from "../../app/words";
import { Empty, Failure, LoadingRows } from "../../parts/states";
import { basisShort, basisText, Class, Purposes, type TermClass } from "../../parts/terms";
import { WardLine } from "../../parts/ward";
import { When } from "../../parts/when";
import { size } from "../upload/numbers";
import { Documents } from "./documents";
import "./datamap.css";

type DataMap = components["schemas"]["DataMap"];
type ClassRow = components["schemas"]["DataMapClass"];
type ApplicationRow = components["schemas"]["DataMapApplication"];

const say = words.dataMap;
const IMAGES = "images";

export function DataMapPage(): ReactNode {
  const found = useQuery({ queryKey: ["data-map"], queryFn: async () => (await api.GET("/api/v1/data-map")).data as DataMap });
  const map = found.data;
  return (
    <>
      <Top crumbs={<b>{say.title}</b>} />
      <main className="page wide" id="content">
        <div className="phead"><h1>{say.title}</h1><Documents /></div>
        <p className="t2 lead">{say.says}</p>
        {found.error ? <Failure error={found.error} again={() => void found.refetch()} /> : (
          <>
            <Ward map={map} />
            <Where map={map} />
            <section className="card" aria-label={say.classes}>
              <header><h2>{say.classes}</h2></header>
              <div className="dm-scroll" tabIndex={0} role="region" aria-label={say.classes}>
                <table className="dm">
                  <colgroup><col style={{ width: 210 }} /><col /><col style={{ width: 150 }} /><col style={{ width: 230 }} /><col style={{ width: 270 }} /></colgroup>
                  <thead><tr><th>{say.class}</th><th>{say.held}</th><th className="r">{say.amount}</th><th>{say.kept}</th><th>{say.basis}</th></tr></thead>
                  {map ? <tbody>{map.classes.map((row) => <ClassLine key={row.class} row={row} />)}</tbody> : <LoadingRows rows={11} columns={5} />}
                </table>
              </div>
            </section>
            <section className="card" aria-label={say.apps}>
              <header><h2>{say.apps}</h2></header>
              {map && map.applications.length === 0 ? <Empty title={say.noApplications}><p className="t2">{say.noApplicationsHint}</p></Empty> : (
                <div className="dm-scroll" tabIndex={0} role="region" aria-label={say.apps}>
                  <table className="dm">
                    <colgroup><col style={{ width: 210 }} /><col style={{ width: 200 }} /><col style={{ width: 240 }} /><col /><col style={{ width: 130 }} /><col style={{ width: 160 }} /></colgroup>
                    <thead><tr><th>{say.application}</th><th>{say.why}</th><th>{say.basis}</th><th>{say.seen}</th><th>{say.at}</th><th>{say.now}</th></tr></thead>
                    {map ? <tbody>{map.applications.map((row) => <ApplicationLine key={row.application} row={row} />)}</tbody> : <LoadingRows rows={3} columns={6} />}
                  </table>
                </div>
              )}
            </section>
          </>
        )}
      </main>
    </>
  );
}

/** What we hold, who besides us can see it, why, until when. */
function Ward({ map }: { map: DataMap | undefined }): ReactNode {
  const others = (map?.applications ?? []).filter((row) => row.application !== IMAGES && row.grants > 0);
  const purposes = new Map(others.flatMap((row) => row.purposes).map((one) => [one.code, one]));
  const ends = others.flatMap((row) => (row.next_end ? [row.next_end] : [])).sort();
  const first = ends[0];
  return (
    <WardLine
      hold={map ? <>{say.studies(map.studies)} · {size(map.bytes)}</> : "…"}
      who={map ? <>{say.applications(others.length)} {others.length > 0 && <span className="t3">{say.grants(others.reduce((sum, row) => sum + row.grants, 0))}</span>}</> : "…"}
      why={purposes.size > 0 ? <Purposes of={[...purposes.values()]} /> : "–"}
      until={first ? <>{say.nextEnds} <When at={first} /></> : say.noEnd}
      grants={map && first ? [{ not_before: map.created, expires_at: first }] : []}
    />
  );
}

function Where({ map }: { map: DataMap | undefined }): ReactNode {
  const moved = (map?.applications ?? []).filter((row) => row.transfer);
  return (
    <dl className="dm-where" aria-label={say.where}>
      <div><dt>{say.region}</dt><dd>{map ? map.region.toUpperCase() : "…"}</dd></div>
      <div><dt>{say.node}</dt><dd>{map ? map.node_region.toUpperCase() : "…"}</dd></div>
      <div><dt>{say.objects}</dt><dd>{map ? map.objects_region.toUpperCase() : "…"}</dd></div>
      <div>
        <dt>{say.transfers}</dt>
        <dd>{moved.length === 0 ? say.none : moved.map((row) => <span key={row.application} className="tag">{row.name} {say.to} {row.region.toUpperCase()}: {row.transfer}</span>)}</dd>
      </div>
    </dl>
  );
}

function ClassLine({ row }: { row: ClassRow }): ReactNode {
  const [first, ...rest] = row.amounts.map((one) => `${one.count.toLocaleString()} ${one.of}`);
  const amount = row.bytes > 0 ? size(row.bytes) : (first ?? "–");
  const more = row.bytes > 0 && first ? [first, ...rest] : rest;
  const readers = row.readers.length > 0 ? row.readers.join(", ") : say.nobody;
  return (
    <tr>
      <th scope="row">
        <span className="bb">{row.class}</span>
        {row.special && <span className="xs dm-special">{say.special}</span>}
      </th>
      <td>{row.stores.join(", ") || "–"}<small>{say.encrypted} {row.encryption}</small><small>{say.readers} {readers}</small></td>
      <td className="r"><span className="num">{amount}</span>{more.map((one) => <small key={one}>{one}</small>)}</td>
      <td>{row.kept.map((one) => <div key={one}>{one}</div>)}</td>
      <td><Basis row={row} /></td>
    </tr>
  );
}

function Basis({ row }: { row: ClassRow }): ReactNode {
  if (row.bases.length > 0) {
    return (
      <>
        {row.bases.map((one) => <span key={one} className="dm-basis" title={basisText(one)}>{basisShort(one)}</span>)}
        <Purposes of={row.purposes.map((code) => ({ code, dpv: "" }))} />
      </>
    );
  }
  if (row.class === "account data" || row.class === "audit data") return <span className="t3">{say.duty}</span>;
  return <span className="t3">{row.personal ? say.noAgreement : say.needsNone}</span>;
}

function ApplicationLine({ row }: { row: ApplicationRow }): ReactNode {
  const own = row.application === IMAGES;
  const held = row.held.reduce((sum, one) => sum + one.studies, 0);
  return (
    <tr>
      <th scope="row">
        <Link className="bb" to="/agreements/$application" params={{ application: row.application }}>{own ? say.images : row.name}</Link>
        <small>{own ? say.own : `${say.by} ${row.vendor}`}</small>
      </th>
      <td>{row.purposes.length > 0 ? <Purposes of={row.purposes} /> : <span className="t3">{words.reasons[row.refused] ?? say.noPurpose}</span>}</td>
      <td>{row.legal_basis ? <><span title={basisText(row.legal_basis)}>{basisShort(row.legal_basis)}</span><small>{row.agreement} · {say.version} {row.agreement_version}</small></> : "–"}</td>
      <td><span className="pills">{row.classes.map((one) => <Class key={one} of={one as TermClass} />)}</span></td>
      <td>{row.region ? row.region.toUpperCase() : "–"}{row.transfer && <small>{row.transfer}</small>}</td>
      <td>
        {own ? <span className="num">{say.studies(held)}</span> : row.granted_studies > 0 ? <span className="num">{say.studies(row.granted_studies)}</span> : <span className="t3">{say.nothing}</span>}
        {row.next_end && <small>{words.ward.until} <When at={row.next_end} /></small>}
        {row.refused && row.purposes.length > 0 && <small>{words.reasons[row.refused] ?? row.refused}</small>}
      </td>
    </tr>
  );
}
