// One file that is held back: its picture for who may see it, what was found where, and what may be decided.
import { useQuery } from "@tanstack/react-query";
import { type ReactNode, useEffect, useState } from "react";

import { api, ApiError, request } from "../../api/client";
import { useRole } from "../../app/session";
import { words } from "../../app/words";
import { Choice, Failed, useAct, useTry } from "../../parts/ask";
import { Confirm } from "../../parts/confirm";
import { When } from "../../parts/when";
import { size } from "../upload/numbers";
import { codeText, type Held, kindText, QUARANTINE, tagText } from "./data";

const say = words.quarantine;
type Why = keyof typeof say.whys;

export function Detail({ row, name, told }: { row: Held; name: string; told: (done: string) => void }): ReactNode {
  const decides = useRole("administrator", "privacy-officer");
  const [asking, setAsking] = useState<"release" | "discard" | null>(null);
  const [why, setWhy] = useState<Why>("names-nobody");
  const act = useAct(QUARANTINE);
  const { busy, failed, run } = useTry();
  const path = { params: { path: { held: row.id } } };
  const idle = row.state === "held";
  const close = (): void => setAsking(null);
  const said = (text: string) => (): void => told(text);
  return (
    <section className="card det" aria-label={kindText(row)}>
      <header><h2>{kindText(row)}</h2><span className="end xs t3">{say.file(row.file)}</span></header>
      <Picture row={row} />
      <div className="body col">
        <dl className="kv">
          <dt>{say.sent}</dt><dd>{name}</dd>
          <dt>{say.level}</dt><dd>{words.upload.levels[row.level]}</dd>
          <dt>{say.bytes}</dt><dd>{size(row.bytes)}</dd>
          <dt>{say.until}</dt><dd><When at={row.expires} /></dd>
          {row.tried && <><dt>{say.tried}</dt><dd><When at={row.tried} /></dd></>}
        </dl>
        <h3>{say.found}</h3>
        <ul className="why">
          {row.reasons.map((one, index) => (
            <li key={index}>
              <span>{codeText(one.code)}</span>
              <span className="xs t3 mono">{one.tags.length > 0 ? tagText(one.tags) : one.code}</span>
            </li>
          ))}
        </ul>
        <p className="xs t3">{say.foundHint}</p>
        <p className="xs t2"><b>{say.fix}.</b> {say.fixText} <code className="mono">{say.fixPage}</code>.</p>
        <Failed text={failed} />
        {idle ? (
          <>
            <div className="row wrap">
              <button type="button" className="btn pri" disabled={busy} title={say.retryHint} onClick={() => void run(() => act(() => api.POST("/api/v1/quarantine/{held}/retry", { ...path, body: {} })).then(said(say.decided)))}>{say.retry}</button>
              {row.findings.length > 0 && <button type="button" className="btn" onClick={() => setAsking("release")}>{say.release}</button>}
              <button type="button" className="btn dan-q end" onClick={() => setAsking("discard")}>{say.discard}</button>
            </div>
            <p className="xs t3">{say.retryHint} {row.findings.length === 0 && (decides ? say.noAlarm : say.notYours)}</p>
          </>
        ) : <p className="st run" role="status">{say.queued}</p>}
      </div>
      <Confirm
        opened={asking === "release"}
        title={say.releaseTitle}
        action={say.releaseAct}
        close={close}
        act={() => act(() => api.POST("/api/v1/quarantine/{held}/release", { ...path, body: { why, findings: row.findings } })).then(said(say.decided))}
      >
        <ol>{say.releaseSays.map((one) => <li key={one}>{one}</li>)}</ol>
        <ul className="why">{row.reasons.map((one, index) => <li key={index}>{codeText(one.code)} <span className="mono t3 xs">{tagText(one.tags)}</span></li>)}</ul>
        <span className="col field"><span className="b">{say.why}</span><Choice label={say.why} value={why} values={Object.entries(say.whys) as [Why, string][]} choose={setWhy} /></span>
      </Confirm>
      <Confirm
        opened={asking === "discard"}
        title={say.discardTitle}
        action={say.discardAct}
        close={close}
        act={() => act(() => api.DELETE("/api/v1/quarantine/{held}", path)).then(said(say.discarded))}
      >
        <ol>{say.discardSays.map((one) => <li key={one}>{one}</li>)}</ol>
        <p className="note">{say.discardNot}</p>
      </Confirm>
    </section>
  );
}

/** Each look is an entry in the trail; what was looked at is kept while the page is open, no longer. */
function Picture({ row }: { row: Held }): ReactNode {
  const found = useQuery({
    queryKey: [...QUARANTINE, row.id, "picture"],
    queryFn: async ({ signal }) => {
      try {
        return await (await request(`/api/v1/quarantine/${row.id}/picture`, { signal })).blob();
      } catch (error) {
        if (error instanceof ApiError && [404, 406, 422, 500].includes(error.problem.status)) return null;
        throw error;
      }
    },
    enabled: row.picture,
    staleTime: Infinity,
    gcTime: 0,
    retry: false,
  });
  const [address, setAddress] = useState("");
  useEffect(() => {
    if (!found.data) return undefined;
    const made = URL.createObjectURL(found.data);
    setAddress(made);
    return () => URL.revokeObjectURL(made);
  }, [found.data]);
  const none = !row.picture ? say.hiddenPicture : found.data === null || found.error ? say.noPicture : "";
  return (
    <figure className="pic">
      {address ? <img src={address} alt={say.picture} /> : <span className="t3 xs">{none}</span>}
      <figcaption className="xs t3">{address ? say.picture : ""}</figcaption>
    </figure>
  );
}
