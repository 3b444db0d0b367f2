// A route tried with one's own session, and the same as lines to copy. Reading is one click; changing asks first.
import { useMutation } from "@tanstack/react-query";
import { type ReactNode, useState } from "react";

import { answerOf, ApiError, problemOf } from "../../api/client";
import { useSession } from "../../app/session";
import { NotProved, present } from "../../app/step-up";
import { developers } from "../../app/words-developers";
import { Confirm } from "../../parts/confirm";
import { serverOf } from "./document";
import { Code, Json } from "./frame";
import { addressOf, type Document, type Parameter, type Route, sample, schemaOf, shownAddress } from "./openapi";

const said = developers.api;
/** More of an answer is not read: it may be a whole study, or never end. */
const MOST = 64 * 1024;
const LONGEST_MS = 15_000;
/** Members of answers that are for the browser only. */
const HIDDEN = new Set(["csrf"]);

interface Shown {
  status: number;
  took: number;
  kind: string;
  text: string;
  json: boolean;
  cut: boolean;
}

export function TryIt({ document, route }: { document: Document; route: Route }): ReactNode {
  const session = useSession();
  const [values, setValues] = useState<Record<string, string>>({});
  const [body, setBody] = useState(() => (route.takes?.media.endsWith("json") ? JSON.stringify(sample(document, route.takes.schema), null, 2) : ""));
  const [sure, setSure] = useState(false);
  const address = addressOf(route, values);
  const reads = route.method === "GET";
  const barred = barrier(route, session.role === "operator" ? "operator" : "person");
  const sent = useMutation({
    mutationFn: () => send(route.method, address, route.takes ? body : null, route.gives.flatMap((one) => one.media)),
  });
  const fields = route.parameters.filter((one) => one.in !== "header");
  return (
    <section className="dev-card dev-try" aria-label={said.tryIt}>
      <div style={{ padding: "12px 16px", display: "flex", flexDirection: "column", gap: 12 }}>
        <div className="row"><h3>{said.tryIt}</h3><span className="t2 xs">{barred ?? said.asYou}</span></div>
        {fields.length > 0 && (
          <div className="dev-fields">
            {fields.map((one) => (
              <Field key={`${one.in}:${one.name}`} document={document} of={one} value={values[`${one.in}:${one.name}`] ?? ""} set={(value) => setValues({ ...values, [`${one.in}:${one.name}`]: value })} />
            ))}
          </div>
        )}
        {route.takes?.media.endsWith("json") && (
          <label className="dev-field">
            <span className="b">{said.body}</span>
            <textarea value={body} rows={Math.min(12, body.split("\n").length + 1)} spellCheck={false} onChange={(event) => setBody(event.target.value)} />
          </label>
        )}
        {barred === null && (
          <div className="row">
            <button
              type="button"
              className={reads ? "btn pri sm" : "btn sm"}
              disabled={address === "" || sent.isPending}
              onClick={() => (reads ? sent.mutate() : setSure(true))}
            >
              {sent.isPending ? said.sending : reads ? said.send : said.change}
            </button>
            {address === "" && <span className="t2">{said.fill}</span>}
          </div>
        )}
        <div aria-live="polite">
          {sent.error && !(sent.error instanceof NotProved) && <p className="note bad" role="alert">{sent.error.message}</p>}
          {sent.data && <Answer shown={sent.data} />}
        </div>
        <Examples route={route} base={serverOf(document)} address={shownAddress(route, values)} body={route.takes ? body : ""} />
      </div>
      <Confirm
        opened={sure}
        title={said.sure(route.method)}
        action={said.sureGo}
        act={() => sent.mutateAsync().catch((error: unknown) => { if (!(error instanceof NotProved)) throw error; })}
        close={() => setSure(false)}
      >
        <p><code className="mono" style={{ overflowWrap: "anywhere" }}>{route.method} {address}</code></p>
        <p className="t2">{route.description} {said.sureWhy}</p>
      </Confirm>
    </section>
  );
}

/** Why it cannot be tried here; null if it can. */
function barrier(route: Route, me: string): string | null {
  if (/^\/(oauth2|federation|signin)\b|^\/api\/v1\/session\b/.test(route.path)) return said.notHere;
  const kinds = route.rule.kinds;
  if (kinds && !kinds.includes(me)) return said.notYou(kinds.map((kind) => said.kinds[kind] ?? kind).join(", "));
  return route.takes && !route.takes.media.endsWith("json") ? said.notHere.replace(/^.*?\. /, "") : null;
}

function Field({ document, of, value, set }: { document: Document; of: Parameter; value: string; set: (value: string) => void }): ReactNode {
  const choices = schemaOf(document, of.schema ?? {}).enum;
  return (
    <label className="dev-field">
      <span className="b mono">{of.name}{of.required && <span className="xs t2"> {said.required}</span>}</span>
      {choices ? (
        <select value={value} onChange={(event) => set(event.target.value)}>
          <option value="">{said.any}</option>
          {choices.map(String).map((one) => <option key={one} value={one}>{one}</option>)}
        </select>
      ) : (
        <span className="inp"><input className="mono" name={of.name} value={value} spellCheck={false} autoComplete="off" onChange={(event) => set(event.target.value)} /></span>
      )}
    </label>
  );
}

function Answer({ shown }: { shown: Shown }): ReactNode {
  const mark = shown.status >= 400 ? "bad" : shown.status >= 300 || shown.status === 0 ? "warn" : "ok";
  return (
    <div className="dev-col" data-answer={shown.status}>
      <div className="row"><span className={`dev-verb mark ${mark}`}>{shown.status || "3xx"}</span><span className="t2">{shown.took} ms</span><span className="t2 mono">{shown.kind}</span>{shown.cut && <span className="t2 end">{said.cut}</span>}</div>
      {shown.json ? <Json text={shown.text} label={said.answer} /> : <pre className="dev-pre" tabIndex={0} aria-label={said.answer}>{shown.text}</pre>}
    </div>
  );
}

