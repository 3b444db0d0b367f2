// One stack of pictures on Cornerstone3D: shows, scrolls, measures, and fetches ahead of the eye.
import {
  cache, Enums, eventTarget, getRenderingCapabilities, imageLoader, imageRetrievalPoolManager, init as initCore, RenderingEngine, setUseCPURendering,
  type StackViewport, utilities,
} from "@cornerstonejs/core";
import { init as initLoader, wadors } from "@cornerstonejs/dicom-image-loader";
import {
  addTool, AngleTool, annotation, EllipticalROITool, Enums as ToolEnums, init as initTools, LengthTool, PanTool, RectangleROITool, StackScrollTool, ToolGroupManager,
  WindowLevelTool, ZoomTool,
} from "@cornerstonejs/tools";

import { request } from "../../api/client";
import { type DicomRow, text } from "../../parts/dicom";
import { type Frame, numbers, numeric, T } from "./data";

export const TOOLS = {
  scroll: StackScrollTool.toolName, window: WindowLevelTool.toolName, zoom: ZoomTool.toolName, pan: PanTool.toolName,
  length: LengthTool.toolName, angle: AngleTool.toolName, region: EllipticalROITool.toolName, box: RectangleROITool.toolName,
} as const;
export type Tool = keyof typeof TOOLS;

export interface View {
  /** Of the picture that is on the screen; -1: none yet. */
  index: number;
  width: number;
  centre: number;
  /** Screen pixels of one picture pixel. */
  zoom: number;
  inverted: boolean;
  failed: string;
}

/** Pictures that are under way at once besides the one that is waited for: browsers have six connections to a host. */
const AHEAD = 4;
const MEMORY = 1_500_000_000;
let count = 0;
let started = false;

/** One part alone: whoever looks through half a megabyte for the end of a part takes longer than for drawing it. */
const ONE_FRAME = "application/octet-stream; transfer-syntax=*";

/** Begins what takes a while, decoders above all, before there is anything to be shown. */
export function warm(): void {
  try {
    start();
  } catch {
    // Who shows pictures says it.
  }
}

function start(): void {
  if (started) return;
  started = true;
  initCore();
  const can = getRenderingCapabilities();
  // Software that plays a graphics card is slower than what Cornerstone draws by itself.
  if (!can.webgl || can.softwareRasterizer) setUseCPURendering(true);
  cache.setMaxCacheSize(MEMORY);
  initLoader({ beforeSend: async () => ({ Accept: ONE_FRAME }), maxWebWorkers: Math.max(1, Math.min(4, Math.floor((navigator.hardwareConcurrency || 2) / 2))) });
  imageRetrievalPoolManager.setMaxSimultaneousRequests(Enums.RequestType.Prefetch, AHEAD);
  imageRetrievalPoolManager.setMaxSimultaneousRequests(Enums.RequestType.Interaction, 4);
  initTools();
  for (const tool of [StackScrollTool, WindowLevelTool, ZoomTool, PanTool, LengthTool, AngleTool, EllipticalROITool, RectangleROITool]) addTool(tool);
  const style = annotation.config.style.getDefaultToolStyles();
  annotation.config.style.setDefaultToolStyles({
    ...style,
    global: {
      ...style.global, color: "rgb(255, 209, 102)", colorHighlighted: "rgb(255, 230, 165)", colorSelected: "rgb(255, 209, 102)", lineWidth: "2", shadow: true,
      textBoxColor: "rgb(255, 209, 102)", textBoxColorHighlighted: "rgb(255, 230, 165)", textBoxColorSelected: "rgb(255, 209, 102)", textBoxFontFamily: "JetBrains Mono, monospace", textBoxFontSize: "13px",
    },
  });
}

const LUTS = ["00281201", "00281202", "00281203"] as const;

/** Colours of a palette that come as bulk data are needed before the picture is. */
async function withPalette(frame: Frame): Promise<DicomRow> {
  if (text(frame.row, T.photometric) !== "PALETTE COLOR") return frame.row;
  const row = { ...frame.row };
  await Promise.all(LUTS.map(async (tag, channel) => {
    const element = row[tag] as { vr: string; InlineBinary?: string; BulkDataURI?: string; Value?: unknown[] } | undefined;
    if (element === undefined || element.Value) return;
    const bytes = element.InlineBinary ? Uint8Array.from(atob(element.InlineBinary), (one) => one.charCodeAt(0)) : await bulk(frame, tag);
    const bits = numbers(row, `0028110${channel + 1}`)[2] ?? 16;
    row[tag] = { vr: "OW", Value: [...(bits === 16 || bytes.length > 256 ? new Uint16Array(bytes.buffer, 0, bytes.length >> 1) : bytes)] };
  }));
  return row;
}

