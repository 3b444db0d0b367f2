// One application: what it may, its keys and secrets, and what an operator does with it.
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { IconX } from "@tabler/icons-react";
import { type ReactNode, useState } from "react";

import { api } from "../../api/client";
import { NotProved, present } from "../../app/step-up";
import { developers } from "../../app/words-developers";
import { Confirm } from "../../parts/confirm";
import { Failure } from "../../parts/states";
import { When } from "../../parts/when";
import { AddKey, EditApplication, Secret } from "./application-form";
import { type Application, APPLICATIONS, State } from "./application-parts";
import { Lines } from "./frame";

const said = developers.applications;

export function ApplicationPanel({ listed, operator, close }: { listed: Application; operator: boolean; close: () => void }): ReactNode {
  const whole = useQuery({
    queryKey: [...APPLICATIONS, "one", listed.id],
    queryFn: async () => (await api.GET("/api/v1/platform/applications/{application}", { params: { path: { application: listed.id } } })).data,
    enabled: operator,
  });
  const one = whole.data ?? listed;
  return (
    <aside className="dev-panel" aria-label={listed.name}>
      <div className="row"><h2 className="grow ell">{one.name}</h2><button type="button" className="icb" aria-label={developers.close} onClick={close}><IconX size={16} stroke={1.7} /></button></div>
      <State of={one.state} />
      <dl className="dev-kv">
        <dt>{said.id}</dt><dd className="mono">{one.id}</dd>
        <dt>{said.vendor}</dt><dd>{one.vendor}</dd>
        {one.owner && <><dt>{said.owner}</dt><dd>{one.owner}</dd></>}
        <dt>{said.kind}</dt><dd>{said.kinds[one.kind]}</dd>
        <dt>{said.method}</dt><dd>{said.methods[one.auth_method]}</dd>
        <dt>{said.created}</dt><dd><When at={one.created} /></dd>
      </dl>
      <section className="dev-col">
        <h3>{said.scopes}</h3>
        <ul className="dev-kids">
          {one.scopes.map((scope) => <li key={scope}><span><span className="mono">{scope}</span><span className="t2 xs" style={{ display: "block" }}>{said.scopeWords[scope]}</span></span></li>)}
        </ul>
      </section>
      {operator && whole.error ? <Failure error={whole.error} again={() => void whole.refetch()} /> : operator ? <Managed one={one} /> : <p className="t2">{said.keysOperator}</p>}
    </aside>
  );
}

type Asked = { kind: "suspend" } | { kind: "delete" } | { kind: "key"; kid: string };

function Managed({ one }: { one: Application }): ReactNode {
  const queries = useQueryClient();
  const [asked, setAsked] = useState<Asked | null>(null);
  const [opened, setOpened] = useState<"edit" | "key" | "">("");
  const [secret, setSecret] = useState("");
  const path = { application: one.id };
  const known = (): Promise<void> => queries.invalidateQueries({ queryKey: APPLICATIONS });
  const act = useMutation({ mutationFn: (work: () => Promise<unknown>) => present(work), onSuccess: known });
  const approve = (): void => act.mutate(() => api.POST("/api/v1/platform/applications/{application}/approve", { params: { path }, body: {} }));
  const renew = (): void => act.mutate(async () => {
    const { data } = await api.POST("/api/v1/platform/applications/{application}/secret", { params: { path }, body: {} });
    setSecret(data?.client_secret ?? "");
  });
  const confirmed = async (): Promise<void> => {
    if (asked === null) return;
    await present<unknown>(() =>
      asked.kind === "suspend"
        ? api.POST("/api/v1/platform/applications/{application}/suspend", { params: { path }, body: {} })
        : asked.kind === "delete"
          ? api.DELETE("/api/v1/platform/applications/{application}", { params: { path } })
          : api.DELETE("/api/v1/platform/applications/{application}/keys/{kid}", { params: { path: { ...path, kid: asked.kid } } }),
    );
    await known();
  };
  return (
    <>
      <section className="dev-col">
        <h3>{said.keys}</h3>
        <p className="t2">{(one.keys ?? []).length === 0 && one.auth_method !== "none" ? said.noKeys : said.keysHint}</p>
        <ul className="dev-kids">
          {(one.keys ?? []).map((key) => (
            <li key={key.kid}>
              <span className="grow"><span className="mono ell" style={{ display: "block" }} title={key.kid}>{key.kid}</span>
                <span className="xs t2">{key.alg}, {key.ends ? <>{said.until} <When at={key.ends} /></> : said.holds}</span></span>
              <button type="button" className="btn xs qt" onClick={() => setAsked({ kind: "key", kid: key.kid })}>{said.removeKey}</button>
            </li>
          ))}
        </ul>
        <div className="row">
          {one.auth_method === "private_key_jwt" && <button type="button" className="btn sm" onClick={() => setOpened("key")}>{said.addKey}</button>}
          {one.auth_method === "client_secret_basic" && <button type="button" className="btn sm" onClick={renew}>{said.newSecret}</button>}
        </div>
      </section>
      {act.error && !(act.error instanceof NotProved) && <p className="note bad" role="alert">{act.error.message}</p>}
      <div className="row" style={{ flexWrap: "wrap" }}>
        {one.state === "pending" && <button type="button" className="btn sm" disabled={act.isPending} onClick={approve}>{said.approve}</button>}
        {one.state === "suspended" && <button type="button" className="btn sm" disabled={act.isPending} onClick={approve}>{said.approved}</button>}
        <button type="button" className="btn sm" onClick={() => setOpened("edit")}>{said.edit}</button>
        {one.state === "active" && <button type="button" className="btn sm dan-q" onClick={() => setAsked({ kind: "suspend" })}>{said.suspend}</button>}
        <button type="button" className="btn sm dan-q" onClick={() => setAsked({ kind: "delete" })}>{said.remove}</button>
      </div>
      <Sure asked={asked} one={one} act={confirmed} close={() => setAsked(null)} />
      {opened === "edit" && <EditApplication of={one} close={() => setOpened("")} />}
      {opened === "key" && <AddKey of={one} close={() => setOpened("")} />}
      <Secret title={said.secretTitle} why={said.secretWhy} secret={secret} close={() => setSecret("")} />
    </>
  );
}

function Sure({ asked, one, act, close }: { asked: Asked | null; one: Application; act: () => Promise<void>; close: () => void }): ReactNode {
  const what = asked?.kind === "delete"
    ? { title: said.deleteTitle(one.name), steps: said.deleteSteps, not: said.deleteNot, action: said.remove }
    : asked?.kind === "key"
      ? { title: said.keyTitle(asked.kid), steps: said.keySteps, not: said.keyNot, action: said.removeKey }
      : { title: said.suspendTitle(one.name), steps: said.suspendSteps, not: said.suspendNot, action: said.suspend };
  return (
    <Confirm key={asked?.kind} opened={asked !== null} title={what.title} action={what.action} {...(asked?.kind === "delete" ? { type: one.id } : {})} act={act} close={close}>
      <Lines of={what.steps} />
      <p className="t2">{what.not}</p>
    </Confirm>
  );
}
