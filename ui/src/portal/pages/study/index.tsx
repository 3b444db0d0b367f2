// One study: what it is, who can see it, its pictures, its history.
import "./study.css";

import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { IconChevronRight } from "@tabler/icons-react";
import { type ReactNode, useCallback, useEffect, useMemo, useState } from "react";

import type { components } from "../../api/schema";
import { ApiError } from "../../api/client";
import { Top } from "../../app/shell";
import { words } from "../../app/words";
import { ClassBadge } from "../../parts/badges";
import { type DicomRow, date, text, texts } from "../../parts/dicom";
import { Empty, Failure } from "../../parts/states";
import { WardLine } from "../../parts/ward";
import { When } from "../../parts/when";
import { isOpen } from "./access";
import { Actions, EndAll } from "./actions";
import { Current } from "./current";
import { firstQuery, framesOf, grantsQuery, hasThumbnail, isPicture, isShifted, kindOf, levelOf, metadataQuery, numeric, seriesQuery, studyQuery, T } from "./data";
import { Document } from "./document";
import { isOverlay, type Layer, layersQuery, underOf } from "./overlays";
import { Panel } from "./panel";
import { SeriesStrip } from "./series";

// Asked for at once, beside the data: the first picture needs both. Not by Suspense, which holds back what has come for a
// third of a second after the last thing that it waited for.
const viewer = import("./viewer");

function useViewer(): typeof import("./viewer").default | undefined {
  const [state, setState] = useState<{ component?: typeof import("./viewer").default; failed?: unknown }>({});
  useEffect(() => {
    viewer.then((one) => setState({ component: one.default }), (failed: unknown) => setState({ failed }));
  }, []);
  if (state.failed) throw state.failed;
  return state.component;
}

const route = getRouteApi("/studies/$study");
const NONE: readonly Layer[] = [];

type Grant = components["schemas"]["Grant"];

export function Study(): ReactNode {
  const { study } = route.useParams();
  const Viewer = useViewer();
  const found = useQuery(studyQuery(study));
  const series = useQuery(seriesQuery(study));
  const [wanted, setWanted] = useState("");
  const rows = useMemo(() => series.data ?? [], [series.data]);
  const layers = useQuery({ ...layersQuery(study, rows), enabled: rows.some((row) => isOverlay(text(row, T.modality))) }).data ?? NONE;
  const under = underOf(layers, wanted, rows) || wanted;
  const chosen = rows.find((row) => text(row, T.series) === under) ?? rows.find((row) => hasThumbnail(text(row, T.modality))) ?? rows[0];
  const uid = chosen === undefined ? "" : text(chosen, T.series);
  const first = useQuery({ ...firstQuery(study, uid), enabled: uid !== "" });
  // The metadata of a long series is large: the first picture does not wait behind it.
  const [pictured, setPictured] = useState("");
  const later = first.isPending || (first.data !== null && first.data !== undefined && isPicture(first.data) && pictured !== uid);
  const whole = useQuery({ ...metadataQuery(study, uid), enabled: uid !== "" && !later });
  const onPicture = useCallback(() => setPictured(uid), [uid]);
  const objects = useMemo(() => whole.data ?? (first.data ? [first.data] : []), [whole.data, first.data]);
  const frames = useMemo(() => framesOf(objects), [objects]);
  const [current, setCurrent] = useState<DicomRow | null>(null);
  const shown = current !== null && text(current, T.series) === uid ? current : objects[0] ?? null;
  const step = useCallback((by: number) => {
    const next = rows[rows.findIndex((row) => text(row, T.series) === uid) + by];
    if (next !== undefined) setWanted(text(next, T.series));
  }, [rows, uid]);
  const name = found.data ? text(found.data, T.patientId) || text(found.data, T.patientName) : "";
  return (
    <>
      <Top crumbs={<><Link to="/studies">{words.study.studies}</Link><IconChevronRight aria-hidden /><b className="mono">{name || "…"}</b></>} />
      <main className="stm" id="content">
        {found.error ? <Failure error={found.error} again={() => void found.refetch()} /> : found.data === null ? (
          <Empty title={words.study.gone}><p className="t2">{words.study.goneHint}</p></Empty>
        ) : (
          <Current value={shown}>
            <Head study={study} row={found.data} object={shown} />
            <Ward study={study} row={found.data} />
            <div className="lay">
              <SeriesStrip study={study} rows={rows} chosen={uid} choose={setWanted} />
              <Stage
                key={uid}
                error={series.error ?? (objects.length === 0 ? whole.error : null)}
                again={() => void whole.refetch()}
                objects={objects}
                empty={whole.isSuccess || (series.isSuccess && rows.length === 0)}
              >
                {Viewer && <Viewer study={found.data ?? {}} series={chosen ?? {}} frames={frames} whole={whole.isSuccess} onObject={setCurrent} onPicture={onPicture} onSeries={step} layers={layers} rows={rows} />}
              </Stage>
              {found.data === undefined ? <aside className="pan" aria-busy aria-label={words.study.panel} /> : <Panel study={study} />}
            </div>
          </Current>
        )}
      </main>
    </>
  );
}

