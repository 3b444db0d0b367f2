// Sends what was dropped: files of a study in batches, each an upload of its own (docs/reference/uploads.md).
import { api, ApiError, request } from "../../api/client";
import type { components } from "../../api/schema";
import { entriesOf, filesOf, type LeftOut, sourcesOf } from "./gather";
import { Memory } from "./memory";
import { DIRECTORY, readHeader } from "./part10";
import type { Source } from "./zip";

export type Level = "high" | "medium" | "low" | "identified";
export type Result = "stored" | "duplicate" | "refused" | "quarantined";
type Told = components["schemas"]["Upload"];

export interface Item {
  name: string;
  size: number;
  sent: number;
  result: Result | null;
  reason: string;
}

interface Sending extends Item {
  source: Source;
  instance: string;
  digest: string;
}

export interface Study {
  key: string;
  label: string;
  modality: string;
  items: Item[];
  bytes: number;
  sent: number;
  counts: Record<Result, number>;
  done: number;
  paused: boolean;
  active: number;
}

interface Batch {
  study: Study;
  items: Sending[];
  length: number;
  id: string;
  offset: number;
}

export interface Shot {
  studies: Study[];
  leftOut: LeftOut[];
  files: number;
  bytes: number;
  sent: number;
  counts: Record<Result, number>;
  done: number;
  reading: number;
  state: "idle" | "ready" | "sending" | "paused" | "finished";
  checking: number;
  speed: number;
  offlineSince: number | null;
  backAt: number | null;
  interrupted: number;
  failure: unknown;
}

/** A batch: so many bytes or files. One large file is a batch of its own. */
const BATCH_BYTES = 16 * 2 ** 20;
const BATCH_FILES = 200;
const PIECE = 4 * 2 ** 20;
const AT_ONCE = 3;
const HEAD = 64 * 2 ** 10;
const LONGEST_HEAD = 2 ** 20;
const SPEED_MS = 8000;
const TOLD_MS = 200;
const LONGEST_WAIT_MS = 30_000;

const none = (): Record<Result, number> => ({ stored: 0, duplicate: 0, refused: 0, quarantined: 0 });

export class Engine {
  level: Level = "high";
  private studies = new Map<string, Study>();
  private leftOut: LeftOut[] = [];
  private waiting: Sending[] = [];
  private queue: Batch[] = [];
  private checking: Batch[] = [];
  private counts = none();
  private files = 0;
  private bytes = 0;
  private sent = 0;
  private reading = 0;
  private running = 0;
  private state: "idle" | "ready" | "sending" | "paused" = "idle";
  private samples: [number, number][] = [];
  private offlineSince: number | null = null;
  private backAt: number | null = null;
  private failure: unknown = null;
  private interrupted = 0;
  private memory: Promise<Memory | null>;
  private polling = false;
  private listeners = new Set<() => void>();
  private timer: number | undefined;
  private shown: Shot;
  private stops = new AbortController();
  private wake: (() => void)[] = [];

  constructor(owner: string) {
    this.memory = Memory.open(owner);
    this.shown = this.shot();
    window.addEventListener("online", () => this.wakeAll());
    void this.settleOpen();
  }

  subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  snapshot = (): Shot => this.shown;

  /** What was dropped; the event's data is read before this returns. */
  drop(data: DataTransfer): void {
    void this.add(entriesOf(data));
  }

  async add(given: Iterable<FileSystemEntry | File>): Promise<void> {
    this.reading += 1;
    this.tell();
    try {
      for await (const file of filesOf(given)) {
        for await (const source of sourcesOf(file, (one) => this.leave(one))) await this.look(source);
      }
    } catch (error) {
      this.failure = error;
    } finally {
      this.reading -= 1;
      const over = this.counts.stored + this.counts.duplicate + this.counts.refused + this.counts.quarantined + this.waiting.length === this.files;
      if (this.waiting.length > 0 && this.reading === 0) {
        // What joins an upload under way is sent with it; else the person begins.
        if (this.state === "sending" && !over) await this.start();
        else if (this.state !== "paused") this.state = "ready";
      }
      this.tell();
    }
  }

  /** Send what is waiting, at the level that is chosen now. */
  async start(): Promise<void> {
    const memory = await this.memory;
    const fresh = this.waiting.splice(0);
    this.state = "sending";
    this.failure = null;
    const known = memory ? await memory.sent() : new Set<string>();
    const left: Sending[] = [];
    for (const one of fresh) {
      if (memory && one.instance) one.digest = await memory.digest(one.instance, one.size, this.level);
      if (known.has(one.digest)) this.finish(this.studyOf(one), one, "duplicate", "sent-before");
      else left.push(one);
    }
    this.queue.push(...this.batches(await this.resumed(memory, left)));
    this.tell();
    this.run();
  }

