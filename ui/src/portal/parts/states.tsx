// Loading, empty, failed, not allowed: the four that every list and page has.
import { IconAlertTriangle, IconLock } from "@tabler/icons-react";
import type { ReactNode } from "react";

import { ApiError } from "../api/client";
import { words } from "../app/words";

export function Failure({ error, again }: { error: unknown; again?: () => void }): ReactNode {
  const problem = error instanceof ApiError ? error.problem : null;
  const forbidden = problem?.status === 403;
  const Icon = forbidden ? IconLock : IconAlertTriangle;
  return (
    <div className="centre" role="alert">
      <div className="empty">
        <Icon size={24} stroke={1.7} aria-hidden />
        <h2>{forbidden ? words.states.forbidden : words.states.failed}</h2>
        <p className="t2">{error instanceof Error ? error.message : String(error)}</p>
        {problem && <code className="mono t3">{problem.code}{problem.reason ? ` · ${problem.reason}` : ""}</code>}
        {again && !forbidden && <button type="button" className="btn" onClick={again}>{words.states.again}</button>}
      </div>
    </div>
  );
}

export function Empty({ title, children }: { title: string; children?: ReactNode }): ReactNode {
  return (
    <div className="centre">
      <div className="empty">
        <h2>{title}</h2>
        {children}
      </div>
    </div>
  );
}

/** Rows that keep the height of those to come; nothing moves when they are there. */
export function LoadingRows({ rows, columns }: { rows: number; columns: number }): ReactNode {
  return (
    <tbody className="late" aria-label={words.states.loading} aria-busy>
      {Array.from({ length: rows }, (_, row) => (
        <tr key={row}>
          {Array.from({ length: columns }, (_, column) => (
            <td key={column}><div className="skeleton" style={{ width: `${40 + ((row * 7 + column * 13) % 50)}%` }} /></td>
          ))}
        </tr>
      ))}
    </tbody>
  );
}
