// Measurements between the two worlds they live in: shapes that Cornerstone draws, and numbers that a report keeps.
import { eventTarget, metaData, type StackViewport } from "@cornerstonejs/core";
import { AngleTool, annotation, EllipticalROITool, Enums as ToolEnums, LengthTool, RectangleROITool, type Types } from "@cornerstonejs/tools";

import type { Frame } from "./data";
import type { Kind, Measurement, Report, Value } from "./reports";

type Point = [number, number, number];
interface Plane {
  rowCosines?: number[];
  columnCosines?: number[];
  imagePositionPatient?: number[];
  rowPixelSpacing?: number;
  columnPixelSpacing?: number;
}

const KIND: Record<string, Kind> = {
  [LengthTool.toolName]: "length", [AngleTool.toolName]: "angle", [EllipticalROITool.toolName]: "ellipse", [RectangleROITool.toolName]: "rectangle",
};
const TOOL = new Map(Object.entries(KIND).map(([tool, kind]) => [kind, tool]));
const IMAGE = /\/series\/([\d.]+)\/instances\/([\d.]+)\/frames\/(\d+)$/;

/** Where a picture lies: its first outer corner, and a step along its columns and down its rows. A picture without a place has one of its own. */
export function planeOf(id: string): { corner: Point; column: Point; row: Point } {
  const plane = (metaData.get("imagePlaneModule", id) ?? {}) as Plane;
  const along = plane.rowCosines ?? [1, 0, 0];
  const down = plane.columnCosines ?? [0, 1, 0];
  const at = plane.imagePositionPatient ?? [0, 0, 0];
  const column = along.map((one) => one * (plane.columnPixelSpacing || 1)) as Point;
  const row = down.map((one) => one * (plane.rowPixelSpacing || 1)) as Point;
  return { corner: at.map((one, axis) => one - ((column[axis] ?? 0) + (row[axis] ?? 0)) / 2) as Point, column, row };
}

const dot = (a: Point, b: Point): number => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];

export function toPixel(id: string, world: Point): [number, number] {
  const { corner, column, row } = planeOf(id);
  const from = world.map((one, axis) => one - (corner[axis] ?? 0)) as Point;
  return [dot(from, column) / dot(column, column), dot(from, row) / dot(row, row)];
}

export function toWorld(id: string, [x = 0, y = 0]: number[]): Point {
  const { corner, column, row } = planeOf(id);
  return corner.map((one, axis) => one + x * (column[axis] ?? 0) + y * (row[axis] ?? 0)) as Point;
}

const far = (a?: number[], b?: number[]): number => Math.hypot((a?.[0] ?? 0) - (b?.[0] ?? 0), (a?.[1] ?? 0) - (b?.[1] ?? 0));
const upright = (a?: number[], b?: number[]): number => Math.abs((a?.[1] ?? 0) - (b?.[1] ?? 0));

/** The points of a report in the order that the tool has them in. */
function forTool(kind: Kind, points: number[][]): number[][] {
  if (kind === "rectangle") return [0, 1, 3, 2].map((at) => points[at] ?? []);
  if (kind !== "ellipse") return points;
  const [a, b, c, d] = points as [number[], number[], number[], number[]];
  const [vertical, flat] = upright(a, b) > upright(c, d) ? [[a, b], [c, d]] : [[c, d], [a, b]];
  return [...vertical, ...flat];
}

function forReport(kind: Kind, points: number[][]): number[][] {
  if (kind === "rectangle") return [0, 1, 3, 2].map((at) => points[at] ?? []);
  if (kind !== "ellipse" || far(points[0], points[1]) >= far(points[2], points[3])) return points;
  return [2, 3, 0, 1].map((at) => points[at] ?? []);
}

interface Stats {
  length?: number | null;
  unit?: string;
  angle?: number | null;
  area?: number;
  areaUnit?: string;
  mean?: number;
  stdDev?: number;
  min?: number;
  max?: number;
  modalityUnit?: string;
}

