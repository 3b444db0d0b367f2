// Upload: drop, see what it is, choose how much it keeps, send; what became of each file.
import { Tooltip } from "@mantine/core";
import { IconFolder, IconFolderPlus, IconPlayerPause, IconPlayerPlay, IconUpload, IconWifi, IconWifiOff } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { type ReactNode, useEffect, useState, useSyncExternalStore } from "react";

import { api } from "../../api/client";
import type { components } from "../../api/schema";
import { useSession } from "../../app/session";
import { Top } from "../../app/shell";
import { words } from "../../app/words";
import { ClassBadge } from "../../parts/badges";
import { Confirm } from "../../parts/confirm";
import { Failure } from "../../parts/states";
import { WardLine } from "../../parts/ward";
import { Engine, type Level, type Shot } from "./engine";
import { List } from "./list";
import { count, left, size, speed } from "./numbers";
import "./upload.css";

const say = words.upload;
const LEVELS: readonly Level[] = ["high", "medium", "low", "identified"];
type Terms = components["schemas"]["UploadTerms"];

// An upload goes on while its person looks at other pages.
const engines = new Map<string, Engine>();

function engineOf(owner: string): Engine {
  let engine = engines.get(owner);
  if (!engine) engines.set(owner, (engine = new Engine(owner)));
  return engine;
}

export function Upload(): ReactNode {
  const session = useSession();
  const engine = engineOf(session.login);
  const shot = useSyncExternalStore(engine.subscribe, engine.snapshot);
  const terms = useQuery({
    queryKey: ["uploads", "terms"],
    queryFn: async () => (await api.GET("/api/v1/uploads")).data ?? null,
  });
  return (
    <>
      <Top crumbs={<b>{say.title}</b>} />
      <main className="page" id="content">
        <div className="phead"><h1>{say.title}</h1><p>{say.about}</p></div>
        {terms.error ? <Failure error={terms.error} again={() => void terms.refetch()} /> : terms.data ? <Page engine={engine} shot={shot} terms={terms.data} /> : null}
      </main>
    </>
  );
}

function Page({ engine, shot, terms }: { engine: Engine; shot: Shot; terms: Terms }): ReactNode {
  const [over, setOver] = useState(false);
  const [level, setLevel] = useState<Level>(() => (shot.files > 0 ? engine.level : (terms.levels[0] as Level)));
  useEffect(() => {
    if (shot.state === "idle" || shot.state === "ready" || shot.state === "finished") engine.level = level;
  }, [engine, level, shot.state]);
  const empty = shot.files === 0 && shot.leftOut.length === 0;
  const stored = shot.counts.stored + shot.counts.duplicate;
  return (
    <>
      {stored > 0 && (
        <WardLine
          hold={say.hold(`${count(stored)} ${stored === 1 ? "image" : "images"}`)}
          who={say.who}
          why={say.why(terms.agreement.version)}
          until={say.until}
          grants={[]}
        />
      )}
      <div
        className={over ? "up over" : "up"}
        onDragOver={(event) => { event.preventDefault(); setOver(true); }}
        onDragLeave={(event) => { if (!event.currentTarget.contains(event.relatedTarget as Node | null)) setOver(false); }}
        onDrop={(event) => { event.preventDefault(); setOver(false); engine.drop(event.dataTransfer); }}
      >
        <div className="lc">
          {shot.interrupted > 0 && shot.state !== "sending" && <p className="note" role="status"><IconUpload size={16} aria-hidden /><span><b>{say.interrupted(count(shot.interrupted, "file"))}</b> {say.interruptedHint}</span></p>}
          {shot.failure !== null && <Failure error={shot.failure} />}
          {empty ? <Drop engine={engine} big reading={shot.reading > 0} /> : (
            <>
              <Total engine={engine} shot={shot} />
              <Network shot={shot} />
              <List shot={shot} engine={engine} />
            </>
          )}
        </div>
        <div className="rc">
          {!empty && <Drop engine={engine} reading={shot.reading > 0} />}
          <LevelCard terms={terms} level={level} choose={setLevel} fixed={shot.state === "sending" || shot.state === "paused"} />
          <Reasons title={say.held} hint={say.heldHint} rows={of(shot, "quarantined")} />
          <Reasons title={say.refused} rows={of(shot, "refused")} />
          <Reasons title={say.leftOut} rows={shot.leftOut.map((one) => ({ name: one.name, reason: one.why }))} />
        </div>
      </div>
    </>
  );
}

