// What one was told, and what one wants to be told of.
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { type ReactNode, useState } from "react";

import "../admin.css";
import "../../app/bell.css";
import { api } from "../../api/client";
import type { components } from "../../api/schema";
import { NOTIFICATIONS } from "../../app/live";
import { Top } from "../../app/shell";
import { words } from "../../app/words";
import { Choice, Failed, Field, useAct, useTry } from "../../parts/ask";
import { Notice } from "../../parts/notice";
import { Empty, Failure, LoadingRows } from "../../parts/states";

type Preference = components["schemas"]["NotificationPreference"];
type Preferences = components["schemas"]["NotificationPreferences"];

const text = words.bell;
const PREFERENCES = ["notification-preferences"] as const;

export function Notifications(): ReactNode {
  const found = useQuery({ queryKey: PREFERENCES, queryFn: async () => (await api.GET("/api/v1/notifications/preferences")).data });
  return (
    <>
      <Top crumbs={<b>{text.title}</b>} />
      <main className="page wide" id="content">
        <div className="told">
          <div className="phead"><h1>{text.title}</h1></div>
          <List />
          <section className="card">
            <header><h2>{text.choose}</h2></header>
            <p className="body t2">{text.chooseSays}</p>
            {found.error ? <Failure error={found.error} again={() => void found.refetch()} /> : <Chosen given={found.data} />}
          </section>
          {found.data && <Mail given={found.data} />}
        </div>
      </main>
    </>
  );
}

function List(): ReactNode {
  const act = useAct(NOTIFICATIONS);
  const found = useInfiniteQuery({
    queryKey: [...NOTIFICATIONS, "all"],
    initialPageParam: "",
    queryFn: async ({ pageParam }) => (await api.GET("/api/v1/notifications", { params: { query: pageParam ? { after: pageParam } : {} } })).data,
    getNextPageParam: (page) => page?.next,
  });
  const rows = found.data?.pages.flatMap((page) => page?.notifications ?? []) ?? [];
  const unread = found.data?.pages[0]?.unread ?? 0;
  return (
    <section className="card">
      <header>
        <h2>{unread ? `${unread} ${text.unread}` : text.none}</h2>
        <button type="button" className="btn sm end" disabled={!unread} onClick={() => void act(() => api.POST("/api/v1/notifications/read", { body: { all: true } }))}>{text.allRead}</button>
      </header>
      {found.error ? <Failure error={found.error} again={() => void found.refetch()} /> : found.isPending ? (
        <ul aria-busy aria-label={words.states.loading}>{Array.from({ length: 4 }, (_, row) => <li key={row} className="notice"><i /><div className="skeleton" style={{ width: `${55 - row * 8}%` }} /></li>)}</ul>
      ) : rows.length === 0 ? <Empty title={text.empty}><p className="t2">{text.emptyHint}</p></Empty> : (
        <>
          <ul>{rows.map((one) => <Notice key={one.id} one={one} />)}</ul>
          <div className="tfoot">
            <span>{rows.length} {text.shown}</span>
            {found.hasNextPage && <button type="button" className="btn sm end" disabled={found.isFetchingNextPage} onClick={() => void found.fetchNextPage()}>{text.older}</button>}
          </div>
        </>
      )}
    </section>
  );
}

function Chosen({ given }: { given: Preferences | undefined }): ReactNode {
  const reached = Boolean(given?.mail && given.confirmed);
  return (
    <table>
      <colgroup><col /><col style={{ width: 150 }} /><col style={{ width: 100 }} /><col style={{ width: 160 }} /></colgroup>
      <thead><tr><th>{text.what}</th><th>{text.by}</th><th>{text.inBell}</th><th>{text.byMail}</th></tr></thead>
      {given === undefined ? <LoadingRows rows={6} columns={4} /> : (
        <tbody>{given.preferences.map((one) => <Row key={`${one.application} ${one.name}`} one={one} reached={reached} />)}</tbody>
      )}
    </table>
  );
}