function valuesOf(stats: Stats): Value[] {
  const pixel: Value["unit"] = stats.modalityUnit === "HU" ? "HU" : "1";
  const length: Value["unit"] = stats.unit?.startsWith("mm") ? "mm" : "px";
  const area: Value["unit"] = stats.areaUnit?.startsWith("mm") ? "mm2" : "px2";
  const all: [Value["quantity"], number | null | undefined, Value["unit"]][] = [
    ["length", stats.length, length], ["angle", stats.angle, "deg"], ["area", stats.area, area], ["mean", stats.mean, pixel], ["deviation", stats.stdDev, pixel], ["minimum", stats.min, pixel],
    ["maximum", stats.max, pixel],
  ];
  return all.flatMap(([quantity, value, unit]) => (typeof value === "number" && Number.isFinite(value) ? [{ quantity, value, unit }] : []));
}

const rounded = (one: Measurement): string => JSON.stringify([one.kind, one.instance, one.frame ?? 0, one.points.map((point) => point.map((value) => Math.round(value * 20)))]);

/** What is drawn in one study: reports as they are kept, and what one changes of one's own. */
export class Drawing {
  readonly #own: Report | undefined;
  /** Annotations of reports, by their id; those of others are locked. */
  readonly #kept = new Map<string, Measurement>();
  /** Of one's own report, what stands on pictures that were never in view here. */
  #waiting: Measurement[];
  readonly #others: Measurement[];
  readonly study: string;
  readonly reports: readonly Report[];
  #listener: (count: number) => void = () => undefined;
  #over = false;

