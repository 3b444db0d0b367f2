// One's own account: what one proves oneself by, where one is signed in.
import { IconDeviceMobile, IconKey, IconPlus } from "@tabler/icons-react";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { type ReactNode, useState } from "react";

import "./admin.css";
import { api, ApiError, setCsrf } from "../api/client";
import type { components } from "../api/schema";
import { SESSION, type Session, useSession } from "../app/session";
import { present } from "../app/step-up";
import { Top } from "../app/shell";
import { words } from "../app/words";
import { Ask, Failed, Field, Shown, useAct, useTry } from "../parts/ask";
import { Confirm } from "../parts/confirm";
import { Copy } from "../parts/copy";
import { makePasskey, PASSKEYS } from "../parts/passkey";
import { Failure } from "../parts/states";
import { When } from "../parts/when";

type Factor = components["schemas"]["Factors"]["factors"][number];

const text = words.account;
const FACTORS = ["factors"] as const;
const SESSIONS = ["sessions"] as const;

export function Account(): ReactNode {
  const me = useSession();
  return (
    <>
      <Top crumbs={<b>{text.title}</b>} />
      <main className="page wide" id="content">
        <div className="stack acct">
          <div className="phead"><h1>{text.title}</h1></div>
          <section className="card">
            <header><h2>{text.about}</h2></header>
            <dl className="kv body">
              <dt>{words.people.name}</dt><dd>{me.name}</dd>
              <dt>{words.people.login}</dt><dd className="mono">{me.login}</dd>
              <dt>{words.people.role}</dt><dd>{words.roles[me.role]} <span className="t3">· {words.people.roleSays[me.role]}</span></dd>
            </dl>
          </section>
          <Factors />
          <Password />
          <Sessions />
        </div>
      </main>
    </>
  );
}

/** The session has a new id since a factor was added. */
function useFresh(): (session: Session | undefined) => string[] {
  const queries = useQueryClient();
  return (session) => {
    if (session === undefined) return [];
    setCsrf(session.csrf);
    const { recovery_codes: codes, ...shown } = session;
    queries.setQueryData(SESSION.queryKey, shown);
    return codes ?? [];
  };
}

