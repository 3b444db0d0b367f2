// People of the institution: who they are, what they may, and how they are let in and out.
import { IconSearch, IconUserPlus } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { type ReactNode, useState } from "react";

import "../admin.css";
import { api } from "../../api/client";
import type { components } from "../../api/schema";
import { useRole, useSession } from "../../app/session";
import { Top } from "../../app/shell";
import { words } from "../../app/words";
import { StateDot } from "../../parts/badges";
import { Empty, Failure, LoadingRows } from "../../parts/states";
import { When } from "../../parts/when";
import { type Act, PersonActions, PersonMenu } from "./acts";
import { Invite } from "./invite";

export type Person = components["schemas"]["Person"];
export const PEOPLE = ["people"] as const;

const DOTS = { active: "ok", invited: "off", suspended: "bad" } as const;

export function People(): ReactNode {
  const [typed, setTyped] = useState("");
  const [inviting, setInviting] = useState(false);
  const [act, setAct] = useState<Act | null>(null);
  const [done, setDone] = useState("");
  const me = useSession();
  const may = useRole("administrator");
  const found = useQuery({
    queryKey: PEOPLE,
    queryFn: async () => (await api.GET("/api/v1/people")).data?.people ?? [],
  });
  const wanted = typed.trim().toLowerCase();
  const rows = (found.data ?? []).filter((one) => `${one.name} ${one.login}`.toLowerCase().includes(wanted));
  return (
    <>
      <Top crumbs={<b>{words.people.title}</b>} />
      <main className="page" id="content">
        <div className="phead">
          <h1>{words.people.title}</h1>
          {may && (
            <button type="button" className="btn pri end" onClick={() => setInviting(true)}>
              <IconUserPlus size={16} stroke={1.7} aria-hidden />{words.people.invite}
            </button>
          )}
        </div>
        <div className="row">
          <label className="inp" style={{ width: 320 }}>
            <IconSearch size={16} aria-hidden />
            <input type="search" value={typed} placeholder={words.people.find} aria-label={words.people.find} onChange={(event) => setTyped(event.target.value)} />
          </label>
          <span className="t2 done" role="status">{done}</span>
        </div>
        {found.error ? <Failure error={found.error} again={() => void found.refetch()} /> : !found.isPending && rows.length === 0 ? (
          <Empty title={words.people.none} />
        ) : (
          <div className="tw">
            <div className="scroll">
              <table>
                <colgroup><col /><col style={{ width: 180 }} /><col style={{ width: 140 }} /><col style={{ width: 140 }} /><col style={{ width: 72 }} /></colgroup>
                <thead>
                  <tr>
                    <th>{words.people.person}</th><th>{words.people.role}</th><th>{words.people.state}</th><th>{words.people.since}</th>
                    <th><span className="vh">{words.people.actions}</span></th>
                  </tr>
                </thead>
                {found.isPending ? <LoadingRows rows={6} columns={5} /> : (
                  <tbody>
                    {rows.map((row) => (
                      <tr key={row.id}>
                        <td>
                          <span className="row">
                            <span className="ava" aria-hidden>{initials(row.name)}</span>
                            <span className="b ell">{row.name}</span>
                            <span className="t3 ell">{row.login}</span>
                            {row.id === me.id && <span className="tag">{words.people.you}</span>}
                          </span>
                        </td>
                        <td>{words.roles[row.role]}</td>
                        <td><StateDot state={DOTS[row.state]}>{words.people.states[row.state]}</StateDot></td>
                        <td className="t2"><When at={row.created} /></td>
                        <td className="num">{may && <PersonMenu person={row} own={row.id === me.id} choose={setAct} />}</td>
                      </tr>
                    ))}
                  </tbody>
                )}
              </table>
            </div>
          </div>
        )}
      </main>
      {inviting && <Invite close={() => setInviting(false)} />}
      {act && <PersonActions key={`${act.what}-${act.person.id}`} act={act} told={setDone} close={() => setAct(null)} />}
    </>
  );
}

function initials(name: string): string {
  return name.replace(/^(Dr|Prof)\.?\s+/i, "").split(/\s+/).map((word) => word[0] ?? "").join("").slice(0, 2).toUpperCase();
}