interface Staged {
  error: unknown;
  again: () => void;
  objects: readonly DicomRow[];
  empty: boolean;
  children: ReactNode;
}

/** What the chosen series is shown by: the viewer, a document, or a word on why there is nothing to see. */
function Stage({ error, again, objects, empty, children }: Staged): ReactNode {
  if (error) return <div className="vw"><Failure error={error} again={again} /></div>;
  if (objects.length === 0) return <div className="vw" aria-busy={!empty}>{empty && <Empty title={words.study.noPictures} />}</div>;
  const kind = kindOf(objects);
  if (kind === "pictures") return children || <div className="vw" aria-busy />;
  return <Document kind={kind} rows={objects} />;
}

function Head({ study, row, object }: { study: string; row: DicomRow | undefined; object: DicomRow | null }): ReactNode {
  if (row === undefined) return <div className="st-h"><span className="skeleton late" style={{ width: 320, height: 20 }} /></div>;
  const level = levelOf(object);
  const age = /^0*(\d+)Y$/.exec(text(row, T.age))?.[1];
  const facts = [words.study.sexes[text(row, T.sex)] ?? "", age ? `${age} ${words.study.years}` : "", date(row, T.studyDate)].filter(Boolean);
  const [seriesCount, objectCount] = [numeric(row, T.seriesCount), numeric(row, T.objectCount)];
  return (
    <div className="st-h">
      <h1 className="ell">{text(row, T.patientId) || text(row, T.patientName) || "–"}</h1>
      <ClassBadge of={text(row, T.removed) === "YES" ? "pseudonymised" : "identified"} />
      {level && <span className="tag opt">{words.study.level} {level}</span>}
      <span className="b ell">{text(row, T.description) || texts(row, T.modalities).join(", ")}</span>
      <span className="t2 ell opt">
        {facts.join(" · ")}
        {facts.length > 0 && isShifted(object) && <span className="t3"> {words.study.shifted}</span>}
        {facts.length > 0 && " · "}
        {seriesCount === 1 ? words.study.oneSeries : `${seriesCount.toLocaleString()} ${words.study.manySeries}`}
        {`, ${objectCount === 1 ? words.study.oneObject : `${objectCount.toLocaleString()} ${words.study.manyObjects}`}`}
      </span>
      <span className="end row"><Actions study={study} row={row} /></span>
    </div>
  );
}

function Ward({ study, row }: { study: string; row: DicomRow | undefined }): ReactNode {
  const grants = useQuery({ ...grantsQuery(study), enabled: row !== undefined, placeholderData: keepPreviousData });
  const open = (grants.data ?? []).filter(isOpen);
  const hidden = grants.error instanceof ApiError && grants.error.problem.status === 403;
  const last = open.reduce<Grant | null>((a, b) => (a === null || b.expires_at > a.expires_at ? b : a), null);
  const what = words.study.classes[text(row ?? {}, T.removed) === "YES" ? "pseudonymised" : "identified"];
  return (
    <div className="st-w">
      <WardLine
        hold={row === undefined ? "…" : `${what} ${texts(row, T.modalities).join(", ")}`}
        who={hidden ? words.study.unknown : grants.isPending ? "…" : who(open)}
        why={why(open)}
        until={last === null ? "–" : <When at={last.expires_at} />}
        grants={open}
        end={open.length > 0 && <EndAll study={study} />}
      />
    </div>
  );
}

function who(open: readonly Grant[]): string {
  const applications = new Set(open.map((one) => one.application).filter(Boolean)).size;
  const people = new Set(open.map((one) => one.person).filter(Boolean)).size;
  const said = [
    applications ? `${applications} ${applications === 1 ? words.study.application : words.study.applications}` : "",
    people ? `${people} ${people === 1 ? words.study.colleague : words.study.colleagues}` : "",
  ].filter(Boolean);
  return said.join(", ") || words.study.onlyUs;
}

function why(open: readonly Grant[]): string {
  const all = new Set(open.flatMap((one) => one.purposes).map((code) => words.study.purposes[code] ?? code));
  return [...all].join(", ") || words.study.nobody;
}