function Drop({ engine, big = false, reading }: { engine: Engine; big?: boolean; reading: boolean }): ReactNode {
  const choose = (folder: boolean): void => {
    const input = document.createElement("input");
    input.type = "file";
    input.multiple = true;
    if (folder) input.webkitdirectory = true;
    input.onchange = () => void engine.add([...(input.files ?? [])]);
    input.click();
  };
  const title = reading ? say.reading : big ? say.dropTitle : say.drop;
  return (
    <div className={big ? "drop big" : "drop"}>
      {big ? <IconUpload size={28} stroke={1.5} aria-hidden /> : <IconFolderPlus size={16} stroke={1.7} aria-hidden />}
      {big ? <h2>{title}</h2> : <span className="ell">{title}</span>}
      {big && <p className="t2">{say.dropHint}</p>}
      {big ? (
        <div className="row">
          <button type="button" className="btn pri" onClick={() => choose(false)}>{say.files}</button>
          <button type="button" className="btn" onClick={() => choose(true)}><IconFolder size={16} aria-hidden />{say.folder}</button>
        </div>
      ) : (
        <button type="button" className="link end" onClick={() => choose(false)}>{say.more}</button>
      )}
    </div>
  );
}

function Total({ engine, shot }: { engine: Engine; shot: Shot }): ReactNode {
  const [asking, setAsking] = useState(false);
  const percent = shot.bytes ? Math.floor((100 * shot.sent) / shot.bytes) : 0;
  const part = (files: number): string => `${shot.files ? (100 * files) / shot.files : 0}%`;
  const sending = shot.state === "sending";
  return (
    <section className="card tot" aria-label={say.progress}>
      <div className="row" style={{ gap: 16 }}>
        <span className="pct">{shot.state === "ready" ? count(shot.files) : percent}<small>{shot.state === "ready" ? "" : " %"}</small></span>
        <div className="facts">
          <dl><dt>{say.sent}</dt><dd>{size(shot.sent)} of {size(shot.bytes)}</dd></dl>
          <dl><dt>{say.filesDone}</dt><dd>{count(shot.done)} of {count(shot.files)}</dd></dl>
          <dl><dt>{say.speed}</dt><dd>{sending && shot.speed > 0 ? speed(shot.speed) : "–"}</dd></dl>
          <dl><dt>{say.left}</dt><dd>{sending && shot.speed > 0 && shot.sent < shot.bytes ? left((shot.bytes - shot.sent) / shot.speed) : "–"}</dd></dl>
        </div>
        <span className="row end">
          {shot.state === "ready" && <button type="button" className="btn pri" disabled={shot.reading > 0} onClick={() => void engine.start()}>{say.start(count(shot.files - shot.done, "file"))}</button>}
          {sending && <button type="button" className="btn" onClick={() => engine.pause()}><IconPlayerPause size={16} aria-hidden />{say.pauseAll}</button>}
          {shot.state === "paused" && <button type="button" className="btn" onClick={() => engine.resume()}><IconPlayerPlay size={16} aria-hidden />{say.resumeAll}</button>}
          {(sending || shot.state === "paused" || shot.state === "ready") && <button type="button" className="btn dan-q" onClick={() => setAsking(true)}>{say.cancel}</button>}
          {shot.state === "finished" && <span className="st ok" role="status">{say.done}</span>}
        </span>
      </div>
      <div className="bar lg" role="progressbar" aria-label={say.progress} aria-valuemin={0} aria-valuemax={100} aria-valuenow={percent}>
        <i className="ok" style={{ width: part(shot.counts.stored + shot.counts.duplicate) }} />
        <i style={{ width: part(shot.checking) }} />
        <i className="w" style={{ width: part(shot.counts.quarantined + shot.counts.refused) }} />
      </div>
      <div className="leg">
        <span><i className="ok" />{count(shot.counts.stored)} {say.results.stored}</span>
        <span><i />{count(shot.checking)} {say.states.checking.toLowerCase()}</span>
        <span><i className="w" />{count(shot.counts.quarantined)} {say.results.quarantined}</span>
        <span>{count(shot.counts.duplicate)} {say.results.duplicate}</span>
        <span>{count(shot.counts.refused)} {say.results.refused}</span>
      </div>
      <Confirm opened={asking} title={say.cancelTitle} action={say.cancelAct} act={() => engine.cancel()} close={() => setAsking(false)}>
        <ol>{say.cancelWhat.map((one) => <li key={one}>{one}</li>)}</ol>
      </Confirm>
    </section>
  );
}

