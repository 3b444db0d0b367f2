// One agreement: what it says, what each version changed, how it is amended and withdrawn.
import { IconBell, IconArchive, IconClockCheck, IconShieldX } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { Link, useParams } from "@tanstack/react-router";
import { type ReactNode, useState } from "react";

import "../admin.css";
import "./agreements.css";
import { api, ApiError } from "../../api/client";
import { useRole } from "../../app/session";
import { Top } from "../../app/shell";
import { words } from "../../app/words";
import { StateDot } from "../../parts/badges";
import { Confirm } from "../../parts/confirm";
import { Failed, Field, useAct, useTry } from "../../parts/ask";
import { Failure } from "../../parts/states";
import { TermDiff } from "../../parts/term-diff";
import { purposeName, span } from "../../parts/terms";
import { WardLine } from "../../parts/ward";
import { When } from "../../parts/when";
import { Logo, studiesOf, useApplications, useGrantsOf } from "../applications";
import { type Agreement, changedTerms, type Draft, draftOf, same, termsOf, whole } from "./draft";
import { editedTerms } from "./editor";
import { DOTS } from "./list";
import { shownTerms } from "./terms";

const text = words.agreements;

export function OneAgreement(): ReactNode {
  const { application } = useParams({ strict: false }) as { application: string };
  const applications = useApplications();
  const found = useQuery({
    queryKey: ["agreements", application],
    queryFn: async () => {
      try {
        return (await api.GET("/api/v1/agreements/{application}", { params: { path: { application } } })).data?.versions ?? [];
      } catch (error) {
        if (error instanceof ApiError && error.problem.status === 404) return [];
        throw error;
      }
    },
  });
  const asked = useQuery({
    queryKey: ["entitlements", application],
    queryFn: async () => (await api.GET("/api/v1/entitlements", { params: { query: { application } } })).data?.entitlements ?? [],
  });
  const sources = useQuery({ queryKey: ["sources"], queryFn: async () => (await api.GET("/api/v1/sources")).data?.sources ?? [] });
  const names = new Map((applications.data ?? []).map((one) => [one.id, one.name]));
  const name = application === "images" ? text.images : names.get(application) ?? application;
  const error = found.error ?? asked.error ?? applications.error ?? sources.error;
  return (
    <>
      <Top crumbs={<><Link to="/agreements">{text.title}</Link><span aria-hidden>›</span><b>{name}</b></>} />
      {error ? <main className="page" id="content"><Failure error={error} again={() => void found.refetch()} /></main>
        : found.data === undefined || asked.data === undefined || sources.data === undefined ? <main className="page late" id="content" aria-busy aria-label={words.states.loading}><div className="skeleton" /></main>
        : (
          <Versions
            key={application}
            application={application}
            name={name}
            versions={found.data}
            asks={asked.data[0]}
            others={new Map([...names].filter(([id]) => id !== application))}
            sources={new Map(sources.data.map((one) => [one.id, one.name]))}
          />
        )}
    </>
  );
}

/** How many terms a version changed; who attested it, and in which document, is said anew for each. */
function told(row: Agreement): number {
  return (row.changes ?? []).filter(({ member }) => member !== "document" && !member.startsWith("attested")).length;
}

interface Known {
  application: string;
  name: string;
  versions: readonly Agreement[];
  asks: Parameters<typeof draftOf>[1];
  others: ReadonlyMap<string, string>;
  sources: ReadonlyMap<string, string>;
}