  constructor(study: string, reports: readonly Report[], login: string) {
    this.study = study;
    this.reports = reports;
    this.#own = reports.filter((one) => one.login === login).sort((a, b) => b.version - a.version)[0];
    this.#waiting = [...(this.#own?.items ?? [])];
    this.#others = reports.filter((one) => one !== this.#own).flatMap((one) => one.items);
    for (const event of EVENTS) eventTarget.addEventListener(event, this.#tell);
  }

  /** Tells how many differ from what is kept, now and after each change. */
  listen(listener: (count: number) => void): void {
    this.#listener = listener;
    this.#tell();
  }

  get before(): Report | undefined {
    return this.#own;
  }

  /** Draws what is kept of these pictures. */
  show(frames: readonly Frame[], viewport: StackViewport): void {
    const ids = new Map<string, string>();
    for (const frame of frames) {
      const [, , instance = "", number = "1"] = IMAGE.exec(frame.id) ?? [];
      ids.set(`${instance} ${number}`, frame.id);
    }
    const here = (one: Measurement): string | undefined => (TOOL.has(one.kind) ? ids.get(`${one.instance} ${one.frame || 1}`) : undefined);
    for (const one of this.#waiting) this.#add(one, here(one), viewport, false);
    this.#waiting = this.#waiting.filter((one) => here(one) === undefined);
    const shown = new Set(this.#kept.values());
    for (const one of this.#others) if (!shown.has(one)) this.#add(one, here(one), viewport, true);
    viewport.render();
    this.#tell();
  }

  #add(one: Measurement, id: string | undefined, viewport: StackViewport, locked: boolean): void {
    if (id === undefined) return;
    const points = forTool(one.kind, one.points).map((point) => toWorld(id, point));
    const { column, row } = planeOf(id);
    const made = {
      annotationUID: crypto.randomUUID(),
      highlighted: false,
      isLocked: locked,
      isVisible: true,
      invalidated: true,
      metadata: {
        toolName: TOOL.get(one.kind), referencedImageId: id, FrameOfReferenceUID: viewport.getFrameOfReferenceUID(), viewPlaneNormal: cross(column, row), viewUp: row.map((value) => -value),
      },
      data: {
        handles: { points, activeHandleIndex: null, textBox: { hasMoved: false, worldPosition: [0, 0, 0], worldBoundingBox: { topLeft: [0, 0, 0], topRight: [0, 0, 0], bottomLeft: [0, 0, 0], bottomRight: [0, 0, 0] } } },
        label: "",
        cachedStats: {},
      },
    } as unknown as Types.Annotation;
    annotation.state.addAnnotation(made, viewport.element);
    if (locked) annotation.config.style.setAnnotationStyles(made.annotationUID ?? "", { color: "rgb(125, 211, 252)", textBoxColor: "rgb(125, 211, 252)" });
    this.#kept.set(made.annotationUID ?? "", one);
  }

  /** All of one's own as they are now. */
  measurements(): Measurement[] {
    const drawn = annotation.state.getAllAnnotations().filter((one) => !one.isLocked).map((one) => this.#read(one)).filter((one) => one !== null);
    return [...this.#waiting, ...drawn];
  }

  #read(one: Types.Annotation): Measurement | null {
    const id = one.metadata?.referencedImageId ?? "";
    const [, series, instance, frame] = IMAGE.exec(id) ?? [];
    const kind = KIND[one.metadata?.toolName ?? ""];
    const points = one.data.handles?.points as Point[] | undefined;
    if (series === undefined || instance === undefined || kind === undefined || points === undefined || (kind === "angle" && points.length < 3)) return null;
    const kept = this.#kept.get(one.annotationUID ?? "");
    const stats = Object.values((one.data.cachedStats ?? {}) as Record<string, Stats>)[0];
    const values = stats ? valuesOf(stats) : [];
    const placed = forReport(kind, points.map((point) => toPixel(id, point)));
    return {
      kind, series, instance, frame: Number(frame), points: placed, values: values.length ? values : (kept?.values ?? []),
      ...(kept?.tracking ? { tracking: kept.tracking } : {}),
    };
  }

  /** Takes away what is chosen, or all of one's own where nothing is. */
  remove(viewport: StackViewport | undefined): void {
    const own = annotation.state.getAllAnnotations().filter((one) => !one.isLocked);
    const chosen = own.filter((one) => annotation.selection.isAnnotationSelected(one.annotationUID ?? ""));
    if (chosen.length === 0) this.#waiting = [];
    for (const one of chosen.length ? chosen : own) annotation.state.removeAnnotation(one.annotationUID ?? "");
    viewport?.render();
    this.#tell();
  }

  end(): void {
    this.#over = true;
    for (const event of EVENTS) eventTarget.removeEventListener(event, this.#tell);
    annotation.state.removeAllAnnotations();
  }

  /** How many differ from what is kept; 0: nothing is to be kept. */
  #tell = (): void => {
    if (this.#over) return;
    const now = this.measurements().filter((one) => one.values.length > 0).map(known);
    const before = (this.#own?.items ?? []).map(known);
    const added = now.filter((one) => !before.includes(one)).length;
    const gone = before.filter((one) => !now.includes(one)).length;
    this.#listener(Math.max(added, gone));
  };
}

/** A frame that is the only one is named by some and not by others. */
const known = (one: Measurement): string => rounded({ ...one, frame: one.frame || 1, points: order(one) });

const order = (one: Measurement): number[][] => (one.kind === "ellipse" ? [...one.points].sort((a, b) => (a[0] ?? 0) - (b[0] ?? 0) || (a[1] ?? 0) - (b[1] ?? 0)) : one.points);

const EVENTS = [ToolEnums.Events.ANNOTATION_COMPLETED, ToolEnums.Events.ANNOTATION_MODIFIED, ToolEnums.Events.ANNOTATION_REMOVED] as const;

function cross(a: Point, b: Point): Point {
  const made: Point = [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
  const size = Math.hypot(...made) || 1;
  return made.map((one) => one / size) as Point;
}

let held: Drawing | null = null;

/** The one drawing of this study. It outlives a series' viewer, so that what is not kept yet is there when one comes back. */
export function drawingOf(study: string, reports: readonly Report[], login: string): Drawing {
  if (held === null || held.study !== study || held.reports !== reports) {
    held?.end();
    held = new Drawing(study, reports, login);
  }
  return held;
}
