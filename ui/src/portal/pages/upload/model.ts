// What an upload is made of: files of studies, batches of them, and what is shown of it.
import type { components } from "../../api/schema";
import type { LeftOut } from "./gather";
import type { Source } from "./zip";

export type Level = "high" | "medium" | "low" | "identified";
export type Result = "stored" | "duplicate" | "refused" | "quarantined";
export type Told = components["schemas"]["Upload"];

export interface Item {
  name: string;
  size: number;
  sent: number;
  result: Result | null;
  reason: string;
}

export interface Sending extends Item {
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

export interface Batch {
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

export const none = (): Record<Result, number> => ({ stored: 0, duplicate: 0, refused: 0, quarantined: 0 });
