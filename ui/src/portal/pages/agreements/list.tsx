// What the institution agreed to, with whom.
import { Menu } from "@mantine/core";
import { IconPlus } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";

import "../admin.css";
import "./agreements.css";
import { api } from "../../api/client";
import { useRole } from "../../app/session";
import { Top } from "../../app/shell";
import { words } from "../../app/words";
import { StateDot } from "../../parts/badges";
import { Empty, Failure, LoadingRows } from "../../parts/states";
import { basisShort, basisText, Levels, Purposes, span } from "../../parts/terms";
import { Logo, useApplications } from "../applications";

const text = words.agreements;
export const DOTS = { "in-force": "ok", superseded: "off", withdrawn: "bad", over: "off" } as const;

export function Agreements(): ReactNode {
  const may = useRole("administrator");
  const applications = useApplications();
  const found = useQuery({ queryKey: ["agreements"], queryFn: async () => (await api.GET("/api/v1/agreements")).data?.agreements ?? [] });
  const rows = found.data ?? [];
  const names = new Map((applications.data ?? []).map((one) => [one.id, one.name]));
  const without = [["images", text.images] as const, ...names].filter(([id]) => !rows.some((row) => row.application === id));
  return (
    <>
      <Top crumbs={<b>{text.title}</b>} />
      <main className="page" id="content">
        <div className="phead">
          <h1>{text.title}</h1>
          {may && found.data !== undefined && without.length > 0 && (
            <Menu position="bottom-end">
              <Menu.Target><button type="button" className="btn pri end"><IconPlus size={16} aria-hidden />{text.new}</button></Menu.Target>
              <Menu.Dropdown>
                {without.map(([id, name]) => <Menu.Item key={id} component={Link} to={`/agreements/${id}`}>{name}</Menu.Item>)}
              </Menu.Dropdown>
            </Menu>
          )}
        </div>
        <p className="t2 lead">{text.says}</p>
        {found.error ? <Failure error={found.error} again={() => void found.refetch()} /> : !found.isPending && rows.length === 0 ? (
          <Empty title={text.none}><p className="t2">{text.noneHint}</p></Empty>
        ) : (
          <div className="tw">
            <div className="scroll">
              <table className="agreed">
                <colgroup><col style={{ width: "20%" }} /><col style={{ width: 118 }} /><col /><col style={{ width: "17%" }} className="hide-md" /><col style={{ width: 352 }} /><col style={{ width: 92 }} /></colgroup>
                <thead>
                  <tr>
                    <th>{text.application}</th><th>{text.state}</th><th>{text.labels.basis[0]}</th><th className="hide-md">{text.labels.purposes[0]}</th>
                    <th>{text.labels.levels[0]}</th><th>{text.labels.access[0]}</th>
                  </tr>
                </thead>
                {found.isPending ? <LoadingRows rows={4} columns={6} /> : (
                  <tbody>
                    {rows.map((row) => {
                      const name = row.application === "images" ? text.images : names.get(row.application) ?? row.application;
                      return (
                        <tr key={row.id}>
                          <td>
                            <Link className="row name" to="/agreements/$application" params={{ application: row.application }}>
                              <Logo name={name} /><span className="b ell">{name}</span>
                            </Link>
                          </td>
                          <td><StateDot state={DOTS[row.state]}>{text.states[row.state]} <span className="t3">v{row.version}</span></StateDot></td>
                          <td className="t2" title={basisText(row.legal_basis)}>{basisShort(row.legal_basis)}</td>
                          <td className="hide-md"><Purposes of={row.purposes} /></td>
                          <td><Levels of={row.levels} /></td>
                          <td>{span(row.access_s)}</td>
                        </tr>
                      );
                    })}
                  </tbody>
                )}
              </table>
            </div>
          </div>
        )}
      </main>
    </>
  );
}