function Versions({ application, name, versions, asks, others, sources }: Known): ReactNode {
  const may = useRole("administrator");
  const newest = versions[0];
  const [draft, setDraft] = useState<Draft | null>(newest === undefined && may ? draftOf(undefined, asks) : null);
  const [version, setVersion] = useState<number | null>(null);
  const [withdrawing, setWithdrawing] = useState<number | "all" | null>(null);
  const grants = useGrantsOf(application);
  const act = useAct(["agreements"], ["grants"], ["entitled"]);
  const shown = versions.find((one) => one.version === version) ?? newest;
  const earlier = versions.find((one) => one.version === (shown?.version ?? 0) - 1);
  const next = (newest?.version ?? 0) + 1;
  const before = newest === undefined ? undefined : draftOf(newest, asks);
  const held = (grants.data?.grants ?? []).filter((one) => draft !== null || shown === undefined || one.agreement_version === shown.version || shown === newest);
  const studies = studiesOf(held, Boolean(grants.data?.next));
  const own = application === "images";
  const live = versions.some((one) => one.state === "in-force" || one.state === "superseded");
  const begin = (): void => { setVersion(null); setDraft(draftOf(newest, asks)); };
  const region = newest?.region ?? asks?.regions[0] ?? "";
  const changes = draft === null ? [] : changedTerms(before, draft);
  return (
    <div className="ag">
      <aside className="vl" aria-label={text.versions}>
        <h2>{text.versions}</h2>
        {draft !== null && (
          <div className="v on" aria-current="true">
            <StateDot state="run"><b className="bb">{text.draft} v{next}</b></StateDot>
            <span className="xs t2">{text.states.draft}</span>
          </div>
        )}
        {versions.map((one) => (
          <button key={one.version} type="button" className={draft === null && one === shown ? "v on" : "v"} aria-current={draft === null && one === shown} onClick={() => { setDraft(null); setVersion(one.version); }}>
            <StateDot state={DOTS[one.state]}><b className="bb">v{one.version}</b></StateDot>
            <span className="xs t3">{text.states[one.state]} · {one.created && <When at={one.created} />}</span>
            <span className="xs t2">{one.changes ? text.changes(told(one)) : text.first}</span>
          </button>
        ))}
      </aside>
      <main className="mid" id="content">
        <div className="hd">
          <div className="row g3">
            <Logo name={name} />
            <h1>{name}</h1>
            {draft !== null ? <span className="tag">{text.draft} v{next}</span> : shown && <StateDot state={DOTS[shown.state]}>{text.states[shown.state]} v{shown.version}</StateDot>}
            {may && (
              <span className="end row">
                {live && <button type="button" className="btn sm dan-q" onClick={() => setWithdrawing("all")}>{text.withdraw}</button>}
                {draft === null && <button type="button" className="btn sm pri" onClick={begin}>{newest === undefined ? text.new : text.amend}</button>}
              </span>
            )}
          </div>
          {shown !== undefined && (
            <WardLine
              hold={own ? text.holdOwn : text.hold(studies)}
              who={own ? text.own : held.length > 0 ? text.only(name) : text.nobody}
              why={text.purposes(shown.purposes.length)}
              until={live ? (own ? text.until(span(shown.access_s)) : text.perStudy(span(shown.access_s))) : text.notInForce}
              grants={held}
            />
          )}
        </div>
        {draft !== null ? (
          <TermDiff
            heads={[before === undefined ? text.terms : text.change(changes.length), newest === undefined ? "" : `v${newest.version}, ${text.states[newest.state].toLowerCase()}`, `v${next}, ${text.draft.toLowerCase()}`]}
            terms={editedTerms({ before, draft, applications: others, sources, region, set: (change) => setDraft({ ...draft, ...change }) })}
          />
        ) : shown === undefined ? <div className="centre"><p className="t2">{text.none}</p></div> : (
          <TermDiff
            heads={[shown.changes ? text.changes(told(shown)) : text.terms, earlier ? `v${earlier.version}, ${text.before}` : "", `v${shown.version}, ${text.states[shown.state].toLowerCase()}`]}
            terms={shownTerms(earlier, shown, others, sources)}
          />
        )}
      </main>
      {draft !== null ? (
        <Effects before={before} draft={draft} name={name} own={own} studies={held.length > 0 ? studies : ""} of={newest?.version} save={async (attested) => {
          const body = termsOf(before, draft, attested, newest?.version);
          await act(() => api.PUT("/api/v1/agreements/{application}", { params: { path: { application } }, body }));
          setDraft(null);
          setVersion(null);
        }} discard={newest === undefined ? undefined : () => setDraft(null)} />
      ) : shown !== undefined && (
        <aside className="ef" aria-label={text.effectsView(shown.version)}>
          <h2>{text.effectsView(shown.version)}</h2>
          <dl className="facts">
            <dt>{text.attested}</dt><dd>{shown.attested && <When at={shown.attested} />} {text.by} {shown.attested_by}</dd>
            <dt>{text.document}</dt><dd>{shown.document || "–"}</dd>
            {shown.withdrawn && <><dt>{text.withdrawnBy}</dt><dd>{shown.withdrawn_by} · <When at={shown.withdrawn} /></dd></>}
          </dl>
          {may && shown !== newest && shown.state === "superseded" && (
            <button type="button" className="btn sm dan-q ft" onClick={() => setWithdrawing(shown.version)}>{text.withdrawVersion}</button>
          )}
        </aside>
      )}
      {withdrawing !== null && (
        <Withdraw application={application} name={name} own={own} version={withdrawing === "all" ? undefined : withdrawing} studies={held.length > 0 ? studies : ""} close={() => setWithdrawing(null)}
          act={() => act(() => api.DELETE("/api/v1/agreements/{application}", { params: { path: { application }, query: withdrawing === "all" ? {} : { version: withdrawing } } })).then(() => { setDraft(null); setVersion(null); })} />
      )}
    </div>
  );
}

