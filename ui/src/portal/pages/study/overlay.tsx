// Segmentations and structures over the picture, and the list by which they are shown and hidden.
import { type ReactNode, useEffect, useMemo, useRef, useState } from "react";

import { words } from "../../app/words";
import { text } from "../../parts/dicom";
import { type Frame, numeric, T } from "./data";
import { planeOf } from "./drawing";
import type { StackView, View } from "./engine";
import { type Contour, type Layer, type Lie, type Part, type Patch, pixelsOf } from "./overlays";

type Triple = [number, number, number];

export interface Shown {
  hidden: ReadonlySet<string>;
  opacity: number;
}

export const partId = (layer: Layer, part: Part): string => `${layer.id} ${part.number}`;

const dot = (a: Triple, b: Triple): number => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
const minus = (a: Triple, b: Triple): Triple => [a[0] - b[0], a[1] - b[1], a[2] - b[2]];

/** Layers that belong to these pictures: drawn on this series, or in the same frame of reference. */
export function layersOn(layers: readonly Layer[], frames: readonly Frame[]): Layer[] {
  const row = frames[0]?.of;
  if (row === undefined) return [];
  const [series, reference] = [text(row, T.series), text(row, "00200052")];
  const instances = new Set(frames.map((frame) => text(frame.of, T.instance)));
  return layers.filter((layer) => layer.series.includes(series) || (reference !== "" && layer.reference === reference)
    || [...layer.patches, ...layer.contours].some((one) => instances.has(one.on.split(" ")[0] ?? "")));
}

/** How far a point lies off the picture's plane, in mm. */
function off(id: string, point: Triple): number {
  const { corner, column, row } = planeOf(id);
  const normal: Triple = [column[1] * row[2] - column[2] * row[1], column[2] * row[0] - column[0] * row[2], column[0] * row[1] - column[1] * row[0]];
  return Math.abs(dot(minus(point, corner), normal)) / (Math.hypot(...normal) || 1);
}

function parallel(id: string, lie: Lie): boolean {
  const { column, row } = planeOf(id);
  const same = (a: Triple, b: Triple): number => Math.abs(dot(a, b)) / (Math.hypot(...a) * Math.hypot(...b) || 1);
  return same(column, lie.column) > 0.999 && same(row, lie.row) > 0.999;
}

function here(frame: Frame, tolerance: number): { patch: (one: Patch) => boolean; contour: (one: Contour) => boolean } {
  const key = `${text(frame.of, T.instance)} ${frame.number}`;
  const placed = frame.row[T.position] !== undefined;
  return {
    patch: (one) => (one.on ? one.on === key : placed && one.lie !== null && parallel(frame.id, one.lie) && off(frame.id, one.lie.corner) < tolerance),
    contour: (one) => (one.on ? one.on === key : placed && one.points.every((point) => off(frame.id, point) < tolerance)),
  };
}

const tinted = new WeakMap<Layer, Map<string, Promise<OffscreenCanvas>>>();

/** The pixels of one frame in the colours of its parts; of a map of labels, of those that are shown. */
function picture(layer: Layer, patch: Patch, parts: readonly Part[]): Promise<OffscreenCanvas> {
  const held = tinted.get(layer) ?? new Map<string, Promise<OffscreenCanvas>>();
  tinted.set(layer, held);
  const key = layer.full === 0 ? `${patch.frame} ${parts.map((one) => one.number).join()}` : `${patch.frame}`;
  const found = held.get(key);
  if (found) return found;
  const made = pixelsOf(layer, patch.frame).then((pixels) => {
    const canvas = new OffscreenCanvas(layer.columns, layer.rows);
    const image = new ImageData(layer.columns, layer.rows);
    const colours = new Map(parts.map((one) => [one.number, one.colour]));
    const single = colours.get(patch.part) ?? [0, 0, 0];
    for (let at = 0; at < layer.columns * layer.rows; at += 1) {
      const value = pixels[at] ?? 0;
      const colour = layer.full === 0 ? colours.get(value) : single;
      if (value === 0 || colour === undefined) continue;
      image.data.set([...colour, layer.full === 0 ? 255 : value], at * 4);
    }
    canvas.getContext("2d")?.putImageData(image, 0, 0);
    return canvas;
  });
  held.set(key, made);
  made.catch(() => held.delete(key));
  return made;
}

interface Drawn {
  layers: readonly Layer[];
  frame: Frame;
  view: View;
  engine: StackView;
  shown: Shown;
}

export function OverlayCanvas({ layers, frame, view, engine, shown }: Drawn): ReactNode {
  const ref = useRef<HTMLCanvasElement>(null);
  const [failed, setFailed] = useState(false);
  useEffect(() => {
    let over = false;
    void draw(ref.current, { layers, frame, view, engine, shown }, () => over).then(() => setFailed(false), () => setFailed(!over));
    return () => { over = true; };
  }, [layers, frame, view, engine, shown]);
  return <><canvas ref={ref} className="v-ovl" aria-hidden />{failed && <div className="v-bad" role="alert">{words.viewer.overlayFailed}</div>}</>;
}

