// From nothing to a first read, with this platform's address in every line (docs/how-to/partner-application.md).
import { useQuery } from "@tanstack/react-query";
import { type ReactNode, useState } from "react";

import { useSession } from "../../app/session";
import { developers } from "../../app/words-developers";
import { Code, Frame } from "./frame";
import { DOCUMENT, serverOf } from "./document";

const said = developers.start;

export function QuickStart(): ReactNode {
  const session = useSession();
  const { data } = useQuery(DOCUMENT);
  const base = serverOf(data);
  const [application, setApplication] = useState("acme_reader_prod");
  const [institution, setInstitution] = useState(session.role === "operator" ? "stmary" : session.institution);
  const id = application.trim() || "acme_reader_prod";
  const slug = institution.trim() || "stmary";
  return (
    <Frame crumb={developers.tabs.start}>
      <div className="dev-body">
        <div className="dev-read">
          <p className="t2">{said.lead}</p>
          <div className="dev-fields">
            <Field label={said.application} value={application} set={setApplication} />
            <Field label={said.institution} value={institution} set={setInstitution} />
          </div>
          <Step name="company" title={said.company} hint={said.companyHint} text={KEY} />
          <Step name="operator" title={said.operator} hint={said.operatorHint} text={operator(id)} />
          <Step name="hospital" title={said.hospital} hint={said.hospitalHint} text={hospital(id, slug)} />
          <Step name="send" title={said.send} hint={said.sendHint} text={"storescu -aec WARD_ACME +sd $RECEIVER $PORT folder"} />
          <Step name="read" title={said.read} hint={said.readHint} text={read(base, id, slug)} />
          <Step name="follow" title={said.follow} hint={said.followHint} text={follow(base, id, slug)} />
          <Step name="curl" title={said.curl} hint={said.curlHint} text={curl(base)} />
          <section>
            <h2>{said.wrong}</h2>
            <div className="dev-card">
              <table className="dev-members">
                <tbody>{said.wrongs.map(([seen, why]) => <tr key={seen}><td className="b">{seen}</td><td className="t2">{why}</td></tr>)}</tbody>
              </table>
            </div>
          </section>
        </div>
      </div>
    </Frame>
  );
}

function Field({ label, value, set }: { label: string; value: string; set: (value: string) => void }): ReactNode {
  return (
    <label className="dev-field">
      <span className="b">{label}</span>
      <span className="inp"><input className="mono" value={value} spellCheck={false} onChange={(event) => set(event.target.value.replace(/[^a-z0-9_.-]/g, ""))} /></span>
    </label>
  );
}

function Step({ name, title, hint, text }: { name: string; title: string; hint: string; text: string }): ReactNode {
  return (
    <section>
      <h2>{title}</h2>
      <p className="t2">{hint}</p>
      <Code text={text} name={name} label={title} />
    </section>
  );
}

const KEY = `openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out acme.pem
openssl pkey -in acme.pem -pubout -out acme.pub`;

function operator(id: string): string {
  return `wardlight admin application create ${id} --name "Acme Reader" \\
    --vendor "Acme Inc." --owner it@acme.example
wardlight admin application key add ${id} acme.pub
wardlight admin entitlement request ${id} --purpose TREAT --level medium --region eu \\
    --declared-by "Acme, data protection officer" --document DPA-2026-4
wardlight admin application approve ${id}`;
}

function hospital(id: string, slug: string): string {
  return `wardlight admin entitlement subscribe ${slug} ${id}
wardlight admin agreement create ${slug} ${id} --minimum-level medium --basis gdpr:6.1.e+9.2.h \\
    --purpose TREAT --access-days 30 --attested-by "Kim Berg, data protection officer" --document DPA-2026-4
wardlight admin route create WARD_ACME --to images:medium --to ${id}:medium`;
}

function client(base: string, id: string, slug: string): string {
  return `with Client(
    "${base}", "${id}", "acme.pem", institution="${slug}", purpose="TREAT"
) as client:`;
}

function read(base: string, id: string, slug: string): string {
  return `from pathlib import Path

from wardlight.client import Client

${client(base, id, slug)}
    for grant in client.grants():
        files = client.download(grant.study, Path("studies") / grant.id)
        print(grant.study, grant.purpose, "until", grant.expires_at, len(files), "files")`;
}

function follow(base: string, id: string, slug: string): string {
  return `from pathlib import Path

from wardlight.client import Client

position = Path("position")
${client(base, id, slug)}
    for event in client.events(after=int(position.read_text()) if position.exists() else 0):
        print(event.type, event.grant, flush=True)
        client.acknowledge(event)
        position.write_text(str(event.position))`;
}

function curl(base: string): string {
  return `curl -H "Authorization: Bearer $TOKEN" ${base}/api/v1/grants
curl -H "Authorization: Bearer $TOKEN" ${base}/dicom-web/studies
curl -H "Authorization: Bearer $TOKEN" '${base}/api/v1/events?after=0'`;
}
