// What happened to this study.
import type { ReactNode } from "react";

export function History(_: { study: string }): ReactNode {
  return null;
}
