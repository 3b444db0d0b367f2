// One of many, found by typing: WAI-ARIA's combobox with a list (apg/patterns/combobox).
import { IconChevronDown } from "@tabler/icons-react";
import { type KeyboardEvent, type ReactNode, useId, useRef, useState } from "react";

import "./combo.css";

export interface Option { id: string; name: string; hint?: string }

interface Chosen {
  name: string;
  label: string;
  options: readonly Option[];
  value: string;
  choose: (id: string) => void;
  placeholder: string;
  /** What is said where no option is like what was typed. */
  none: string;
}

/** Options whose name or hint has all that was typed, in the order they came. */
export function matching<One extends Option>(options: readonly One[], typed: string): readonly One[] {
  const parts = typed.toLocaleLowerCase().split(/\s+/).filter(Boolean);
  return options.filter((one) => {
    const text = `${one.name} ${one.hint ?? ""}`.toLocaleLowerCase();
    return parts.every((part) => text.includes(part));
  });
}

export function Combo({ name, label, options, value, choose, placeholder, none }: Chosen): ReactNode {
  const id = useId();
  const input = useRef<HTMLInputElement>(null);
  const [typed, setTyped] = useState<string | null>(null);
  const [at, setAt] = useState(0);
  const open = typed !== null;
  const shown = open ? matching(options, typed) : [];
  const chosen = options.find((one) => one.id === value);
  const close = (): void => { setTyped(null); setAt(0); };
  const take = (one: Option | undefined): void => {
    if (one !== undefined) choose(one.id);
    close();
  };
  const keyed = (event: KeyboardEvent): void => {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      const by = event.key === "ArrowDown" ? 1 : -1;
      if (!open) setTyped("");
      else if (shown.length > 0) setAt((at + by + shown.length) % shown.length);
    } else if (event.key === "Enter" && open) take(shown[at]);
    else if (event.key === "Escape" && open) close();
    else return;
    event.preventDefault();
    // The dialog around it has keys of its own.
    event.stopPropagation();
  };
  return (
    <div className="combo" onBlur={(event) => { if (!event.currentTarget.contains(event.relatedTarget)) close(); }}>
      <span className="inp">
        <input
          ref={input}
          name={name}
          role="combobox"
          aria-label={label}
          aria-expanded={open}
          // Escape closes the list, not the dialog around it.
          data-mantine-stop-propagation={open}
          aria-controls={`${id}-list`}
          aria-autocomplete="list"
          aria-activedescendant={open && shown[at] !== undefined ? `${id}-${at}` : undefined}
          value={typed ?? chosen?.name ?? ""}
          placeholder={placeholder}
          autoComplete="off"
          spellCheck={false}
          onChange={(event) => { setTyped(event.target.value); setAt(0); }}
          onKeyDown={keyed}
          onClick={() => { if (!open) setTyped(""); }}
        />
        <IconChevronDown size={14} aria-hidden />
      </span>
      <ul className="combo-l" role="listbox" id={`${id}-list`} aria-label={label} hidden={!open}>
        {shown.map((one, index) => (
          <li
            key={one.id}
            id={`${id}-${index}`}
            role="option"
            aria-selected={one.id === value}
            className={index === at ? "on" : ""}
            ref={index === at ? (row) => row?.scrollIntoView({ block: "nearest" }) : null}
            // The input keeps the focus: leaving it would close the list before the click is one.
            onMouseDown={(event) => event.preventDefault()}
            onClick={() => { take(one); input.current?.focus(); }}
          >
            <span className="ell">{one.name}</span>
            {one.hint && <span className="xs t3 ell">{one.hint}</span>}
          </li>
        ))}
        {open && shown.length === 0 && <li role="option" aria-selected={false} aria-disabled className="t3">{none}</li>}
      </ul>
    </div>
  );
}