function Factors(): ReactNode {
  const [adding, setAdding] = useState<"passkey" | "totp" | null>(null);
  const [removing, setRemoving] = useState<Factor | null>(null);
  const [renewing, setRenewing] = useState(false);
  const [codes, setCodes] = useState<readonly string[]>([]);
  const act = useAct(FACTORS);
  const found = useQuery({ queryKey: FACTORS, queryFn: async () => (await api.GET("/api/v1/session/factors")).data });
  const close = (): void => setAdding(null);
  return (
    <section className="card">
      <header>
        <h2>{text.factors}</h2>
        {PASSKEYS && <button type="button" className="btn sm" onClick={() => setAdding("passkey")}><IconKey size={14} aria-hidden />{text.addPasskey}</button>}
        <button type="button" className="btn sm" onClick={() => setAdding("totp")}><IconPlus size={14} aria-hidden />{text.addTotp}</button>
      </header>
      {found.error ? <Failure error={found.error} again={() => void found.refetch()} /> : (
        <>
          <table>
            <colgroup><col style={{ width: 170 }} /><col /><col style={{ width: 130 }} /><col style={{ width: 150 }} /><col style={{ width: 100 }} /></colgroup>
            <thead><tr><th>{text.by}</th><th>{words.people.name}</th><th>{text.added}</th><th>{text.used}</th><th><span className="vh">{words.people.actions}</span></th></tr></thead>
            <tbody>
              {(found.data?.factors ?? []).map((one) => (
                <tr key={one.id}>
                  <td><span className="row">{one.kind === "passkey" ? <IconKey size={16} aria-hidden /> : <IconDeviceMobile size={16} aria-hidden />}<span className="b">{text.factorKinds[one.kind]}</span></span></td>
                  <td className="ell">{one.name}</td>
                  <td className="t2"><When at={one.created} /></td>
                  <td className="t2">{one.used ? <When at={one.used} /> : text.never}</td>
                  <td className="num"><button type="button" className="btn xs dan-q" onClick={() => setRemoving(one)}>{text.remove}</button></td>
                </tr>
              ))}
            </tbody>
          </table>
          <div className="tfoot">
            <span><b className="b">{text.recovery}</b> · {found.data?.recovery_codes ?? "–"} {text.left}</span>
            <button type="button" className="btn sm end" onClick={() => setRenewing(true)}>{text.newCodes}</button>
          </div>
        </>
      )}
      {adding === "passkey" && <AddPasskey close={close} codes={setCodes} />}
      {adding === "totp" && <AddTotp close={close} codes={setCodes} />}
      {removing && (
        <Confirm opened title={text.removeTitle} action={text.remove} close={() => setRemoving(null)}
          act={() => act(() => api.DELETE("/api/v1/session/factors/{factor}", { params: { path: { factor: removing.id } } }))}>
          <p><b className="b">{text.factorKinds[removing.kind]} {removing.name}</b></p>
          <p className="t2">{text.removeSays}</p>
        </Confirm>
      )}
      {renewing && (
        <Confirm opened title={text.newCodesTitle} action={text.newCodes} close={() => setRenewing(false)}
          act={() => act(() => api.POST("/api/v1/session/factors/recovery-codes")).then(({ data }) => setCodes(data?.recovery_codes ?? []))}>
          <p className="t2">{text.newCodesSays}</p>
        </Confirm>
      )}
      {codes.length > 0 && (
        <Shown title={text.codesTitle} close={() => setCodes([])}>
          <p className="t2">{text.codesSay}</p>
          <div className="codes">{codes.map((code) => <code key={code} className="mono">{code}</code>)}</div>
        </Shown>
      )}
    </section>
  );
}

interface Adding {
  close: () => void;
  codes: (codes: string[]) => void;
}

function AddPasskey({ close, codes }: Adding): ReactNode {
  const [name, setName] = useState("");
  const act = useAct(FACTORS, SESSIONS);
  const fresh = useFresh();
  const add = async (): Promise<void> => {
    const options = (await present(() => api.POST("/api/v1/session/factors/passkey-options"))).data;
    const passkey = await makePasskey(options);
    const { data } = await act(() => api.POST("/api/v1/session/factors/passkey", { body: { passkey, name: name.trim() } }));
    codes(fresh(data));
    close();
  };
  return (
    <Ask title={text.addPasskey} action={text.addPasskey} ready={Boolean(name.trim())} act={add} close={close}>
      <Field label={text.factorName}><span className="inp"><input data-autofocus value={name} onChange={(event) => setName(event.target.value)} /></span></Field>
    </Ask>
  );
}

function AddTotp({ close, codes }: Adding): ReactNode {
  const [name, setName] = useState("");
  const [code, setCode] = useState("");
  const [secret, setSecret] = useState<components["schemas"]["TotpSecret"] | null>(null);
  const act = useAct(FACTORS, SESSIONS);
  const fresh = useFresh();
  const begin = async (): Promise<void> => {
    setSecret((await present(() => api.POST("/api/v1/session/factors/totp", { body: { name: name.trim() } }))).data ?? null);
  };
  const confirm = async (): Promise<void> => {
    const { data } = await act(() => api.POST("/api/v1/session/factors/totp/confirm", { body: { code: code.trim() } }));
    codes(fresh(data));
    close();
  };
  return secret === null ? (
    <Ask title={text.addTotp} action={text.addTotp} ready={Boolean(name.trim())} act={begin} close={close}>
      <Field label={text.factorName}><span className="inp"><input data-autofocus value={name} onChange={(event) => setName(event.target.value)} /></span></Field>
    </Ask>
  ) : (
    <Ask key="confirm" title={text.addTotp} action={text.confirmTotp} ready={/^\d{6}$/.test(code.trim())} act={confirm} close={close}>
      <p className="t2">{text.secret}</p>
      <Copy text={secret.secret} />
      <Copy text={secret.address} />
      <Field label={text.code}><span className="inp"><input data-autofocus name="new-code" inputMode="numeric" autoComplete="one-time-code" value={code} onChange={(event) => setCode(event.target.value)} /></span></Field>
    </Ask>
  );
}

