// Who can see this study, why, until when, what they read; and the one click that ends it.
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { IconApps, IconUser } from "@tabler/icons-react";
import { type ReactNode, useState } from "react";

import { api } from "../../api/client";
import type { components } from "../../api/schema";
import { NotProved, present } from "../../app/step-up";
import { useRole } from "../../app/session";
import { words } from "../../app/words";
import { Lamp } from "../../parts/badges";
import { useRecipients } from "../../parts/recipients";
import { Failure } from "../../parts/states";
import { When } from "../../parts/when";
import { basisOf, type Entry, howMuch, purposeOf, rowsOf, useApplications } from "../trail/entry";
import { grantsQuery } from "./data";
import { EndAll } from "./actions";
import "./access.css";

export type Grant = components["schemas"]["Grant"];
type Share = components["schemas"]["Share"];

/** Grants that hold now. */
export const isOpen = (grant: Grant): boolean => !grant.ended && Date.parse(grant.expires_at) > Date.now();

export async function revoke(grant: string): Promise<void> {
  await present(() => api.DELETE("/api/v1/grants/{grant}", { params: { path: { grant } } }));
}

export const sharesQuery = (study: string) => ({
  queryKey: ["shares", study],
  queryFn: async () => (await api.GET("/api/v1/studies/{study}/shares", { params: { path: { study } } })).data?.shares ?? [],
  refetchInterval: (query: { state: { data?: Share[] | undefined } }) => (query.state.data?.some(isUnderWay) ? 1500 : false) as number | false,
});

interface Gone { grant: Grant; at: number }

const isUnderWay = (share: Share): boolean => share.state === "copying" || share.state === "waiting";

export function usePeople(): Map<string, string> {
  const may = useRole("administrator", "privacy-officer");
  const { data } = useQuery({ queryKey: ["people", "names"], enabled: may, queryFn: async () => (await api.GET("/api/v1/people")).data?.people ?? [] });
  const colleagues = useRecipients("colleagues", !may);
  return new Map((data ?? colleagues.data ?? []).map((one) => [one.id, one.name]));
}

export function Access({ study }: { study: string }): ReactNode {
  const queries = useQueryClient();
  const reads = useRole("administrator", "privacy-officer");
  const shares = useRole("administrator", "clinician");
  const applications = useApplications();
  const people = usePeople();
  const [gone, setGone] = useState<ReadonlyMap<string, Gone>>(new Map());
  const [failed, setFailed] = useState("");
  const found = useQuery({ ...grantsQuery(study), refetchInterval: 15_000 });
  const wishes = useQuery({ ...sharesQuery(study), enabled: shares });
  // What was ended here stays in its place for as long as one looks.
  const live = (found.data ?? []).filter((one) => isOpen(one) && !gone.has(one.id));
  const grants = [...live, ...[...gone.values()].map((one) => one.grant)].sort((a, b) => b.not_before.localeCompare(a.not_before));
  const releases = [...new Set(grants.map((one) => one.study).filter((one): one is string => !!one))];
  const used = useQuery({
    queryKey: ["audit", "used", ...releases],
    enabled: reads && releases.length > 0,
    staleTime: 60_000,
    queryFn: async () => {
      const { data } = await api.POST("/api/v1/audit/search", { body: { studies: releases.slice(0, 50), group: ["read", "export"], limit: 200 } });
      return data === undefined ? [] : rowsOf(data).flatMap((row) => (row.entry ? [row.entry] : []));
    },
  });
  const end = async (grant: Grant): Promise<void> => {
    setFailed("");
    try {
      await revoke(grant.id);
      setGone((was) => new Map(was).set(grant.id, { grant, at: Date.now() }));
      await Promise.all([queries.invalidateQueries({ queryKey: ["grants"] }), queries.invalidateQueries({ queryKey: ["audit"] })]);
    } catch (error) {
      if (!(error instanceof NotProved)) setFailed(error instanceof Error ? error.message : String(error));
    }
  };
  if (found.error) return <Failure error={found.error} again={() => void found.refetch()} />;
  const waiting = (wishes.data ?? []).filter((one) => isUnderWay(one) && !grants.some((grant) => grant.id === one.grant));
  const name = (one: { application?: string | null; person?: string | null }): string =>
    (one.application ? applications.get(one.application) ?? one.application : one.person ? people.get(one.person) ?? one.person : "") || "–";
  return (
    <section className="acl" aria-label={words.access.title}>
      <div className="ph">
        <h2>{words.access.title}</h2>
        <span className="t3">{found.isPending ? "" : live.length}</span>
        {live.length > 1 && <span className="end"><EndAll study={study} /></span>}
      </div>
      {failed && <p className="note bad" role="alert">{failed}</p>}
      {found.isPending && <div className="gr late"><span className="skeleton" style={{ width: "60%" }} /><span className="skeleton" style={{ width: "80%" }} /></div>}
      {waiting.map((one) => (
        <article key={one.id} className="gr">
          <Holder name={name(one)} person={!!one.person} says={`${words.access.copying} · ${one.stored} ${words.access.of} ${one.total}`} />
          <span className="bar"><i style={{ width: `${(100 * one.stored) / Math.max(1, one.total)}%` }} /></span>
        </article>
      ))}
      {grants.map((one) => {
        const at = gone.get(one.id)?.at;
        return at !== undefined ? (
          <article key={one.id} className="gr gone" role="status">
            <div className="row g3">
              <Lamp left={null} />
              <span className="grow"><b className="b">{name(one)}</b> {words.access.revoked}</span>
              <span className="xs t3"><When at={at} /></span>
            </div>
          </article>
        ) : (
          <GrantRow key={one.id} grant={one} name={name(one)} used={reads ? (used.isPending && releases.length > 0 ? undefined : lastOf(one, used.data ?? [])) : null} end={() => end(one)} />
        );
      })}
      {found.isSuccess && grants.length === 0 && waiting.length === 0 && (
        <div className="acl-none">
          <Lamp left={null} big />
          <p className="b">{words.access.nobody}</p>
          <p className="t2">{words.access.nobodyHint}</p>
        </div>
      )}
    </section>
  );
}

