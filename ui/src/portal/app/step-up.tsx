// Presence is proved again before what matters: any act may meet `forbidden` with reason `step-up`, asks, and goes on.
import { Modal } from "@mantine/core";
import { IconKey } from "@tabler/icons-react";
import { useQueryClient } from "@tanstack/react-query";
import { type ReactNode, useEffect, useRef, useState } from "react";

import { api, ApiError, setCsrf } from "../api/client";
import { askPasskey, PASSKEYS } from "../parts/passkey";
import { SESSION, type Session } from "./session";
import { words } from "./words";

/** The person closed the dialog: nothing was done, and nothing need be said. */
export class NotProved extends Error {
  constructor() {
    super(words.stepUp.notProved);
  }
}

type Asked = { done: (session: Session) => void; left: () => void };
let ask: ((asked: Asked) => void) | null = null;
let asking: Promise<void> | null = null;

function wanted(error: unknown): boolean {
  return error instanceof ApiError && error.problem.status === 403 && error.problem.reason === "step-up";
}

function prove(): Promise<void> {
  asking ??= new Promise<void>((done, left) => {
    if (ask === null) throw new NotProved();
    ask({ done: () => done(), left: () => left(new NotProved()) });
  }).finally(() => {
    asking = null;
  });
  return asking;
}

/**
 * Does what needs presence. Where the server wants it proved, a dialog asks for a passkey or a code, and the act is
 * done once more. `await present(() => api.PUT(…))`; throws NotProved where the person closed the dialog.
 */
export async function present<Done>(act: () => Promise<Done>): Promise<Done> {
  try {
    return await act();
  } catch (error) {
    if (!wanted(error)) throw error;
    await prove();
    return await act();
  }
}

/** The dialog; one in the shell, for all pages. */
export function StepUp(): ReactNode {
  const [asked, setAsked] = useState<Asked | null>(null);
  const [code, setCode] = useState("");
  const [failed, setFailed] = useState("");
  const [busy, setBusy] = useState(false);
  const field = useRef<HTMLInputElement>(null);
  const queries = useQueryClient();
  useEffect(() => {
    ask = (one) => {
      setCode("");
      setFailed("");
      setAsked(one);
    };
    return () => {
      ask = null;
    };
  }, []);
  const attempt = async (work: () => Promise<Session | undefined>): Promise<void> => {
    setBusy(true);
    setFailed("");
    try {
      const session = await work();
      if (session === undefined) throw new NotProved();
      setCsrf(session.csrf);
      queries.setQueryData(SESSION.queryKey, (was: Session | undefined) => ({ ...was, ...session }));
      setAsked(null);
      asked?.done(session);
    } catch (error) {
      const wrong = error instanceof ApiError && error.problem.code === "sign-in-failed";
      setFailed(wrong ? words.stepUp.wrong : error instanceof Error ? error.message : String(error));
      setCode("");
      field.current?.focus();
    } finally {
      setBusy(false);
    }
  };
  const byCode = async (): Promise<Session | undefined> =>
    (await api.POST("/api/v1/session/step-up", { body: { code: code.trim() } })).data;
  const byPasskey = async (): Promise<Session | undefined> => {
    const options = (await api.POST("/api/v1/session/step-up-options")).data;
    const passkey = await askPasskey(options);
    return (await api.POST("/api/v1/session/step-up", { body: { passkey } })).data;
  };
  const leave = (): void => {
    setAsked(null);
    asked?.left();
  };
  return (
    <Modal opened={asked !== null} onClose={leave} title={words.stepUp.title} size={420} zIndex={400} closeButtonProps={{ "aria-label": words.stepUp.leave }}>
      <form
        className="col"
        style={{ gap: 12 }}
        onSubmit={(event) => {
          event.preventDefault();
          event.stopPropagation();
          if (code.trim() && !busy) void attempt(byCode);
        }}
      >
        <p className="t2">{words.stepUp.why}</p>
        <label className="col" style={{ gap: 4 }}>
          <span className="b">{words.stepUp.code}</span>
          <span className="inp">
            <input ref={field} data-autofocus name="step-up-code" value={code} onChange={(event) => setCode(event.target.value)} autoComplete="one-time-code" spellCheck={false} />
          </span>
        </label>
        {failed && <p className="note bad" role="alert">{failed}</p>}
        <div className="row">
          {PASSKEYS && (
            <button type="button" className="btn" disabled={busy} onClick={() => void attempt(byPasskey)}>
              <IconKey size={16} stroke={1.7} aria-hidden />{words.stepUp.passkey}
            </button>
          )}
          <button type="button" className="btn qt end" onClick={leave}>{words.stepUp.leave}</button>
          <button type="submit" className="btn pri" disabled={busy || !code.trim()}>{words.stepUp.go}</button>
        </div>
      </form>
    </Modal>
  );
}
