// What one does with a study: share it, delete it, end all access to it.
import type { ReactNode } from "react";

import type { DicomRow } from "../../parts/dicom";

/** The buttons in the head of the page. `row`: the study as QIDO-RS gives it. */
export function Actions(_: { study: string; row: DicomRow }): ReactNode {
  return null;
}

/** The button at the right of the ward line, while anybody besides us can see the study. */
export function EndAll(_: { study: string }): ReactNode {
  return null;
}
