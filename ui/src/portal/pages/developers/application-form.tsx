// Registering and changing an application, giving it a key, showing a secret once.
import { Modal } from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, type ReactNode, useState } from "react";

import { api } from "../../api/client";
import type { components } from "../../api/schema";
import { NotProved, present } from "../../app/step-up";
import { developers } from "../../app/words-developers";
import { type Application, APPLICATIONS } from "./application-parts";
import { Code } from "./frame";

const said = developers.applications;
type Registration = components["schemas"]["ApplicationRegistration"];
type Scope = NonNullable<Registration["scopes"]>[number];
type Jwk = components["schemas"]["Jwk"];

const USUAL: readonly string[] = ["images.read", "images.results", "audit.write", "events.read", "webhooks.manage"];

function lines(text: string): string[] {
  return text.split(/\s+/).filter(Boolean);
}

/** Without `of`: a new one. */
export function EditApplication({ of, close }: { of?: Application; close: () => void }): ReactNode {
  const [given, setGiven] = useState({
    id: of?.id ?? "", name: of?.name ?? "", vendor: of?.vendor ?? "", owner: of?.owner ?? "",
    kind: of?.kind ?? ("cloud" as const), auth_method: of?.auth_method ?? ("private_key_jwt" as const),
    redirects: (of?.redirect_uris ?? []).join("\n"),
  });
  const [scopes, setScopes] = useState<readonly string[]>(of?.scopes ?? USUAL);
  const set = (more: Partial<typeof given>): void => setGiven({ ...given, ...more });
  const saved = useSaved(async () => {
    const common = { name: given.name.trim(), owner: given.owner.trim(), scopes: scopes as Scope[], redirect_uris: lines(given.redirects) };
    if (of) await api.PUT("/api/v1/platform/applications/{application}", { params: { path: { application: of.id } }, body: common });
    else await api.POST("/api/v1/platform/applications", { body: { ...common, id: given.id.trim(), vendor: given.vendor.trim(), kind: given.kind, auth_method: given.auth_method } });
  }, close);
  return (
    <Dialog title={of ? `${said.edit}: ${of.name}` : said.register} close={close} saved={saved} action={of ? said.save : said.register}>
      {!of && <Line label={said.id} hint={said.idHint} name="id" value={given.id} set={(id) => set({ id })} pattern="[a-z0-9\-]{1,20}_[a-z0-9\-]{1,20}_[a-z0-9\-]{1,20}" mono />}
      <div className="dev-checks">
        <Line label={said.name} name="name" value={given.name} set={(name) => set({ name })} />
        {!of && <Line label={said.vendor} name="vendor" value={given.vendor} set={(vendor) => set({ vendor })} />}
        <Line label={said.owner} name="owner" value={given.owner} set={(owner) => set({ owner })} optional />
        {!of && (
          <>
            <Choice label={said.kind} value={given.kind} of={said.kinds} set={(kind) => set({ kind })} />
            <Choice label={said.method} value={given.auth_method} of={said.methods} set={(auth_method) => set({ auth_method })} />
          </>
        )}
      </div>
      <fieldset style={{ border: 0, padding: 0 }}>
        <legend className="b" style={{ marginBottom: 4 }}>{said.scopes}</legend>
        <div className="dev-checks">
          {Object.entries(said.scopeWords).map(([scope, what]) => (
            <label key={scope}>
              <input type="checkbox" checked={scopes.includes(scope)} onChange={(event) => setScopes(event.target.checked ? [...scopes, scope] : scopes.filter((one) => one !== scope))} />
              <span><span className="mono">{scope}</span><span className="xs t2" style={{ display: "block" }}>{what}</span></span>
            </label>
          ))}
        </div>
      </fieldset>
      <label className="dev-field">
        <span className="b">{said.redirects}</span>
        <textarea rows={2} style={{ minHeight: 52 }} value={given.redirects} spellCheck={false} onChange={(event) => set({ redirects: event.target.value })} />
      </label>
    </Dialog>
  );
}

/** A private key never leaves the browser: it is told apart before anything is sent. */
export function AddKey({ of, close }: { of: Application; close: () => void }): ReactNode {
  const [text, setText] = useState("");
  const saved = useSaved(async () => {
    const body = await publicKey(text);
    await api.POST("/api/v1/platform/applications/{application}/keys", { params: { path: { application: of.id } }, body });
  }, close);
  return (
    <Dialog title={said.addKey} close={close} saved={saved} action={said.addKey}>
      <label className="dev-field">
        <span className="b">{said.jwk}</span>
        <textarea rows={8} required value={text} spellCheck={false} placeholder="-----BEGIN PUBLIC KEY-----" onChange={(event) => setText(event.target.value)} />
        <span className="t2 xs">{said.jwkHint}</span>
      </label>
    </Dialog>
  );
}