/** Placeholders of a text, as those who choose read them. */
function plain(template: string): string {
  return template.replace(/\{\w+\}\.?/g, "…");
}

function Row({ one, reached }: { one: Preference; reached: boolean }): ReactNode {
  const act = useAct(PREFERENCES);
  const { busy, failed, run } = useTry();
  const set = (wanted: Partial<Pick<Preference, "bell" | "mail">>): Promise<boolean> =>
    run(() => act(() => api.PUT("/api/v1/notifications/preferences", {
      body: { application: one.application, name: one.name, bell: one.bell, mail: one.mail, ...wanted },
    })));
  const title = plain(one.title);
  return (
    <tr>
      <td><b className="b">{title}</b><p className="t2 xs">{plain(one.text)}</p><Failed text={failed} /></td>
      <td className="t2">{one.source || text.platform}</td>
      <td>{one.channels.includes("bell") && <input type="checkbox" role="switch" className="switch" aria-label={`${text.inBell}: ${title}`} checked={one.bell} disabled={busy} onChange={(event) => void set({ bell: event.target.checked })} />}</td>
      <td>
        {!one.channels.includes("mail") ? <span className="t3">{text.notByMail}</span> : reached || one.mail !== "none" ? (
          <Choice label={`${text.byMail}: ${title}`} value={one.mail} values={text.mails} choose={(mail) => void set({ mail })} />
        ) : <span className="t3">{text.mails[0][1]}</span>}
      </td>
    </tr>
  );
}

function Mail({ given }: { given: Preferences }): ReactNode {
  const act = useAct(PREFERENCES);
  const { busy, failed, run } = useTry();
  const [address, setAddress] = useState("");
  const [code, setCode] = useState("");
  const [changing, setChanging] = useState(false);
  const asking = changing || !given.address;
  const send = async (): Promise<void> => {
    await act(() => api.PUT("/api/v1/notifications/address", { body: { address: address.trim() } }));
    setChanging(false);
    setCode("");
  };
  const confirm = (): Promise<unknown> => act(() => api.POST("/api/v1/notifications/address/confirm", { body: { code: code.trim() } }));
  return (
    <section className="card" aria-label={text.mail}>
      <header><h2>{text.mail}</h2></header>
      <div className="body col asked">
        <p className="t2">{given.mail ? text.mailSays : text.mailOff}</p>
        {given.mail && !asking && (
          <p className="row">
            <span>{text.goes}</span><b className="b">{given.address}</b>
            {!given.confirmed && <span className="tag">{text.waiting}</span>}
            <button type="button" className="btn sm end" onClick={() => { setAddress(given.address); setChanging(true); }}>{text.change}</button>
            <button type="button" className="btn sm" disabled={busy} onClick={() => void run(() => act(() => api.DELETE("/api/v1/notifications/address")))}>{text.remove}</button>
          </p>
        )}
        {given.mail && asking && (
          <form className="mailto" onSubmit={(event) => { event.preventDefault(); void run(send); }}>
            <Field label={text.address}><span className="inp"><input type="email" name="email" autoComplete="email" required value={address} onChange={(event) => setAddress(event.target.value)} /></span></Field>
            <button type="submit" className="btn pri" disabled={busy || !address.includes("@")}>{text.send}</button>
          </form>
        )}
        {given.mail && !asking && !given.confirmed && (
          <form className="mailto" onSubmit={(event) => { event.preventDefault(); void run(confirm); }}>
            <Field label={text.code} hint={text.sent}><span className="inp"><input name="mail-code" autoComplete="one-time-code" required value={code} onChange={(event) => setCode(event.target.value)} /></span></Field>
            <button type="submit" className="btn pri" disabled={busy || !code.trim()}>{text.confirm}</button>
          </form>
        )}
        <Failed text={failed} />
      </div>
    </section>
  );
}
