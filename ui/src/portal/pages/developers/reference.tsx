// The API's reference, made from the platform's own description of it.
import { useQuery } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { IconSearch } from "@tabler/icons-react";
import { type ReactNode, useDeferredValue, useMemo, useState } from "react";

import { developers } from "../../app/words-developers";
import { Failure } from "../../parts/states";
import { DOCUMENT } from "./document";
import { Frame } from "./frame";
import { type Document, membersOf, type Parameter, type Route, routesOf, type Schema, typeText } from "./openapi";
import { TryIt } from "./try-it";

const said = developers.api;
const route = getRouteApi("/developers/api");

export function Reference(): ReactNode {
  const { op } = route.useSearch();
  const navigate = route.useNavigate();
  const found = useQuery(DOCUMENT);
  const [typed, setTyped] = useState("");
  const wanted = useDeferredValue(typed);
  const routes = useMemo(() => (found.data ? routesOf(found.data) : []), [found.data]);
  const shown = useMemo(() => {
    const parts = wanted.toLowerCase().split(/\s+/).filter(Boolean);
    return routes.filter((one) => {
      const text = `${one.method} ${one.path} ${one.summary} ${one.description} ${one.area}`.toLowerCase();
      return parts.every((part) => text.includes(part));
    });
  }, [routes, wanted]);
  const areas = useMemo(() => [...new Set(shown.map((one) => one.area))], [shown]);
  const chosen = routes.find((one) => one.id === op);
  return (
    <Frame crumb={developers.tabs.api}>
      {found.error ? <Failure error={found.error} again={() => void found.refetch()} /> : (
        <div className="dev-split">
          <section className="dev-list" aria-label={developers.tabs.api}>
            <div className="dev-find">
              <label className="inp grow" style={{ height: 28 }}>
                <IconSearch size={14} aria-hidden />
                <input type="search" value={typed} placeholder={said.find} aria-label={said.find} onChange={(event) => setTyped(event.target.value)} />
              </label>
            </div>
            <div className="dev-rows" aria-busy={found.isPending}>
              {found.isPending && Array.from({ length: 12 }, (_, row) => <div key={row} className="dev-row late"><div className="skeleton grow" /></div>)}
              {!found.isPending && shown.length === 0 && <p className="t2" style={{ padding: 16 }}>{said.nothing}</p>}
              {areas.map((area) => (
                <section key={area} aria-label={area}>
                  <h3>{area}</h3>
                  {shown.filter((one) => one.area === area).map((one) => (
                    <button
                      key={one.id}
                      type="button"
                      className={one.id === op ? "dev-row on" : "dev-row"}
                      aria-current={one.id === op || undefined}
                      onClick={() => void navigate({ search: { op: one.id }, replace: true })}
                    >
                      <Verb method={one.method} />
                      <span className="grow col">
                        <span className="b ell">{one.summary}</span>
                        <span className="xs mono t3 ell" title={one.path}>{one.path.replace("/api/v1", "")}</span>
                      </span>
                    </button>
                  ))}
                </section>
              ))}
            </div>
            <div className="tfoot"><span>{said.routes(shown.length)}</span></div>
          </section>
          {chosen && found.data ? <One key={chosen.id} document={found.data} route={chosen} /> : (
            <div className="centre"><div className="empty"><h2>{said.pick}</h2><p className="t2">{said.pickHint}</p></div></div>
          )}
        </div>
      )}
    </Frame>
  );
}

export function Verb({ method }: { method: string }): ReactNode {
  return <span className={`dev-verb ${method.toLowerCase()}`}>{method === "DELETE" ? "DEL" : method}</span>;
}

function One({ document, route }: { document: Document; route: Route }): ReactNode {
  const { rule } = route;
  const seen = route.parameters.filter((one) => one.in !== "header");
  return (
    <article className="dev-detail" aria-label={route.summary}>
      <div className="dev-col">
        <div className="row"><h2>{route.summary}</h2></div>
        <div className="row"><Verb method={route.method} /><code className="mono" style={{ overflowWrap: "anywhere" }}>{route.path}</code></div>
        <p>{route.description}</p>
      </div>
      <dl className="dev-kv">
        <dt>{said.who}</dt>
        <dd>
          {rule.kinds ? rule.kinds.map((kind) => said.kinds[kind] ?? kind).join(", ") : `${said.everybody}: ${rule.public ?? rule.open ?? ""}`}
          {rule.scopes?.length ? <> {said.scope} <span className="mono">{rule.scopes.join(", ")}</span></> : null}
          {rule["step-up"] && <>, {said.presence}</>}
        </dd>
        {rule.action && <><dt>{said.trail}</dt><dd className="mono">{rule.action}</dd></>}
      </dl>
      <TryIt document={document} route={route} />
      {seen.length > 0 && <section className="dev-col"><h3>{said.parameters}</h3><Parameters document={document} of={seen} /></section>}
      {route.takes && (
        <section className="dev-col">
          <h3>{said.body} <span className="t3">{route.takes.media}{route.takes.schema.$ref ? ` · ${typeText(document, route.takes.schema)}` : ""}</span></h3>
          <Members document={document} schema={route.takes.schema} />
        </section>
      )}
      {route.gives.map((one) => (
        <section key={one.status} className="dev-col">
          <h3>{said.answer} {one.status} <span className="t3">{[one.description.replace(/\.$/, ""), ...one.media].join(" · ")}</span></h3>
          {one.schema && <Members document={document} schema={one.schema} />}
        </section>
      ))}
      <section className="dev-col">
        <h3>{said.errors}</h3>
        <div className="dev-card">
          <table className="dev-members">
            <tbody>{route.errors.map((one) => <tr key={one.status}><td className="mono bb" style={{ width: 56 }}>{one.status}</td><td className="t2">{one.description}</td></tr>)}</tbody>
          </table>
        </div>
      </section>
    </article>
  );
}

function Parameters({ document, of }: { document: Document; of: readonly Parameter[] }): ReactNode {
  return (
    <div className="dev-card">
      <table className="dev-members">
        <tbody>
          {of.map((one) => (
            <tr key={`${one.in}:${one.name}`}>
              <td><span className="mono b">{one.name}</span>{one.required && <span className="xs t2"> {said.required}</span>}</td>
              <td>{one.description}<div className="xs t2">{one.in} · {typeText(document, one.schema ?? {})}</div></td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Members({ document, schema: given, depth = 0 }: { document: Document; schema: Schema; depth?: number }): ReactNode {
  const { schema, members } = membersOf(document, given);
  const table = (
    <table className="dev-members">
      <tbody>
        {members.map(([name, one]) => {
          const deeper = depth < 3 && membersOf(document, one).members.length > 0;
          return (
            <tr key={name}>
              <td><span className="mono b">{name}</span>{schema.required?.includes(name) && <span className="xs t2"> {said.required}</span>}</td>
              <td>
                {one.description}
                <div className="xs t2">{typeText(document, one)}</div>
                {deeper && <details><summary>{said.members(name)}</summary><Members document={document} schema={one} depth={depth + 1} /></details>}
              </td>
            </tr>
          );
        })}
      </tbody>
    </table>
  );
  if (members.length === 0) return <p className="t2">{schema.description ?? said.nothingMore}</p>;
  return depth === 0 ? <div className="dev-card">{table}</div> : table;
}