async function bulk(frame: Frame, tag: string): Promise<Uint8Array<ArrayBuffer>> {
  const place = frame.id.slice("wadors:".length).replace(/\/frames\/\d+$/, "");
  const answer = await request(new URL(`${place}/bulkdata/${tag}`).pathname, { headers: { Accept: "application/octet-stream" } });
  return new Uint8Array(await answer.arrayBuffer());
}

export class StackView {
  readonly #element: HTMLDivElement;
  readonly #say: (view: View) => void;
  readonly #engine: RenderingEngine;
  readonly #id = `view-${++count}`;
  readonly #watch: ResizeObserver;
  #frames: readonly Frame[] = [];
  #at = new Map<string, number>();
  #ahead = 0;
  #broken = new Set<string>();
  #playing = 0;
  #failed = "";
  #over = false;

  constructor(element: HTMLDivElement, say: (view: View) => void) {
    start();
    this.#element = element;
    this.#say = say;
    this.#engine = new RenderingEngine(`engine-${this.#id}`);
    this.#engine.enableElement({ viewportId: this.#id, type: Enums.ViewportType.STACK, element, defaultOptions: { background: [0, 0, 0] } });
    const group = ToolGroupManager.createToolGroup(this.#id);
    for (const name of Object.values(TOOLS)) group?.addTool(name);
    group?.addViewport(this.#id, this.#engine.id);
    this.#watch = new ResizeObserver(() => { if (!this.#over && element.clientWidth > 0) this.#engine.resize(true, true); });
    this.#watch.observe(element);
    element.addEventListener(Enums.Events.IMAGE_RENDERED, this.#rendered);
    element.addEventListener(Enums.Events.STACK_NEW_IMAGE, this.#rendered);
    eventTarget.addEventListener(Enums.Events.IMAGE_LOAD_ERROR, this.#error);
    this.use("window");
  }

  get viewport(): StackViewport | undefined {
    return this.#over ? undefined : (this.#engine.getViewport(this.#id) as StackViewport | undefined);
  }

  /** Shows these pictures; the one in view stays in view where it is among them. */
  async show(frames: readonly Frame[]): Promise<void> {
    const before = this.#frames[this.index]?.id;
    const known = this.viewport?.getCornerstoneImage() !== undefined;
    const meta = await Promise.all(frames.map(async (frame) => [frame.id, await withPalette(frame)] as const));
    for (const [id, row] of meta) wadors.metaDataManager.add(id, row as never);
    if (this.#over) return;
    this.#frames = frames;
    this.#at = new Map(frames.map((frame, index) => [frame.id, index]));
    const at = Math.max(0, before === undefined ? 0 : (this.#at.get(before) ?? 0));
    const { voiRange: voi, invert: inverted } = (known ? this.viewport?.getProperties() : undefined) ?? {};
    const camera = known ? this.viewport?.getCamera() : undefined;
    try {
      await this.viewport?.setStack(frames.map((frame) => frame.id), at);
    } catch (error) {
      this.#failed = error instanceof Error ? error.message : String(error);
    }
    if (voi) this.viewport?.setProperties({ voiRange: voi, invert: inverted ?? false });
    if (camera) this.viewport?.setCamera(camera);
    this.viewport?.render();
    this.#tell();
    for (let one = 0; one < AHEAD; one += 1) void this.#prefetch();
  }

  get index(): number {
    return this.viewport?.getCurrentImageIdIndex() ?? 0;
  }

  goto(index: number): void {
    const to = Math.max(0, Math.min(this.#frames.length - 1, index));
    void this.viewport?.setImageIdIndex(to).catch(() => undefined);
  }

  scroll(by: number): void {
    const target = this.viewport?.getTargetImageIdIndex() ?? 0;
    this.goto(target + by);
  }

  use(tool: Tool): void {
    const group = ToolGroupManager.getToolGroup(this.#id);
    const { MouseBindings } = ToolEnums;
    for (const name of Object.values(TOOLS)) group?.setToolPassive(name, { removeAllBindings: true });
    const hold = (name: string, ...buttons: number[]): void => group?.setToolActive(name, { bindings: buttons.map((mouseButton) => ({ mouseButton })) });
    const main = TOOLS[tool];
    hold(TOOLS.scroll, MouseBindings.Wheel, ...(tool === "scroll" ? [MouseBindings.Primary] : []));
    hold(TOOLS.pan, MouseBindings.Auxiliary, ...(tool === "pan" ? [MouseBindings.Primary] : []));
    hold(TOOLS.zoom, MouseBindings.Secondary, ...(tool === "zoom" ? [MouseBindings.Primary] : []));
    if (main !== TOOLS.scroll && main !== TOOLS.pan && main !== TOOLS.zoom) hold(main, MouseBindings.Primary);
  }

  window(width: number, centre: number): void {
    this.viewport?.setProperties({ voiRange: utilities.windowLevel.toLowHighRange(width, centre) });
    this.viewport?.render();
    this.#tell();
  }

  wholeRange(): void {
    const image = this.viewport?.getCornerstoneImage();
    if (image === undefined) return;
    this.viewport?.setProperties({ voiRange: { lower: image.minPixelValue, upper: image.maxPixelValue } });
    this.viewport?.render();
    this.#tell();
  }

  invert(): void {
    const inverted = this.viewport?.getProperties().invert ?? false;
    this.viewport?.setProperties({ invert: !inverted });
    this.viewport?.render();
    this.#tell();
  }

  reset(): void {
    this.viewport?.resetCamera();
    this.viewport?.resetProperties();
    this.viewport?.render();
    this.#tell();
  }

  /** Where a place in the patient, in mm, is on the canvas. */
  toCanvas(world: [number, number, number]): [number, number] {
    const [x = 0, y = 0] = this.viewport?.worldToCanvas(world) ?? [];
    return [x, y];
  }

  /** Runs through the pictures, over and over; a picture that is late is waited for. */
  play(on: boolean): void {
    window.clearTimeout(this.#playing);
    this.#playing = 0;
    if (!on || this.#frames.length < 2) return;
    const row = this.#frames[this.index]?.row ?? {};
    const rate = numeric(row, T.displayRate) || numeric(row, T.cineRate) || 1000 / (numeric(row, T.frameTime) || 66);
    const wait = 1000 / Math.max(1, Math.min(60, rate));
    const next = async (): Promise<void> => {
      const begun = performance.now();
      await this.viewport?.setImageIdIndex((this.index + 1) % this.#frames.length)?.catch(() => undefined);
      if (this.#playing) this.#playing = window.setTimeout(() => void next(), Math.max(0, wait - (performance.now() - begun)));
    };
    this.#playing = window.setTimeout(() => void next(), wait);
  }

  end(): void {
    this.play(false);
    this.#over = true;
    this.#watch.disconnect();
    this.#element.removeEventListener(Enums.Events.IMAGE_RENDERED, this.#rendered);
    this.#element.removeEventListener(Enums.Events.STACK_NEW_IMAGE, this.#rendered);
    eventTarget.removeEventListener(Enums.Events.IMAGE_LOAD_ERROR, this.#error);
    ToolGroupManager.destroyToolGroup(this.#id);
    this.#engine.destroy();
    for (const { id } of this.#frames) if (cache.getImage(id) !== undefined) cache.removeImageLoadObject(id, { force: true });
  }

  /** The picture next to the eye that is not there yet, forward before back. */
  #wanted(): string | undefined {
    const here = this.index;
    for (let far = 0; far < this.#frames.length; far += 1) {
      for (const at of [here + far, here - far]) {
        const id = this.#frames[at]?.id;
        if (id !== undefined && !this.#broken.has(id) && cache.getImageLoadObject(id) === undefined) return id;
      }
    }
    return undefined;
  }

  async #prefetch(): Promise<void> {
    if (this.#over || this.#ahead >= AHEAD || cache.getBytesAvailable() < MEMORY / 10) return;
    const id = this.#wanted();
    if (id === undefined) return;
    this.#ahead += 1;
    try {
      await imageLoader.loadAndCacheImage(id, { priority: 0, requestType: Enums.RequestType.Prefetch, additionalDetails: { imageId: id } });
    } catch {
      this.#broken.add(id);
    } finally {
      this.#ahead -= 1;
    }
    void this.#prefetch();
  }

  #rendered = (): void => {
    this.#failed = "";
    this.#tell();
  };

  #error = (event: Event): void => {
    const said = (event as CustomEvent<{ imageId?: string; error?: { status?: number; message?: string } }>).detail;
    if (said?.imageId !== undefined && said.imageId !== this.viewport?.getCurrentImageId()) return;
    this.#failed = said?.error?.message ?? "error";
    this.#tell();
  };

  #tell(): void {
    const viewport = this.viewport;
    if (viewport === undefined) return;
    const image = viewport.getCornerstoneImage() as { imageId?: string } | undefined;
    const range = viewport.getProperties().voiRange;
    const level = range ? utilities.windowLevel.toWindowLevel(range.lower, range.upper) : { windowWidth: 0, windowCenter: 0 };
    this.#say({
      index: this.#at.get(image?.imageId ?? "") ?? -1,
      width: level.windowWidth,
      centre: level.windowCenter,
      zoom: image === undefined ? 1 : this.#zoom(viewport),
      inverted: viewport.getProperties().invert ?? false,
      failed: this.#failed,
    });
  }

  #zoom(viewport: StackViewport): number {
    const data = viewport.getImageData();
    if (!data) return 1;
    const far = 100;
    const [x, y, z] = data.origin;
    const along = data.direction;
    const step = (data.spacing[0] ?? 1) * far;
    const begin = viewport.worldToCanvas([x, y, z]);
    const end = viewport.worldToCanvas([x + (along[0] ?? 1) * step, y + (along[1] ?? 0) * step, z + (along[2] ?? 0) * step]);
    return Math.hypot(end[0] - begin[0], end[1] - begin[1]) / far;
  }
}
