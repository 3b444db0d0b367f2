// What each key does, over the viewer.
import { type ReactNode, useEffect, useRef } from "react";

import { words } from "../../app/words";

export function Help({ close }: { close: () => void }): ReactNode {
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => { box.current?.focus(); }, []);
  return (
    <div
      ref={box} className="v-help" role="dialog" aria-modal aria-label={words.viewer.help} tabIndex={-1}
      onKeyDown={(event) => { event.stopPropagation(); if (["Escape", "?", "h"].includes(event.key)) close(); }}
    >
      <div className="row"><b>{words.viewer.help}</b><button type="button" className="vp end" onClick={close}>{words.viewer.helpClose}</button></div>
      <div className="v-keys">
        {words.viewer.keys.map(([title, keys]) => (
          <dl key={title}>
            <dt className="xs">{title}</dt>
            {keys.map(([key, does]) => <dd key={key}><kbd>{key}</kbd><span>{does}</span></dd>)}
          </dl>
        ))}
      </div>
    </div>
  );
}
