// Shares a study with an application within its agreement, or with a colleague.
import { Modal } from "@mantine/core";
import { useQueryClient } from "@tanstack/react-query";
import { IconShare2 } from "@tabler/icons-react";
import { type ReactNode, useState } from "react";

import { api } from "../../api/client";
import { useRole } from "../../app/session";
import { NotProved, present } from "../../app/step-up";
import { words } from "../../app/words";
import { Combo } from "../../parts/combo";
import { type Recipient, useRecipients } from "../../parts/recipients";
import { purposeOf } from "../trail/entry";
import "./access.css";

type Level = Recipient["levels"][number];

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

/** The date so many seconds from now, as an input of dates has it: the end of that day is still within the time. */
const day = (seconds: number): string => new Date(Date.now() + Math.max(0, seconds - 86_400) * 1000).toISOString().slice(0, 10);

function Form({ study, close }: { study: string; close: () => void }): ReactNode {
  const queries = useQueryClient();
  const [kind, setKind] = useState<"application" | "person">("application");
  const [id, setId] = useState("");
  const [purpose, setPurpose] = useState("");
  const [level, setLevel] = useState("");
  const [until, setUntil] = useState("");
  const [failed, setFailed] = useState("");
  const [busy, setBusy] = useState(false);
  const found = useRecipients(kind === "application" ? "applications" : "colleagues");
  const list = found.data ?? [];
  const chosen = list.find((one) => one.id === id) ?? (list.length === 1 ? list[0] : undefined);
  const whom = chosen?.id ?? "";
  const purposes = chosen?.purposes ?? [];
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
      <div className="fld">
        <span className="b" aria-hidden>{words.share.with}</span>
        <Combo
          key={kind}
          name="whom"
          label={words.share.with}
          options={list.map((one) => ({ id: one.id, name: one.name, ...(one.id === one.name || kind === "person" ? {} : { hint: one.id }) }))}
          value={whom}
          choose={(one) => { setId(one); setPurpose(""); setLevel(""); }}
          placeholder={found.isPending ? words.states.loading : kind === "application" ? words.recipients.application : words.recipients.person}
          none={words.recipients.none}
        />
        {found.error && <p className="note bad" role="alert">{found.error.message}</p>}
        {found.isSuccess && list.length === 0 && <p className="t2 xs">{kind === "application" ? words.recipients.nobody : words.recipients.alone}</p>}
      </div>
      <label className="fld">
        <span className="b">{words.share.purpose}</span>
        <select className="sel" name="purpose" value={why} disabled={chosen === undefined} onChange={(event) => setPurpose(event.target.value)}>
          {purposes.map((one) => <option key={one} value={one}>{purposeOf(one)}</option>)}
        </select>
      </label>
      <div className="row g3" style={{ alignItems: "flex-end" }}>
        <label className="fld grow">
          <span className="b">{words.share.level}</span>
          <select className="sel" name="level" value={level} disabled={chosen === undefined} onChange={(event) => setLevel(event.target.value)}>
            <option value="">{words.share.strictest}</option>
            {(chosen?.levels ?? []).map((one) => <option key={one} value={one}>{words.levels[one]}</option>)}
          </select>
        </label>
        <label className="fld grow">
          <span className="b">{words.share.until}{chosen && <span className="t3"> · {words.recipients.longest} {Math.floor(chosen.access_s / 86_400)} {words.recipients.days}</span>}</span>
          <span className="inp"><input type="date" name="until" value={until} min={day(0)} max={chosen && day(chosen.access_s)} onChange={(event) => setUntil(event.target.value)} /></span>
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
