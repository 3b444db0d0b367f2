// Applications of the platform: operators register them and let them in; administrators see which there are.
import { useQuery } from "@tanstack/react-query";
import { IconPlus, IconSearch } from "@tabler/icons-react";
import { type ReactNode, useMemo, useState } from "react";

import { api } from "../../api/client";
import { useRole } from "../../app/session";
import { developers } from "../../app/words-developers";
import { Empty, Failure, LoadingRows } from "../../parts/states";
import { When } from "../../parts/when";
import { EditApplication } from "./application-form";
import { ApplicationPanel } from "./application-panel";
import { APPLICATIONS, State } from "./application-parts";
import { Frame, NotForYou } from "./frame";

const said = developers.applications;

export function Applications(): ReactNode {
  const operator = useRole("operator");
  const reader = useRole("administrator", "privacy-officer");
  const [adding, setAdding] = useState(false);
  const register = (
    <button type="button" className="btn sm pri" onClick={() => setAdding(true)}><IconPlus size={16} stroke={1.7} aria-hidden />{said.register}</button>
  );
  return (
    <Frame crumb={developers.tabs.applications} actions={operator ? register : undefined}>
      {operator || reader ? <Registered operator={operator} /> : (
        <div className="dev-body">
          <NotForYou><p className="t2">{said.whoMay}</p></NotForYou>
          <Explained />
        </div>
      )}
      {adding && <EditApplication close={() => setAdding(false)} />}
    </Frame>
  );
}

function Registered({ operator }: { operator: boolean }): ReactNode {
  const [typed, setTyped] = useState("");
  const [chosen, setChosen] = useState("");
  const found = useQuery({
    queryKey: [...APPLICATIONS, operator],
    queryFn: async () =>
      (operator ? await api.GET("/api/v1/platform/applications") : await api.GET("/api/v1/applications")).data?.applications ?? [],
  });
  const rows = useMemo(() => {
    const wanted = typed.trim().toLowerCase();
    return (found.data ?? []).filter((one) => `${one.id} ${one.name} ${one.vendor}`.toLowerCase().includes(wanted));
  }, [found.data, typed]);
  const open = found.data?.find((one) => one.id === chosen);
  const nobody = found.data?.length === 0;
  return (
    <div className="dev-apps">
      <div className="dev-body">
        <div className="row">
          <label className="inp" style={{ width: 280 }}>
            <IconSearch size={16} aria-hidden />
            <input type="search" value={typed} placeholder={said.find} aria-label={said.find} onChange={(event) => setTyped(event.target.value)} />
          </label>
          <span className="t2 hide-md">{said.hint}</span>
        </div>
        {found.error ? <Failure error={found.error} again={() => void found.refetch()} /> : nobody || (!found.isPending && rows.length === 0) ? (
          <Empty title={nobody ? said.none : said.nothing}>{nobody && <p className="t2">{operator ? said.noneOperator : said.noneOther}</p>}</Empty>
        ) : (
          <div className="tw" style={{ flex: "none" }}>
            <table>
              <thead><tr><th>{said.name}</th><th style={{ width: 152 }}>{said.state}</th><th style={{ width: 96 }}>{said.environment}</th><th className="hide-md" style={{ width: 128 }}>{said.proof}</th><th className="hide-md" style={{ width: 128 }}>{said.created}</th></tr></thead>
              {found.isPending ? <LoadingRows rows={4} columns={5} /> : (
                <tbody>
                  {rows.map((one) => (
                    <tr key={one.id} className={one.id === chosen ? "open cur" : "open"} onClick={() => setChosen(one.id)}>
                      <td>
                        <button type="button" className="b" aria-expanded={one.id === chosen} onClick={(event) => { event.stopPropagation(); setChosen(one.id === chosen ? "" : one.id); }}>{one.name}</button>
                        <span className="t2"> · {one.vendor}</span>
                      </td>
                      <td><State of={one.state} /></td>
                      <td><span className="tag">{one.environment}</span></td>
                      <td className="t2 hide-md">{said.methods[one.auth_method]}</td>
                      <td className="t2 hide-md"><When at={one.created} /></td>
                    </tr>
                  ))}
                </tbody>
              )}
            </table>
            <div className="tfoot"><span>{found.data ? said.count(rows.length) : " "}</span></div>
          </div>
        )}
        <Explained />
      </div>
      {open && <ApplicationPanel key={open.id} listed={open} operator={operator} close={() => setChosen("")} />}
    </div>
  );
}

/** Scopes and environments, for everybody. */
function Explained(): ReactNode {
  return (
    <div className="dev-facts">
      <section className="card">
        <header><h2>{said.scopesTitle}</h2></header>
        <dl className="dev-kv body">
          {Object.entries(said.scopeWords).map(([scope, what]) => <Pair key={scope} term={scope} what={what} />)}
        </dl>
      </section>
      <section className="card">
        <header><h2>{said.environmentsTitle}</h2></header>
        <div className="body col" style={{ gap: 8 }}>
          <dl className="dev-kv">
            {said.environments.map(([name, what]) => <Pair key={name} term={name} what={what} />)}
          </dl>
          <p className="t2">{said.environmentsHint}</p>
        </div>
      </section>
    </div>
  );
}

function Pair({ term, what }: { term: string; what: string }): ReactNode {
  return <><dt className="mono">{term}</dt><dd>{what}</dd></>;
}