  pause(study?: Study): void {
    if (study) study.paused = true;
    else this.state = "paused";
    this.tell();
  }

  resume(study?: Study): void {
    if (study) study.paused = false;
    else this.state = "sending";
    this.tell();
    this.run();
    this.wakeAll();
  }

  /** End what is not stored yet: here and on the server. */
  async cancel(): Promise<void> {
    this.stops.abort();
    this.stops = new AbortController();
    const memory = await this.memory;
    const open = [...this.queue, ...this.checking].filter((one) => one.id);
    this.queue = [];
    this.waiting = [];
    for (const one of memory ? await memory.batches() : open) {
      try {
        await request(`/api/v1/uploads/${one.id}`, { method: "DELETE", headers: TUS });
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
      }
      await memory?.close(one.id);
    }
    this.reset();
  }

  private reset(): void {
    this.studies = new Map();
    this.leftOut = [];
    this.checking = [];
    this.counts = none();
    this.files = this.bytes = this.sent = this.interrupted = 0;
    this.samples = [];
    this.state = "idle";
    this.tell();
  }

  private leave(one: LeftOut): void {
    this.leftOut.push(one);
    this.tell();
  }

  /** The header tells whether it is DICOM, and of which study. */
  private async look(source: Source): Promise<void> {
    let bytes = HEAD;
    let header = readHeader(await source.head(Math.min(bytes, source.size)));
    while (header && !header.study && bytes < source.size && bytes < LONGEST_HEAD) {
      bytes *= 4;
      header = readHeader(await source.head(Math.min(bytes, source.size)));
    }
    if (!header) {
      this.leave({ name: source.name, why: "not-dicom" });
      return;
    }
    if (header.sopClass === DIRECTORY) {
      this.leave({ name: source.name, why: "directory" });
      return;
    }
    const key = header.study || "loose";
    let study = this.studies.get(key);
    if (!study) {
      study = { key, label: header.study ? header.description : "", modality: header.modality, items: [], bytes: 0, sent: 0, counts: none(), done: 0, paused: false, active: 0 };
      this.studies.set(key, study);
    }
    if (!study.label) study.label = header.study ? header.description : "";
    const item: Sending = { name: source.name, size: source.size, sent: 0, result: null, reason: "", source, instance: header.instance, digest: "" };
    this.keys.set(item, study);
    study.items.push(item);
    study.bytes += item.size;
    this.files += 1;
    this.bytes += item.size;
    this.waiting.push(item);
    this.tell();
  }

  private keys = new WeakMap<Item, Study>();

  private studyOf(item: Item): Study {
    const study = this.keys.get(item);
    if (!study) throw new Error("a file without its study");
    return study;
  }

  private batches(items: Sending[]): Batch[] {
    const found: Batch[] = [];
    const open = new Map<Study, Batch>();
    for (const item of items) {
      const study = this.studyOf(item);
      let batch = open.get(study);
      if (!batch || batch.items.length >= BATCH_FILES || batch.length + item.size > BATCH_BYTES) {
        batch = { study, items: [], length: 0, id: "", offset: 0 };
        open.set(study, batch);
        found.push(batch);
      }
      batch.items.push(item);
      batch.length += item.size;
    }
    return found;
  }

  /** Batches of before the reload, whose files are all here again, go on; the other files are returned. */
  private async resumed(memory: Memory | null, items: Sending[]): Promise<Sending[]> {
    if (!memory) return items;
    const by = new Map(items.filter((one) => one.digest).map((one) => [one.digest, one]));
    const taken = new Set<Sending>();
    for (const batch of await memory.batches()) {
      if (this.queue.some((one) => one.id === batch.id) || this.checking.some((one) => one.id === batch.id)) continue;
      const files = batch.files.map((digest) => by.get(digest)).filter((one) => one !== undefined && !taken.has(one)) as Sending[];
      if (files.length < batch.files.length || files.length === 0) continue;
      files.forEach((one) => taken.add(one));
      this.queue.push({ study: this.studyOf(files[0]!), items: files, length: files.reduce((all, one) => all + one.size, 0), id: batch.id, offset: -1 });
    }
    this.interrupted = 0;
    return items.filter((one) => !taken.has(one));
  }

