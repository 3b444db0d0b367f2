// Segmentations (PS3.3 A.51, A.52) and structure sets (A.19): what lies over which picture.
import { queryOptions } from "@tanstack/react-query";

import { request } from "../../api/client";
import { type DicomRow, text } from "../../parts/dicom";
import { address, metadataQuery, numbers, numeric, T } from "./data";

type Triple = [number, number, number];

export interface Part {
  number: number;
  name: string;
  colour: Triple;
}

/** Where a map of pixels lies: the outer corner of its first pixel, and its steps; null: it has the picture's own. */
export interface Lie {
  corner: Triple;
  column: Triple;
  row: Triple;
}

export interface Patch {
  part: number;
  frame: number;
  /** SOP Instance UID and frame of the picture it was drawn on. */
  on: string;
  lie: Lie | null;
}

export interface Contour {
  part: number;
  on: string;
  points: Triple[];
  closed: boolean;
}

export interface Layer {
  id: string;
  kind: "segments" | "structures";
  name: string;
  /** Series that it was drawn on, and the frame of reference that it shares. */
  series: string[];
  reference: string;
  parts: Part[];
  patches: Patch[];
  contours: Contour[];
  columns: number;
  rows: number;
  bits: number;
  /** What stands for wholly inside; 0: pixels hold the numbers of segments. */
  full: number;
  place: string;
}

const SEGMENTATIONS = new Set(["1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7"]);
const STRUCTURES = "1.2.840.10008.5.1.4.1.1.481.3";
const OVERLAYS = new Set(["SEG", "RTSTRUCT"]);
const PALETTE: readonly Triple[] = [[239, 68, 68], [34, 197, 94], [59, 130, 246], [234, 179, 8], [168, 85, 247], [20, 184, 166], [249, 115, 22], [236, 72, 153]];

export const isOverlay = (modality: string): boolean => OVERLAYS.has(modality);

const items = (row: DicomRow, tag: string): DicomRow[] => (row[tag]?.Value ?? []) as DicomRow[];

export const layersQuery = (study: string, series: readonly DicomRow[]) => {
  const of = series.filter((row) => isOverlay(text(row, T.modality))).map((row) => text(row, T.series));
  return queryOptions({
    queryKey: ["study", study, "layers", ...of],
    staleTime: Infinity,
    queryFn: async ({ client }) => {
      const rows = await Promise.all(of.map((one) => client.fetchQuery(metadataQuery(study, one))));
      return (await Promise.all(rows.flat().map(layerOf))).filter((one) => one !== null);
    },
  });
};

async function layerOf(row: DicomRow): Promise<Layer | null> {
  const kind = text(row, T.sopClass);
  if (SEGMENTATIONS.has(kind)) return segmentation(row);
  return kind === STRUCTURES ? structures(row) : null;
}

const placeOf = (row: DicomRow): string => address(text(row, T.study), text(row, T.series), text(row, T.instance));

function segmentation(row: DicomRow): Layer {
  const shared = items(row, "52009229")[0] ?? {};
  const each = items(row, "52009230");
  const labels = text(row, "00620001") === "LABELMAP";
  return {
    id: text(row, T.instance),
    kind: "segments",
    name: text(row, "00700080") || text(row, T.seriesDescription) || "SEG",
    series: items(row, "00081115").map((one) => text(one, T.series)),
    reference: text(row, "00200052"),
    parts: items(row, "00620002").map((one, at) => ({
      number: numeric(one, "00620004"), name: text(one, "00620005") || `${numeric(one, "00620004")}`, colour: colourOf(numbers(one, "0062000D"), at),
    })),
    patches: each.map((group, at) => patchOf(group, shared, at + 1)),
    contours: [],
    columns: numeric(row, T.columns),
    rows: numeric(row, T.rows),
    bits: numeric(row, "00280100"),
    full: labels ? 0 : text(row, "00620001") === "FRACTIONAL" ? numeric(row, "0062000E") || 255 : 1,
    place: placeOf(row),
  };
}

function patchOf(group: DicomRow, shared: DicomRow, frame: number): Patch {
  const one = (sequence: string): DicomRow => items(group, sequence)[0] ?? items(shared, sequence)[0] ?? {};
  const source = items(one("00089124"), "00082112")[0] ?? {};
  const at = numbers(one("00209113"), T.position);
  const way = numbers(one("00209116"), T.orientation);
  const step = numbers(one("00289110"), T.spacing);
  return {
    part: numeric(one("0062000A"), "0062000B"),
    frame,
    on: text(source, "00081155") ? `${text(source, "00081155")} ${numeric(source, "00081160") || 1}` : "",
    lie: at.length === 3 && way.length === 6 && step.length === 2 ? lieOf(at, way, step) : null,
  };
}

