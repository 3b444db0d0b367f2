// The viewer: tools above, the picture, what is to be known about it in its corners. Keys act while it has the focus.
import { Menu } from "@mantine/core";
import {
  IconAngle, IconArrowsMove, IconChevronDown, IconCircle, IconContrast, IconDeviceFloppy, IconEraser, IconLungs, IconMaximize, IconPlayerPause, IconPlayerPlay, IconQuestionMark, IconRectangle,
  IconRefresh, IconRuler2, IconStack2, IconStack3, IconTimeline, IconZoomIn, type TablerIcon,
} from "@tabler/icons-react";
import { type KeyboardEvent, type ReactNode, useEffect, useMemo, useRef, useState } from "react";

import { words } from "../../app/words";
import { type DicomRow, date, text, texts } from "../../parts/dicom";
import { Empty } from "../../parts/states";
import { type Frame, isShifted, levelOf, numbers, numeric, T } from "./data";
import { Help } from "./help";
import { layersOn, OverlayCanvas, OverlayList, type Shown as Layered } from "./overlay";
import type { Layer } from "./overlays";
import { useDrawing } from "./use-drawing";
import { StackView, type Tool, type View, warm } from "./engine";

// While the first object is being asked for.
warm();

interface Shown {
  study: DicomRow;
  series: DicomRow;
  frames: readonly Frame[];
  whole: boolean;
  onObject: (row: DicomRow) => void;
  /** A picture is on the screen, or cannot be. */
  onPicture: () => void;
  onSeries: (by: number) => void;
  layers: readonly Layer[];
  rows: readonly DicomRow[];
}

interface Preset {
  name: string;
  width?: number;
  centre?: number;
}

const BUTTONS: readonly (readonly [Tool, TablerIcon, string] | null)[] = [
  ["scroll", IconStack2, "S"], ["window", IconTimeline, "W"], ["zoom", IconZoomIn, "Z"], ["pan", IconArrowsMove, "P"], null,
  ["length", IconRuler2, "L"], ["angle", IconAngle, "A"], ["region", IconCircle, "R"], ["box", IconRectangle, "B"],
];
const KEYS: Record<string, Tool> = { s: "scroll", w: "window", z: "zoom", p: "pan", l: "length", a: "angle", r: "region", b: "box" };
const MOVES: Record<string, number> = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 };
const AT_FIRST: View = { index: -1, width: 0, centre: 0, zoom: 1, inverted: false, failed: "" };
const CT: readonly Preset[] = [
  { name: words.viewer.preset.lung, width: 1500, centre: -600 },
  { name: words.viewer.preset.soft, width: 400, centre: 40 },
  { name: words.viewer.preset.bone, width: 1500, centre: 300 },
  { name: words.viewer.preset.brain, width: 80, centre: 40 },
];

/** From the file first; those of CT mean nothing for other devices. */
function presetsOf(row: DicomRow, modality: string): Preset[] {
  const [widths, centres, names] = [numbers(row, T.width), numbers(row, T.centre), texts(row, T.windowName)];
  const own = widths.map((width, at) => ({ name: names[at] || (at === 0 ? words.viewer.fromFile : `${words.viewer.fromFile} ${at + 1}`), width, centre: centres[at] ?? 0 }));
  return [...(modality === "CT" ? own.slice(0, 2) : own.slice(0, 5)), ...(modality === "CT" ? CT : [{ name: words.viewer.wholeRange }])];
}

