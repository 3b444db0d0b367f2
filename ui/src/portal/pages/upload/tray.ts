// The files of an upload, by study, and what became of each: counts that the page shows.
import type { LeftOut } from "./gather";
import { type Batch, type Item, none, type Result, type Sending, type Study, type Told } from "./model";
import { DIRECTORY, readHeader } from "./part10";
import type { Source } from "./zip";

/** A batch: so many bytes or files. One large file is a batch of its own. */
const BATCH_BYTES = 16 * 2 ** 20;
const BATCH_FILES = 200;
const HEAD = 64 * 2 ** 10;
const LONGEST_HEAD = 2 ** 20;
const SPEED_MS = 8000;

export class Tray {
  readonly studies = new Map<string, Study>();
  readonly leftOut: LeftOut[] = [];
  readonly waiting: Sending[] = [];
  readonly counts = none();
  files = 0;
  bytes = 0;
  sent = 0;
  private samples: [number, number][] = [];
  private keys = new WeakMap<Item, Study>();

  /** Files that have their result. */
  get done(): number {
    return this.counts.stored + this.counts.duplicate + this.counts.refused + this.counts.quarantined;
  }

  /** The header tells whether it is DICOM, and of which study. */
  async look(source: Source): Promise<void> {
    let bytes = HEAD;
    let header = readHeader(await source.head(Math.min(bytes, source.size)));
    while (header && !header.study && bytes < source.size && bytes < LONGEST_HEAD) {
      bytes *= 4;
      header = readHeader(await source.head(Math.min(bytes, source.size)));
    }
    if (!header) {
      this.leftOut.push({ name: source.name, why: "not-dicom" });
      return;
    }
    if (header.sopClass === DIRECTORY) {
      this.leftOut.push({ name: source.name, why: "directory" });
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
  }

  studyOf(item: Item): Study {
    const study = this.keys.get(item);
    if (!study) throw new Error("a file without its study");
    return study;
  }

  batches(items: Sending[]): Batch[] {
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

  results(batch: Batch, told: Told): void {
    told.results.forEach((one, index) => {
      const item = batch.items[index];
      if (item && item.result === null) this.finish(item, one.result as Result, one.reason ?? "");
    });
  }

  finish(item: Item, result: Result, reason: string): void {
    const study = this.studyOf(item);
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
  progress(batch: Batch): void {
    let begin = 0;
    for (const item of batch.items) {
      const sent = Math.max(0, Math.min(item.size, batch.offset - begin));
      batch.study.sent += sent - item.sent;
      this.sent += sent - item.sent;
      item.sent = sent;
      begin += item.size;
    }
    this.samples.push([Date.now(), this.sent]);
  }

  /** Bytes a second, of the last seconds. */
  speed(now: number): number {
    this.samples = this.samples.filter(([at]) => now - at < SPEED_MS);
    const oldest = this.samples[0];
    return oldest && now > oldest[0] ? Math.max(0, ((this.sent - oldest[1]) * 1000) / (now - oldest[0])) : 0;
  }
}
