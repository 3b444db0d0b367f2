// What the object in view says, element by element.
import { useQuery } from "@tanstack/react-query";
import { IconSearch } from "@tabler/icons-react";
import { type ReactNode, useDeferredValue, useMemo, useState } from "react";

import { request } from "../../api/client";
import { words } from "../../app/words";
import { type DicomRow, number, text, texts } from "../../parts/dicom";
import { useCurrent } from "./current";
import { address, T } from "./data";

interface Line {
  path: string;
  tag: string;
  vr: string;
  value: string;
  depth: number;
}

const DEEPEST = 6;
const LINES = 4000;

function lines(row: DicomRow, depth = 0, path = "", into: Line[] = []): Line[] {
  for (const tag of Object.keys(row).sort()) {
    const element = row[tag];
    if (element === undefined || into.length >= LINES) continue;
    const items = element.vr === "SQ" ? ((element.Value ?? []) as DicomRow[]) : [];
    into.push({ path: `${path}${tag}`, tag, vr: element.vr, depth, value: shown(row, tag, items.length) });
    if (depth < DEEPEST) items.forEach((item, index) => lines(item ?? {}, depth + 1, `${path}${tag}/${index}/`, into));
  }
  return into;
}

function shown(row: DicomRow, tag: string, items: number): string {
  const element = row[tag];
  if (element?.vr === "SQ") return `${items} ${words.study.inside}`;
  if (element !== undefined && "BulkDataURI" in element) return words.study.bulk;
  if (element !== undefined && "InlineBinary" in element) return words.study.binary;
  return texts(row, tag).join(" \\ ");
}

const known = new Map<string, string>();

/** Names of elements, in the words of the standard: the XML form of the metadata has them. */
async function names(row: DicomRow): Promise<Map<string, string>> {
  const wanted = lines(row).map((line) => line.tag);
  if (wanted.some((tag) => !known.has(tag))) {
    const path = `${address(text(row, T.study), text(row, T.series), text(row, T.instance))}/metadata`;
    const answer = await (await request(path, { headers: { Accept: 'multipart/related; type="application/dicom+xml"' } })).text();
    const begin = answer.search(/<\?xml|<NativeDicomModel/);
    const xml = new DOMParser().parseFromString(answer.slice(begin, answer.lastIndexOf(">", answer.lastIndexOf("\r\n--")) + 1), "text/xml");
    for (const one of xml.getElementsByTagName("DicomAttribute")) {
      known.set(one.getAttribute("tag") ?? "", (one.getAttribute("keyword") ?? "").replace(/([a-z\d])([A-Z])/g, "$1 $2").replace(/([A-Z]+)([A-Z][a-z])/g, "$1 $2"));
    }
    for (const tag of wanted) if (!known.has(tag)) known.set(tag, "");
  }
  return new Map(known);
}

export function Metadata(): ReactNode {
  const row = useCurrent();
  const [typed, setTyped] = useState("");
  const wanted = useDeferredValue(typed.trim().toLowerCase());
  const kinds = row === null ? "" : `${text(row, T.series)} ${text(row, T.sopClass)}`;
  const named = useQuery({ queryKey: ["names", kinds], enabled: row !== null, staleTime: Infinity, queryFn: () => names(row ?? {}) });
  const all = useMemo(() => (row === null ? [] : lines(row)), [row]);
  if (row === null) return <p className="t2 md-note">{words.study.noInstance}</p>;
  const found = all.filter((line) => {
    const said = `${line.tag} (${line.tag.slice(0, 4)},${line.tag.slice(4)}) ${named.data?.get(line.tag) ?? ""} ${line.value}`;
    return said.toLowerCase().includes(wanted);
  });
  return (
    <div className="md">
      <div className="md-h">
        <label className="inp">
          <IconSearch size={16} aria-hidden />
          <input type="search" value={typed} placeholder={words.study.find} aria-label={words.study.find} onChange={(event) => setTyped(event.target.value)} />
        </label>
        <p className="xs t3">
          {found.length.toLocaleString()} {words.study.elements} · {words.viewer.image.toLowerCase()} {number(row, T.instanceNumber) || "–"}
        </p>
      </div>
      <div className="scroll" tabIndex={0} role="region" aria-label={words.study.tabs.metadata}>
        {found.length === 0 ? <p className="t2 md-note">{words.study.noElements}</p> : (
          <table className="md-t">
            <thead className="vh"><tr><th>{words.study.name}</th><th>{words.study.value}</th></tr></thead>
            <tbody>
              {found.map((line) => (
                <tr key={line.path}>
                  <td style={{ paddingLeft: 16 + line.depth * 10 }}>
                    <span className="md-n" title={named.data?.get(line.tag)}>{named.data?.get(line.tag) || "–"}</span>
                    <span className="mono xs t3">{line.tag.slice(0, 4)},{line.tag.slice(4)} {line.vr}</span>
                  </td>
                  <td><span className="md-v" title={line.value}>{line.value || "–"}</span></td>
                </tr>
              ))}
            </tbody>
          </table>
        )}
      </div>
    </div>
  );
}
