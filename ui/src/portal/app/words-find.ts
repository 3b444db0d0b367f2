/** Words of choosing whom to share with, and of going somewhere by typing. */
export const find = {
  recipients: {
    application: "Name of an application…",
    person: "Name of a colleague…",
    none: "Nobody is called like this",
    nobody: "No application has an agreement in force that lets it have this study.",
    alone: "There is no colleague who may see images.",
    longest: "At most",
    days: "days",
  },
  broad: { title: "Too many begin like this", hint: "Type another letter, a modality such as CT, or a month such as 2026-03." },
  spotlight: {
    label: "Go to",
    pages: "Pages",
    studies: "Studies",
    applications: "Applications",
    people: "People",
    looking: "Looking…",
    none: "Nothing begins like this",
    keys: "↑ ↓ to choose, Enter to go",
  },
} as const;
