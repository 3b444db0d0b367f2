// Quarantine: what protection holds back of uploads, why, and what to do about it.
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { type ReactNode, useState } from "react";

import "../admin.css";
import { api } from "../../api/client";
import { useRole } from "../../app/session";
import { Top } from "../../app/shell";
import { words } from "../../app/words";
import { Copy } from "../../parts/copy";
import { Empty, Failure, LoadingRows } from "../../parts/states";
import { WardLine } from "../../parts/ward";
import { When } from "../../parts/when";
import { codeText, type Held, kindText, leftText, pageOf, QUARANTINE } from "./data";
import { Detail } from "./detail";
import "./quarantine.css";

const say = words.quarantine;

export function Quarantine(): ReactNode {
  const [chosen, setChosen] = useState("");
  const [done, setDone] = useState("");
  const found = useInfiniteQuery({
    queryKey: QUARANTINE,
    queryFn: ({ pageParam }) => pageOf(pageParam),
    initialPageParam: "",
    getNextPageParam: (last) => last.next,
    refetchInterval: (query) => (query.state.data?.pages.some((page) => page.files.some((one) => one.state === "queued")) ? 2000 : 30_000),
  });
  const rows = found.data?.pages.flatMap((page) => page.files) ?? [];
  const shown = rows.find((one) => one.id === chosen) ?? rows[0];
  const name = useNames();
  if (found.error) {
    return (
      <>
        <Top crumbs={<b>{say.title}</b>} />
        <main className="page" id="content"><Failure error={found.error} again={() => void found.refetch()} /></main>
      </>
    );
  }
  const many = `${rows.length}${found.hasNextPage ? "+" : ""} ${rows.length === 1 ? "file" : "files"}`;
  return (
    <>
      <Top crumbs={<b>{say.title}</b>} />
      <main className="page" id="content">
        <div className="phead"><h1>{say.title}</h1><p>{say.about}</p></div>
        <WardLine hold={rows.length ? say.hold(many) : say.holdNone} who={say.who} why={say.because} until={say.untilThen} grants={[]} />
        <p className="vh" role="status">{done}</p>
        <div className="qu">
          <div className="lc">
            {found.data && rows.length === 0 ? <Empty title={say.none}><p className="t2">{say.noneHint}</p></Empty> : (
              <div className="tw">
                <div className="scroll" tabIndex={0} role="region" aria-label={say.title}>
                  <table>
                    <colgroup><col style={{ width: 150 }} /><col /><col style={{ width: 130 }} /><col style={{ width: 90 }} /><col style={{ width: 120 }} /><col style={{ width: 100 }} /></colgroup>
                    <thead><tr><th>{say.what}</th><th>{say.reason}</th><th>{say.sent}</th><th>{say.level}</th><th>{say.at}</th><th>{say.until}</th></tr></thead>
                    {found.isPending ? <LoadingRows rows={8} columns={6} /> : (
                      <tbody>
                        {rows.map((row) => <Row key={row.id} row={row} on={row === shown} name={name(row)} choose={() => setChosen(row.id)} />)}
                      </tbody>
                    )}
                  </table>
                  {found.hasNextPage && <div className="more"><button type="button" className="btn" disabled={found.isFetchingNextPage} onClick={() => void found.fetchNextPage()}>{say.older}</button></div>}
                </div>
              </div>
            )}
          </div>
          <div className="rc">
            {shown !== undefined && <Detail key={shown.id} row={shown} name={name(shown)} told={setDone} />}
            <Receivers />
          </div>
        </div>
      </main>
    </>
  );
}

function Row({ row, on, name, choose }: { row: Held; on: boolean; name: string; choose: () => void }): ReactNode {
  const [first] = row.reasons;
  return (
    <tr className={on ? "sel" : ""} onClick={choose}>
      <td><button type="button" className="fold ell" aria-current={on} onClick={choose}>{kindText(row)}</button></td>
      <td className="ell">
        {row.state === "queued" ? <span className="st run">{say.queued}</span> : (
          <span className="st warn">{first ? codeText(first.code) : "–"}{row.reasons.length > 1 && <span className="t3"> {say.more(row.reasons.length - 1)}</span>}</span>
        )}
      </td>
      <td className="t2 ell">{row.own ? say.you : name}</td>
      <td className="t2">{words.upload.levels[row.level]}</td>
      <td className="t2"><When at={row.created} /></td>
      <td className="t2">{leftText(row)}</td>
    </tr>
  );
}

/** Names of those who sent: for whoever may see who works here. */
function useNames(): (row: Held) => string {
  const may = useRole("administrator", "privacy-officer");
  const people = useQuery({
    queryKey: ["people"],
    queryFn: async () => (await api.GET("/api/v1/people")).data?.people ?? [],
    enabled: may,
  });
  const names = new Map((people.data ?? []).map((one) => [one.id, one.name]));
  return (row) => (row.own ? say.you : (names.get(row.sent_by) ?? row.sent_by));
}

function Receivers(): ReactNode {
  return (
    <section className="card">
      <header><h2>{say.receivers}</h2></header>
      <div className="body col">
        <p className="t2">{say.receiversText}</p>
        <Copy text="wardlight receiver quarantine list" />
      </div>
    </section>
  );
}
