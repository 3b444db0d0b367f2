// Sends what was dropped: files of a study in batches, each an upload of its own (docs/reference/uploads.md).
import { ApiError } from "../../api/client";
import { entriesOf, filesOf, sourcesOf } from "./gather";
import { Memory } from "./memory";
import type { Batch, Level, Sending, Shot, Study } from "./model";
import { Tray } from "./tray";
import { append, create, end, show } from "./wire";

export type { Item, Level, Result, Shot, Study } from "./model";

const AT_ONCE = 3;
const TOLD_MS = 200;
const LONGEST_WAIT_MS = 30_000;

export class Engine {
  level: Level = "high";
  private tray = new Tray();
  private queue: Batch[] = [];
  private checking: Batch[] = [];
  private reading = 0;
  private running = 0;
  private state: "idle" | "ready" | "sending" | "paused" = "idle";
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
        for await (const source of sourcesOf(file, (one) => this.tray.leftOut.push(one))) {
          await this.tray.look(source);
          this.tell();
        }
      }
    } catch (error) {
      this.failure = error;
    } finally {
      this.reading -= 1;
      const over = this.tray.done + this.tray.waiting.length === this.tray.files;
      if (this.tray.waiting.length > 0 && this.reading === 0) {
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
    const fresh = this.tray.waiting.splice(0);
    this.state = "sending";
    this.failure = null;
    const known = memory ? await memory.sent() : new Set<string>();
    const left: Sending[] = [];
    for (const one of fresh) {
      if (memory && one.instance) one.digest = await memory.digest(one.instance, one.size, this.level);
      if (known.has(one.digest)) this.tray.finish(one, "duplicate", "sent-before");
      else left.push(one);
    }
    this.queue.push(...this.tray.batches(await this.resumed(memory, left)));
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
    for (const one of memory ? await memory.batches() : open) {
      try {
        await end(one.id);
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
      }
      await memory?.close(one.id);
    }
    this.reset();
  }

  private reset(): void {
    this.tray = new Tray();
    this.checking = [];
    this.interrupted = 0;
    this.state = "idle";
    this.tell();
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
      this.queue.push({ study: this.tray.studyOf(files[0]!), items: files, length: files.reduce((all, one) => all + one.size, 0), id: batch.id, offset: -1 });
    }
    this.interrupted = 0;
    return items.filter((one) => !taken.has(one));
  }

  /** What was on its way before a reload and is whole on the server has its results by now, or soon. */
  private async settleOpen(): Promise<void> {
    const memory = await this.memory;
    for (const batch of memory ? await memory.batches() : []) {
      try {
        const told = await show(batch.id);
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
      const told = await show(batch.id);
      batch.offset = told.offset;
      this.progress(batch);
    }
    this.online();
    while (batch.offset < batch.length) {
      if (this.state !== "sending" || batch.study.paused) return false;
      batch.offset = await append(batch, signal);
      this.online();
      this.progress(batch);
    }
    return true;
  }

  private async create(batch: Batch, signal: AbortSignal): Promise<void> {
    batch.id = await create(batch, this.level, signal);
    await (await this.memory)?.open({ id: batch.id, level: this.level, files: batch.items.map((one) => one.digest) });
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
        const told = await show(batch.id);
        this.tray.results(batch, told);
        this.tell();
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

  private refuse(batch: Batch, error: unknown): void {
    const code = error instanceof ApiError ? error.problem.code : "internal";
    if (error instanceof ApiError && error.problem.status === 403) this.failure = error;
    for (const item of batch.items) if (item.result === null) this.tray.finish(item, "refused", code);
    void this.memory.then((memory) => memory?.close(batch.id));
    this.tell();
  }

  private progress(batch: Batch): void {
    this.tray.progress(batch);
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
    const tray = this.tray;
    const finished = tray.files > 0 && tray.done === tray.files && this.reading === 0;
    return {
      studies: [...tray.studies.values()],
      leftOut: tray.leftOut,
      files: tray.files,
      bytes: tray.bytes,
      sent: tray.sent,
      counts: { ...tray.counts },
      done: tray.done,
      reading: this.reading,
      state: finished ? "finished" : this.state,
      checking: this.checking.reduce((all, one) => all + one.items.filter((item) => item.result === null).length, 0),
      speed: tray.speed(Date.now()),
      offlineSince: this.offlineSince,
      backAt: this.backAt,
      interrupted: this.interrupted,
      failure: this.failure,
    };
  }
}
