// Terms as people read them: purposes, data classes, levels, legal bases, spans of time.
import type { ReactNode } from "react";

import type { components } from "../api/schema";
import { words } from "../app/words";
import { ClassBadge, type DataClass } from "./badges";

type Agreement = components["schemas"]["Agreement"];
export type TermPurpose = Agreement["purposes"][number];
export type TermClass = Agreement["classes"][number];
export type Level = Agreement["levels"][number];

export const LEVELS: readonly Level[] = ["high", "medium", "low", "identified"];
export const PURPOSES = Object.keys(words.purposes) as (keyof typeof words.purposes)[];
export const CLASSES = Object.keys(words.classes) as TermClass[];

const BADGES: Partial<Record<TermClass, DataClass>> = {
  "image data, identified": "identified",
  "personal data": "identified",
  "image data, pseudonymised": "pseudonymised",
  "image data, anonymised": "anonymised",
  "log files": "machine",
  "status and processing details": "machine",
  configuration: "machine",
};

export function purposeName(code: string): string {
  return code in words.purposes ? words.purposes[code as keyof typeof words.purposes] : code;
}

/** "ServiceProvision" of an IRI of W3C DPV as words. */
export function dpvName(iri: string): string {
  const term = iri.split("#").pop() ?? iri;
  return term.replace(/([a-z])([A-Z])/g, (_, a: string, b: string) => `${a} ${b.toLowerCase()}`);
}

export function Purposes({ of }: { of: readonly TermPurpose[] }): ReactNode {
  return (
    <span className="pills">
      {of.map(({ code, dpv }) => <span key={code} className="pill" title={`${code}${dpv ? ` · DPV: ${dpvName(dpv)}` : ""}`}>{purposeName(code)}</span>)}
    </span>
  );
}

/** The classes of images as badges; what always goes with them in words. */
export function Classes({ of }: { of: readonly TermClass[] }): ReactNode {
  return <span className="pills">{of.map((one) => <Class key={one} of={one} />)}</span>;
}

export function Class({ of }: { of: TermClass }): ReactNode {
  const badge = BADGES[of];
  return badge !== undefined && of.startsWith("image data") ? <ClassBadge of={badge} /> : <span className="pill">{words.classes[of]}</span>;
}

export function LevelBars({ of }: { of: Level }): ReactNode {
  if (of === "identified") return <ClassBadge of="identified" />;
  const on = { high: 3, medium: 2, low: 1 }[of];
  return (
    <span className="lv">
      <span className="lvb" aria-hidden>{[0, 1, 2].map((bar) => <i key={bar} className={bar < on ? "on" : ""} />)}</span>
      {words.levels[of]}
    </span>
  );
}

export function Levels({ of }: { of: readonly Level[] }): ReactNode {
  return <span className="pills">{LEVELS.filter((one) => of.includes(one)).map((one) => <LevelBars key={one} of={one} />)}</span>;
}

export function span(seconds: number): string {
  const [size, name] = seconds % 86_400 === 0 ? [86_400, words.bits.days] : seconds % 3600 === 0 ? [3600, words.bits.hours] : [60, words.bits.minutes];
  const count = Math.round(seconds / size);
  return `${count} ${count === 1 ? name.slice(0, -1) : name}`;
}

const ARTICLE_6: Record<string, string> = {
  a: "consent", b: "contract", c: "legal obligation", d: "vital interests", e: "public interest", f: "legitimate interests",
};
const ARTICLE_9: Record<string, string> = {
  a: "explicit consent", b: "employment and social security", c: "vital interests", f: "legal claims", g: "substantial public interest",
  h: "provision of care", i: "public health", j: "research",
};
const HIPAA: Record<string, string> = {
  tpo: "164.506 treatment, payment, operations", authorization: "164.508 authorization", "required-by-law": "164.512(a) required by law",
  "public-health": "164.512(b) public health", oversight: "164.512(d) oversight", "legal-proceedings": "164.512(e) legal proceedings",
  research: "164.512(i) research", "de-identified": "164.514(a) de-identified", "limited-data-set": "164.514(e) limited data set",
  individual: "164.524 the individual",
};
export const BASES_6 = Object.entries(ARTICLE_6).map(([letter, name]) => [letter, `Art. 6(1)(${letter}) ${name}`] as const);
export const BASES_9 = Object.entries(ARTICLE_9).map(([letter, name]) => [letter, `Art. 9(2)(${letter}) ${name}`] as const);
export const BASES_HIPAA = Object.entries(HIPAA).map(([category, name]) => [category, `45 CFR ${name}`] as const);

/** "GDPR 6(1)(e), 9(2)(h)" */
export function basisShort(basis: string): string {
  const [law, rest = ""] = basis.split(":");
  if (law === "hipaa") return `HIPAA ${(HIPAA[rest] ?? rest).split(" ")[0]}`;
  const articles = rest.split("+").map((part) => part.replace(/^(\d+)\.(\d+)\.([a-z])$/, "$1($2)($3)"));
  return `GDPR ${articles.join(", ")}`;
}

/** "GDPR Art. 6(1)(e) public interest, Art. 9(2)(h) provision of care" */
export function basisText(basis: string): string {
  const [law, rest = ""] = basis.split(":");
  if (law === "hipaa") return `HIPAA 45 CFR ${HIPAA[rest] ?? rest}`;
  const parts = rest.split("+").map((part) => {
    const [article, paragraph, letter = ""] = part.split(".");
    const name = article === "6" ? ARTICLE_6[letter] : ARTICLE_9[letter];
    return `Art. ${article}(${paragraph})(${letter})${name ? ` ${name}` : ""}`;
  });
  return `GDPR ${parts.join(", ")}`;
}
