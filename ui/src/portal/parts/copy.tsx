// Something to be copied letter by letter: a command, a link, a code.
import { IconCheck, IconCopy } from "@tabler/icons-react";
import { type ReactNode, useState } from "react";

import { words } from "../app/words";

export function Copy({ text, label = words.copy.copy }: { text: string; label?: string }): ReactNode {
  const [copied, setCopied] = useState(false);
  const copy = async (): Promise<void> => {
    await navigator.clipboard.writeText(text);
    setCopied(true);
    setTimeout(() => setCopied(false), 2000);
  };
  return (
    <div className="copy">
      <code className="mono" tabIndex={0}>{text}</code>
      <button type="button" className="btn xs" aria-label={label} onClick={() => void copy().catch(() => setCopied(false))}>
        {copied ? <IconCheck size={14} aria-hidden /> : <IconCopy size={14} aria-hidden />}
        <span aria-live="polite">{copied ? words.copy.copied : words.copy.copy}</span>
      </button>
    </div>
  );
}
