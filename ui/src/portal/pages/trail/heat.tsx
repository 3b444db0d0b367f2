// Entries by day over one year, as a map of weeks; a day leads to its entries.
import { useQuery } from "@tanstack/react-query";
import type { ReactNode } from "react";

import { words } from "../../app/words";
import { firstDay, isoDay, yearQuery } from "./data";

const STEP = 17;
const CELL = 14;
const HEIGHT = 13;
const MONTH = new Intl.DateTimeFormat(undefined, { month: "short", timeZone: "UTC" });
const WHOLE = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeZone: "UTC" });
/** From so many refusals on, a day is worth a look. */
const MANY = 10;

export function HeatMap({ chosen, choose }: { chosen: string | undefined; choose: (day: string) => void }): ReactNode {
  const all = useQuery(yearQuery(false));
  const denied = useQuery(yearQuery(true));
  const entries = new Map((all.data ?? []).map((one) => [one.day, one.entries]));
  const denials = new Map((denied.data ?? []).map((one) => [one.day, one.entries]));
  const first = Date.parse(`${firstDay()}T00:00:00Z`);
  const today = isoDay(Date.now());
  const days = Array.from({ length: 52 * 7 }, (_, at) => isoDay(first + at * 86_400_000)).filter((day) => day <= today);
  const most = Math.max(1, ...entries.values());
  const level = (n: number): number => (n === 0 ? 0 : Math.min(4, 1 + Math.floor((3.999 * Math.log(1 + n)) / Math.log(1 + most))));
  const total = [...entries.values()].reduce((sum, one) => sum + one, 0);
  const number = (value: number | undefined, known: boolean): string => (known ? (value ?? 0).toLocaleString() : "…");
  const deniedToday = denials.get(today) ?? 0;
  return (
    <section className="card heat">
      <div className="hm">
        <svg viewBox={`0 0 ${52 * STEP} ${7 * (HEIGHT + 3) + 18}`} preserveAspectRatio="xMinYMin meet" role="img" aria-label={words.trail.heat}>
          {days.filter((day, at) => at % 7 === 0 && Number(day.slice(8)) <= 7).map((day) => (
            <text key={day} x={Math.floor((Date.parse(day) - first) / 604_800_000) * STEP} y={11}>{MONTH.format(new Date(day))}</text>
          ))}
          {days.map((day, at) => {
            const n = entries.get(day) ?? 0;
            const many = (denials.get(day) ?? 0) >= MANY;
            return (
              <rect
                key={day}
                x={Math.floor(at / 7) * STEP + 1}
                y={18 + (at % 7) * (HEIGHT + 3)}
                width={CELL}
                height={HEIGHT}
                rx={2.5}
                className={`${many ? "dn" : `h${level(n)}`}${day === today ? " today" : ""}${day === chosen ? " on" : ""}`}
                onClick={() => choose(day)}
              >
                <title>{`${WHOLE.format(new Date(day))}: ${n.toLocaleString()} ${words.trail.entries}`}</title>
              </rect>
            );
          })}
        </svg>
      </div>
      <div className="hs">
        <div className="row"><span className="t2">{words.trail.today}</span><b className="bb end">{number(entries.get(today), all.isSuccess)}</b></div>
        <div className="row"><span className="t2">{words.trail.deniedToday}</span><b className={deniedToday > 0 ? "bb end dt" : "bb end"}>{number(deniedToday, denied.isSuccess)}</b></div>
        <div className="row"><span className="t2">{words.trail.year}</span><b className="bb end">{number(total, all.isSuccess)}</b></div>
        <div className="key"><span>{words.trail.fewer}</span>{[0, 1, 2, 3, 4].map((one) => <i key={one} className={`h${one}`} />)}<span>{words.trail.more}</span></div>
        <div className="key"><i className="dn" /><span>{words.trail.denials}</span></div>
      </div>
    </section>
  );
}