export default function Viewer({ study, series, frames, whole, onObject, onPicture, onSeries, layers, rows }: Shown): ReactNode {
  const box = useRef<HTMLElement>(null);
  const canvas = useRef<HTMLDivElement>(null);
  const engine = useRef<StackView | null>(null);
  const [view, setView] = useState(AT_FIRST);
  const [tool, setTool] = useState<Tool>("window");
  const [playing, setPlaying] = useState(false);
  const [broken, setBroken] = useState("");
  const [helping, setHelping] = useState(false);
  const [listed, setListed] = useState(true);
  const [layered, setLayered] = useState<Layered>({ hidden: new Set(), opacity: 0.5 });
  const over = useMemo(() => layersOn(layers, frames), [layers, frames]);

  useEffect(() => {
    if (canvas.current === null) return undefined;
    try {
      engine.current = new StackView(canvas.current, setView);
    } catch (error) {
      setBroken(error instanceof Error ? error.message : String(error));
      return undefined;
    }
    return () => { engine.current?.end(); engine.current = null; };
  }, []);
  useEffect(() => { void engine.current?.show(frames); }, [frames]);
  useEffect(() => { engine.current?.use(tool); }, [tool]);
  useEffect(() => { engine.current?.play(playing && whole); }, [playing, whole, frames]);

  const drawing = useDrawing(text(study, T.study), rows, frames, engine, view.index >= 0);

  const frame = frames[Math.max(0, view.index)];
  const object = frame?.of;
  useEffect(() => { if (object !== undefined) onObject(object); }, [object, onObject]);
  const pictured = view.index >= 0 || view.failed !== "" || broken !== "";
  useEffect(() => { if (pictured) onPicture(); }, [pictured, onPicture]);
  const presets = useMemo(() => presetsOf(frame?.row ?? {}, text(series, T.modality)), [frame, series]);
  const colour = /RGB|YBR|PALETTE/.test(text(frame?.row ?? {}, T.photometric));
  const apply = (preset: Preset | undefined): void => {
    if (preset === undefined) return;
    if (preset.width === undefined) engine.current?.wholeRange();
    else engine.current?.window(preset.width, preset.centre ?? 0);
  };
  const full = (): void => { void (document.fullscreenElement ? document.exitFullscreen() : box.current?.requestFullscreen()); };
  const keyed = (event: KeyboardEvent): void => {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const target = event.target as HTMLElement;
    if (target.closest("[role=menu], [role=slider], [role=dialog], input")) return;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const chosen = KEYS[key];
    const act: Record<string, () => void> = {
      i: () => engine.current?.invert(), c: () => setPlaying((on) => !on), 0: () => engine.current?.reset(), f: full,
      PageUp: () => onSeries(-1), PageDown: () => onSeries(1), Home: () => engine.current?.goto(0), End: () => engine.current?.goto(frames.length - 1),
      Delete: drawing.remove, Backspace: drawing.remove, m: drawing.keep, o: () => setListed((on) => !on), "?": () => setHelping(true), h: () => setHelping(true),
    };
    if (chosen !== undefined) setTool(chosen);
    else if (MOVES[key] !== undefined) engine.current?.scroll(MOVES[key]);
    else if (/^[1-6]$/.test(key)) apply(presets[Number(key) - 1]);
    else if (act[key] !== undefined) act[key]();
    else return;
    event.preventDefault();
    event.stopPropagation();
  };

  if (broken) return <section className="vw"><Empty title={words.viewer.noViewer}><p>{broken}</p></Empty></section>;
  const named = presets.find((one) => one.width !== undefined && Math.round(one.width) === Math.round(view.width) && Math.round(one.centre ?? 0) === Math.round(view.centre));
  return (
    <section className="vw" aria-label={words.viewer.label} ref={box} tabIndex={0} onKeyDown={keyed}>
      <div className="vtb" role="toolbar" aria-label={words.viewer.tools}>
        {BUTTONS.map((one, at) => one === null ? <span key={at} className="vs" /> : (
          <Button key={one[0]} icon={one[1]} label={words.viewer[one[0]]} shortcut={one[2]} on={tool === one[0]} act={() => setTool(one[0])} />
        ))}
        <span className="vs" />
        <Button icon={IconContrast} label={words.viewer.invert} shortcut="I" on={view.inverted} act={() => engine.current?.invert()} />
        <Button icon={playing ? IconPlayerPause : IconPlayerPlay} label={playing ? words.viewer.stop : words.viewer.cine} shortcut="C" on={playing} off={frames.length < 2} act={() => setPlaying(!playing)} />
        <Button icon={IconRefresh} label={words.viewer.reset} shortcut="0" act={() => { engine.current?.reset(); }} />
        <span className="end row">
          <button type="button" className="vp hide-md" aria-label={words.viewer.clear} title={`${words.viewer.clear} (Del)`} onClick={drawing.remove}><IconEraser size={16} stroke={1.7} aria-hidden /></button>
          {drawing.may && (
            <button type="button" className="vp" aria-label={`${words.viewer.keep} (M)`} title={`${words.viewer.keep} (M)`} disabled={drawing.changed === 0 || drawing.busy} onClick={drawing.keep}>
              <IconDeviceFloppy size={16} stroke={1.7} aria-hidden /><span className="hide-md">{words.viewer.keepShort}{drawing.changed > 0 && ` ${drawing.changed}`}</span>
            </button>
          )}
          {over.length > 0 && (
            <button type="button" className={listed ? "vp on" : "vp"} aria-pressed={listed} aria-label={`${words.viewer.overlays} (O)`} title={`${words.viewer.overlays} (O)`} onClick={() => setListed(!listed)}>
              <IconStack3 size={16} stroke={1.7} aria-hidden />
            </button>
          )}
          {!colour && (
            <Menu position="bottom-end" withinPortal={false}>
              <Menu.Target>
                <button type="button" className="vp" aria-label={`${words.viewer.presets}: ${named?.name ?? words.viewer.own}`}>
                  {text(series, T.modality) === "CT" ? <IconLungs size={16} stroke={1.7} aria-hidden /> : <IconContrast size={16} stroke={1.7} aria-hidden />}
                  <span className="vpn">{named?.name ?? words.viewer.own}</span><IconChevronDown size={14} aria-hidden />
                </button>
              </Menu.Target>
              <Menu.Dropdown>
                {presets.map((one, at) => (
                  <Menu.Item key={`${one.name}${at}`} rightSection={<kbd>{at + 1}</kbd>} onClick={() => apply(one)}>
                    {one.name}{one.width === undefined ? "" : <span className="t3 xs"> {Math.round(one.centre ?? 0)}/{Math.round(one.width)}</span>}
                  </Menu.Item>
                ))}
              </Menu.Dropdown>
            </Menu>
          )}
          <button type="button" className="vp" aria-label={`${words.viewer.full} (F)`} title={`${words.viewer.full} (F)`} onClick={full}><IconMaximize size={16} stroke={1.7} aria-hidden /></button>
          <button type="button" className="vp" aria-label={`${words.viewer.help} (?)`} title={`${words.viewer.help} (?)`} onClick={() => setHelping(true)}><IconQuestionMark size={16} stroke={1.7} aria-hidden /></button>
        </span>
      </div>
      <div className="vi" data-index={view.index} data-shown={view.index >= 0}>
        <div className="pic" ref={canvas} onContextMenu={(event) => event.preventDefault()} onMouseDown={() => box.current?.focus()} />
        {frame !== undefined && over.length > 0 && view.index >= 0 && engine.current !== null && <OverlayCanvas layers={over} frame={frame} view={view} engine={engine.current} shown={layered} />}
        {frame !== undefined && <Overlay study={study} series={series} frame={frame} view={view} frames={frames.length} whole={whole} colour={colour} />}
        {view.failed && <div className="v-bad" role="alert">{words.viewer.failed}<span>{view.failed}</span></div>}
        {over.length > 0 && listed && <OverlayList layers={over} shown={layered} change={setLayered} />}
        {drawing.said && <div className="v-said" role={drawing.failed ? "alert" : "status"}>{drawing.said}</div>}
        {helping && <Help close={() => { setHelping(false); box.current?.focus(); }} />}
        {frames.length > 1 && <Position at={Math.max(0, view.index)} of={frames.length} go={(index) => engine.current?.goto(index)} />}
      </div>
    </section>
  );
}

