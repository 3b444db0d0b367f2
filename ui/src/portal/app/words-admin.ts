// The strings of the pages that administer an institution; part of the catalogue in words.ts.
export const admin = {
  stepUp: {
    title: "Show that it is you",
    why: "This needs a fresh proof that you are here. It lasts five minutes.",
    code: "Code of your authenticator, or a recovery code",
    passkey: "Use a passkey",
    go: "Go on",
    leave: "Not now",
    wrong: "This code is not right. A code is good once; wait for the next.",
    notProved: "Nothing was done: presence was not proved.",
  },
} as const;