async function send(method: string, address: string, body: string | null, accepted: readonly string[]): Promise<Shown> {
  const began = performance.now();
  const json = accepted.find((one) => one.endsWith("json")) ?? accepted[0] ?? "*/*";
  const headers: Record<string, string> = { Accept: json, ...(body !== null ? { "Content-Type": "application/json" } : {}) };
  const ask = async (): Promise<Response> => {
    const response = await answerOf(address, { method, headers, body, redirect: "manual", signal: AbortSignal.timeout(LONGEST_MS) });
    if (response.status === 403) {
      const problem = await problemOf(response.clone());
      if (problem.reason === "step-up") throw new ApiError(problem);
    }
    return response;
  };
  const response = await (method === "GET" ? ask() : present(ask));
  const took = Math.round(performance.now() - began);
  if (response.type === "opaqueredirect") return { status: 0, took, kind: "", text: said.elsewhere, json: false, cut: false };
  const { bytes, cut } = await beginningOf(response);
  const kind = response.headers.get("content-type") ?? "";
  return { status: response.status, took, kind: kind.split(";")[0] ?? "", cut, ...readable(bytes, kind, cut) };
}

/** The first bytes; what comes behind them is not waited for. */
async function beginningOf(response: Response): Promise<{ bytes: Uint8Array<ArrayBuffer>; cut: boolean }> {
  const reader = response.body?.getReader();
  const parts: Uint8Array<ArrayBuffer>[] = [];
  let size = 0;
  try {
    while (reader && size < MOST) {
      const { done, value } = await reader.read();
      if (done) return { bytes: await joined(parts), cut: false };
      parts.push(value);
      size += value.length;
    }
    await reader?.cancel();
  } catch (error) {
    if (parts.length === 0) throw error; // a stream that went on for longer than we look shows what came
  }
  return { bytes: (await joined(parts)).slice(0, MOST), cut: reader !== undefined };
}

async function joined(parts: Uint8Array<ArrayBuffer>[]): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}

function readable(bytes: Uint8Array, kind: string, cut: boolean): { text: string; json: boolean } {
  if (bytes.length === 0) return { text: said.empty, json: false };
  if (!/json|text|xml/.test(kind) || kind.startsWith("multipart")) return { text: said.binary(cut ? `${MOST}+ bytes` : `${bytes.length} bytes`, kind || "?"), json: false };
  const text = new TextDecoder().decode(bytes);
  try {
    return { text: JSON.stringify(JSON.parse(text), (key, value: unknown) => (HIDDEN.has(key) ? "…" : value), 2), json: true };
  } catch {
    return { text, json: kind.includes("json") };
  }
}

function Examples({ route, base, address, body }: { route: Route; base: string; address: string; body: string }): ReactNode {
  const [python, setPython] = useState(false);
  const open = route.rule.kinds === undefined;
  const text = python ? pythonOf(route, base + address, body, open) : curlOf(route, base + address, body, open);
  return (
    <div className="dev-col">
      <div className="row">
        <span className="dev-seg">
          <button type="button" aria-pressed={!python} onClick={() => setPython(false)}>{said.curl}</button>
          <button type="button" aria-pressed={python} onClick={() => setPython(true)}>{said.python}</button>
        </span>
        {!open && <span className="t2 xs">{said.tokenHint}</span>}
      </div>
      <Code text={text} name={python ? "python" : "curl"} label={python ? said.python : said.curl} />
    </div>
  );
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

function accepts(route: Route): string {
  const media = route.gives.flatMap((one) => one.media);
  return media.find((one) => one.endsWith("json")) ?? media[0] ?? "";
}

function curlOf(route: Route, url: string, body: string, open: boolean): string {
  const accept = accepts(route);
  const parts = [
    route.method === "GET" ? "curl" : `curl -X ${route.method}`,
    ...(open ? [] : ['-H "Authorization: Bearer $TOKEN"']),
    ...(accept && accept !== "application/json" ? [`-H ${quoted(`Accept: ${accept}`)}`] : []),
    ...(route.takes ? [`-H ${quoted(`Content-Type: ${route.takes.media}`)}`, body ? `-d ${quoted(body)}` : "--data-binary @file"] : []),
    quoted(url),
  ];
  return parts.join(" \\\n  ");
}

function pythonOf(route: Route, url: string, body: string, open: boolean): string {
  const accept = accepts(route);
  const headers = [
    ...(open ? [] : ['"Authorization": f"Bearer {os.environ[\'TOKEN\']}"']),
    ...(accept && accept !== "application/json" ? [`"Accept": ${JSON.stringify(accept)}`] : []),
    ...(route.takes ? [`"Content-Type": ${JSON.stringify(route.takes.media)}`] : []),
  ];
  const lines = [
    `    ${JSON.stringify(route.method)},`,
    `    ${JSON.stringify(url)},`,
    ...(headers.length > 0 ? ["    headers={", ...headers.map((one) => `        ${one},`), "    },"] : []),
    ...(route.takes ? [body ? `    content=${pythonText(body)},` : '    content=open("file", "rb").read(),'] : []),
  ];
  return `${open ? "" : "import os\n\n"}import httpx\n\nanswer = httpx.request(\n${lines.join("\n")}\n)\nprint(answer.status_code, answer.text)`;
}

/** A text as Python writes it: JSON's escapes are Python's as well. */
function pythonText(body: string): string {
  return JSON.stringify(body);
}