  /** What was on its way before a reload and is whole on the server has its results by now, or soon. */
  private async settleOpen(): Promise<void> {
    const memory = await this.memory;
    for (const batch of memory ? await memory.batches() : []) {
      try {
        const told = await this.show(batch.id);
        if (told.finished) {
          await memory?.note(batch.files.filter((digest, index) => digest && ["stored", "duplicate"].includes(told.results[index]?.result ?? "")));
          await memory?.close(batch.id);
        } else if (told.state === "open") {
          this.interrupted += batch.files.length;
        }
      } catch (error) {
        if (error instanceof ApiError && error.problem.status === 404) await memory?.close(batch.id);
      }
    }
    this.tell();
  }

  private run(): void {
    while (this.running < AT_ONCE) {
      const index = this.state === "sending" ? this.queue.findIndex((one) => !one.study.paused) : -1;
      if (index < 0) return;
      const [batch] = this.queue.splice(index, 1);
      this.running += 1;
      batch!.study.active += 1;
      void this.send(batch!, this.stops.signal).finally(() => {
        this.running -= 1;
        batch!.study.active -= 1;
        this.tell();
        this.run();
      });
    }
  }

  private async send(batch: Batch, signal: AbortSignal): Promise<void> {
    for (let tries = 0; !signal.aborted; ) {
      try {
        if (!(await this.whole(batch, signal))) {
          this.queue.unshift(batch);
          return;
        }
        this.checking.push(batch);
        void this.poll();
        return;
      } catch (error) {
        if (signal.aborted) return;
        const status = error instanceof ApiError ? error.problem.status : 0;
        if (status === 404 && batch.id) {
          // Its time was over: it begins anew.
          await (await this.memory)?.close(batch.id);
          [batch.id, batch.offset] = ["", 0];
          this.progress(batch);
        } else if (status === 409 || status === 460) {
          batch.offset = -1;
        } else if (status === 0 || status === 429 || status >= 500) {
          batch.offset = batch.id ? -1 : 0;
          if (status === 0) this.offlineSince ??= Date.now();
          this.tell();
          await this.pauseFor(Math.min(LONGEST_WAIT_MS, 1000 * 2 ** tries));
          tries += 1;
        } else {
          this.refuse(batch, error);
          return;
        }
      }
    }
  }

  /** All bytes of a batch; false where it was paused before the end. */
  private async whole(batch: Batch, signal: AbortSignal): Promise<boolean> {
    if (!batch.id) await this.create(batch, signal);
    if (batch.offset < 0) {
      const told = await this.show(batch.id);
      batch.offset = told.offset;
      this.progress(batch);
    }
    this.online();
    while (batch.offset < batch.length) {
      if (this.state !== "sending" || batch.study.paused) return false;
      const piece = await this.piece(batch);
      const headers: Record<string, string> = { ...TUS, "Content-Type": "application/offset+octet-stream", "Upload-Offset": String(batch.offset) };
      if (crypto.subtle) headers["Upload-Checksum"] = `sha256 ${base64(new Uint8Array(await crypto.subtle.digest("SHA-256", piece)))}`;
      const answer = await request(`/api/v1/uploads/${batch.id}`, { method: "PATCH", headers, body: piece, signal });
      batch.offset = Number(answer.headers.get("upload-offset"));
      this.online();
      this.progress(batch);
    }
    return true;
  }

  private async create(batch: Batch, signal: AbortSignal): Promise<void> {
    const sizes = batch.items.map((one) => one.size).join(",");
    const metadata = `level ${btoa(this.level)},sizes ${btoa(sizes)}`;
    const answer = await request("/api/v1/uploads", { method: "POST", headers: { ...TUS, "Upload-Length": String(batch.length), "Upload-Metadata": metadata }, signal });
    batch.id = ((await answer.json()) as Told).id;
    await (await this.memory)?.open({ id: batch.id, level: this.level, files: batch.items.map((one) => one.digest) });
  }

  /** The next bytes of a batch, over the ends of its files. */
  private async piece(batch: Batch): Promise<ArrayBuffer> {
    const parts: Blob[] = [];
    let [begin, left] = [0, PIECE];
    for (const item of batch.items) {
      const end = begin + item.size;
      if (end > batch.offset && left > 0) {
        const from = Math.max(0, batch.offset - begin);
        const part = (await item.source.blob()).slice(from, from + left);
        parts.push(part);
        left -= part.size;
      }
      begin = end;
    }
    return new Blob(parts).arrayBuffer();
  }

