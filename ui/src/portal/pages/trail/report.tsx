// The access report of one patient: who saw their data, made from the sealed trail and downloaded.
import { Modal } from "@mantine/core";
import { type ReactNode, useState } from "react";

import { request } from "../../api/client";
import { NotProved, present } from "../../app/step-up";
import { words } from "../../app/words";
import { save } from "../study/history";

const FORMS = { pdf: "application/pdf", html: "text/html", json: "application/json", fhir: "application/fhir+json" } as const;
type Form = keyof typeof FORMS;

export function Report({ close }: { close: () => void }): ReactNode {
  const [id, setId] = useState("");
  const [issuer, setIssuer] = useState("");
  const [form, setForm] = useState<Form>("pdf");
  const [names, setNames] = useState(false);
  const [busy, setBusy] = useState(false);
  const [failed, setFailed] = useState("");
  const go = async (): Promise<void> => {
    setBusy(true);
    setFailed("");
    try {
      const answer = await present(() => request("/api/v1/audit/reports/access", {
        method: "POST",
        headers: { Accept: FORMS[form], "Content-Type": "application/json" },
        body: JSON.stringify({
          patients: [{ id: id.trim(), ...(issuer.trim() ? { issuer: issuer.trim() } : {}) }],
          ...(names ? { names } : {}),
          timezone: Intl.DateTimeFormat().resolvedOptions().timeZone,
        }),
      }));
      save(await answer.blob(), `access-report.${form === "fhir" ? "fhir.json" : form}`, FORMS[form]);
      close();
    } catch (error) {
      if (!(error instanceof NotProved)) setFailed(error instanceof Error ? error.message : String(error));
    } finally {
      setBusy(false);
    }
  };
  return (
    <Modal opened onClose={close} title={words.trail.report.title} size={520} closeButtonProps={{ "aria-label": words.ask.close }}>
      <form className="col" style={{ gap: 12 }} onSubmit={(event) => { event.preventDefault(); if (id.trim() && !busy) void go(); }}>
        <p className="t2">{words.trail.report.says}</p>
        <label className="fld"><span className="b">{words.trail.report.id}</span><span className="inp"><input data-autofocus name="patient" value={id} onChange={(event) => setId(event.target.value)} autoComplete="off" spellCheck={false} /></span></label>
        <label className="fld"><span className="b">{words.trail.issuer}</span><span className="inp"><input name="issuer" value={issuer} onChange={(event) => setIssuer(event.target.value)} placeholder={words.trail.issuerHint} autoComplete="off" spellCheck={false} /></span></label>
        <label className="fld"><span className="b">{words.trail.report.form}</span>
          <select className="sel" name="form" value={form} onChange={(event) => setForm(event.target.value as Form)}>
            {(Object.keys(FORMS) as Form[]).map((one) => <option key={one} value={one}>{words.trail.report.forms[one]}</option>)}
          </select>
        </label>
        <label className="row"><input type="checkbox" checked={names} onChange={(event) => setNames(event.target.checked)} />{words.trail.report.names}</label>
        {failed && <p className="note bad" role="alert">{failed}</p>}
        <div className="row" style={{ justifyContent: "flex-end" }}>
          <button type="button" className="btn" onClick={close}>{words.share.stop}</button>
          <button type="submit" className="btn pri" disabled={busy || !id.trim()}>{words.trail.report.go}</button>
        </div>
      </form>
    </Modal>
  );
}
