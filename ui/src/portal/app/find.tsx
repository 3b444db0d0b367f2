// The way to Spotlight: a place in the bar that looks like a search, and Ctrl K. What it opens is loaded when it is.
import { useHotkeys } from "@mantine/hooks";
import { IconSearch } from "@tabler/icons-react";
import { createContext, lazy, type ReactNode, Suspense, useContext, useState } from "react";

import { words } from "./words";

const Spotlight = lazy(async () => ({ default: (await import("./spotlight")).Spotlight }));

const Opening = createContext<() => void>(() => undefined);

/** Around all pages: what was opened stays while another page comes. */
export function Finding({ children }: { children: ReactNode }): ReactNode {
  const [open, setOpen] = useState(false);
  // In fields, too: one goes on from wherever one is.
  useHotkeys([["mod+K", () => setOpen((was) => !was)]], []);
  return (
    <Opening value={() => setOpen(true)}>
      {children}
      {open && <Suspense><Spotlight close={() => setOpen(false)} /></Suspense>}
    </Opening>
  );
}

export function Find(): ReactNode {
  return (
    <button type="button" className="find" style={{ textAlign: "left" }} aria-haspopup="dialog" aria-keyshortcuts="Control+K" onClick={useContext(Opening)}>
      <IconSearch size={16} aria-hidden />
      <span className="grow ell">{words.shell.find}</span>
      <kbd>Ctrl K</kbd>
    </button>
  );
}