function Button({ icon: Icon, label, shortcut, on, off, act }: { icon: TablerIcon; label: string; shortcut: string; on?: boolean; off?: boolean; act: () => void }): ReactNode {
  return (
    <button type="button" className={on ? "vt on" : "vt"} aria-label={`${label} (${shortcut})`} title={`${label} (${shortcut})`} aria-pressed={on ?? undefined} disabled={off} onClick={act}>
      <Icon size={18} stroke={1.7} aria-hidden /><span>{label}</span>
    </button>
  );
}

function Position({ at, of, go }: { at: number; of: number; go: (index: number) => void }): ReactNode {
  const bar = useRef<HTMLDivElement>(null);
  const from = (y: number): void => {
    const place = bar.current?.getBoundingClientRect();
    if (place) go(Math.round(((y - place.top) / place.height) * (of - 1)));
  };
  const keyed = (event: KeyboardEvent): void => {
    const to = event.key in MOVES ? at + (MOVES[event.key] ?? 0) : event.key === "Home" ? 0 : event.key === "End" ? of - 1 : null;
    if (to === null) return;
    event.preventDefault();
    go(to);
  };
  return (
    <div
      ref={bar} className="scr" role="slider" tabIndex={0} aria-orientation="vertical" aria-label={words.viewer.position} aria-valuemin={1} aria-valuemax={of} aria-valuenow={at + 1}
      onKeyDown={keyed}
      onPointerDown={(event) => { event.currentTarget.setPointerCapture(event.pointerId); from(event.clientY); }}
      onPointerMove={(event) => { if (event.buttons & 1) from(event.clientY); }}
    >
      <i style={{ top: `calc((100% - 26px) * ${at / Math.max(1, of - 1)})` }} />
    </div>
  );
}

