// Which object one looks at; the viewer says it, the metadata table listens.
import { createContext, useContext } from "react";

import type { DicomRow } from "../../parts/dicom";

export const Current = createContext<DicomRow | null>(null);

export const useCurrent = (): DicomRow | null => useContext(Current);