export function lieOf(at: number[], way: number[], step: number[]): Lie {
  const column = way.slice(0, 3).map((one) => one * (step[1] ?? 1)) as Triple;
  const row = way.slice(3).map((one) => one * (step[0] ?? 1)) as Triple;
  return { corner: at.map((one, axis) => one - ((column[axis] ?? 0) + (row[axis] ?? 0)) / 2) as Triple, column, row };
}

async function structures(row: DicomRow): Promise<Layer> {
  const rois = new Map(items(row, "30060020").map((one) => [numeric(one, "30060022"), one]));
  const contours: Contour[] = [];
  const parts: Part[] = [];
  const held = items(row, "30060039");
  for (const [at, roi] of held.entries()) {
    const number = numeric(roi, "30060084");
    const said = rois.get(number) ?? {};
    const given = numbers(roi, "3006002A");
    parts.push({ number, name: text(said, "30060026") || `${number}`, colour: given.length === 3 ? (given as Triple) : PALETTE[at % PALETTE.length] ?? [255, 0, 0] });
    for (const [index, one] of items(roi, "30060040").entries()) {
      const flat = await coordinates(row, one, `30060039/${at}/30060040/${index}/30060050`);
      const points = Array.from({ length: Math.floor(flat.length / 3) }, (_, place) => flat.slice(3 * place, 3 * place + 3) as Triple);
      const image = items(one, "30060016")[0] ?? {};
      if (points.length) contours.push({ part: number, on: text(image, "00081155") ? `${text(image, "00081155")} ${numeric(image, "00081160") || 1}` : "", points, closed: text(one, "30060042").startsWith("CLOSED") });
    }
  }
  const frames = items(row, "30060010");
  const series = frames.flatMap((frame) => items(frame, "30060012")).flatMap((study) => items(study, "30060014")).map((one) => text(one, T.series));
  return {
    id: text(row, T.instance), kind: "structures", name: text(row, "30060002") || text(row, T.seriesDescription) || "RTSTRUCT", series,
    reference: text(frames[0] ?? {}, "00200052") || text([...rois.values()][0] ?? {}, "30060024"),
    parts, patches: [], contours, columns: 0, rows: 0, bits: 0, full: 1, place: placeOf(row),
  };
}

/** Contour Data; where it is long it comes as bulk data, its decimals joined by backslashes. */
async function coordinates(row: DicomRow, contour: DicomRow, path: string): Promise<number[]> {
  const element = contour["30060050"];
  if (element === undefined || element.Value) return numbers(contour, "30060050");
  const answer = await request(`${placeOf(row)}/bulkdata/${path}`, { headers: { Accept: "application/octet-stream" } });
  return (await answer.text()).replaceAll("\0", "").split("\\").map(Number).filter((one) => Number.isFinite(one));
}

/** From CIELab as DICOM has it (PS3.3 C.10.7.1.1) to sRGB. */
export function colourOf(lab: number[], at: number): Triple {
  const [l, a, b] = lab;
  if (l === undefined || a === undefined || b === undefined) return PALETTE[at % PALETTE.length] ?? [255, 0, 0];
  const y = ((l / 65535) * 100 + 16) / 116;
  const cube = (one: number): number => (one ** 3 > 0.008856 ? one ** 3 : (one - 16 / 116) / 7.787);
  const [X, Y, Z] = [0.9642 * cube(((a / 65535) * 255 - 128) / 500 + y), cube(y), 0.8249 * cube(y - ((b / 65535) * 255 - 128) / 200)];
  const linear = [3.1339 * X - 1.6169 * Y - 0.4906 * Z, -0.9788 * X + 1.9161 * Y + 0.0335 * Z, 0.0719 * X - 0.229 * Y + 1.4052 * Z];
  return linear.map((one) => Math.round(255 * Math.min(1, Math.max(0, one <= 0.0031308 ? 12.92 * one : 1.055 * one ** (1 / 2.4) - 0.055)))) as Triple;
}

/** One frame's pixels: how far each is inside, 0 to 255; of a map of labels, the labels. */
export async function pixelsOf(layer: Layer, frame: number): Promise<Uint8Array | Uint16Array> {
  const answer = await request(`${layer.place}/frames/${frame}`, { headers: { Accept: "application/octet-stream" } });
  const bytes = new Uint8Array(await answer.arrayBuffer());
  const count = layer.columns * layer.rows;
  if (layer.bits === 1) return Uint8Array.from({ length: count }, (_, at) => (((bytes[at >> 3] ?? 0) >> (at & 7)) & 1) * 255);
  if (layer.full === 0) return layer.bits === 16 ? new Uint16Array(bytes.buffer, 0, Math.min(count, bytes.length >> 1)) : bytes;
  return bytes.map((one) => Math.min(255, Math.round((one * 255) / layer.full)));
}

/** The series of pictures that a series of overlays lies over. */
export function underOf(layers: readonly Layer[], series: string, rows: readonly DicomRow[]): string {
  const layer = layers.find((one) => one.place.includes(`/series/${series}/`));
  return layer?.series.find((one) => rows.some((row) => text(row, T.series) === one)) ?? "";
}
