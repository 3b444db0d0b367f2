// Every string that people read, in one catalogue.
import { admin } from "./words-admin";
import { datamap } from "./words-datamap";
import { find } from "./words-find";
import { machine } from "./words-machine";
import { notifications } from "./words-notifications";
import { quarantine } from "./words-quarantine";
import { study } from "./words-study";
import { upload } from "./words-upload";
import { trailWords } from "./words-trail";

export const words = {
  nav: { images: "Images", studies: "Studies", manage: "Manage", developers: "Developers" },
  shell: {
    find: "Find patient, study, page…",
    toLight: "Use the light scheme",
    toDark: "Use the dark scheme",
    signOut: "Sign out",
    keys: "Keyboard",
    skip: "Skip to content",
  },
  studies: {
    find: "Pseudonym, name, ID, CT, 2026-03…",
    patient: "Patient",
    study: "Study",
    date: "Study date",
    series: "Series",
    images: "Images",
    access: "Who can see it",
    older: "Older",
    shown: "shown, newest first",
    none: "Nothing found",
    noneHint: "No study begins like this. Search finds beginnings of names, pseudonyms and IDs.",
    empty: "No images yet",
    emptyHint: "Send the first one from a PACS, or drag a folder into Upload.",
  },
  ward: { label: "Who can see this", hold: "What we hold", who: "Who can see it", why: "Why", until: "Until" },
  confirm: { keep: "Keep as it is", type: "Type to confirm:" },
  states: {
    loading: "Loading",
    failed: "This did not work",
    again: "Try again",
    forbidden: "You may not see this",
  },
  ...admin,
  ...datamap,
  ...machine,
  ...study,
  ...find,
  ...notifications,
  ...upload,
  ...quarantine,
  ...trailWords,
} as const;
