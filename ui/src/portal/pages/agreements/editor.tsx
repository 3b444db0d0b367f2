// The fields of a version that is being written.
import type { ReactNode } from "react";

import { words } from "../../app/words";
import { Choice } from "../../parts/ask";
import { BASES_6, BASES_9, BASES_HIPAA, basisText, CLASSES, LEVELS, PURPOSES, purposeName } from "../../parts/terms";
import { Gone, SetBefore, SetChoice, type Term } from "../../parts/term-diff";
import { type Draft, same } from "./draft";

const text = words.agreements;
const labels = text.labels;

interface Editing {
  before: Draft | undefined;
  draft: Draft;
  set: (change: Partial<Draft>) => void;
  /** Names of what may be chosen. */
  applications: ReadonlyMap<string, string>;
  sources: ReadonlyMap<string, string>;
  region: string;
}

export function editedTerms({ before, draft, set, applications, sources, region }: Editing): Term[] {
  const changed = (name: keyof Draft): boolean => before !== undefined && !same(before[name], draft[name]);
  const term = (name: keyof Draft, label: readonly [string, string], old: ReactNode, now: ReactNode): Term => ({
    key: name, label, now, changed: changed(name), ...(before === undefined ? {} : { before: old }),
  });
  const set_ = <Value extends string>(label: readonly [string, string], key: keyof Draft, all: readonly Value[], name: (value: Value) => string): Term => {
    const [was, is] = [(before?.[key] ?? []) as Value[], draft[key] as unknown as Value[]];
    return term(
      key, label,
      <SetBefore before={was} after={is} name={name} />,
      <SetChoice label={label[0]} all={all} chosen={is} before={was} name={name} choose={(values) => set({ [key]: values })} />,
    );
  };
  const terms = [
    term("basis", labels.basis, <Gone>{before && basisText(before.basis)}</Gone>, <Basis value={draft.basis} choose={(basis) => set({ basis })} />),
    set_(labels.purposes, "purposes", PURPOSES, purposeName),
    set_(labels.classes, "classes", CLASSES, (one) => words.classes[one]),
    set_(labels.levels, "levels", LEVELS, (one) => words.levels[one]),
    term("access", labels.access, <Gone>{before && accessText(before)}</Gone>, (
      <span className="row"><Count label={labels.access[0]} value={draft.access} set={(access) => set({ access })} /><span>{text.accessDays}</span></span>
    )),
    term("retention", labels.retention, <Gone>{before && retentionText(before)}</Gone>, (
      <span className="row">
        <Count label={labels.retention[0]} value={draft.retention} set={(retention) => set({ retention })} />
        <span>{draft.retention === "" ? text.noRetention : text.retentionDays}</span>
      </span>
    )),
  ];
  if (applications.size > 0) terms.push(set_(labels.results, "results", [...applications.keys()], (one) => applications.get(one) ?? one));
  if (sources.size > 0) {
    terms.push(term("source", labels.source, <Gone>{before && (sources.get(before.source) ?? text.noSource)}</Gone>, (
      <Choice label={labels.source[0]} value={draft.source} values={[["", text.noSource], ...sources]} choose={(source) => set({ source })} />
    )));
  }
  terms.push(
    term("ends", labels.ends, <Gone>{before && (before.ends || text.never)}</Gone>, (
      <span className="row">
        <span className="inp"><input type="date" aria-label={labels.ends[0]} value={draft.ends} onChange={(event) => set({ ends: event.target.value })} /></span>
        {draft.ends === "" && <span>{text.never}</span>}
      </span>
    )),
    { key: "region", label: labels.region, now: region.toUpperCase(), changed: false, ...(before === undefined ? {} : { before: "" }) },
  );
  return terms;
}

export function accessText(draft: Draft): string {
  return `${draft.access} ${draft.access === "1" ? words.bits.day : words.bits.days}`;
}

export function retentionText(draft: Draft): string {
  return draft.retention ? `${draft.retention} ${text.retentionDays}` : text.noRetention;
}

function Count({ label, value, set }: { label: string; value: string; set: (value: string) => void }): ReactNode {
  return (
    <span className="inp" style={{ width: 84 }}>
      <input inputMode="decimal" aria-label={label} value={value} onChange={(event) => set(event.target.value.replace(/[^\d.]/g, ""))} />
    </span>
  );
}

const SIMPLE = /^gdpr:6\.1\.([a-f])(?:\+9\.2\.([a-j]))?$/;

/** Articles of the GDPR, or a category of HIPAA; a basis of several articles is typed as it is. */
function Basis({ value, choose }: { value: string; choose: (basis: string) => void }): ReactNode {
  const simple = SIMPLE.exec(value);
  const hipaa = value.startsWith("hipaa:");
  const law = (
    <Choice
      label={text.law}
      value={hipaa ? "hipaa" : "gdpr"}
      values={[["gdpr", "GDPR"], ["hipaa", "HIPAA"]]}
      choose={(one) => choose(one === "hipaa" ? "hipaa:tpo" : "gdpr:6.1.e+9.2.h")}
    />
  );
  if (hipaa) {
    return <span className="basis">{law}<Choice label={text.category} value={value.slice(6)} values={BASES_HIPAA} choose={(one) => choose(`hipaa:${one}`)} /></span>;
  }
  if (simple === null) {
    return <span className="basis">{law}<span className="inp"><input className="mono" aria-label={labels.basis[0]} value={value} onChange={(event) => choose(event.target.value)} /></span></span>;
  }
  const [, six = "e", nine = ""] = simple;
  const put = (a: string, b: string): void => choose(`gdpr:6.1.${a}${b ? `+9.2.${b}` : ""}`);
  return (
    <span className="basis">
      {law}
      <Choice label={text.art6} value={six} values={BASES_6} choose={(one) => put(one, nine)} />
      <Choice label={text.art9} value={nine} values={[["", text.noArt9], ...BASES_9]} choose={(one) => put(six, one)} />
    </span>
  );
}
