// What all pages for developers share: the head with its tabs, code that can be copied, and words for state.
import { Tooltip } from "@mantine/core";
import { IconCheck, IconCopy } from "@tabler/icons-react";
import { Link } from "@tanstack/react-router";
import { type ReactNode, useEffect, useState } from "react";

import { Top } from "../../app/shell";
import { words } from "../../app/words";
import { developers } from "../../app/words-developers";
import "./developers.css";

const TABS = [
  ["/developers", developers.tabs.applications],
  ["/developers/webhooks", developers.tabs.webhooks],
  ["/developers/api", developers.tabs.api],
  ["/developers/quick-start", developers.tabs.start],
] as const;

export function Frame({ crumb, actions, children }: { crumb: string; actions?: ReactNode; children: ReactNode }): ReactNode {
  return (
    <>
      <Top crumbs={<><Link to="/developers">{developers.title}</Link><span aria-hidden>›</span><b>{crumb}</b></>} />
      <main className="devs" id="content">
        <div className="dev-head">
          <div className="phead"><h1>{developers.title}</h1><span className="end row">{actions}</span></div>
          <nav className="tabs" aria-label={developers.title}>
            {TABS.map(([to, label]) => (
              <Link key={to} to={to} activeOptions={{ exact: true, includeSearch: false }} activeProps={{ className: "on", "aria-current": "page" }}>{label}</Link>
            ))}
          </nav>
        </div>
        {children}
      </main>
    </>
  );
}

/** Copies a text; says that it did, for those who see and those who listen. */
export function Copy({ text, label = developers.copy, wide }: { text: string; label?: string; wide?: boolean }): ReactNode {
  const [done, setDone] = useState(false);
  useEffect(() => {
    if (!done) return;
    const timer = setTimeout(() => setDone(false), 1500);
    return () => clearTimeout(timer);
  }, [done]);
  const Icon = done ? IconCheck : IconCopy;
  const copy = (): void => void navigator.clipboard.writeText(text).then(() => setDone(true), () => undefined);
  const said = <span className="vh" role="status">{done ? developers.copied : ""}</span>;
  if (wide) return <button type="button" className="btn sm" onClick={copy}><Icon size={16} stroke={1.7} aria-hidden />{label}{said}</button>;
  return (
    <Tooltip label={done ? developers.copied : label}>
      <button type="button" className="icb dev-copy" aria-label={label} onClick={copy}><Icon size={14} stroke={1.7} aria-hidden />{said}</button>
    </Tooltip>
  );
}

/** Lines to be copied. name: by which tests find them. */
export function Code({ text, name, label }: { text: string; name?: string; label: string }): ReactNode {
  return (
    <div className="dev-code">
      <pre className="dev-pre" tabIndex={0} aria-label={label} data-code={name}>{text}</pre>
      <Copy text={text} label={`${developers.copy}: ${label}`} />
    </div>
  );
}

/** JSON in colours; nothing of it is taken for markup. */
export function Json({ text, label }: { text: string; label: string }): ReactNode {
  const parts = text.split(/("(?:[^"\\]|\\.)*"(?:\s*:)?|\b(?:true|false|null)\b|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)/g);
  return (
    <pre className="dev-pre" tabIndex={0} aria-label={label}>
      {parts.map((part, index) => {
        if (index % 2 === 0) return part;
        const kind = part.endsWith(":") ? "jk" : part.startsWith('"') ? "js" : "jn";
        return <span key={index} className={kind}>{part}</span>;
      })}
    </pre>
  );
}

export function Lines({ of }: { of: readonly string[] }): ReactNode {
  return <ol className="dev-steps">{of.map((one) => <li key={one}>{one}</li>)}</ol>;
}

export function NotForYou({ children }: { children: ReactNode }): ReactNode {
  return (
    <div className="centre">
      <div className="empty">
        <h2>{words.states.forbidden}</h2>
        {children}
      </div>
    </div>
  );
}
