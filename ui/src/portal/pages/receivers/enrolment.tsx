// How a receiver is let in: a code that is shown once, then digits that two people compare.
import { type ReactNode, useState } from "react";

import { api } from "../../api/client";
import type { components } from "../../api/schema";
import { words } from "../../app/words";
import { Ask, Failed, Field, Shown, useAct, useTry } from "../../parts/ask";
import { Copy } from "../../parts/copy";
import { type Receiver, RECEIVERS } from "./index";

const text = words.receivers;

function command(code: string): string {
  return `wardlight receiver enrol ${code} --platform ${location.origin}`;
}

/** known: the name of a receiver that gets a new key. */
export function AddReceiver({ close, made, known = "" }: { close: () => void; made: (id: string) => void; known?: string }): ReactNode {
  const [name, setName] = useState(known);
  const [code, setCode] = useState<components["schemas"]["EnrolmentCode"] | null>(null);
  const act = useAct(RECEIVERS);
  if (code !== null) {
    return (
      <Shown title={`${text.codeTitle} ${code.name}`} close={close} size={720}>
        <p className="t2">{text.codeSays}</p>
        <Copy text={command(code.code)} />
        <p>{text.codeThen}</p>
      </Shown>
    );
  }
  const make = async (): Promise<void> => {
    const { data } = await act(() => api.POST("/api/v1/receivers", { body: { name: name.trim() } }));
    if (data) {
      made(data.id);
      setCode(data);
    }
  };
  return (
    <Ask title={known ? `${text.newKey.replace("…", "")}: ${known}` : text.add} action={text.addAct} ready={name.trim() !== ""} act={make} close={close}>
      <Field label={text.name} hint={text.nameHint}>
        <span className="inp"><input name="receiver" data-autofocus value={name} readOnly={known !== ""} onChange={(event) => setName(event.target.value)} autoComplete="off" /></span>
      </Field>
    </Ask>
  );
}

/** What an enrolment that is under way waits for. */
export function Enrolling({ row }: { row: Receiver }): ReactNode {
  const [digits, setDigits] = useState("");
  const { busy, failed, run } = useTry();
  const act = useAct(RECEIVERS);
  if (row.enrolment === "open") return <div className="note"><div className="col grow" style={{ gap: 8 }}><p className="t2">{text.openSays}</p><Copy text={command("WL1-…")} /></div></div>;
  if (row.enrolment === "late") return <div className="note warn"><p>{text.lateSays}</p></div>;
  if (row.enrolment !== "waiting") return null;
  const ready = /^\d{6}$/.test(digits.trim()) && !busy;
  const confirm = (): Promise<unknown> =>
    act(() => api.POST("/api/v1/receivers/{receiver}/confirm", { params: { path: { receiver: row.id } }, body: { digits: digits.trim() } }));
  return (
    <form className="note warn" onSubmit={(event) => { event.preventDefault(); if (ready) void run(confirm); }}>
      <div className="col grow" style={{ gap: 8 }}>
        <b className="b">{text.waitTitle}</b>
        <p>{text.waitSays}</p>
        <div className="row">
          <span className="inp" style={{ width: 140 }}><input className="mono" name="digits" aria-label={text.digits} placeholder="000000" inputMode="numeric" maxLength={6} value={digits} onChange={(event) => setDigits(event.target.value)} autoComplete="off" /></span>
          <button type="submit" className="btn pri" disabled={!ready}>{text.confirm}</button>
        </div>
        <Failed text={failed} />
      </div>
    </form>
  );
}
