// Measurements in the viewer: drawn where they are kept, and kept when one wants it.
import { keepPreviousData, useQuery, useQueryClient } from "@tanstack/react-query";
import { type RefObject, useCallback, useEffect, useRef, useState } from "react";

import { useRole, useSession } from "../../app/session";
import { words } from "../../app/words";
import type { DicomRow } from "../../parts/dicom";
import type { Frame } from "./data";
import { type Drawing, drawingOf } from "./drawing";
import type { StackView } from "./engine";
import { keep as keepReport, reportsQuery } from "./reports";

interface Kept {
  /** Whether one may keep any. */
  may: boolean;
  /** How many are not kept as they are. */
  changed: number;
  busy: boolean;
  failed: boolean;
  said: string;
  keep: () => void;
  remove: () => void;
}

export function useDrawing(study: string, rows: readonly DicomRow[], frames: readonly Frame[], engine: RefObject<StackView | null>, ready: boolean): Kept {
  const { id } = useSession();
  const may = useRole("administrator", "clinician");
  const queries = useQueryClient();
  const drawing = useRef<Drawing | null>(null);
  const [changed, setChanged] = useState(0);
  const [busy, setBusy] = useState(false);
  const [said, setSaid] = useState({ text: "", failed: false });
  const reports = useQuery({ ...reportsQuery(study, rows), enabled: study !== "", placeholderData: keepPreviousData }).data;

  useEffect(() => {
    if (reports === undefined) return undefined;
    const now = drawingOf(study, reports, id);
    drawing.current = now;
    now.listen(setChanged);
    return () => now.listen(() => undefined);
  }, [study, reports, id]);
  useEffect(() => {
    const viewport = engine.current?.viewport;
    if (ready && viewport) drawing.current?.show(frames, viewport);
  }, [reports, frames, engine, ready]);
  useEffect(() => {
    if (changed === 0 || !may) return undefined;
    const ask = (event: BeforeUnloadEvent): void => event.preventDefault();
    window.addEventListener("beforeunload", ask);
    return () => window.removeEventListener("beforeunload", ask);
  }, [changed, may]);
  useEffect(() => {
    if (!said.text || said.failed) return undefined;
    const timer = window.setTimeout(() => setSaid({ text: "", failed: false }), 3000);
    return () => window.clearTimeout(timer);
  }, [said]);

  const keep = useCallback(() => {
    const now = drawing.current;
    if (now === null || busy || !may) return;
    setBusy(true);
    void (async () => {
      try {
        await keepReport(study, now.measurements().filter((one) => one.values.length > 0), now.before);
        setSaid({ text: words.viewer.kept, failed: false });
        await queries.invalidateQueries({ queryKey: ["study", study, "series"], exact: true });
        await queries.invalidateQueries({ queryKey: ["study", study, "measurements"] });
      } catch (error) {
        setSaid({ text: `${words.viewer.notKept}: ${error instanceof Error ? error.message : String(error)}`, failed: true });
      } finally {
        setBusy(false);
      }
    })();
  }, [busy, may, queries, study]);
  const remove = useCallback(() => drawing.current?.remove(engine.current?.viewport), [engine]);
  return { may, changed: may ? changed : 0, busy, failed: said.failed, said: said.text, keep, remove };
}
