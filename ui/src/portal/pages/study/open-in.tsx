// Opens the study in another viewer, by a link that shows this study alone and ends soon.
import { Menu, Modal } from "@mantine/core";
import { IconChevronDown, IconExternalLink } from "@tabler/icons-react";
import { type ReactNode, useState } from "react";

import { api } from "../../api/client";
import type { components } from "../../api/schema";
import { words } from "../../app/words";
import { Copy } from "../../parts/copy";
import { When } from "../../parts/when";

type Viewer = components["schemas"]["ViewerLinkWish"]["viewer"];
type Link = components["schemas"]["ViewerLink"];

const VIEWERS: readonly Viewer[] = ["weasis", "slicer", "ohif"];
const LIVES = [15, 60, 480] as const;

export function OpenIn({ study }: { study: string }): ReactNode {
  const [viewer, setViewer] = useState<Viewer | null>(null);
  return (
    <>
      <Menu position="bottom-end">
        <Menu.Target>
          <button type="button" className="btn" aria-label={words.openIn.button}><IconExternalLink size={16} aria-hidden /><span className="hide-md">{words.openIn.button}</span><IconChevronDown size={14} aria-hidden /></button>
        </Menu.Target>
        <Menu.Dropdown>
          {VIEWERS.map((one) => <Menu.Item key={one} onClick={() => setViewer(one)}>{words.openIn.names[one]}</Menu.Item>)}
        </Menu.Dropdown>
      </Menu>
      {viewer !== null && <Opening study={study} viewer={viewer} close={() => setViewer(null)} />}
    </>
  );
}

function Opening({ study, viewer, close }: { study: string; viewer: Viewer; close: () => void }): ReactNode {
  const [minutes, setMinutes] = useState<number>(LIVES[0]);
  const [link, setLink] = useState<Link | null>(null);
  const [failed, setFailed] = useState("");
  const [ended, setEnded] = useState(false);
  const [busy, setBusy] = useState(false);
  const tried = async (act: () => Promise<void>): Promise<void> => {
    setBusy(true);
    setFailed("");
    try {
      await act();
    } catch (error) {
      setFailed(error instanceof Error ? error.message : String(error));
    } finally {
      setBusy(false);
    }
  };
  const make = (): Promise<void> => tried(async () => {
    const { data } = await api.POST("/api/v1/studies/{study}/viewer-links", { params: { path: { study } }, body: { viewer, seconds: minutes * 60, purpose: "TREAT" } });
    if (data) setLink(data);
  });
  const end = (): Promise<void> => tried(async () => {
    await api.DELETE("/api/v1/studies/{study}/viewer-links", { params: { path: { study } } });
    setLink(null);
    setEnded(true);
  });
  const name = words.openIn.names[viewer];
  return (
    <Modal opened onClose={close} title={`${words.openIn.title} ${name}`} size={520} closeButtonProps={{ "aria-label": words.openIn.close }}>
      <div className="col" style={{ gap: 12 }}>
        <p>{words.openIn.says}</p>
        <p className="t2">{words.openIn.needs[viewer]}</p>
        {link === null ? (
          <>
            <label className="fld">
              <span>{words.openIn.life}</span>
              <select className="sel" value={minutes} onChange={(event) => setMinutes(Number(event.target.value))}>
                {LIVES.map((one) => <option key={one} value={one}>{words.openIn.lives[one]}</option>)}
              </select>
            </label>
            {ended && <p className="t2" role="status">{words.openIn.ended}</p>}
          </>
        ) : (
          <p role="status">{words.openIn.until} <When at={link.expires_at} /></p>
        )}
        {failed && <p className="bad" role="alert">{failed}</p>}
        <div className="row" style={{ gap: 8 }}>
          {link === null ? <button type="button" className="btn pri" disabled={busy} onClick={() => void make()}>{words.openIn.make}</button> : (
            <>
              <a className="btn pri" href={link.url} target={viewer === "ohif" ? "_blank" : undefined} rel="noreferrer noopener">{words.openIn.go} {name}</a>
              <Copy text={link.url} />
              <button type="button" className="btn dan-q" disabled={busy} onClick={() => void end()}>{words.openIn.end}</button>
            </>
          )}
        </div>
      </div>
    </Modal>
  );
}
