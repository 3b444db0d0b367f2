// Reads values of the DICOM JSON model (PS3.18 F.2).
interface Element {
  vr: string;
  Value?: unknown[];
}

export type DicomRow = Record<string, Element | undefined>;

export function texts(row: DicomRow, tag: string): string[] {
  return (row[tag]?.Value ?? []).map((value) => {
    if (typeof value === "string") return value;
    if (typeof value === "number") return String(value);
    if (value !== null && typeof value === "object" && "Alphabetic" in value) return String(value.Alphabetic).replaceAll("^", " ").trim();
    return "";
  });
}

export function text(row: DicomRow, tag: string): string {
  return texts(row, tag)[0] ?? "";
}

export function number(row: DicomRow, tag: string): string {
  const value = Number(text(row, tag));
  return text(row, tag) && Number.isFinite(value) ? value.toLocaleString() : "";
}

const DAY = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", year: "numeric", timeZone: "UTC" });

/** A DA as people write it; what is no date stays as it is. */
export function date(row: DicomRow, tag: string): string {
  const value = text(row, tag);
  const parts = /^(\d{4})(\d\d)(\d\d)$/.exec(value);
  if (parts === null) return value;
  return DAY.format(new Date(Date.UTC(Number(parts[1]), Number(parts[2]) - 1, Number(parts[3]))));
}
