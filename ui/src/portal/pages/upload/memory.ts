// What this browser remembers of uploads, so that after a reload only the rest is sent: ids and keyed digests, no names.
import type { Level } from "./model";

export interface OpenBatch {
  id: string;
  owner: string;
  level: Level;
  /** Digest of each file, in order. */
  files: string[];
  at: number;
}

interface Sent {
  digest: string;
  at: number;
}

const KEPT_MS = 24 * 3_600_000;

/** Without it (private windows, no secure context) an upload does not survive a reload. */
export class Memory {
  private readonly database: IDBDatabase;
  private readonly key: CryptoKey;
  private readonly owner: string;

  private constructor(database: IDBDatabase, key: CryptoKey, owner: string) {
    [this.database, this.key, this.owner] = [database, key, owner];
  }

  static async open(owner: string): Promise<Memory | null> {
    try {
      const database = await new Promise<IDBDatabase>((good, bad) => {
        const asked = indexedDB.open("wardlight-uploads", 1);
        asked.onupgradeneeded = () => {
          asked.result.createObjectStore("keys");
          asked.result.createObjectStore("batches", { keyPath: "id" });
          asked.result.createObjectStore("sent", { keyPath: "digest" });
        };
        asked.onsuccess = () => good(asked.result);
        asked.onerror = () => bad(asked.error);
      });
      let key = (await asking(database, "keys", "readonly", (store) => store.get("digest"))) as CryptoKey | undefined;
      if (!key) {
        // It cannot be read out: nobody who copies the digests can test guesses.
        key = await crypto.subtle.generateKey({ name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
        await asking(database, "keys", "readwrite", (store) => store.put(key, "digest"));
      }
      const memory = new Memory(database, key, owner);
      await memory.forget();
      return memory;
    } catch {
      return null;
    }
  }

  /** What stands for a file: of its instance, its size and the level it is sent at. */
  async digest(instance: string, size: number, level: Level): Promise<string> {
    const said = new TextEncoder().encode([this.owner, instance, size, level].join("|"));
    const made = new Uint8Array(await crypto.subtle.sign("HMAC", this.key, said));
    return btoa(String.fromCharCode(...made.subarray(0, 18)));
  }

  async batches(): Promise<OpenBatch[]> {
    const all = (await asking(this.database, "batches", "readonly", (store) => store.getAll())) as OpenBatch[];
    return all.filter((one) => one.owner === this.owner);
  }

  async open(batch: Omit<OpenBatch, "owner" | "at">): Promise<void> {
    await asking(this.database, "batches", "readwrite", (store) => store.put({ ...batch, owner: this.owner, at: Date.now() }));
  }

  async close(id: string): Promise<void> {
    await asking(this.database, "batches", "readwrite", (store) => store.delete(id));
  }

  async sent(): Promise<Set<string>> {
    return new Set((await asking(this.database, "sent", "readonly", (store) => store.getAllKeys())) as string[]);
  }

  async note(digests: string[]): Promise<void> {
    const change = this.database.transaction("sent", "readwrite");
    for (const digest of digests) change.objectStore("sent").put({ digest, at: Date.now() } satisfies Sent);
    await new Promise<void>((good, bad) => {
      change.oncomplete = () => good();
      change.onerror = () => bad(change.error);
    });
  }

  private async forget(): Promise<void> {
    for (const store of ["batches", "sent"] as const) {
      const all = (await asking(this.database, store, "readonly", (one) => one.getAll())) as (Sent & OpenBatch)[];
      for (const one of all) {
        if (Date.now() - one.at > KEPT_MS) await asking(this.database, store, "readwrite", (it) => it.delete(store === "sent" ? one.digest : one.id));
      }
    }
  }
}

function asking(database: IDBDatabase, store: string, mode: IDBTransactionMode, ask: (store: IDBObjectStore) => IDBRequest): Promise<unknown> {
  return new Promise((good, bad) => {
    const asked = ask(database.transaction(store, mode).objectStore(store));
    asked.onsuccess = () => good(asked.result);
    asked.onerror = () => bad(asked.error);
  });
}
