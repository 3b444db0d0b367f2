// Asks before what cannot be undone: what will happen in order, what will not, the milder way out.
import { Modal } from "@mantine/core";
import { type ReactNode, useState } from "react";

import { words } from "../app/words";

interface Asked {
  opened: boolean;
  title: string;
  children: ReactNode;
  action: string;
  /** To be typed before the action is offered; Esc keeps everything as it is. */
  type?: string;
  act: () => Promise<unknown>;
  close: () => void;
}

export function Confirm({ opened, title, children, action, type, act, close }: Asked): ReactNode {
  const [typed, setTyped] = useState("");
  const [busy, setBusy] = useState(false);
  const [failed, setFailed] = useState("");
  const sure = type === undefined || typed === type;
  const go = async (): Promise<void> => {
    setBusy(true);
    setFailed("");
    try {
      await act();
      close();
    } catch (error) {
      setFailed(error instanceof Error ? error.message : String(error));
    } finally {
      setBusy(false);
    }
  };
  return (
    <Modal opened={opened} onClose={close} title={title} size={600} closeButtonProps={{ "aria-label": words.confirm.keep }}>
      <form onSubmit={(event) => { event.preventDefault(); if (sure && !busy) void go(); }}>
        <div className="col" style={{ gap: 12 }}>
          {children}
          {type !== undefined && (
            <label className="col" style={{ gap: 4 }}>
              <span>{words.confirm.type} <b className="mono">{type}</b></span>
              <span className="inp"><input autoFocus data-autofocus value={typed} onChange={(event) => setTyped(event.target.value)} autoComplete="off" spellCheck={false} /></span>
            </label>
          )}
          {failed && <p className="note bad" role="alert">{failed}</p>}
          <div className="row" style={{ justifyContent: "flex-end" }}>
            <button type="button" className="btn" onClick={close}>{words.confirm.keep}</button>
            <button type="submit" className="btn dan" disabled={!sure || busy}>{action}</button>
          </div>
        </div>
      </form>
    </Modal>
  );
}
