// What the verification found.

export type VerdictName =
  | "verified"
  | "altered"
  | "malformed"
  | "bad-signature"
  | "incomplete"
  | "truncated"
  | "unanchored"
  | "forked"
  | "wrong-log";

/** Exit code of a command for each verdict; 2 is wrong usage. */
export const EXIT: Readonly<Record<VerdictName, number>> = {
  verified: 0,
  altered: 1,
  malformed: 1,
  "bad-signature": 1,
  incomplete: 3,
  truncated: 3,
  unanchored: 4,
  forked: 5,
  "wrong-log": 6,
};

/** Member for member what `wardlight audit verify --json` prints. */
export interface Verdict {
  verdict: VerdictName;
  /** Index of the first entry that may be wrong (altered, wrong-log), or the size that the verdict speaks of. */
  first_bad?: number;
  /** Index after the last entry that may be. */
  first_bad_to?: number;
  /** Line of the file that is wrong, from 1. */
  line?: number;
  origin?: string;
  mode?: "range" | "selection";
  /** Of a range, its first entry and the one after its last. */
  start?: number;
  stop?: number;
  /** Entries in the log. */
  size: number;
  /** Entries told of here, of which `pruned` and `withheld` are without content. */
  leaves: number;
  pruned: number;
  withheld: number;
  /** Size of the largest head that others than the log's key vouch for. */
  anchored_to: number;
  /** Times of the first and last entry with content. */
  first?: string;
  last?: string;
  warnings: string[];
}

/** Where something is wrong: entries `bad` up to before `to`, in a line of the file. */
export interface Place {
  bad?: number | undefined;
  to?: number | undefined;
  line?: number | undefined;
}

/** What was found wrong. The earliest step gives the verdict; where places are exact, the first entry of them all. */
export class Failures {
  readonly #found = new Map<number, [VerdictName, Place]>();
  #exact: { bad: number; line: number } | undefined;

  add(step: number, verdict: VerdictName, place: Place = {}): void {
    if (!this.#found.has(step)) this.#found.set(step, [verdict, place]);
    const { bad, to, line } = place;
    if (verdict !== "altered" || bad === undefined || to !== bad + 1 || line === undefined) return;
    const exact = this.#exact;
    if (!exact || bad < exact.bad || (bad === exact.bad && line < exact.line)) this.#exact = { bad, line };
  }

  report(verdict: Verdict): void {
    const found = this.#found.get(Math.min(...this.#found.keys()));
    if (!found) return;
    const [name, place] = found;
    const exact = name === "altered" ? this.#exact : undefined;
    const { bad, to, line } = exact ? { ...exact, to: exact.bad + 1 } : place;
    verdict.verdict = name;
    if (bad !== undefined) verdict.first_bad = bad;
    if (to !== undefined) verdict.first_bad_to = to;
    if (line !== undefined) verdict.line = line;
  }
}