async function draw(canvas: HTMLCanvasElement | null, { layers, frame, engine, shown }: Drawn, over: () => boolean): Promise<void> {
  const context = canvas?.getContext("2d");
  if (!canvas || !context) return;
  const tolerance = Math.max(0.5, numeric(frame.row, T.thickness) / 2);
  const test = here(frame, tolerance);
  const patches: [Layer, Patch, OffscreenCanvas][] = [];
  for (const layer of layers) {
    const parts = layer.parts.filter((part) => !shown.hidden.has(partId(layer, part)));
    const on = new Set(parts.map((part) => part.number));
    const wanted = layer.patches.filter((one) => (layer.full === 0 ? parts.length > 0 : on.has(one.part)) && test.patch(one));
    patches.push(...await Promise.all(wanted.map(async (one) => [layer, one, await picture(layer, one, parts)] as [Layer, Patch, OffscreenCanvas])));
  }
  if (over()) return;
  const scale = window.devicePixelRatio || 1;
  canvas.width = canvas.clientWidth * scale;
  canvas.height = canvas.clientHeight * scale;
  context.imageSmoothingEnabled = false;
  context.globalAlpha = shown.opacity;
  for (const [, patch, made] of patches) {
    const lie = patch.lie ?? planeOf(frame.id);
    const [x, y] = engine.toCanvas(lie.corner);
    const [ax, ay] = engine.toCanvas(lie.corner.map((one, axis) => one + (lie.column[axis] ?? 0)) as Triple);
    const [bx, by] = engine.toCanvas(lie.corner.map((one, axis) => one + (lie.row[axis] ?? 0)) as Triple);
    context.setTransform(scale * (ax - x), scale * (ay - y), scale * (bx - x), scale * (by - y), scale * x, scale * y);
    context.drawImage(made, 0, 0);
  }
  context.globalAlpha = 1;
  context.setTransform(scale, 0, 0, scale, 0, 0);
  canvas.dataset.drawn = `${patches.length + lines(context, layers, test, engine, shown)}`;
}

function lines(context: CanvasRenderingContext2D, layers: readonly Layer[], test: ReturnType<typeof here>, engine: StackView, shown: Shown): number {
  let count = 0;
  for (const layer of layers) {
    for (const part of layer.parts.filter((one) => !shown.hidden.has(partId(layer, one)))) {
      for (const one of layer.contours.filter((contour) => contour.part === part.number && test.contour(contour))) {
        context.beginPath();
        for (const point of one.points) context.lineTo(...engine.toCanvas(point));
        if (one.closed) context.closePath();
        context.strokeStyle = `rgb(${part.colour.join(" ")})`;
        context.fillStyle = `rgb(${part.colour.join(" ")} / ${shown.opacity / 3})`;
        context.lineWidth = 2;
        if (one.closed) context.fill();
        context.stroke();
        count += 1;
      }
    }
  }
  return count;
}

interface Listed {
  layers: readonly Layer[];
  shown: Shown;
  change: (shown: Shown) => void;
}

export function OverlayList({ layers, shown, change }: Listed): ReactNode {
  const ids = useMemo(() => layers.flatMap((layer) => layer.parts.map((part) => partId(layer, part))), [layers]);
  const toggle = (id: string): void => {
    const hidden = new Set(shown.hidden);
    if (!hidden.delete(id)) hidden.add(id);
    change({ ...shown, hidden });
  };
  const all = ids.every((id) => !shown.hidden.has(id));
  return (
    <div className="v-lays" role="group" aria-label={words.viewer.overlays}>
      <label className="row v-op">
        <span className="xs">{words.viewer.opacity}</span>
        <input type="range" min={10} max={100} step={5} value={Math.round(shown.opacity * 100)} onChange={(event) => change({ ...shown, opacity: Number(event.target.value) / 100 })} />
        <button type="button" className="vp xs" onClick={() => change({ ...shown, hidden: new Set(all ? ids : []) })}>{all ? words.viewer.hideAll : words.viewer.showAll}</button>
      </label>
      {layers.map((layer) => (
        <fieldset key={layer.id}>
          <legend className="xs ell" title={layer.name}>{layer.name}</legend>
          {layer.parts.map((part) => (
            <label key={part.number} className="row">
              <input type="checkbox" checked={!shown.hidden.has(partId(layer, part))} onChange={() => toggle(partId(layer, part))} />
              <i style={{ background: `rgb(${part.colour.join(" ")})` }} aria-hidden /><span className="ell" title={part.name}>{part.name}</span>
            </label>
          ))}
        </fieldset>
      ))}
    </div>
  );
}
