// What happened to this study, each entry checked against the signed head by this browser.
import { useInfiniteQuery } from "@tanstack/react-query";
import { IconBan, IconDownload, IconEye, IconKey, IconListSearch, IconPackageImport, IconRosetteDiscountCheck, IconShieldCheck, IconShieldX, IconTrash, IconUserShare, type TablerIcon } from "@tabler/icons-react";
import { type ReactNode, useMemo, useState } from "react";

import { api } from "../../api/client";
import { useRole } from "../../app/session";
import { words } from "../../app/words";
import { Empty, Failure } from "../../parts/states";
import { When } from "../../parts/when";
import { didWhat, type Entry, howMuch, isBad, nameOf, purposeOf, type Row, rowsOf, useApplications } from "../trail/entry";
import { ProofMark, useProofs } from "../trail/proofs";
import { TrailAlarm } from "../trail/alarm";
import "./access.css";

/** The one search that history stands on: the study and the releases that were made of it for others. */
function useEntries(study: string, enabled: boolean) {
  return useInfiniteQuery({
    queryKey: ["audit", "history", study],
    enabled,
    staleTime: 30_000,
    refetchOnWindowFocus: false,
    initialPageParam: undefined as string | undefined,
    queryFn: async ({ pageParam }) => {
      const grants = (await api.GET("/api/v1/grants", { params: { query: { study, ended: "true", limit: 500 } } })).data?.grants ?? [];
      const studies = [...new Set([study, ...grants.map((one) => one.study).filter((one): one is string => !!one)])].slice(0, 50);
      const { data } = await api.POST("/api/v1/audit/search", { body: { studies, limit: 200, ...(pageParam ? { cursor: pageParam } : {}) } });
      if (data === undefined) throw new Error("no answer");
      return { rows: rowsOf(data), actors: data.actors as Record<string, string>, next: data.next };
    },
    getNextPageParam: (page) => page.next ?? undefined,
  });
}

interface Item { key: string; rows: Row[]; entry: Entry }

/** Neighbours that say the same become one line; a read and its end are one. */
function gathered(rows: readonly Row[], lists: boolean): Item[] {
  const items: Item[] = [];
  const ends = new Set(rows.flatMap((row) => (row.entry?.phase === "finished" && row.entry.of ? [row.entry.of] : [])));
  for (const row of rows) {
    const entry = row.entry;
    if (entry === undefined) continue;
    if (!lists && (entry.action === "dicomweb:study:query" || entry.action === "access:grant:read" || entry.action === "audit:patient:search")) continue;
    const last = items.at(-1);
    const same = last !== undefined && last.entry.action === entry.action && last.entry.actor.id === entry.actor.id && last.entry.outcome === entry.outcome && last.entry.grant === entry.grant;
    if (same) last.rows.push(row);
    else items.push({ key: entry.id, rows: [row], entry });
  }
  return items.map((item) => ({ ...item, rows: item.rows, entry: item.rows.map((row) => row.entry).find((one) => one !== undefined && howMuch(one) !== "") ?? item.entry })).map((item) => {
    // How often it happened: begun reads count once.
    const begun = item.rows.filter((row) => !(row.entry?.phase === "authorised" && ends.has(row.entry.id)));
    return { ...item, times: begun.length };
  });
}

