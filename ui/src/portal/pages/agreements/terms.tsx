// The terms of a version, beside those of the version before.
import type { ReactNode } from "react";

import { words } from "../../app/words";
import { Gone, SetBefore, SetNow, type Term } from "../../parts/term-diff";
import { basisText, Classes, Levels, purposeName } from "../../parts/terms";
import { type Agreement, type Draft, draftOf, same } from "./draft";
import { accessText, retentionText } from "./editor";

const text = words.agreements;
const labels = text.labels;

export function shownTerms(earlier: Agreement | undefined, row: Agreement, applications: ReadonlyMap<string, string>, sources: ReadonlyMap<string, string>): Term[] {
  const now = draftOf(row, undefined);
  const before = earlier === undefined ? undefined : draftOf(earlier, undefined);
  const term = (key: keyof Draft, label: readonly [string, string], value: (draft: Draft) => ReactNode): Term => ({
    key, label, now: value(now), changed: before !== undefined && !same(before[key], now[key]),
    ...(before === undefined ? {} : { before: <Gone>{value(before)}</Gone> }),
  });
  const set = <Value extends string>(key: keyof Draft, label: readonly [string, string], name: (value: Value) => string): Term => {
    const [was, is] = [before?.[key] as Value[] | undefined, now[key] as unknown as Value[]];
    return {
      key, label, changed: was !== undefined && !same(was, is), now: <SetNow before={was} after={is} name={name} />,
      ...(was === undefined ? {} : { before: <SetBefore before={was} after={is} name={name} /> }),
    };
  };
  return [
    term("basis", labels.basis, (draft) => basisText(draft.basis)),
    set("purposes", labels.purposes, purposeName),
    quiet(set("classes", labels.classes, (one: Draft["classes"][number]) => words.classes[one]), <Classes of={now.classes} />),
    quiet(set("levels", labels.levels, (one: Draft["levels"][number]) => words.levels[one]), <Levels of={now.levels} />),
    term("access", labels.access, accessText),
    term("retention", labels.retention, retentionText),
    now.results.length > 0 || (before?.results.length ?? 0) > 0
      ? set("results", labels.results, (one: string) => applications.get(one) ?? one)
      : term("results", labels.results, () => text.noResults),
    term("source", labels.source, (draft) => (draft.source ? sources.get(draft.source) ?? draft.source : text.noSource)),
    term("ends", labels.ends, (draft) => draft.ends || text.never),
    { key: "region", label: labels.region, now: row.region.toUpperCase(), changed: false, ...(before === undefined ? {} : { before: "" }) },
  ];
}

/** As badges, where nothing is to be marked. */
function quiet(term: Term, now: ReactNode): Term {
  return term.changed ? term : { ...term, now };
}