function Password(): ReactNode {
  const [old, setOld] = useState("");
  const [fresh, setFresh] = useState("");
  const [again, setAgain] = useState("");
  const [done, setDone] = useState(false);
  const { busy, failed, run } = useTry();
  const act = useAct(SESSIONS);
  const differ = again !== "" && again !== fresh;
  const ready = Boolean(old && fresh) && fresh === again && !busy;
  const change = async (): Promise<void> => {
    await act(async () => {
      try {
        return await api.POST("/api/v1/session/password", { body: { old, new: fresh } });
      } catch (error) {
        throw error instanceof ApiError && error.problem.code === "sign-in-failed" ? new Error(text.wrongOld) : error;
      }
    });
    setOld("");
    setFresh("");
    setAgain("");
    setDone(true);
  };
  const input = (label: string, name: string, value: string, set: (value: string) => void): ReactNode => (
    <Field label={label}>
      <span className="inp">
        <input type="password" name={name} autoComplete={name === "old" ? "current-password" : "new-password"} value={value} onChange={(event) => { set(event.target.value); setDone(false); }} />
      </span>
    </Field>
  );
  return (
    <section className="card">
      <header><h2>{text.password}</h2></header>
      <form className="body col asked" onSubmit={(event) => { event.preventDefault(); if (ready) void run(change); }}>
        <p className="t2">{text.passwordSays}</p>
        <div className="three">
          {input(text.old, "old", old, setOld)}
          {input(text.fresh, "new", fresh, setFresh)}
          {input(text.again, "again", again, setAgain)}
        </div>
        <div className="row">
          <button type="submit" className="btn" disabled={!ready}>{text.passwordAct}</button>
          <span className="t2" role="status">{differ ? text.differ : done ? text.passwordDone : ""}</span>
        </div>
        <Failed text={failed} />
      </form>
    </section>
  );
}

function Sessions(): ReactNode {
  const { failed, run } = useTry();
  const act = useAct(SESSIONS);
  const found = useQuery({ queryKey: SESSIONS, queryFn: async () => (await api.GET("/api/v1/session/all")).data?.sessions ?? [] });
  const end = (session: string): Promise<boolean> =>
    run(() => act(() => api.DELETE("/api/v1/session/all/{session}", { params: { path: { session } } })));
  return (
    <section className="card">
      <header><h2>{text.sessions}</h2></header>
      {found.error ? <Failure error={found.error} again={() => void found.refetch()} /> : (
        <table>
          <colgroup><col style={{ width: 210 }} /><col /><col style={{ width: 130 }} /><col style={{ width: 150 }} /><col style={{ width: 100 }} /></colgroup>
          <thead><tr><th>{text.by}</th><th>{text.from}</th><th>{text.began}</th><th>{text.seen}</th><th><span className="vh">{words.people.actions}</span></th></tr></thead>
          <tbody>
            {(found.data ?? []).map((one) => (
              <tr key={one.id}>
                <td className="b">{text.methods[one.method] ?? one.method}</td>
                <td className="mono">{one.address}</td>
                <td className="t2"><When at={one.created} /></td>
                <td className="t2"><When at={one.seen} /></td>
                <td className="num">{one.this ? <span className="tag">{text.this}</span> : <button type="button" className="btn xs dan-q" onClick={() => void end(one.id)}>{text.end}</button>}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      <Failed text={failed} />
    </section>
  );
}
