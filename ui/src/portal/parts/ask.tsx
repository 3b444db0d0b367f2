// A dialog with a form that makes or changes something; what undoes or ends is asked by Confirm instead.
import { Modal } from "@mantine/core";
import { type QueryKey, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, type ReactNode, useState } from "react";

import { present } from "../app/step-up";
import { words } from "../app/words";

/** Does something that may need presence, and then looks again at what it changed. */
export function useAct(...changed: QueryKey[]): <Done>(act: () => Promise<Done>) => Promise<Done> {
  const queries = useQueryClient();
  return async (act) => {
    const done = await present(act);
    await Promise.all(changed.map((queryKey) => queries.invalidateQueries({ queryKey })));
    return done;
  };
}

/** Runs an act, and holds whether it is under way and why it failed. */
export function useTry(): { busy: boolean; failed: string; run: (act: () => Promise<unknown>) => Promise<boolean> } {
  const [busy, setBusy] = useState(false);
  const [failed, setFailed] = useState("");
  const run = async (act: () => Promise<unknown>): Promise<boolean> => {
    setBusy(true);
    setFailed("");
    try {
      await act();
      return true;
    } catch (error) {
      setFailed(error instanceof Error ? error.message : String(error));
      return false;
    } finally {
      setBusy(false);
    }
  };
  return { busy, failed, run };
}

interface Asked {
  title: string;
  children: ReactNode;
  action: string;
  ready?: boolean;
  act: () => Promise<unknown>;
  close: () => void;
  size?: number;
}

/** Shown while it is there: mount it to open it, so that it begins anew each time. */
export function Ask({ title, children, action, ready = true, act, close, size = 480 }: Asked): ReactNode {
  const { busy, failed, run } = useTry();
  const send = async (event: FormEvent): Promise<void> => {
    event.preventDefault();
    event.stopPropagation();
    if (ready && !busy) await run(act);
  };
  return (
    <Modal opened onClose={close} title={title} size={size} closeButtonProps={{ "aria-label": words.ask.close }}>
      <form className="col asked" onSubmit={(event) => void send(event)}>
        {children}
        <Failed text={failed} />
        <div className="row asked-end">
          <button type="button" className="btn" onClick={close}>{words.ask.close}</button>
          <button type="submit" className="btn pri" disabled={busy || !ready}>{action}</button>
        </div>
      </form>
    </Modal>
  );
}

/** A dialog that shows something once. */
export function Shown({ title, children, close, size = 560 }: { title: string; children: ReactNode; close: () => void; size?: number }): ReactNode {
  return (
    <Modal opened onClose={close} title={title} size={size} closeOnClickOutside={false} closeButtonProps={{ "aria-label": words.ask.close }}>
      <div className="col asked">
        {children}
        <div className="row asked-end"><button type="button" className="btn pri" data-autofocus onClick={close}>{words.ask.kept}</button></div>
      </div>
    </Modal>
  );
}

export function Failed({ text }: { text: string }): ReactNode {
  return text ? <p className="note bad" role="alert">{text}</p> : null;
}

export function Field({ label, hint, children }: { label: string; hint?: string; children: ReactNode }): ReactNode {
  return (
    <label className="col field">
      <span className="b">{label}</span>
      {children}
      {hint && <span className="xs t3">{hint}</span>}
    </label>
  );
}

interface Chosen<Value extends string> {
  label: string;
  value: Value;
  values: readonly (readonly [Value, string])[];
  choose: (value: Value) => void;
}

/** A select in the look of the other inputs. */
export function Choice<Value extends string>({ label, value, values, choose }: Chosen<Value>): ReactNode {
  return (
    <span className="inp">
      <select aria-label={label} value={value} onChange={(event) => choose(event.target.value as Value)}>
        {values.map(([one, name]) => <option key={one} value={one}>{name}</option>)}
      </select>
    </span>
  );
}
