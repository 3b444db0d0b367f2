// Cornerstone names some hundred elements of DICOM by a library that knows five thousand, in two thirds of a megabyte.
// It is given those that it names: all that our way to the images (DICOMweb's JSON) asks for. Who reads whole files in
// the browser, or makes them, imports that library itself.
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";

import type { Plugin } from "vite";

const NAME = "dcmjs";
const ASKER = /node_modules\/@cornerstonejs\/(metadata|utils)\//;
const FOLDER = new URL("node_modules/@cornerstonejs/metadata/dist/esm/", import.meta.url).pathname;

interface Word { tag: string; vr: string; vm: string; name: string }
interface Library {
  default: { data: { DicomMetaDictionary: { nameMap: Record<string, Word> } } };
  constants: Record<string, unknown>;
}

/** The library's dictionary, as far as the sources of Cornerstone's metadata name its elements, by keyword or by tag. */
export function dictionary(): Plugin {
  return {
    name: "dictionary",
    enforce: "pre",
    resolveId: (source, importer) => (source === NAME && importer !== undefined && ASKER.test(importer) ? `\0${NAME}` : null),
    load: async (id) => {
      if (id !== `\0${NAME}`) return null;
      const { default: { data }, constants } = (await import(NAME)) as Library;
      const named = await namedBy(FOLDER);
      const words = Object.values(data.DicomMetaDictionary.nameMap).filter(
        ({ tag, name }) => named.has(name.toLowerCase()) || named.has(plain(tag).toLowerCase()),
      );
      if (!words.some(({ name }) => name === "PixelSpacing")) throw new Error(`${NAME} names its elements otherwise than before`);
      return code(words, constants);
    },
  };
}

/** All words in the sources of a folder, in lower case: a keyword may be meant in any case. */
async function namedBy(folder: string): Promise<Set<string>> {
  const files = (await readdir(folder, { recursive: true })).filter((name) => name.endsWith(".js"));
  const texts = await Promise.all(files.map((name) => readFile(join(folder, name))));
  return new Set(texts.flatMap((text) => new TextDecoder().decode(text).toLowerCase().match(/\w+/g) ?? []));
}

const plain = (tag: string): string => tag.replace(/[(),]/g, "").toUpperCase();

function code(words: Word[], constants: Record<string, unknown>): string {
  const rows = words.map(({ tag, vr, vm, name }) => [tag, vr, vm, name]);
  return [
    `import log from "loglevel";`,
    `const [dictionary, nameMap] = [{}, {}];`,
    `for (const [tag, vr, vm, name] of ${JSON.stringify(rows)}) {`,
    `  dictionary[tag.replace(/[(),]/g, "")] = nameMap[name] = { tag, vr, vm, name };`,
    `}`,
    `export const constants = ${JSON.stringify(constants)};`,
    `export { log };`,
    `export default { data: { DicomMetaDictionary: { dictionary, nameMap } }, async: {}, utilities: {}, constants, log };`,
  ].join("\n");
}
