// Shares a study with an application within its agreement, or with a colleague.
import { Modal } from "@mantine/core";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { IconShare2 } from "@tabler/icons-react";
import { type ReactNode, useState } from "react";

import { api } from "../../api/client";
import { useRole } from "../../app/session";
import { NotProved, present } from "../../app/step-up";
import { words } from "../../app/words";
import { purposeOf, useApplications } from "../trail/entry";
import "./access.css";

const LEVELS = ["high", "medium", "low", "identified"] as const;
type Level = (typeof LEVELS)[number];

export function ShareButton({ study }: { study: string }): ReactNode {
  const may = useRole("administrator", "clinician");
  const [open, setOpen] = useState(false);
  if (!may) return null;
  return (
    <>
      <button type="button" className="btn sm" onClick={() => setOpen(true)}><IconShare2 size={16} stroke={1.7} aria-hidden />{words.share.act}</button>
      <Modal opened={open} onClose={() => setOpen(false)} title={words.share.title} size={600} closeButtonProps={{ "aria-label": words.share.stop }}>
        <Form study={study} close={() => setOpen(false)} />
      </Modal>
    </>
  );
}

interface Choice { id: string; name: string; purposes: readonly string[]; levels: readonly Level[] }

/** Whom the study may be given to: applications that are agreed and subscribed, and colleagues. Clinicians know their ids. */
function useChoices(): { applications: Choice[]; people: Choice[]; known: boolean; pending: boolean } {
  const known = useRole("administrator", "privacy-officer");
  const names = useApplications();
  const found = useQuery({
    queryKey: ["share-choices"],
    enabled: known,
    queryFn: async () => {
      const [agreements, subscriptions, people, session] = await Promise.all([
        api.GET("/api/v1/agreements"), api.GET("/api/v1/subscriptions"), api.GET("/api/v1/people"), api.GET("/api/v1/session"),
      ]);
      return { agreements: agreements.data?.agreements ?? [], subscriptions: subscriptions.data?.subscriptions ?? [], people: people.data?.people ?? [], me: session.data };
    },
  });
  const active = new Set((found.data?.subscriptions ?? []).filter((one) => one.active).map((one) => one.application));
  const agreed = (found.data?.agreements ?? []).filter((one) => one.state === "in-force");
  const own = agreed.find((one) => one.application === "images");
  const me = found.data?.me;
  return {
    known,
    pending: known && found.isPending,
    applications: agreed.filter((one) => one.application !== "images" && active.has(one.application)).map((one) => ({
      id: one.application, name: names.get(one.application) ?? one.application, purposes: one.purposes.map((purpose) => purpose.code), levels: one.levels,
    })),
    people: (found.data?.people ?? []).filter((one) => one.state === "active" && !(me && "login" in me && me.login === one.login)).map((one) => ({
      id: one.id, name: one.name, purposes: own?.purposes.map((purpose) => purpose.code) ?? ["TREAT"], levels: own?.levels ?? LEVELS,
    })),
  };
}

function Form({ study, close }: { study: string; close: () => void }): ReactNode {
  const queries = useQueryClient();
  const choices = useChoices();
  const [kind, setKind] = useState<"application" | "person">("application");
  const [id, setId] = useState("");
  const [purpose, setPurpose] = useState("");
  const [level, setLevel] = useState("");
  const [until, setUntil] = useState("");
  const [failed, setFailed] = useState("");
  const [busy, setBusy] = useState(false);
  const list = kind === "application" ? choices.applications : choices.people;
  const chosen = choices.known ? list.find((one) => one.id === id) ?? list[0] : undefined;
  const whom = choices.known ? chosen?.id ?? "" : id.trim();
  const purposes = chosen?.purposes ?? Object.keys(words.purposes);
  const why = purposes.includes(purpose) ? purpose : purposes[0] ?? "";
  const go = async (): Promise<void> => {
    setBusy(true);
    setFailed("");
    try {
      await present(() => api.POST("/api/v1/studies/{study}/shares", {
        params: { path: { study } },
        body: { [kind]: whom, purpose: why, ...(level ? { level: level as Level } : {}), ...(until ? { until: new Date(`${until}T23:59:59`).toISOString() } : {}) },
      }));
      await Promise.all([queries.invalidateQueries({ queryKey: ["shares", study] }), queries.invalidateQueries({ queryKey: ["grants"] })]);
      close();
    } catch (error) {
      if (!(error instanceof NotProved)) setFailed(error instanceof Error ? error.message : String(error));
    } finally {
      setBusy(false);
    }
  };
  return (
    <form className="col" style={{ gap: 12 }} onSubmit={(event) => { event.preventDefault(); event.stopPropagation(); if (whom && !busy) void go(); }}>
      <p className="t2">{words.share.says}</p>
      <div className="seg" role="radiogroup" aria-label={words.share.with} style={{ alignSelf: "flex-start" }}>
        {(["application", "person"] as const).map((one) => (
          <label key={one} className={kind === one ? "sg on" : "sg"}>
            <input type="radio" className="vh" name="kind" checked={kind === one} onChange={() => { setKind(one); setId(""); }} />
            {one === "application" ? words.share.applications : words.share.colleagues}
          </label>
        ))}
      </div>
      <label className="fld">
        <span className="b">{words.share.with}</span>
        {choices.known ? (
          <select className="sel" name="whom" value={whom} disabled={list.length === 0} onChange={(event) => setId(event.target.value)}>
            {list.length === 0 && <option value="">{choices.pending ? words.states.loading : words.share.none}</option>}
            {list.map((one) => <option key={one.id} value={one.id}>{one.name}</option>)}
          </select>
        ) : (
          <span className="inp"><input name="whom" value={id} onChange={(event) => setId(event.target.value)} placeholder={kind === "application" ? words.share.application : words.share.person} autoComplete="off" spellCheck={false} /></span>
        )}
      </label>
      <label className="fld">
        <span className="b">{words.share.purpose}</span>
        <select className="sel" name="purpose" value={why} onChange={(event) => setPurpose(event.target.value)}>
          {purposes.map((one) => <option key={one} value={one}>{purposeOf(one)}</option>)}
        </select>
      </label>
      <div className="row g3" style={{ alignItems: "flex-end" }}>
        <label className="fld grow">
          <span className="b">{words.share.level}</span>
          <select className="sel" name="level" value={level} onChange={(event) => setLevel(event.target.value)}>
            <option value="">{words.share.strictest}</option>
            {LEVELS.filter((one) => chosen === undefined || chosen.levels.includes(one)).map((one) => <option key={one} value={one}>{words.levels[one]}</option>)}
          </select>
        </label>
        <label className="fld grow">
          <span className="b">{words.share.until}</span>
          <span className="inp"><input type="date" name="until" value={until} min={new Date().toISOString().slice(0, 10)} onChange={(event) => setUntil(event.target.value)} /></span>
          <span className="vh">{words.share.longest}</span>
        </label>
      </div>
      {failed && <p className="note bad" role="alert">{failed}</p>}
      <div className="row" style={{ justifyContent: "flex-end" }}>
        <button type="button" className="btn" onClick={close}>{words.share.stop}</button>
        <button type="submit" className="btn pri" disabled={busy || !whom || !why}>{words.share.go}</button>
      </div>
    </form>
  );
}
