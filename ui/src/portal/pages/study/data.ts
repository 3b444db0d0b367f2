// What the page asks the archive, and how objects of a series become pictures in order.
import { queryOptions } from "@tanstack/react-query";

import { api, dicomJson } from "../../api/client";
import { type DicomRow, text, texts } from "../../parts/dicom";

export const T = {
  patientName: "00100010", patientId: "00100020", sex: "00100040", age: "00101010", removed: "00120062", method: "00120063", shifted: "00280303",
  studyDate: "00080020", description: "00081030", seriesDescription: "0008103E", modality: "00080060", modalities: "00080061",
  study: "0020000D", series: "0020000E", instance: "00080018", sopClass: "00080016", seriesNumber: "00200011", instanceNumber: "00200013",
  seriesCount: "00201206", objectCount: "00201208", inSeries: "00201209", frames: "00280008", rows: "00280010", columns: "00280011",
  position: "00200032", directions: "00200020", orientation: "00200037", thickness: "00180050", spacing: "00280030", centre: "00281050", width: "00281051", windowName: "00281055",
  photometric: "00280004", title: "00420010", mime: "00420012", document: "00420011", frameTime: "00181063", cineRate: "00180040", displayRate: "00082144",
} as const;

/** Where an object's pictures, metadata and values are. */
export function address(study: string, series?: string, instance?: string): string {
  return `/dicom-web/studies/${study}${series ? `/series/${series}` : ""}${instance ? `/instances/${instance}` : ""}`;
}

export const studyQuery = (study: string) => queryOptions({
  queryKey: ["study", study],
  queryFn: async ({ signal }) => (await dicomJson<DicomRow>(`/dicom-web/studies?StudyInstanceUID=${study}&includefield=all`, signal)).rows[0] ?? null,
});

export const seriesQuery = (study: string) => queryOptions({
  queryKey: ["study", study, "series"],
  queryFn: async ({ signal }) => {
    const { rows } = await dicomJson<DicomRow>(`/dicom-web/series?StudyInstanceUID=${study}&includefield=${T.seriesDescription}&limit=500`, signal);
    return rows.sort((a, b) => numeric(a, T.seriesNumber) - numeric(b, T.seriesNumber));
  },
});

/** The first object alone, so that it is seen before all metadata is there. */
export const firstQuery = (study: string, series: string) => queryOptions({
  queryKey: ["study", study, "series", series, "first"],
  staleTime: 300_000,
  queryFn: async ({ signal }) => {
    const { rows } = await dicomJson<DicomRow>(`${address(study, series)}/instances?limit=1`, signal);
    if (rows[0] === undefined) return null;
    return (await dicomJson<DicomRow>(`${address(study, series, text(rows[0], T.instance))}/metadata`, signal)).rows[0] ?? null;
  },
});

export const metadataQuery = (study: string, series: string) => queryOptions({
  queryKey: ["study", study, "series", series, "metadata"],
  staleTime: 300_000,
  queryFn: async ({ signal }) => inOrder((await dicomJson<DicomRow>(`${address(study, series)}/metadata`, signal)).rows),
});

export const grantsQuery = (study: string) => queryOptions({
  queryKey: ["grants", study],
  queryFn: async () => (await api.GET("/api/v1/grants", { params: { query: { study, limit: 500 } } })).data?.grants ?? [],
});

export function numbers(row: DicomRow, tag: string): number[] {
  return (row[tag]?.Value ?? []).map(Number).filter((value) => Number.isFinite(value));
}

export function numeric(row: DicomRow, tag: string): number {
  return numbers(row, tag)[0] ?? 0;
}

/** How far along the normal of its plane an image lies; null where it does not say. */
function depth(row: DicomRow): number | null {
  const at = numbers(row, T.position);
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0] = numbers(row, T.orientation);
  if (at.length !== 3 || numbers(row, T.orientation).length !== 6) return null;
  return (at[0] ?? 0) * (b * f - c * e) + (at[1] ?? 0) * (c * d - a * f) + (at[2] ?? 0) * (a * e - b * d);
}

/** By number, as the device made them; by place where numbers say nothing. */
export function inOrder(rows: DicomRow[]): DicomRow[] {
  const numbered = new Set(rows.map((row) => text(row, T.instanceNumber))).size === rows.length;
  return [...rows].sort((a, b) => {
    const [first, second] = [depth(a), depth(b)];
    if (!numbered && first !== null && second !== null && first !== second) return first - second;
    return numeric(a, T.instanceNumber) - numeric(b, T.instanceNumber) || text(a, T.instance).localeCompare(text(b, T.instance));
  });
}

/** One picture: its address, the object it is of, and what holds for this very frame. */
export interface Frame {
  id: string;
  number: number;
  of: DicomRow;
  row: DicomRow;
}

/** The pictures of these objects; a functional group of a frame speaks for that frame alone (PS3.3 C.7.6.16). */
export function framesOf(rows: readonly DicomRow[]): Frame[] {
  return rows.filter(isPicture).flatMap((row) => {
    const place = address(text(row, T.study), text(row, T.series), text(row, T.instance));
    const count = Math.max(1, numeric(row, T.frames));
    const { "52009229": shared, "52009230": each, [T.frames]: _count, ...rest } = row;
    return Array.from({ length: count }, (_, index) => ({
      id: `wadors:${location.origin}${place}/frames/${index + 1}`,
      number: index + 1,
      of: row,
      row: count === 1 && !each ? row : { ...rest, ...groups(shared?.Value?.[0]), ...groups(each?.Value?.[index]) },
    }));
  });
}

function groups(item: unknown): DicomRow {
  const found: DicomRow = {};
  for (const group of Object.values((item ?? {}) as DicomRow)) Object.assign(found, group?.Value?.[0] ?? {});
  return found;
}

/** Segmentations and doses are maps over other images, no images to look at by themselves. */
const MAPS = new Set(["1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7", "1.2.840.10008.5.1.4.1.1.481.2", "1.2.840.10008.5.1.4.1.1.30"]);

export function isPicture(row: DicomRow): boolean {
  return row[T.rows] !== undefined && row[T.columns] !== undefined && !MAPS.has(text(row, T.sopClass)) && ("7FE00010" in row || "7FE00008" in row || "7FE00009" in row);
}

const REPORTS = new Set(["SR", "KO"]);
const NO_THUMBNAIL = new Set(["SR", "KO", "PR", "DOC", "PLAN", "RTPLAN", "RTSTRUCT", "RTRECORD", "REG", "ECG", "HD", "AU", "FID", "RWV", "SEG", "RTDOSE", "OT-DOC"]);

export const hasThumbnail = (modality: string): boolean => !NO_THUMBNAIL.has(modality);

export type Kind = "pictures" | "report" | "pdf" | "other";

export function kindOf(rows: readonly DicomRow[]): Kind {
  if (rows.some(isPicture)) return "pictures";
  const row = rows[0];
  if (row === undefined) return "other";
  if (text(row, T.mime) === "application/pdf" || text(row, T.sopClass) === "1.2.840.10008.5.1.4.1.1.104.1") return "pdf";
  return REPORTS.has(text(row, T.modality)) || "0040A730" in row ? "report" : "other";
}

/** The level that the object was protected at, as its own words say it. */
export function levelOf(row: DicomRow | null): string {
  return row === null ? "" : /^Wardlight ([\w-]+),/.exec(texts(row, T.method).at(-1) ?? "")?.[1] ?? "";
}

export function isShifted(row: DicomRow | null): boolean {
  return row !== null && text(row, T.shifted) === "MODIFIED";
}
