// Webhooks: where events of the institution go, what became of each, and which access it told of.
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { IconSearch } from "@tabler/icons-react";
import { type ReactNode, useMemo, useState } from "react";

import { useRole } from "../../app/session";
import { developers } from "../../app/words-developers";
import { Failure } from "../../parts/states";
import { When } from "../../parts/when";
import { type Delivery, deliveriesOf, type Endpoint, endpoints, median, tellings } from "./deliveries";
import { Told, WORDS } from "./delivery";
import { DOCUMENT, serverOf } from "./document";
import { Code, Frame, NotForYou } from "./frame";

const said = developers.webhooks;

export function Webhooks(): ReactNode {
  const reader = useRole("administrator", "privacy-officer");
  const operator = useRole("operator");
  return (
    <Frame crumb={said.title}>
      {reader ? <Seen /> : (
        <div className="dev-body">
          <div className="dev-read">
            {operator ? (
              <section><p>{said.operator}</p><Code name="operator" label={said.manage} text={"wardlight admin webhook list\nwardlight admin webhook redeliver $WEBHOOK"} /></section>
            ) : <NotForYou><p className="t2">{said.whoMay}</p></NotForYou>}
            <Manage />
          </div>
        </div>
      )}
    </Frame>
  );
}

function Seen(): ReactNode {
  const places = useQuery({ queryKey: ["developers", "endpoints"], queryFn: endpoints });
  const found = useInfiniteQuery({
    queryKey: ["developers", "deliveries"],
    initialPageParam: "",
    queryFn: ({ pageParam }) => tellings(pageParam),
    getNextPageParam: (page) => page.next ?? undefined,
  });
  const deliveries = useMemo(() => deliveriesOf(found.data?.pages.flatMap((page) => page.entries) ?? []), [found.data]);
  const [managing, setManaging] = useState(false);
  const error = places.error ?? found.error;
  if (error) return <Failure error={error} again={() => { void places.refetch(); void found.refetch(); }} />;
  const none = places.data?.length === 0 && !found.isPending && deliveries.length === 0;
  if (none) {
    return (
      <div className="dev-body">
        <div className="dev-read"><section><h2>{said.none}</h2><p className="t2">{said.noneHint}</p></section><Manage /></div>
      </div>
    );
  }
  return (
    <>
      <div style={{ padding: "16px 20px", flex: "none", display: "flex", flexDirection: "column", gap: 8 }}>
        <div className="row"><span className="t2 grow">{said.own}</span><button type="button" className="btn sm" aria-expanded={managing} onClick={() => setManaging(!managing)}>{said.manage}</button></div>
        <section className="dev-ends" aria-label={said.endpoints}>
          {places.isPending && <div className="late"><div className="skeleton grow" /></div>}
          {(places.data ?? []).slice(0, 5).map((one) => <Place key={one.id} of={one} />)}
        </section>
      </div>
      {managing ? <div className="dev-body" style={{ borderTop: "1px solid var(--border)" }}><div className="dev-read"><Manage /></div></div> : (
        <Log deliveries={deliveries} pending={found.isPending} more={found.hasNextPage ? () => void found.fetchNextPage() : null} />
      )}
    </>
  );
}

function Place({ of }: { of: Endpoint }): ReactNode {
  return (
    <div>
      <b className="mono bb" style={{ overflowWrap: "anywhere" }}>{of.url}</b>
      <span className={of.ended ? "st off t2" : "st ok t2"}>{of.ended ? said.ended : said.on}</span>
      <span className="t2">{said.of} <span className="mono">{of.application}</span>, {said.kinds}: {of.kinds || said.all}</span>
      <span className="t2 end">{of.rotated ? <>{said.rotated} <When at={of.rotated} /></> : <>{said.since} <When at={of.since} /></>}</span>
    </div>
  );
}

