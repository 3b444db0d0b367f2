// What two versions say, term by term: what stays is quiet, what goes is struck, what comes is marked.
import type { ReactNode } from "react";

import { words } from "../app/words";

export interface Term {
  key: string;
  label: readonly [string, string];
  /** undefined: there is nothing before to compare with. */
  before?: ReactNode;
  now: ReactNode;
  changed: boolean;
}

export function TermDiff({ heads, terms }: { heads: readonly [string, string, string]; terms: readonly Term[] }): ReactNode {
  return (
    <div className="terms" role="table" aria-label={words.agreements.terms}>
      <div className="fh" role="row">{heads.map((head, place) => <span key={place} role="columnheader">{head}</span>)}</div>
      {terms.map(({ key, label: [name, hint], before, now, changed }) => (
        <div key={key} role="row" className={changed ? "fr ch" : "fr"} data-term={key}>
          <div role="rowheader" className="fl"><b className="b">{name}</b><span className="xs t3">{hint}</span></div>
          <div role="cell" className={changed ? "old" : "old same"}>{before === undefined ? "" : changed ? before : words.agreements.same}</div>
          <div role="cell">{now}</div>
        </div>
      ))}
    </div>
  );
}

/** One value that goes. */
export function Gone({ children }: { children: ReactNode }): ReactNode {
  return <span className="gone">{children}</span>;
}

/** Values of a set before: those that stay, and those that go. */
export function SetBefore<Value extends string>({ before, after, name }: { before: readonly Value[]; after: readonly Value[]; name: (value: Value) => string }): ReactNode {
  return <>{before.map((one) => <span key={one} className={after.includes(one) ? "keep" : "gone"}>{name(one)}</span>)}</>;
}

/** Values of a set as they are; what was not there before is marked. */
export function SetNow<Value extends string>({ before, after, name }: { before: readonly Value[] | undefined; after: readonly Value[]; name: (value: Value) => string }): ReactNode {
  return (
    <span className="pills">
      {after.map((one) => <span key={one} className={before !== undefined && !before.includes(one) ? "pill add" : "pill"}>{name(one)}</span>)}
    </span>
  );
}

interface Toggled<Value extends string> {
  label: string;
  all: readonly Value[];
  chosen: readonly Value[];
  before: readonly Value[];
  name: (value: Value) => string;
  choose: (values: Value[]) => void;
}

/** A set to choose from: pressed ones are agreed on. */
export function SetChoice<Value extends string>({ label, all, chosen, before, name, choose }: Toggled<Value>): ReactNode {
  return (
    <span className="pills" role="group" aria-label={label}>
      {all.map((one) => {
        const on = chosen.includes(one);
        const mark = on && !before.includes(one) ? " add" : !on && before.includes(one) ? " del" : on ? " on" : " out";
        return (
          <button key={one} type="button" className={`pill${mark}`} aria-pressed={on} onClick={() => choose(on ? chosen.filter((other) => other !== one) : all.filter((other) => other === one || chosen.includes(other)))}>
            {name(one)}
          </button>
        );
      })}
    </span>
  );
}
