// Times in the reader's zone, relative where that helps, absolute on hover and focus.
import { Tooltip } from "@mantine/core";
import type { ReactNode } from "react";

const DAY = 86_400_000;
const TIME = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const WEEKDAY = new Intl.DateTimeFormat(undefined, { weekday: "short" });
const DATE = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const YEAR = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", year: "numeric" });
const WHOLE = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "long" });

function midnight(date: Date): number {
  return new Date(date.getFullYear(), date.getMonth(), date.getDate()).getTime();
}

/** "Today 12:31", "Yesterday 17:40", "Fri", "5 Dec", "5 Dec 2024". */
export function whenText(date: Date, now = new Date()): string {
  const days = Math.round((midnight(date) - midnight(now)) / DAY);
  if (days === 0) return `Today ${TIME.format(date)}`;
  if (days === -1) return `Yesterday ${TIME.format(date)}`;
  if (days === 1) return `Tomorrow ${TIME.format(date)}`;
  if (days > 1 && days < 7) return WEEKDAY.format(date);
  return (date.getFullYear() === now.getFullYear() ? DATE : YEAR).format(date);
}

export function When({ at }: { at: string | number }): ReactNode {
  const date = new Date(at);
  if (Number.isNaN(date.getTime())) return null;
  return (
    <Tooltip label={WHOLE.format(date)} openDelay={200}>
      <time dateTime={date.toISOString()} tabIndex={-1}>{whenText(date)}</time>
    </Tooltip>
  );
}
