// What a DICOM file says of itself in its first bytes (PS3.10): enough to tell studies apart before anything is sent.
export interface Header {
  study: string;
  instance: string;
  sopClass: string;
  modality: string;
  description: string;
}

export const DIRECTORY = "1.2.840.10008.1.3.10";
const DEFLATED = "1.2.840.10008.1.2.1.99";
const BIG_ENDIAN = "1.2.840.10008.1.2.2";
const IMPLICIT = "1.2.840.10008.1.2";
/** Value representations with four bytes of length (PS3.5 7.1.2). */
const LONG = new Set(["OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"]);
const UNDEFINED = 0xffffffff;
const LAST = 0x0020000d;
const DEPTH = 16;

/** Whether these first 132 bytes begin a DICOM file. */
export function isDicom(bytes: Uint8Array): boolean {
  return bytes.length >= 132 && bytes[128] === 0x44 && bytes[129] === 0x49 && bytes[130] === 0x43 && bytes[131] === 0x4d;
}

/** null: no DICOM file. Whatever the bytes hold, this ends and reads nothing beyond them. */
export function readHeader(bytes: Uint8Array): Header | null {
  if (!isDicom(bytes)) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const found = new Map<number, string>();
  let at = 132;
  while (at + 8 <= bytes.length && view.getUint16(at, true) === 2) at = element(view, at, true, false, found) ?? bytes.length;
  const syntax = found.get(0x00020010) ?? "";
  // A deflated data set is told apart by the server alone; its file meta information names the instance.
  if (syntax !== DEFLATED) {
    const little = syntax !== BIG_ENDIAN;
    while (at + 8 <= bytes.length) {
      const next = element(view, at, little, syntax === IMPLICIT, found);
      if (next === null) break;
      at = next;
    }
  }
  return {
    study: found.get(0x0020000d) ?? "",
    instance: found.get(0x00080018) ?? found.get(0x00020003) ?? "",
    sopClass: found.get(0x00080016) ?? found.get(0x00020002) ?? "",
    modality: found.get(0x00080060) ?? "",
    description: found.get(0x00081030) ?? "",
  };
}

const WANTED = new Set([0x00020002, 0x00020003, 0x00020010, 0x00080016, 0x00080018, 0x00080060, 0x00081030, 0x0020000d]);

/** Where the next element begins; null: behind what is wanted, or where these bytes do not reach. */
function element(view: DataView, at: number, little: boolean, implicit: boolean, found: Map<number, string> | null, depth = 0): number | null {
  const group = view.getUint16(at, little);
  const tag = ((group << 16) | view.getUint16(at + 2, little)) >>> 0;
  if (found !== null && tag > LAST && group !== 2) return null;
  let value = at + 8;
  let length: number;
  if (implicit) {
    length = view.getUint32(at + 4, little);
  } else {
    const vr = String.fromCharCode(view.getUint8(at + 4), view.getUint8(at + 5));
    if (LONG.has(vr)) {
      value = at + 12;
      if (value > view.byteLength) return null;
      length = view.getUint32(at + 8, little);
      if (vr === "UN" && length === UNDEFINED) implicit = true; // PS3.5 6.2.2: what is unknown is encoded that way.
    } else {
      length = view.getUint16(at + 6, little);
    }
  }
  if (length === UNDEFINED) return sequence(view, value, little, implicit, depth + 1);
  const end = value + length;
  if (found !== null && WANTED.has(tag) && end <= view.byteLength && length <= 1024) {
    const raw = new Uint8Array(view.buffer, view.byteOffset + value, length);
    found.set(tag, new TextDecoder("latin1").decode(raw).replace(/[\0 ]+$/, "").trim());
  }
  return end;
}

/** Behind a sequence of undefined length, whose items may be so, too. */
function sequence(view: DataView, from: number, little: boolean, implicit: boolean, depth: number): number | null {
  if (depth > DEPTH) return null;
  let at: number | null = from;
  while (at !== null && at + 8 <= view.byteLength) {
    if (view.getUint16(at, little) !== 0xfffe) return null;
    const kind = view.getUint16(at + 2, little);
    const length = view.getUint32(at + 4, little);
    at += 8;
    if (kind === 0xe0dd) return at;
    at = length === UNDEFINED ? item(view, at, little, implicit, depth) : at + length;
  }
  return null;
}

function item(view: DataView, from: number, little: boolean, implicit: boolean, depth: number): number | null {
  let at: number | null = from;
  while (at !== null && at + 8 <= view.byteLength) {
    if (view.getUint16(at, little) === 0xfffe) return at + 8;
    at = element(view, at, little, implicit, null, depth);
  }
  return null;
}
