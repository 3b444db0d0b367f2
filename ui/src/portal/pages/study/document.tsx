// What is read rather than looked at: reports and documents, each in a frame that may do nothing.
import { useComputedColorScheme } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { type ReactNode, useEffect, useState } from "react";

import { request } from "../../api/client";
import { words } from "../../app/words";
import { type DicomRow, text } from "../../parts/dicom";
import { Empty, Failure } from "../../parts/states";
import { address, type Kind, T } from "./data";

export function Document({ kind, rows }: { kind: Kind; rows: readonly DicomRow[] }): ReactNode {
  const [chosen, choose] = useState(0);
  const row = rows[chosen] ?? rows[0];
  return (
    <section className="vw" aria-label={kind === "pdf" ? words.viewer.pdf : words.viewer.report}>
      {rows.length > 1 && (
        <div className="vtb" role="toolbar" aria-label={words.viewer.report}>
          {rows.map((one, index) => (
            <button key={text(one, T.instance)} type="button" className="vp" aria-pressed={index === chosen} onClick={() => choose(index)}>{text(one, T.instanceNumber) || index + 1}</button>
          ))}
        </div>
      )}
      {row === undefined || kind === "other" ? <Empty title={words.study.noPictures}><p>{words.study.noPicturesHint}</p></Empty>
        : kind === "pdf" ? <Pdf row={row} /> : <Report row={row} />}
    </section>
  );
}

function place(row: DicomRow): string {
  return address(text(row, T.study), text(row, T.series), text(row, T.instance));
}

const LOOK = "body{margin:0 auto;padding:24px 32px;max-width:860px;font:14px/1.55 system-ui,sans-serif;color-scheme:only";

/** The server's readable form of a structured report; it holds text only, and the frame runs nothing in any case. */
function Report({ row }: { row: DicomRow }): ReactNode {
  const path = `${place(row)}/rendered`;
  const dark = useComputedColorScheme("light") === "dark";
  const { data, error, refetch } = useQuery({
    queryKey: ["rendered", path],
    queryFn: async ({ signal }) => (await request(path, { headers: { Accept: "text/html" }, signal })).text(),
  });
  if (error) return <Failure error={error} again={() => void refetch()} />;
  const look = dark ? `${LOOK} dark;background:#111417;color:#e9edf2}` : `${LOOK} light;background:#fff;color:#161a1d}`;
  return <iframe className="doc" title={words.viewer.report} sandbox="" srcDoc={data === undefined ? "" : `${data}<style>${look}</style>`} />;
}

function Pdf({ row }: { row: DicomRow }): ReactNode {
  const path = `${place(row)}/rendered`;
  const [source, setSource] = useState("");
  const { data, error, refetch } = useQuery({
    queryKey: ["document", path],
    queryFn: async ({ signal }) => (await request(path, { headers: { Accept: "application/pdf" }, signal })).blob(),
  });
  useEffect(() => {
    if (data === undefined) return undefined;
    const url = URL.createObjectURL(new Blob([data], { type: "application/pdf" }));
    setSource(url);
    return () => URL.revokeObjectURL(url);
  }, [data]);
  if (error) return <Failure error={error} again={() => void refetch()} />;
  return source ? <iframe className="doc" title={text(row, T.title) || words.viewer.pdf} src={source} /> : <div className="doc" aria-busy />;
}