  /** What became of files is asked for of one batch after the other: the worker takes them in that order. */
  private async poll(): Promise<void> {
    if (this.polling) return;
    this.polling = true;
    const signal = this.stops.signal;
    let wait = 500;
    while (this.checking.length > 0 && !signal.aborted) {
      const batch = this.checking[0]!;
      try {
        const told = await this.show(batch.id);
        this.results(batch, told);
        wait = 500;
        if (told.finished) {
          this.checking.shift();
          const memory = await this.memory;
          await memory?.note(batch.items.filter((one) => one.digest && (one.result === "stored" || one.result === "duplicate")).map((one) => one.digest));
          await memory?.close(batch.id);
          this.tell();
          continue;
        }
      } catch (error) {
        if (error instanceof ApiError && error.problem.status < 500 && error.problem.status !== 429) {
          this.checking.shift();
          this.refuse(batch, error);
          continue;
        }
        wait = Math.min(LONGEST_WAIT_MS, wait * 2);
      }
      await this.pauseFor(wait);
    }
    this.polling = false;
    this.tell();
  }

  private async show(id: string): Promise<Told> {
    const { data } = await api.GET("/api/v1/uploads/{upload}", { params: { path: { upload: id } } });
    if (!data) throw new Error("nothing was answered");
    return data;
  }

  private results(batch: Batch, told: Told): void {
    told.results.forEach((one, index) => {
      const item = batch.items[index];
      if (item && item.result === null) this.finish(batch.study, item, one.result as Result, one.reason ?? "");
    });
    this.tell();
  }

  private refuse(batch: Batch, error: unknown): void {
    const code = error instanceof ApiError ? error.problem.code : "internal";
    if (error instanceof ApiError && error.problem.status === 403) this.failure = error;
    for (const item of batch.items) if (item.result === null) this.finish(batch.study, item, "refused", code);
    void this.memory.then((memory) => memory?.close(batch.id));
    this.tell();
  }

  private finish(study: Study, item: Item, result: Result, reason: string): void {
    [item.result, item.reason] = [result, reason];
    const more = item.size - item.sent;
    item.sent = item.size;
    study.sent += more;
    this.sent += more;
    study.counts[result] += 1;
    this.counts[result] += 1;
    study.done += 1;
  }

  /** How far each file of a batch is. */
  private progress(batch: Batch): void {
    let begin = 0;
    for (const item of batch.items) {
      const sent = Math.max(0, Math.min(item.size, batch.offset - begin));
      batch.study.sent += sent - item.sent;
      this.sent += sent - item.sent;
      item.sent = sent;
      begin += item.size;
    }
    this.samples.push([Date.now(), this.sent]);
    this.tell();
  }

  private online(): void {
    if (this.offlineSince !== null) [this.offlineSince, this.backAt] = [null, Date.now()];
  }

  private pauseFor(ms: number): Promise<void> {
    return new Promise((good) => {
      const timer = setTimeout(good, ms);
      this.wake.push(() => {
        clearTimeout(timer);
        good();
      });
    });
  }

  private wakeAll(): void {
    this.wake.splice(0).forEach((one) => one());
  }

  private tell(): void {
    this.timer ??= window.setTimeout(() => {
      this.timer = undefined;
      this.shown = this.shot();
      this.listeners.forEach((one) => one());
    }, TOLD_MS);
  }

  private shot(): Shot {
    const now = Date.now();
    this.samples = this.samples.filter(([at]) => now - at < SPEED_MS);
    const oldest = this.samples[0];
    const speed = oldest && now > oldest[0] ? ((this.sent - oldest[1]) * 1000) / (now - oldest[0]) : 0;
    const done = this.counts.stored + this.counts.duplicate + this.counts.refused + this.counts.quarantined;
    const finished = this.files > 0 && done === this.files && this.reading === 0;
    return {
      studies: [...this.studies.values()],
      leftOut: this.leftOut,
      files: this.files,
      bytes: this.bytes,
      sent: this.sent,
      counts: { ...this.counts },
      done,
      reading: this.reading,
      state: finished ? "finished" : this.state,
      checking: this.checking.reduce((all, one) => all + one.items.filter((item) => item.result === null).length, 0),
      speed: Math.max(0, speed),
      offlineSince: this.offlineSince,
      backAt: this.backAt,
      interrupted: this.interrupted,
      failure: this.failure,
    };
  }
}

const TUS = { "Tus-Resumable": "1.0.0" };

function base64(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes));
}
