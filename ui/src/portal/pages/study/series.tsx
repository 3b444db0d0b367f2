// The strip of series: a small picture, the number, how many objects.
import { IconFileText, IconStack2, IconVectorTriangle } from "@tabler/icons-react";
import { type ReactNode, useState } from "react";

import { words } from "../../app/words";
import { type DicomRow, text } from "../../parts/dicom";
import { address, hasThumbnail, T } from "./data";

const ICONS: Record<string, typeof IconFileText> = { SR: IconFileText, DOC: IconFileText, KO: IconFileText, SEG: IconVectorTriangle, RTSTRUCT: IconVectorTriangle };

export function SeriesStrip({ study, rows, chosen, choose }: { study: string; rows: readonly DicomRow[]; chosen: string; choose: (series: string) => void }): ReactNode {
  return (
    <nav className="ser" aria-label={words.study.series}>
      {rows.map((row) => {
        const series = text(row, T.series);
        const modality = text(row, T.modality);
        return (
          <button
            key={series}
            type="button"
            className={series === chosen ? "se on" : "se"}
            aria-current={series === chosen ? "true" : undefined}
            onClick={() => choose(series)}
          >
            <span className="im">
              {hasThumbnail(modality) ? <Thumbnail src={`${address(study, series)}/thumbnail`} /> : <Sign of={modality} />}
              <b>{text(row, T.seriesNumber) || "–"}</b>
              <em>{hasThumbnail(modality) ? text(row, T.inSeries) : modality}</em>
            </span>
            <span className="xs ell">{text(row, T.seriesDescription) || modality}</span>
          </button>
        );
      })}
    </nav>
  );
}

function Thumbnail({ src }: { src: string }): ReactNode {
  const [failed, setFailed] = useState(false);
  return failed ? <Sign of="" /> : <img src={src} alt="" loading="lazy" onError={() => setFailed(true)} />;
}

function Sign({ of }: { of: string }): ReactNode {
  const Icon = ICONS[of] ?? IconStack2;
  return <span className="sign"><Icon size={26} stroke={1.4} aria-hidden /></span>;
}