const TIME = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });

function Network({ shot }: { shot: Shot }): ReactNode {
  if (shot.offlineSince !== null) return <p className="note warn" role="status"><IconWifiOff size={16} aria-hidden /><span><b>{say.offline}</b> {say.offlineHint}</span></p>;
  if (shot.backAt !== null) return <p className="note" role="status"><IconWifi size={16} aria-hidden /><span><b>{say.back(TIME.format(shot.backAt))}</b> {say.backHint}</span></p>;
  return null;
}

function LevelCard({ terms, level, choose, fixed }: { terms: Terms; level: Level; choose: (level: Level) => void; fixed: boolean }): ReactNode {
  return (
    <section className="card">
      <header><h2>{say.level}</h2><span className="t3 xs end">{say.from(terms.agreement.version)}</span></header>
      <div className="body col" style={{ gap: 10 }}>
        <div className="seg" role="radiogroup" aria-label={say.level} style={{ alignSelf: "flex-start" }}>
          {LEVELS.map((one) => {
            const agreed = (terms.levels as string[]).includes(one);
            const button = (
              <button key={one} type="button" role="radio" aria-checked={one === level} disabled={!agreed || (fixed && one !== level)} onClick={() => choose(one)}>{say.levels[one]}</button>
            );
            return agreed ? button : <Tooltip key={one} label={say.notAgreed}><span>{button}</span></Tooltip>;
          })}
        </div>
        <p className="t2">{say.levelText[level]}</p>
        <div className="row"><ClassBadge of={level === "identified" ? "identified" : "pseudonymised"} /><span className="xs t3">{say.become}</span></div>
      </div>
    </section>
  );
}

interface Row {
  name: string;
  reason: string;
}

function of(shot: Shot, result: "refused" | "quarantined"): Row[] {
  if (shot.counts[result] === 0) return [];
  return shot.studies.filter((study) => study.counts[result] > 0).flatMap((study) => study.items.filter((item) => item.result === result));
}

/** What did not go in, by reason, with the names of the first. */
function Reasons({ title, hint, rows }: { title: string; hint?: string; rows: readonly Row[] }): ReactNode {
  if (rows.length === 0) return null;
  const by = new Map<string, string[]>();
  for (const row of rows) by.set(row.reason, [...(by.get(row.reason)?.slice(0, 3) ?? []), row.name].slice(0, 3));
  const counts = new Map<string, number>();
  for (const row of rows) counts.set(row.reason, (counts.get(row.reason) ?? 0) + 1);
  return (
    <section className="card">
      <header><h2>{title}</h2><span className="t3">{count(rows.length)}</span>{hint && <span className="end xs t3">{hint}</span>}</header>
      <ul className="why">
        {[...by].map(([reason, names]) => (
          <li key={reason}>
            <span className="row"><span className="b">{say.reasons[reason] ?? reason}</span><span className="t3 xs end">{count(counts.get(reason) ?? 0, "file")}</span></span>
            {names.map((name, index) => <span key={`${name}${index}`} className="xs t3 mono">{name}</span>)}
            {(counts.get(reason) ?? 0) > names.length && <span className="xs t3">{say.others(count((counts.get(reason) ?? 0) - names.length))}</span>}
          </li>
        ))}
      </ul>
    </section>
  );
}

