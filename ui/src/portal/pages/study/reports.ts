// Measurements as the study keeps them: DICOM SR in TID 1500 (PS3.16), by whoever made them.
import { queryOptions } from "@tanstack/react-query";

import type { components } from "../../api/schema";
import { api } from "../../api/client";
import { type DicomRow, text, texts } from "../../parts/dicom";
import { metadataQuery, numbers, numeric, T } from "./data";

export type Measurement = components["schemas"]["Measurement"];
export type Kind = Measurement["kind"];
export type Value = Measurement["values"][number];

export interface Report {
  series: string;
  instance: string;
  version: number;
  /** Id and name of who measured; the id alone tells whose it is. */
  login: string;
  by: string;
  replaces: string;
  items: Measurement[];
}

const C = { name: "0040A043", type: "0040A040", content: "0040A730", code: "00080100", text: "0040A160", person: "0040A123", uid: "0040A124", template: "0040A504", before: "0040A360" } as const;

const items = (row: DicomRow, tag: string): DicomRow[] => (row[tag]?.Value ?? []) as DicomRow[];
const codeOf = (row: DicomRow, tag: string = C.name): string => text(items(row, tag)[0] ?? {}, C.code);
const of = (row: DicomRow, code: string): DicomRow[] => items(row, C.content).filter((one) => codeOf(one) === code);

const QUANTITIES: Record<string, Value["quantity"]> = {
  "410668003": "length", "G-D7FE": "length", "1483009": "angle", "G-A385": "angle", "42798000": "area", "G-A166": "area", "373098007": "mean", "386136009": "deviation",
  "255605001": "minimum", "56851009": "maximum",
};
const UNITS: Record<string, Value["unit"]> = { mm: "mm", mm2: "mm2", deg: "deg", "[hnsf'U]": "HU", "1": "1" };

/** Every report of measurements of the study that no later one of the same person takes the place of. */
export const reportsQuery = (study: string, series: readonly DicomRow[]) => {
  const of = series.filter((row) => text(row, T.modality) === "SR").map((row) => `${text(row, T.series)} ${text(row, T.inSeries)}`);
  return queryOptions({
    queryKey: ["study", study, "measurements", ...of],
    staleTime: Infinity,
    queryFn: async ({ client }) => {
      const rows = await Promise.all(of.map((one) => client.fetchQuery({ ...metadataQuery(study, one.split(" ")[0] ?? ""), staleTime: 0 })));
      const all = rows.flat().map(reportOf).filter((one) => one !== null);
      return all.filter((one) => !all.some((later) => later.replaces === one.instance && later.login === one.login));
    },
  });
};

export function reportOf(row: DicomRow): Report | null {
  if (codeOf(row) !== "126000") return null;
  const before = items(items(items(row, C.before)[0] ?? {}, "00081115")[0] ?? {}, "00081199")[0] ?? {};
  return {
    series: text(row, T.series),
    instance: text(row, T.instance),
    version: numeric(row, T.instanceNumber) || 1,
    login: text(of(row, "128774")[0] ?? {}, C.text),
    by: text(of(row, "121008")[0] ?? {}, C.person),
    replaces: text(before, "00081155"),
    items: of(row, "126010").flatMap((held) => of(held, "125007")).map((group) => measurementOf(group, seriesOf(row))).filter((one) => one !== null),
  };
}

/** Series of each instance that the report is about. */
function seriesOf(row: DicomRow): Map<string, string> {
  const found = new Map<string, string>();
  for (const tag of ["0040A375", "0040A385"]) {
    for (const study of items(row, tag)) {
      for (const series of items(study, "00081115")) for (const one of items(series, "00081199")) found.set(text(one, "00081155"), text(series, T.series));
    }
  }
  return found;
}

function measurementOf(group: DicomRow, series: Map<string, string>): Measurement | null {
  const held = items(group, C.content);
  const drawn = [...held, ...held.flatMap((one) => items(one, C.content))].find((one) => text(one, C.type) === "SCOORD");
  if (drawn === undefined) return null;
  const image = items(items(drawn, C.content).find((one) => text(one, C.type) === "IMAGE") ?? {}, "00081199")[0] ?? {};
  const flat = numbers(drawn, "00700022");
  const points = Array.from({ length: flat.length >> 1 }, (_, at) => [flat[2 * at] ?? 0, flat[2 * at + 1] ?? 0]);
  const values = held.filter((one) => text(one, C.type) === "NUM").map(valueOf).filter((one) => one !== null);
  const shape = shapeOf(text(drawn, "00700023"), points, values);
  const instance = text(image, "00081155");
  if (shape === null || values.length === 0 || !series.has(instance)) return null;
  const tracking = text(of(group, "112040")[0] ?? {}, C.uid);
  return {
    ...shape, instance, series: series.get(instance) ?? "", frame: numeric(image, "00081160"), values,
    ...(tracking ? { tracking } : {}),
  };
}

function valueOf(row: DicomRow): Value | null {
  const quantity = QUANTITIES[codeOf(row)];
  const measured = items(row, "0040A300")[0] ?? {};
  const code = codeOf(measured, "004008EA");
  const unit = code === "{pixels}" ? (quantity === "area" ? "px2" : "px") : UNITS[code];
  const value = Number(texts(measured, "0040A30A")[0]);
  return quantity === undefined || unit === undefined || !Number.isFinite(value) ? null : { quantity, value, unit };
}

function shapeOf(type: string, points: number[][], values: Value[]): Pick<Measurement, "kind" | "points"> | null {
  const has = (quantity: Value["quantity"]): boolean => values.some((one) => one.quantity === quantity);
  if (type === "ELLIPSE") return points.length === 4 ? { kind: "ellipse", points } : null;
  if (type !== "POLYLINE") return null;
  if (points.length === 2 && has("length")) return { kind: "length", points };
  if (points.length === 3 && has("angle")) return { kind: "angle", points };
  const [first, last] = [points[0], points.at(-1)];
  if (points.length < 4 || first?.[0] !== last?.[0] || first?.[1] !== last?.[1]) return null;
  const open = points.slice(0, -1);
  return { kind: open.length === 4 && isRectangle(open) ? "rectangle" : "polygon", points: open };
}

function isRectangle(points: number[][]): boolean {
  const [a, b, c, d] = points as [number[], number[], number[], number[]];
  return Math.hypot((a[0] ?? 0) - (b[0] ?? 0) + (c[0] ?? 0) - (d[0] ?? 0), (a[1] ?? 0) - (b[1] ?? 0) + (c[1] ?? 0) - (d[1] ?? 0)) < 0.5;
}

/** Keeps what is drawn now as the next version of one's own report, or as the first. */
export async function keep(study: string, measurements: Measurement[], before: Report | undefined): Promise<void> {
  await api.POST("/api/v1/studies/{study}/measurements", {
    params: { path: { study } },
    body: {
      measurements,
      version: (before?.version ?? 0) + 1,
      ...(before ? { replaces: { series: before.series, instance: before.instance } } : {}),
    },
  });
}
