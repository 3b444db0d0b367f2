// A version that is being written: what the fields hold, and what is sent of it.
import type { components } from "../../api/schema";
import type { Level, TermClass } from "../../parts/terms";

export type Agreement = components["schemas"]["Agreement"];
type Terms = components["schemas"]["AgreementTerms"];
export type Code = NonNullable<Terms["purposes"]>[number];

export interface Draft {
  basis: string;
  purposes: Code[];
  classes: TermClass[];
  levels: Level[];
  /** Days, as typed. */
  access: string;
  retention: string;
  results: string[];
  source: string;
  /** YYYY-MM-DD, or nothing. */
  ends: string;
}

const DAY_S = 86_400;

export function draftOf(row: Agreement | undefined, asks: components["schemas"]["Entitlement"] | undefined): Draft {
  if (row === undefined) {
    return {
      basis: "gdpr:6.1.e+9.2.h",
      purposes: (asks?.purposes.map((one) => one.code) ?? []) as Code[],
      classes: asks?.classes ?? ["health data", "image data, pseudonymised"],
      levels: asks === undefined ? ["high"] : [asks.level],
      access: "30",
      retention: "",
      results: [],
      source: "",
      ends: "",
    };
  }
  return {
    basis: row.legal_basis,
    purposes: row.purposes.map((one) => one.code) as Code[],
    classes: row.classes,
    levels: row.levels,
    access: String(row.access_s / DAY_S),
    retention: row.retention_days == null ? "" : String(row.retention_days),
    results: row.results_of ?? [],
    source: row.source ?? "",
    ends: row.ends ? new Date(row.ends).toLocaleDateString("sv-SE") : "",
  };
}

export function same(a: unknown, b: unknown): boolean {
  const plain = (value: unknown): string => JSON.stringify(Array.isArray(value) ? [...value].sort() : value);
  return plain(a) === plain(b);
}

/** Names of terms that the draft says differently. */
export function changedTerms(before: Draft | undefined, draft: Draft): (keyof Draft)[] {
  const names = Object.keys(draft) as (keyof Draft)[];
  return before === undefined ? names : names.filter((name) => !same(before[name], draft[name]));
}

/** Only what changes is named: the rest stays as it was, letter by letter. */
export function termsOf(before: Draft | undefined, draft: Draft, attested: { by: string; document: string }, of: number | undefined): Terms {
  const changed = changedTerms(before, draft);
  const has = (name: keyof Draft): boolean => changed.includes(name);
  return {
    attested_by: attested.by.trim(),
    document: attested.document.trim(),
    ...(of === undefined ? {} : { of_version: of }),
    ...(has("basis") ? { legal_basis: draft.basis } : {}),
    ...(has("purposes") ? { purposes: draft.purposes } : {}),
    // New levels without classes would take the classes of those levels.
    ...(has("levels") || has("classes") ? { levels: draft.levels, classes: draft.classes } : {}),
    ...(has("access") ? { access_s: Math.round(Number(draft.access) * DAY_S) } : {}),
    ...(has("retention") ? { retention_days: draft.retention ? Number(draft.retention) : null } : {}),
    ...(has("results") ? { results_of: draft.results } : {}),
    ...(has("source") ? { source: draft.source || null } : {}),
    ...(has("ends") ? { ends: draft.ends ? new Date(`${draft.ends}T23:59:59`).toISOString() : null } : {}),
  };
}

export function whole(draft: Draft): boolean {
  const access = Number(draft.access);
  return draft.purposes.length > 0 && draft.levels.length > 0 && draft.classes.length > 0 && access > 0
    && (draft.retention === "" || (Number.isInteger(Number(draft.retention)) && Number(draft.retention) > 0));
}