interface Saving {
  before: Draft | undefined;
  draft: Draft;
  name: string;
  own: boolean;
  studies: string;
  of: number | undefined;
  save: (attested: { by: string; document: string }) => Promise<void>;
  discard: (() => void) | undefined;
}

function Effects({ before, draft, name, own, studies, of, save, discard }: Saving): ReactNode {
  const [by, setBy] = useState("");
  const [document, setDocument] = useState("");
  const { busy, failed, run } = useTry();
  const next = (of ?? 0) + 1;
  const changed = before === undefined || !same(before, draft);
  const gone = <Value extends string>(was: readonly Value[] = [], is: readonly Value[] = []): Value[] => was.filter((one) => !is.includes(one));
  const ready = changed && whole(draft) && by.trim() !== "" && document.trim() !== "" && !busy;
  return (
    <aside className="ef" aria-label={text.effects(next)}>
      <h2>{text.effects(next)}</h2>
      <ul>
        {!changed && <li className="t2">{text.nothing}</li>}
        {changed && of === undefined && !own && <li><IconClockCheck size={16} aria-hidden /><span>{text.begins(name)}</span></li>}
        {changed && of !== undefined && studies !== "" && <li><IconClockCheck size={16} aria-hidden /><span>{text.keep(studies, of)}</span></li>}
        {gone(before?.purposes, draft.purposes).map((one) => <li key={one}><IconShieldX size={16} aria-hidden /><span>{text.refused(purposeName(one))}</span></li>)}
        {gone(before?.levels, draft.levels).map((one) => <li key={one}><IconShieldX size={16} aria-hidden /><span>{text.turnedAway(words.levels[one].toLowerCase())}</span></li>)}
        {changed && !own && <li><IconBell size={16} aria-hidden /><span className="t2">{text.told(name)}</span></li>}
        {changed && of !== undefined && <li><IconArchive size={16} aria-hidden /><span className="t2">{text.readable(of)}</span></li>}
      </ul>
      <form className="ft" onSubmit={(event) => { event.preventDefault(); if (ready) void run(() => save({ by, document })); }}>
        <Field label={text.attestedBy} hint={text.attestedHint}><span className="inp"><input name="attested_by" value={by} onChange={(event) => setBy(event.target.value)} /></span></Field>
        <Field label={text.documentLabel} hint={text.documentHint}><span className="inp"><input name="document" value={document} onChange={(event) => setDocument(event.target.value)} /></span></Field>
        <Failed text={failed} />
        <button type="submit" className="btn pri" disabled={!ready}>{text.save(next)}</button>
        {discard && <button type="button" className="btn qt" onClick={discard}>{text.discard}</button>}
      </form>
    </aside>
  );
}

interface Ending {
  application: string;
  name: string;
  own: boolean;
  version: number | undefined;
  studies: string;
  act: () => Promise<unknown>;
  close: () => void;
}

function Withdraw({ application, name, own, version, studies, act, close }: Ending): ReactNode {
  return (
    <Confirm opened title={`${version === undefined ? text.withdrawTitle : text.withdrawVersionTitle(version)} ${name}`} action={text.withdrawAct} type={application} act={act} close={close}>
      <ol className="says">
        <li>{own ? text.endsOwn : studies === "" ? text.endsNone : text.ends(studies)}</li>
        {version === undefined && text.endsOthers.map((one) => <li key={one}>{one}</li>)}
        {!own && <li>{text.told(name)}</li>}
      </ol>
      <p className="t2">{text.endsNot}</p>
      {version === undefined && <p className="t2">{text.milder}</p>}
    </Confirm>
  );
}