const KINDS = [
  { name: "ECDSA", namedCurve: "P-256" },
  { name: "ECDSA", namedCurve: "P-384" },
  { name: "RSA-PSS", hash: "SHA-384" },
] as const;

/** Of a JWK or of PEM, as openssl writes it. */
async function publicKey(text: string): Promise<Jwk> {
  if (/-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(text)) throw new Error(said.jwkPrivate);
  const pem = /-----BEGIN PUBLIC KEY-----([A-Za-z0-9+/=\s]+)-----END PUBLIC KEY-----/.exec(text)?.[1];
  return pem === undefined ? jwk(text) : ofPem(pem);
}

async function ofPem(pem: string): Promise<Jwk> {
  const bytes = Uint8Array.from(atob(pem.replace(/\s/g, "")), (one) => one.charCodeAt(0));
  for (const kind of KINDS) {
    try {
      const { kty, crv, x, y, n, e } = await crypto.subtle.exportKey("jwk", await crypto.subtle.importKey("spki", bytes, kind, true, ["verify"]));
      return JSON.parse(JSON.stringify({ kty, crv, x, y, n, e })) as Jwk;
    } catch {
      // of another kind
    }
  }
  throw new Error(said.jwkBad);
}

function jwk(text: string): Jwk {
  let key: unknown;
  try {
    key = JSON.parse(text);
  } catch {
    throw new Error(said.jwkBad);
  }
  if (typeof key !== "object" || key === null || Array.isArray(key)) throw new Error(said.jwkBad);
  if (["d", "p", "q", "dp", "dq", "qi", "k"].some((member) => member in key)) throw new Error(said.jwkPrivate);
  return key as Jwk;
}

/** Shown once: closing forgets it. */
export function Secret({ title, why, secret, close }: { title: string; why: string; secret: string; close: () => void }): ReactNode {
  return (
    <Modal opened={secret !== ""} onClose={close} title={title} size={600} closeOnClickOutside={false} closeButtonProps={{ "aria-label": developers.close }}>
      <div className="col" style={{ gap: 12 }}>
        <p>{developers.secretOnce}</p>
        <Code text={secret} name="secret" label={title} />
        <p className="t2">{why}</p>
        <div className="row"><button type="button" className="btn end" onClick={close}>{developers.close}</button></div>
      </div>
    </Modal>
  );
}

interface Saved {
  go: () => void;
  busy: boolean;
  failed: string;
}

function useSaved(work: () => Promise<void>, close: () => void): Saved {
  const queries = useQueryClient();
  const { mutate, isPending, error } = useMutation({
    mutationFn: () => present(work),
    onSuccess: async () => {
      await queries.invalidateQueries({ queryKey: APPLICATIONS });
      close();
    },
  });
  return { go: () => mutate(), busy: isPending, failed: error && !(error instanceof NotProved) ? error.message : "" };
}

function Dialog({ title, action, saved, close, children }: { title: string; action: string; saved: Saved; close: () => void; children: ReactNode }): ReactNode {
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    if (!saved.busy) saved.go();
  };
  return (
    <Modal opened onClose={close} title={title} size={600} closeButtonProps={{ "aria-label": developers.close }}>
      <form className="col" style={{ gap: 12 }} onSubmit={submit}>
        {children}
        {saved.failed && <p className="note bad" role="alert">{saved.failed}</p>}
        <div className="row" style={{ justifyContent: "flex-end" }}>
          <button type="button" className="btn" onClick={close}>{said.cancel}</button>
          <button type="submit" className="btn pri" disabled={saved.busy}>{action}</button>
        </div>
      </form>
    </Modal>
  );
}

function Line({ label, hint, name, value, set, pattern, optional, mono }: {
  label: string; hint?: string; name: string; value: string; set: (value: string) => void; pattern?: string; optional?: boolean; mono?: boolean;
}): ReactNode {
  return (
    <label className="dev-field">
      <span className="b">{label}</span>
      <span className="inp"><input className={mono ? "mono" : undefined} name={name} value={value} required={!optional} pattern={pattern} maxLength={200} spellCheck={false} autoComplete="off" onChange={(event) => set(event.target.value)} /></span>
      {hint && <span className="t2 xs">{hint}</span>}
    </label>
  );
}

function Choice<Key extends string>({ label, value, of, set }: { label: string; value: Key; of: Readonly<Record<Key, string>>; set: (value: Key) => void }): ReactNode {
  return (
    <label className="dev-field">
      <span className="b">{label}</span>
      <select value={value} onChange={(event) => set(event.target.value as Key)}>
        {Object.entries<string>(of).map(([key, text]) => <option key={key} value={key}>{text}</option>)}
      </select>
    </label>
  );
}
