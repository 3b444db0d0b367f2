// Every string that people read, in one catalogue.
export const words = {
  nav: { images: "Images", studies: "Studies" },
  shell: {
    find: "Find patient, study, page…",
    toLight: "Use the light scheme",
    toDark: "Use the dark scheme",
    signOut: "Sign out",
    keys: "Keyboard",
    skip: "Skip to content",
  },
  studies: {
    find: "Pseudonym, name or ID…",
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
  states: {
    loading: "Loading",
    failed: "This did not work",
    again: "Try again",
    forbidden: "You may not see this",
  },
} as const;
