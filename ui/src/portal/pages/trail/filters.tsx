// Filters of the trail: dashed chips can be added, filled ones hold. All but the patient stand in the address.
import { Popover } from "@mantine/core";
import { IconPlus, IconSearch, IconX } from "@tabler/icons-react";
import { type FormEvent, type ReactNode, useState } from "react";

import { words } from "../../app/words";
import { didWhat, type Entry } from "./entry";
import type { Filters, Patient } from "./data";

interface Given {
  filters: Filters;
  patient: Patient | null;
  change: (filters: Filters) => void;
  search: (patient: Patient | null) => void;
}

export function FilterBar({ filters, patient, change, search }: Given): ReactNode {
  const [id, setId] = useState("");
  const set = (name: keyof Filters, value: string): void => {
    const { [name]: _, ...rest } = filters;
    change(value ? { ...rest, [name]: value } : rest);
  };
  const find = (event: FormEvent): void => {
    event.preventDefault();
    if (id.trim()) search({ id: id.trim(), issuer: "" });
  };
  return (
    <div className="filters">
      <form role="search" onSubmit={find}>
        <label className="inp">
          <IconSearch size={16} aria-hidden />
          <input type="search" value={id} onChange={(event) => setId(event.target.value)} placeholder={words.trail.find} aria-label={words.trail.find} autoComplete="off" spellCheck={false} />
        </label>
      </form>
      {patient && <On label={words.trail.forPatient} value={patient.id} remove={() => { setId(""); search(null); }} />}
      <Text name={words.trail.day} type="date" value={filters.day} set={(value) => set("day", value)} />
      {!filters.day && <Text name={words.trail.from} type="date" value={filters.from} set={(value) => set("from", value)} />}
      {!filters.day && <Text name={words.trail.to} type="date" value={filters.to} set={(value) => set("to", value)} />}
      <Text name={words.trail.who} hint={words.trail.whoHint} value={filters.actor} set={(value) => set("actor", value)} />
      {filters.action ? (
        <On label={words.trail.action} value={didWhat({ action: filters.action } as Entry)} remove={() => set("action", "")} />
      ) : (
        <Choice name={words.trail.action} value={filters.group} choices={words.trail.groups} set={(value) => set("group", value)} />
      )}
      <Choice name={words.trail.outcome} value={filters.outcome} choices={OUTCOMES} set={(value) => set("outcome", value)} />
      <Text name={words.trail.study} hint={words.trail.studyHint} value={filters.study} set={(value) => set("study", value)} />
    </div>
  );
}

// Without success: the log keeps no list of what went well, which is nearly everything.
const OUTCOMES = Object.fromEntries(Object.entries(words.trail.outcomes).filter(([name]) => name !== "success"));

function On({ label, value, remove }: { label: string; value: string; remove: () => void }): ReactNode {
  return (
    <span className="chip on">
      {label} <b className="ell">{value}</b>
      <button type="button" aria-label={`${words.trail.remove}: ${label}`} onClick={remove}><IconX size={14} aria-hidden /></button>
    </span>
  );
}

function Text({ name, value, set, hint, type = "text" }: { name: string; value: string | undefined; set: (value: string) => void; hint?: string; type?: string }): ReactNode {
  const [open, setOpen] = useState(false);
  const [typed, setTyped] = useState("");
  if (value) return <On label={name} value={value} remove={() => set("")} />;
  return (
    <Popover opened={open} onChange={setOpen} trapFocus position="bottom-start" shadow="md" width={280}>
      <Popover.Target><button type="button" className="chip" onClick={() => setOpen(!open)}><IconPlus size={14} aria-hidden />{name}</button></Popover.Target>
      <Popover.Dropdown>
        <form className="row" onSubmit={(event) => { event.preventDefault(); setOpen(false); set(typed.trim()); }}>
          <label className="inp grow"><input data-autofocus type={type} value={typed} placeholder={hint} aria-label={name} onChange={(event) => setTyped(event.target.value)} spellCheck={false} /></label>
          <button type="submit" className="btn sm">{words.trail.apply}</button>
        </form>
      </Popover.Dropdown>
    </Popover>
  );
}

function Choice({ name, value, choices, set }: { name: string; value: string | undefined; choices: Record<string, string>; set: (value: string) => void }): ReactNode {
  const [open, setOpen] = useState(false);
  if (value) return <On label={name} value={choices[value] ?? value} remove={() => set("")} />;
  return (
    <Popover opened={open} onChange={setOpen} trapFocus position="bottom-start" shadow="md" width={220}>
      <Popover.Target><button type="button" className="chip" onClick={() => setOpen(!open)}><IconPlus size={14} aria-hidden />{name}</button></Popover.Target>
      <Popover.Dropdown p={4}>
        <ul className="opts">
          {Object.entries(choices).map(([one, label]) => (
            <li key={one}><button type="button" onClick={() => { setOpen(false); set(one); }}>{label}</button></li>
          ))}
        </ul>
      </Popover.Dropdown>
    </Popover>
  );
}
