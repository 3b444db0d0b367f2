// What was dropped or chosen, as single files: folders are walked, archives opened. Names stay in this page.
import { isZip, openZip, type Source, ZipRefused } from "./zip";

export interface LeftOut {
  name: string;
  why: string;
}

/** To be called within the event: the browser forgets what was dropped afterwards. */
export function entriesOf(data: DataTransfer): (FileSystemEntry | File)[] {
  const found: (FileSystemEntry | File)[] = [];
  for (const item of data.items) {
    if (item.kind !== "file") continue;
    const given = item.webkitGetAsEntry() ?? item.getAsFile();
    if (given) found.push(given);
  }
  return found;
}

/** Every file below these. */
export async function* filesOf(given: Iterable<FileSystemEntry | File>): AsyncGenerator<File> {
  for (const one of given) {
    if (one instanceof File) {
      yield one;
    } else if (one.isFile) {
      yield await new Promise<File>((good, bad) => (one as FileSystemFileEntry).file(good, bad));
    } else {
      const reader = (one as FileSystemDirectoryEntry).createReader();
      // A reader gives a hundred at a time, and none at the end.
      for (;;) {
        const some = await new Promise<FileSystemEntry[]>((good, bad) => reader.readEntries(good, bad));
        if (some.length === 0) break;
        yield* filesOf(some);
      }
    }
  }
}

/** A file, or the files of an archive; an archive inside an archive is left out. */
export async function* sourcesOf(file: File, leave: (one: LeftOut) => void): AsyncGenerator<Source> {
  const head = new Uint8Array(await file.slice(0, 4).arrayBuffer());
  if (!isZip(head)) {
    yield plain(file);
    return;
  }
  try {
    for (const one of await openZip(file)) yield one;
  } catch (error) {
    leave({ name: file.name, why: error instanceof ZipRefused ? `zip: ${error.message}` : "zip: it cannot be read" });
  }
}

function plain(file: File): Source {
  return {
    name: file.name,
    size: file.size,
    head: async (bytes) => new Uint8Array(await file.slice(0, bytes).arrayBuffer()),
    blob: async () => file,
  };
}