export function History({ study }: { study: string }): ReactNode {
  const may = useRole("administrator", "privacy-officer");
  const [lists, setLists] = useState(false);
  const found = useEntries(study, may);
  const applications = useApplications();
  const rows = useMemo(() => found.data?.pages.flatMap((page) => page.rows) ?? [], [found.data]);
  const actors = useMemo(() => Object.assign({}, ...(found.data?.pages.map((page) => page.actors) ?? [])) as Record<string, string>, [found.data]);
  const proofs = useProofs(rows, found.isSuccess && rows.length > 0);
  const items = useMemo(() => gathered(rows, lists), [rows, lists]);
  if (!may) return <p className="t2 md-note">{words.history.forbidden}</p>;
  if (found.error) return <Failure error={found.error} again={() => void found.refetch()} />;
  const broken = proofs.failed !== null || (proofs.head !== undefined && proofs.head.state !== "good");
  return (
    <section className="his" aria-label={words.history.title}>
      <div className="ph">
        <h2>{words.history.title}</h2>
        <span role="status" className={`xs ${broken ? "pm bad" : proofs.head ? "ver" : "t3"}`}>
          {found.isPending || proofs.head === undefined ? words.trail.checking : broken ? (
            <><IconShieldX size={15} stroke={1.7} aria-hidden />{words.trail.notVerified}</>
          ) : (
            <><IconRosetteDiscountCheck size={15} stroke={1.7} aria-hidden />{proofs.verified.toLocaleString()} {words.trail.entries} {words.history.verified}</>
          )}
        </span>
        <button type="button" className="btn xs qt end" disabled={rows.length === 0} onClick={() => download(rows, proofs.head?.note?.body ?? "")}>
          <IconDownload size={14} aria-hidden />{words.history.export}
        </button>
      </div>
      <TrailAlarm proofs={proofs} />
      {proofs.error ? <p className="note bad" role="alert">{proofs.error instanceof Error ? proofs.error.message : String(proofs.error)}</p> : null}
      {found.isPending && <div className="gr late" style={{ padding: "8px 16px" }}><span className="skeleton" style={{ display: "block", width: "80%" }} /></div>}
      {found.isSuccess && items.length === 0 && <Empty title={words.history.none} />}
      <ol className="hist">
        {items.map((item) => <Line key={item.key} item={item} proofs={proofs} name={nameOf(subjectOf(item.entry), actors, applications)} />)}
      </ol>
      <div className="his-foot row">
        <label className="row xs t2"><input type="checkbox" checked={lists} onChange={(event) => setLists(event.target.checked)} />{words.history.lists}</label>
        {found.hasNextPage && <button type="button" className="btn xs end" disabled={found.isFetchingNextPage} onClick={() => void found.fetchNextPage()}>{words.trail.older}</button>}
      </div>
    </section>
  );
}

function Line({ item, proofs, name }: { item: Item & { times?: number }; proofs: ReturnType<typeof useProofs>; name: string }): ReactNode {
  const { entry, rows } = item;
  const bad = isBad(entry);
  const Icon = iconOf(entry);
  const states = rows.map((row) => proofs.of(row).proof);
  const proof = states.includes("failed") ? "failed" : states.includes("checking") ? "checking" : states.includes("waiting") ? "waiting" : "verified";
  const times = item.times ?? rows.length;
  const says = [howMuch(entry), purposeOf(entry.purpose), bad ? entry.reason ?? "" : "", times > 1 ? `${times} ${words.history.times}` : ""].filter(Boolean).join(" · ");
  return (
    <li className={bad ? "bad" : ""}>
      <span className="hi"><Icon size={14} stroke={1.7} aria-hidden /></span>
      <div className="grow">
        <div className="hl"><b>{name}</b> {didWhat(entry)}</div>
        <div className="xs t3 ell">{says || words.trail.outcomes[entry.outcome]}</div>
      </div>
      <span className="when xs t3"><When at={entry.recorded} /><ProofMark proof={proof} /></span>
    </li>
  );
}

/** Access that the platform gave or ended is told of whom it was given to. */
function subjectOf(entry: Entry): { kind: string; id: string } {
  const { application, person } = entry.detail ?? {};
  if (entry.action === "access:grant:create" || entry.action === "access:grant:expire") {
    if (typeof application === "string" && application) return { kind: "application", id: application };
    if (typeof person === "string" && person) return { kind: "person", id: person };
  }
  return entry.actor;
}

function iconOf(entry: Entry): TablerIcon {
  if (isBad(entry)) return IconBan;
  const { action } = entry;
  if (action.includes("delete") || action.includes("erase") || action.includes("destroy")) return IconTrash;
  if (action.startsWith("access:grant")) return IconUserShare;
  if (action.startsWith("archive:key")) return IconKey;
  if (action.includes("protect") || action.includes("verify")) return IconShieldCheck;
  if (action.includes("store") || action.includes("receive") || action.includes("upload") || action.includes("complete")) return IconPackageImport;
  if (action.includes("query") || action.includes("search")) return IconListSearch;
  return IconEye;
}

/** The entries as they were sealed, with their place in the log. */
function download(rows: readonly Row[], head: string): void {
  const lines = rows.filter((row) => row.entry !== undefined).map((row) => JSON.stringify({ index: row.index, leaf: row.leaf, entry: row.entry }));
  save(`${[JSON.stringify({ head }), ...lines].join("\n")}\n`, "history.ndjson", "application/x-ndjson");
}

export function save(content: BlobPart, name: string, type: string): void {
  const url = URL.createObjectURL(new Blob([content], { type }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
