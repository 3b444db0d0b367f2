// The navigation: which pages there are, for whom, under which key.
import { IconCode, IconPhoto, type TablerIcon } from "@tabler/icons-react";

import type { Role } from "./session";
import { words } from "./words";

export interface Page {
  to: string;
  label: string;
  icon: TablerIcon;
  key?: string;
  roles: readonly Role[];
}

export interface Group {
  label: string;
  pages: readonly Page[];
}

const EVERYONE: readonly Role[] = ["administrator", "clinician", "researcher", "privacy-officer"];

export const NAVIGATION: readonly Group[] = [
  {
    label: words.nav.images,
    pages: [{ to: "/studies", label: words.nav.studies, icon: IconPhoto, key: "S", roles: EVERYONE }],
  },
  {
    label: words.nav.manage,
    pages: [{ to: "/developers", label: words.nav.developers, icon: IconCode, roles: [...EVERYONE, "operator"] }],
  },
];
