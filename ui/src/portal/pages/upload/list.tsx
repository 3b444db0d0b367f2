// The studies of an upload, each with its files when opened. Only the rows in view are in the page.
import { IconChevronDown, IconChevronRight, IconPlayerPause, IconPlayerPlay } from "@tabler/icons-react";
import { type ReactNode, useEffect, useRef, useState } from "react";

import { words } from "../../app/words";
import type { Engine, Item, Result, Shot, Study } from "./engine";
import { count, size } from "./numbers";

const say = words.upload;
const ROW = 37;
const BEYOND = 8;

export function List({ shot, engine }: { shot: Shot; engine: Engine }): ReactNode {
  const [open, setOpen] = useState<ReadonlySet<string>>(new Set());
  const scroll = useRef<HTMLDivElement>(null);
  const [view, setView] = useState<readonly [number, number]>([0, 800]);
  useEffect(() => {
    const element = scroll.current;
    if (!element) return undefined;
    const look = (): void => setView([element.scrollTop, element.clientHeight]);
    const watch = new ResizeObserver(look);
    watch.observe(element);
    element.addEventListener("scroll", look, { passive: true });
    return () => {
      watch.disconnect();
      element.removeEventListener("scroll", look);
    };
  }, []);
  const rows: [Study, Item | null][] = [];
  for (const study of shot.studies) {
    rows.push([study, null]);
    if (open.has(study.key)) for (const item of study.items) rows.push([study, item]);
  }
  const first = Math.max(0, Math.floor(view[0] / ROW) - BEYOND);
  const last = Math.min(rows.length, Math.ceil((view[0] + view[1]) / ROW) + BEYOND);
  const toggle = (key: string): void => setOpen((before) => {
    const after = new Set(before);
    if (!after.delete(key)) after.add(key);
    return after;
  });
  return (
    <div className="tw">
      <div className="scroll" ref={scroll} tabIndex={0} role="region" aria-label={say.progress}>
        <table aria-rowcount={rows.length + 1}>
          <colgroup><col /><col style={{ width: 84 }} /><col style={{ width: 150 }} /><col style={{ width: 250 }} /><col style={{ width: 52 }} /></colgroup>
          <thead><tr><th>{say.file}</th><th className="num">{say.size}</th><th style={{ paddingLeft: 20 }}>{say.progress}</th><th>{say.state}</th><th aria-label={say.pause} /></tr></thead>
          <tbody>
            {first > 0 && <tr className="pad" aria-hidden><td colSpan={5} style={{ height: first * ROW }} /></tr>}
            {rows.slice(first, last).map(([study, item], index) => (item === null ? (
              <StudyRow key={study.key} study={study} shot={shot} engine={engine} open={open.has(study.key)} toggle={toggle} row={first + index + 2} />
            ) : (
              <FileRow key={`${study.key}-${first + index}`} item={item} row={first + index + 2} />
            )))}
            {last < rows.length && <tr className="pad" aria-hidden><td colSpan={5} style={{ height: (rows.length - last) * ROW }} /></tr>}
          </tbody>
        </table>
      </div>
    </div>
  );
}

function StudyRow({ study, shot, engine, open, toggle, row }: { study: Study; shot: Shot; engine: Engine; open: boolean; toggle: (key: string) => void; row: number }): ReactNode {
  const label = study.key === "loose" ? say.loose : study.label || say.unnamed;
  const Fold = open ? IconChevronDown : IconChevronRight;
  const over = study.done === study.items.length;
  const pausable = !over && (shot.state === "sending" || shot.state === "paused");
  return (
    <tr className="g" aria-rowindex={row}>
      <td>
        <button type="button" className="fold" aria-expanded={open} onClick={() => toggle(study.key)}>
          <Fold size={14} aria-hidden />
          {study.modality && <span className="tag mod">{study.modality}</span>}
          <b className="ell">{label}</b>
          <span className="t3">{count(study.items.length, "file")}</span>
        </button>
      </td>
      <td className="num t2">{size(study.bytes)}</td>
      <td style={{ paddingLeft: 20 }}><Bar sent={study.sent} size={study.bytes} tone={toneOf(study)} label={label} /></td>
      <td><StudyState study={study} shot={shot} /></td>
      <td>
        {pausable && (
          <button type="button" className="icb" aria-label={`${study.paused ? say.resume : say.pause}: ${label}`} onClick={() => (study.paused ? engine.resume(study) : engine.pause(study))}>
            {study.paused ? <IconPlayerPlay size={14} /> : <IconPlayerPause size={14} />}
          </button>
        )}
      </td>
    </tr>
  );
}

function StudyState({ study, shot }: { study: Study; shot: Shot }): ReactNode {
  if (study.done === study.items.length) {
    const said = (["stored", "duplicate", "quarantined", "refused"] as const).filter((one) => study.counts[one] > 0).map((one) => `${count(study.counts[one])} ${say.results[one]}`).join(", ");
    return <span className={`st ${study.counts.refused ? "bad" : study.counts.quarantined ? "warn" : "ok"}`}>{said}</span>;
  }
  if (study.paused || shot.state === "paused") return <span className="st off">{say.states.paused}, {size(study.sent)} of {size(study.bytes)}</span>;
  if (study.sent === study.bytes) return <span className="st run">{say.states.checking}, {count(study.done)} of {count(study.items.length)}</span>;
  if (study.active > 0 || study.sent > 0) return <span className="st run">{say.states.sending}, {count(study.items.filter((one) => one.sent === one.size).length)} of {count(study.items.length)}</span>;
  return <span className="st off">{say.states.waiting}</span>;
}

const DOTS: Record<Result, string> = { stored: "ok", duplicate: "off", refused: "bad", quarantined: "warn" };

function FileRow({ item, row }: { item: Item; row: number }): ReactNode {
  const reason = item.reason ? `: ${say.reasons[item.reason] ?? item.reason}` : "";
  const state = item.result ? `${say.result[item.result]}${reason}` : item.sent === item.size ? say.states.checking : item.sent > 0 ? say.states.sending : say.states.waiting;
  const tone = item.result === "refused" || item.result === "quarantined" ? "w" : item.result ? "ok" : "";
  return (
    <tr aria-rowindex={row}>
      <td><span className="mono t2 ind ell">{item.name}</span></td>
      <td className="num t2">{size(item.size)}</td>
      <td style={{ paddingLeft: 20 }}><Bar sent={item.sent} size={item.size} tone={tone} label={item.name} /></td>
      <td colSpan={2}><span className={`st ${item.result ? DOTS[item.result] : item.sent > 0 ? "run" : "off"}`}>{state}</span></td>
    </tr>
  );
}

function toneOf(study: Study): string {
  if (study.done < study.items.length) return "";
  return study.counts.refused + study.counts.quarantined > 0 ? "w" : "ok";
}

function Bar({ sent, size: whole, tone, label }: { sent: number; size: number; tone: string; label: string }): ReactNode {
  const percent = whole ? Math.floor((100 * sent) / whole) : 0;
  return (
    <div className="row">
      <span className="bar" style={{ width: "100%" }} role="progressbar" aria-label={label} aria-valuemin={0} aria-valuemax={100} aria-valuenow={percent}><i className={tone} style={{ width: `${percent}%` }} /></span>
      <span className="num t2 pc">{percent} %</span>
    </div>
  );
}
