// The navigation: which pages there are, for whom, under which key.
import { IconShieldExclamation, IconBell, IconCode, IconPhoto, IconAntenna, IconApps, IconFileText, IconUsers, IconUpload, IconListCheck, IconMap2, IconActivity, type TablerIcon } from "@tabler/icons-react";

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

const MANAGERS: readonly Role[] = ["administrator", "privacy-officer"];

export const NAVIGATION: readonly Group[] = [
  {
    label: words.nav.images,
    pages: [
      { to: "/studies", label: words.nav.studies, icon: IconPhoto, key: "S", roles: EVERYONE },
      { to: "/upload", label: words.upload.title, icon: IconUpload, key: "U", roles: ["administrator", "clinician"] },
      { to: "/quarantine", label: words.quarantine.title, icon: IconShieldExclamation, key: "Q", roles: ["administrator", "clinician", "privacy-officer"] },
    ],
  },
  {
    label: words.nav2.connect,
    pages: [
      { to: "/receivers", label: words.nav2.receivers, icon: IconAntenna, key: "R", roles: MANAGERS },
      { to: "/applications", label: words.nav2.applications, icon: IconApps, key: "P", roles: MANAGERS },
      { to: "/agreements", label: words.nav2.agreements, icon: IconFileText, key: "A", roles: MANAGERS },
    ],
  },
  {
    label: words.trail.group,
    pages: [
      { to: "/notifications", label: words.bell.title, icon: IconBell, key: "N", roles: EVERYONE },
      { to: "/trail", label: words.trail.title, icon: IconListCheck, key: "T", roles: MANAGERS },
      { to: "/machine-data", label: words.machine.title, icon: IconActivity, roles: MANAGERS },
      { to: "/data-map", label: words.dataMap.title, icon: IconMap2, key: "M", roles: MANAGERS },
    ],
  },
  {
    label: words.nav.manage,
    pages: [{ to: "/people", label: words.nav2.people, icon: IconUsers, key: "E", roles: MANAGERS }, { to: "/developers", label: words.nav.developers, icon: IconCode, roles: [...EVERYONE, "operator"] }],
  },
];
