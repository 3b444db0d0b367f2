// Cornerstone names some hundred elements of DICOM by a library that knows five thousand, in two thirds of a megabyte.
// It is given those that it names: all that our way to the images (DICOMweb's JSON) asks for. Who reads whole files in
// the browser, or makes them, imports that library itself.
import type { Plugin } from "vite";

const NAME = "dcmjs";
const ASKER = /node_modules\/@cornerstonejs\/(metadata|utils)\//;
const MODULES = new URL("node_modules/@cornerstonejs/metadata/dist/esm/utilities/modules/index.js", import.meta.url);

interface Word { tag: string; vr: string; vm: string; name: string }
interface Library {
  default: { data: { DicomMetaDictionary: { nameMap: Record<string, Word> } } };
  constants: Record<string, unknown>;
}
interface Named { moduleDefinitions: Iterable<[string | null, readonly (string | readonly [string, string])[]]> }

/** The library's dictionary, as far as Cornerstone reads it. */
export function dictionary(): Plugin {
  return {
    name: "dictionary",
    enforce: "pre",
    resolveId: (source, importer) => (source === NAME && importer !== undefined && ASKER.test(importer) ? `\0${NAME}` : null),
    load: async (id) => {
      if (id !== `\0${NAME}`) return null;
      const { default: { data }, constants } = (await import(NAME)) as Library;
      const { moduleDefinitions } = (await import(MODULES.href)) as Named;
      const wanted = new Set<string>();
      const hex = new Set<string>();
      for (const [, words] of moduleDefinitions) {
        for (const one of words) {
          if (typeof one === "string") wanted.add(one.toLowerCase());
          else hex.add(one[1].toUpperCase());
        }
      }
      const words = Object.values(data.DicomMetaDictionary.nameMap).filter(
        ({ tag, name }) => wanted.has(name.toLowerCase()) || hex.has(plain(tag)),
      );
      if (words.length < wanted.size / 2) throw new Error(`${NAME} names its elements otherwise than before`);
      return code(words, constants);
    },
  };
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
