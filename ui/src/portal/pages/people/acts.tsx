// What an administrator does with one person.
import { Menu } from "@mantine/core";
import { IconDots } from "@tabler/icons-react";
import { type ReactNode, useState } from "react";

import { api } from "../../api/client";
import { words } from "../../app/words";
import { Ask, useAct } from "../../parts/ask";
import { Confirm } from "../../parts/confirm";
import { type Person, PEOPLE } from "./index";
import { LinkOnce, type Role, Roles } from "./invite";

type What = "role" | "link" | "unlock" | "sessions" | "reset" | "suspend" | "resume" | "erase";

export interface Act {
  what: What;
  person: Person;
}

const text = words.people;

/** own: nobody shuts themselves out. */
export function PersonMenu({ person, own, choose }: { person: Person; own: boolean; choose: (act: Act) => void }): ReactNode {
  const item = (what: What, label: string, danger = false): ReactNode => (
    <Menu.Item onClick={() => choose({ what, person })} {...(danger ? { color: "var(--danger-text)" } : {})}>{label}</Menu.Item>
  );
  return (
    <Menu position="bottom-end" withinPortal>
      <Menu.Target>
        <button type="button" className="icb" aria-label={`${text.actions}: ${person.name}`}><IconDots size={16} /></button>
      </Menu.Target>
      <Menu.Dropdown>
        {!own && item("role", text.changeRole)}
        {item("link", text.newLink)}
        {person.state === "active" && item("unlock", text.unlock)}
        {person.state === "active" && item("sessions", text.endSessions)}
        {!own && person.state === "active" && item("reset", text.reset)}
        {!own && <Menu.Divider />}
        {!own && (person.state === "suspended" ? item("resume", text.resume) : item("suspend", text.suspend, true))}
        {!own && item("erase", text.erase, true)}
      </Menu.Dropdown>
    </Menu>
  );
}

export function PersonActions({ act: { what, person }, told, close }: { act: Act; told: (done: string) => void; close: () => void }): ReactNode {
  const act = useAct(PEOPLE);
  const path = { params: { path: { person: person.id } } };
  const say = (done: string) => (): void => told(`${person.name}: ${done}`);
  const [role, setRole] = useState<Role>(person.role === "operator" ? "clinician" : person.role);
  const [link, setLink] = useState("");
  const shared = { opened: true, close } as const;
  switch (what) {
    case "role":
      return (
        <Ask
          title={`${text.changeRoleTitle} ${person.name}`}
          action={text.changeRoleAct}
          ready={role !== person.role}
          act={() => act(() => api.PUT("/api/v1/people/{person}", { ...path, body: { role } })).then(say(text.done.changed)).then(close)}
          close={close}
        >
          <Roles role={role} choose={setRole} />
        </Ask>
      );
    case "link":
      if (link) return <LinkOnce name={person.name} link={link} says={text.linkAgain} close={close} />;
      return (
        <Ask
          title={`${text.linkTitle} ${person.name}`}
          action={text.newLink}
          act={() => act(() => api.POST("/api/v1/people/{person}/link", { ...path, body: {} })).then(({ data }) => setLink(data?.link ?? ""))}
          close={close}
        >
          <p className="t2">{text.linkAgain}</p>
        </Ask>
      );
    case "unlock":
      return (
        <Ask title={`${text.unlock}: ${person.name}`} action={text.unlock} close={close}
          act={() => act(() => api.POST("/api/v1/people/{person}/unlock", { ...path, body: {} })).then(say(text.done.unlocked)).then(close)}>
          <p className="t2">{person.login}</p>
        </Ask>
      );
    case "resume":
      return (
        <Ask title={`${text.resume}: ${person.name}`} action={text.resume} close={close}
          act={() => act(() => api.PUT("/api/v1/people/{person}", { ...path, body: { state: "active" } })).then(say(text.done.resumed)).then(close)}>
          <p className="t2">{text.suspendNot}</p>
        </Ask>
      );
    case "sessions":
      return (
        <Confirm {...shared} title={`${text.endSessions}: ${person.name}`} action={text.endSessions}
          act={() => act(() => api.DELETE("/api/v1/people/{person}/sessions", path)).then(say(text.done.ended))}>
          <p className="t2">{person.login}</p>
        </Confirm>
      );
    case "reset":
      return (
        <Confirm {...shared} title={`${plain(text.reset)}: ${person.name}`} action={plain(text.reset)}
          act={() => act(() => api.DELETE("/api/v1/people/{person}/factors", path)).then(say(text.done.reset))}>
          <Says says={text.resetSays} not={text.resetNot} />
        </Confirm>
      );
    case "suspend":
      return (
        <Confirm {...shared} title={`${plain(text.suspend)}: ${person.name}`} action={plain(text.suspend)}
          act={() => act(() => api.PUT("/api/v1/people/{person}", { ...path, body: { state: "suspended" } })).then(say(text.done.suspended))}>
          <Says says={text.suspendSays} not={text.suspendNot} />
        </Confirm>
      );
    case "erase":
      return (
        <Confirm {...shared} title={`${plain(text.erase)}: ${person.name}`} action={text.eraseAct} type={person.login}
          act={() => act(() => api.DELETE("/api/v1/people/{person}", path)).then(say(text.done.erased))}>
          <Says says={text.eraseSays} not={text.eraseNot} />
        </Confirm>
      );
  }
}

/** A menu's words without the dots that say that something is asked first. */
function plain(label: string): string {
  return label.replace("…", "");
}

/** What will happen, in order; then what will not, or the milder way. */
export function Says({ says, not }: { says: readonly string[]; not: string }): ReactNode {
  return (
    <>
      <ol className="says">{says.map((one) => <li key={one}>{one}</li>)}</ol>
      <p className="t2">{not}</p>
    </>
  );
}
