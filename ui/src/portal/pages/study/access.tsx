// Who can see this study.
import type { ReactNode } from "react";

export function Access(_: { study: string }): ReactNode {
  return null;
}