function Log({ deliveries, pending, more }: { deliveries: readonly Delivery[]; pending: boolean; more: (() => void) | null }): ReactNode {
  const [typed, setTyped] = useState("");
  const [bad, setBad] = useState(false);
  const [chosen, setChosen] = useState("");
  const shown = useMemo(() => {
    const wanted = typed.trim().toLowerCase();
    return deliveries.filter(
      (one) => (!bad || one.state === "failed" || one.state === "dead") && `${one.kind} ${one.application} ${one.grant} ${one.event}`.toLowerCase().includes(wanted),
    );
  }, [deliveries, typed, bad]);
  const middle = useMemo(() => median(shown), [shown]);
  const open = shown.find((one) => one.key === chosen) ?? shown[0];
  return (
    <div className="dev-split" style={{ borderTop: "1px solid var(--border)" }}>
      <section className="dev-list" aria-label={said.deliveries}>
        <div className="dev-find">
          <label className="inp grow" style={{ height: 28 }}>
            <IconSearch size={14} aria-hidden />
            <input type="search" value={typed} placeholder={said.find} aria-label={said.find} onChange={(event) => setTyped(event.target.value)} />
          </label>
          {middle !== null && <span className="xs t2" title={said.median}>~ {middle.toLocaleString()} ms</span>}
          <button type="button" className={bad ? "chip on" : "chip"} aria-pressed={bad} onClick={() => setBad(!bad)}>{said.failed}</button>
        </div>
        <div className="dev-rows" aria-busy={pending}>
          {pending && Array.from({ length: 8 }, (_, row) => <div key={row} className="dev-row late"><div className="skeleton grow" /></div>)}
          {!pending && shown.length === 0 && <p className="t2" style={{ padding: 16 }}>{deliveries.length === 0 ? said.noDeliveries : said.nothing}</p>}
          {shown.map((one) => (
            <button key={one.key} type="button" className={one === open ? "dev-row on" : "dev-row"} aria-current={one === open || undefined} onClick={() => setChosen(one.key)}>
              <span className={`dev-verb mark ${WORDS[one.state].mark}`}>{WORDS[one.state].code(one.reason)}</span>
              <span className="grow col"><b className="mono b ell">{one.kind}</b><span className="xs t2 ell">{said.states[one.state]}</span></span>
              <span className="xs t2" style={{ textAlign: "right" }}><When at={one.at} /><br />{one.took === null ? "" : `${one.took} ms · `}{one.application.split("_")[1] ?? ""}</span>
            </button>
          ))}
        </div>
        {more && <div className="tfoot"><button type="button" className="btn sm end" onClick={more}>{said.older}</button></div>}
      </section>
      {open ? <Told key={open.key} of={open} /> : <div className="centre"><div className="empty"><p className="t2">{said.pick}</p></div></div>}
    </div>
  );
}

/** What an application does itself, as lines to copy. */
function Manage(): ReactNode {
  const { data } = useQuery(DOCUMENT);
  const root = `${serverOf(data)}/api/v1/webhooks`;
  const bearer = '-H "Authorization: Bearer $TOKEN"';
  const json = '-H "Content-Type: application/json"';
  const terms = `-d '{"url": "https://app.example/wardlight", "kinds": ["study.available", "study.deleted"]}'`;
  const lines: [keyof typeof said.commands, string][] = [
    ["register", `curl ${bearer} ${json} \\\n  ${terms} \\\n  ${root}`],
    ["test", `curl -X POST ${bearer} ${root}/$WEBHOOK/test`],
    ["deliveries", `curl ${bearer} ${root}/$WEBHOOK/deliveries`],
    ["redeliver", `curl -X POST ${bearer} ${root}/$WEBHOOK/deliveries/$DELIVERY/redeliver`],
    ["change", `curl -X PUT ${bearer} ${json} \\\n  ${terms} \\\n  ${root}/$WEBHOOK`],
    ["rotate", `curl -X POST ${bearer} ${root}/$WEBHOOK/rotate`],
    ["end", `curl -X DELETE ${bearer} ${root}/$WEBHOOK`],
  ];
  return (
    <>
      <p className="t2">{said.manageHint}</p>
      {lines.map(([name, text]) => <section key={name}><h3>{said.commands[name]}</h3><Code text={text} name={name} label={said.commands[name]} /></section>)}
      <section><h3>{said.verify}</h3><Code label={said.verify} name="verify" text={VERIFY} /></section>
    </>
  );
}

const VERIFY = `from wardlight.client.webhooks import SeenIds, WebhookError, verify

seen = SeenIds()

def wardlight(request):
    try:
        event = verify(SECRET, request.headers, request.body)
    except WebhookError:
        return 400
    if seen.is_new(event.id):
        queue.put(event)      # work later: an answer is waited for ten seconds
    return 204`;