interface Told {
  study: DicomRow;
  series: DicomRow;
  frame: Frame;
  view: View;
  frames: number;
  whole: boolean;
  colour: boolean;
}

function Overlay({ study, series, frame, view, frames, whole, colour }: Told): ReactNode {
  const row = frame.row;
  const level = levelOf(row);
  const age = /^0*(\d+)Y$/.exec(text(study, T.age))?.[1] ?? "";
  const thickness = numeric(row, T.thickness);
  const z = numbers(row, T.position)[2];
  const [left, top, right, bottom] = letters(row);
  return (
    <>
      <div className="ov tl">
        {`${text(study, T.patientId)}  ${text(study, T.sex)} ${age}\n${text(study, T.description)}\n${words.study.series} ${text(series, T.seriesNumber) || "–"}  ${text(series, T.seriesDescription)}`}
      </div>
      <div className="ov tr">
        {`${text(study, T.removed) === "YES" ? `${words.viewer.level} ${level || "–"}` : words.viewer.identified}\n${date(study, T.studyDate)}${isShifted(row) ? ` ${words.study.shifted}` : ""}`}
      </div>
      <div className="ov bl" data-window={colour ? "" : `${Math.round(view.width)}/${Math.round(view.centre)}`}>
        {`${words.viewer.image} ${view.index + 1} / ${whole ? frames : numeric(series, T.inSeries) || frames}${z === undefined ? "" : `   z ${z.toFixed(1).replace("-", "−")} mm`}\n`}
        {`${colour ? "" : `W ${Math.round(view.width)}  L ${String(Math.round(view.centre)).replace("-", "−")}   `}${words.viewer.zoom} ${Math.round(view.zoom * 100)} %`}
      </div>
      <div className="ov br">
        {`${thickness ? `${thickness.toFixed(1)} mm   ` : ""}${numeric(row, T.columns)} × ${numeric(row, T.rows)}\n${words.viewer.warning}`}
      </div>
      {left && <span className="ov o" style={{ left: 14, top: "49%" }}>{left}</span>}
      {right && <span className="ov o" style={{ right: 30, top: "49%" }}>{right}</span>}
      {top && <span className="ov o" style={{ left: "50%", top: 10 }}>{top}</span>}
      {bottom && <span className="ov o" style={{ left: "50%", bottom: 10 }}>{bottom}</span>}
    </>
  );
}

/** Left, top, right, bottom of the picture in the patient's directions (PS3.3 C.7.6.1.1.1). */
function letters(row: DicomRow): string[] {
  const way = numbers(row, T.orientation);
  const said = texts(row, T.directions);
  if (way.length !== 6 && said.length !== 2) return [];
  const [right = "", bottom = ""] = way.length === 6 ? [towards(way.slice(0, 3)), towards(way.slice(3))] : said;
  return [opposite(right), opposite(bottom), right, bottom];
}

function towards(along: number[]): string {
  const pairs = [["L", "R"], ["P", "A"], ["H", "F"]] as const;
  return along
    .map((value, axis) => ({ size: Math.abs(value), letter: pairs[axis]?.[value > 0 ? 0 : 1] ?? "" }))
    .filter((one) => one.size > 0.25)
    .sort((a, b) => b.size - a.size)
    .slice(0, 2)
    .map((one) => one.letter)
    .join("");
}

function opposite(of: string): string {
  const other: Record<string, string> = { L: "R", R: "L", P: "A", A: "P", H: "F", F: "H" };
  return [...of].map((one) => other[one] ?? "").join("");
}