function Holder({ name, person, says, children }: { name: string; person: boolean; says: string; children?: ReactNode }): ReactNode {
  const Icon = person ? IconUser : IconApps;
  return (
    <div className="row g3">
      <span className={`logo ${person ? "u" : "a"}`}><Icon size={16} stroke={1.8} aria-hidden /></span>
      <div className="grow">
        <div className="bb ell">{name}</div>
        <div className="xs t3 ell">{says}</div>
      </div>
      {children}
    </div>
  );
}

interface Used { at: string; what: string }

/** The newest read under this grant, and how much was read under it in all that is known. */
function lastOf(grant: Grant, entries: readonly Entry[]): Used | "never" {
  const own = entries.filter((one) => one.grant === grant.id || (one.phase === "finished" && entries.some((other) => other.id === one.of && other.grant === grant.id)));
  const newest = own[0];
  if (newest === undefined) return "never";
  const did = words.trail.did[newest.action] ?? newest.action;
  const counted = own.find((one) => howMuch(one) !== "");
  return { at: newest.recorded, what: [did, counted ? howMuch(counted) : ""].filter(Boolean).join(", ") };
}

function GrantRow({ grant, name, used, end }: { grant: Grant; name: string; used: Used | "never" | null | undefined; end: () => Promise<void> }): ReactNode {
  const [busy, setBusy] = useState(false);
  const basis = useBasis(grant);
  const [from, to] = [Date.parse(grant.not_before), Date.parse(grant.expires_at)];
  const agreement = grant.agreement_version ? `${words.trail.agreement} v${grant.agreement_version}` : "";
  return (
    <article className="gr">
      <Holder name={name} person={!!grant.person} says={[grant.person ? words.access.colleague : words.access.application, grant.level ? `${words.study.level} ${grant.level}` : ""].filter(Boolean).join(" · ")}>
        <button
          type="button"
          className="btn xs dan-q"
          disabled={busy}
          aria-label={`${words.access.revoke}: ${name}`}
          onClick={() => { setBusy(true); void end().finally(() => setBusy(false)); }}
        >
          {words.access.revoke}
        </button>
      </Holder>
      <dl className="kv xs">
        <dt>{words.access.purpose}</dt><dd className="ell">{grant.purposes.map(purposeOf).join(", ")}</dd>
        <dt>{words.access.basis}</dt><dd className="ell">{[basis, agreement].filter(Boolean).join(" · ") || "–"}</dd>
        <dt>{words.access.since}</dt><dd><When at={grant.not_before} /></dd>
        <dt>{words.access.until}</dt>
        <dd className="row g1"><Lamp left={Math.max(0, Math.min(1, (to - Date.now()) / Math.max(1, to - from)))} /><b className="b"><When at={grant.expires_at} />, {leftText(to - Date.now())}</b></dd>
        <dt>{words.access.used}</dt>
        <dd className="ell">{used === undefined ? "…" : used === null ? words.access.notYours : used === "never" ? words.access.never : <><When at={used.at} />, {used.what}</>}</dd>
      </dl>
    </article>
  );
}

/** The legal basis of the version of the agreement that the grant rests on. */
function useBasis(grant: Grant): string {
  const may = useRole("administrator", "privacy-officer");
  const application = grant.application ?? "images";
  const { data } = useQuery({
    queryKey: ["agreement-versions", application],
    enabled: may,
    staleTime: 60_000,
    queryFn: async () => (await api.GET("/api/v1/agreements/{application}", { params: { path: { application } } })).data?.versions ?? [],
  });
  return basisOf(data?.find((one) => one.version === grant.agreement_version)?.legal_basis);
}

export function leftText(milliseconds: number): string {
  const hours = milliseconds / 3_600_000;
  if (hours >= 48) return `${Math.floor(hours / 24)} ${words.access.days} ${words.access.left}`;
  if (hours >= 1) return `${Math.floor(hours)} ${words.access.hours} ${words.access.left}`;
  return `${Math.max(0, Math.floor(hours * 60))} ${words.access.minutes} ${words.access.left}`;
}
