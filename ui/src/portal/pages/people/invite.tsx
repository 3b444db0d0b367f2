// Lets somebody in: name, sign-in name, role; then a link that is shown once.
import { type ReactNode, useState } from "react";

import { api } from "../../api/client";
import type { components } from "../../api/schema";
import { words } from "../../app/words";
import { Ask, Field, Shown, useAct } from "../../parts/ask";
import { Copy } from "../../parts/copy";
import { PEOPLE } from "./index";

export type Role = Exclude<components["schemas"]["Person"]["role"], "operator">;
export const ROLES: readonly Role[] = ["clinician", "researcher", "privacy-officer", "administrator"];

export function Invite({ close }: { close: () => void }): ReactNode {
  const [name, setName] = useState("");
  const [login, setLogin] = useState("");
  const [role, setRole] = useState<Role>("clinician");
  const [link, setLink] = useState("");
  const act = useAct(PEOPLE);
  if (link) return <LinkOnce name={name} link={link} says={words.people.linkInvited} close={close} />;
  const invite = async (): Promise<void> => {
    const body = { name: name.trim(), login: login.trim(), role };
    const { data } = await act(() => api.POST("/api/v1/people", { body }));
    setLink(data?.link ?? "");
  };
  return (
    <Ask title={words.people.inviteTitle} action={words.people.inviteAct} ready={Boolean(name.trim() && login.trim())} act={invite} close={close}>
      <Field label={words.people.name}>
        <span className="inp"><input name="name" data-autofocus value={name} onChange={(event) => setName(event.target.value)} autoComplete="off" /></span>
      </Field>
      <Field label={words.people.login} hint={words.people.loginHint}>
        <span className="inp"><input name="login" value={login} onChange={(event) => setLogin(event.target.value)} autoComplete="off" spellCheck={false} /></span>
      </Field>
      <Roles role={role} choose={setRole} />
    </Ask>
  );
}

export function Roles({ role, choose }: { role: Role; choose: (role: Role) => void }): ReactNode {
  return (
    <fieldset className="roles" style={{ border: 0, padding: 0, margin: 0 }}>
      <legend className="b" style={{ paddingBottom: 4 }}>{words.people.role}</legend>
      {ROLES.map((one) => (
        <label key={one}>
          <input type="radio" name="role" value={one} checked={role === one} onChange={() => choose(one)} />
          <span className="col"><span className="b">{words.roles[one]}</span><span className="xs t2">{words.people.roleSays[one]}</span></span>
        </label>
      ))}
    </fieldset>
  );
}

export function LinkOnce({ name, link, says, close }: { name: string; link: string; says: string; close: () => void }): ReactNode {
  return (
    <Shown title={`${words.people.linkTitle} ${name}`} close={close}>
      <p className="t2">{says}</p>
      <Copy text={link} />
      <p>{words.people.linkSafe}</p>
    </Shown>
  );
}
