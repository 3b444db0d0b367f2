// Goes anywhere by typing: pages, studies by pseudonym, name, ID or UID, applications, people. Loaded when first opened.
import { Modal } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { IconApps, IconPhoto, IconSearch, IconUser, type TablerIcon } from "@tabler/icons-react";
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { type KeyboardEvent, type ReactNode, useId, useState } from "react";

import { api, ApiError, dicomJson } from "../api/client";
import { matching, type Option } from "../parts/combo";
import { type DicomRow, date, text, texts } from "../parts/dicom";
import { NAVIGATION } from "./navigation";
import { useRole, useSession } from "./session";
import { words } from "./words";
import "./spotlight.css";

interface Place extends Option { icon: TablerIcon; go: () => unknown }
interface Group { label: string; places: readonly Place[] }

/** Studies of one question, and places of one group, at most. */
const MOST = 6;
const UID = /^\d+(\.\d+)+$/;

/** What was typed may be a UID, or how an ID, a pseudonym or a name begins. */
async function studies(typed: string, signal: AbortSignal): Promise<DicomRow[]> {
  const begins = `${typed.replaceAll("*", "")}*`;
  // Pseudonyms and most IDs are in capitals, and are compared letter by letter; names are not.
  const ids = [...new Set([begins, begins.toUpperCase()])].map((value) => ["PatientID", value]);
  const keys = UID.test(typed) ? [["StudyInstanceUID", typed]] : [...ids, ["PatientName", begins]];
  const answers = await Promise.all(keys.map(async ([key = "", value = ""]): Promise<DicomRow[]> => {
    const asked = new URLSearchParams({ limit: String(MOST), includefield: "00081030", [key]: value, ...(key === "PatientName" ? { fuzzymatching: "true" } : {}) });
    try {
      return (await dicomJson<DicomRow>(`/dicom-web/studies?${asked}`, signal)).rows;
    } catch (error) {
      // Too many begin like this: one types on.
      if (error instanceof ApiError && error.problem.code === "query-too-broad") return [];
      throw error;
    }
  }));
  return [...new Map(answers.flat().map((row) => [text(row, "0020000D"), row])).values()].slice(0, MOST);
}

function useGroups(typed: string): { groups: readonly Group[]; pending: boolean } {
  const navigate = useNavigate();
  const { role } = useSession();
  const sees = role !== "operator";
  const manages = useRole("administrator", "privacy-officer");
  const [wanted] = useDebouncedValue(typed.trim(), 120);
  const asked = wanted.length >= 2;
  const found = useQuery({
    queryKey: ["spotlight", wanted],
    enabled: sees && asked,
    queryFn: ({ signal }) => studies(wanted, signal),
    placeholderData: keepPreviousData,
  });
  const applications = useQuery({
    queryKey: ["applications", "names"], enabled: manages && asked, staleTime: 60_000,
    queryFn: async () => (await api.GET("/api/v1/applications")).data?.applications ?? [],
  });
  const people = useQuery({
    queryKey: ["people", "names"], enabled: manages && asked, staleTime: 60_000,
    queryFn: async () => (await api.GET("/api/v1/people")).data?.people ?? [],
  });
  const pages: Place[] = NAVIGATION.flatMap((group) => group.pages)
    .filter((page) => page.roles.includes(role))
    .map((page) => ({ id: page.to, name: page.label, icon: page.icon, go: () => navigate({ to: page.to }), ...(page.key ? { hint: `Alt ${page.key}` } : {}) }));
  const rows: Place[] = (asked ? found.data ?? [] : []).map((row) => {
    const study = text(row, "0020000D");
    const what = [texts(row, "00080061").join(", "), text(row, "00081030"), date(row, "00080020")].filter(Boolean).join(" · ");
    return { id: study, name: text(row, "00100020") || text(row, "00100010") || study, hint: what, icon: IconPhoto, go: () => navigate({ to: "/studies/$study", params: { study } }) };
  });
  const used: Place[] = (asked ? applications.data ?? [] : []).map((one) => ({
    id: one.id, name: one.name || one.id, hint: one.id, icon: IconApps, go: () => navigate({ to: "/agreements/$application", params: { application: one.id } }),
  }));
  const staff: Place[] = (asked ? people.data ?? [] : []).map((one) => ({ id: one.id, name: one.name, hint: one.login, icon: IconUser, go: () => navigate({ to: "/people" }) }));
  const groups = [
    { label: words.spotlight.pages, places: matching(pages, typed).slice(0, asked ? MOST : pages.length) },
    { label: words.spotlight.studies, places: rows },
    { label: words.spotlight.applications, places: matching(used, typed).slice(0, MOST) },
    { label: words.spotlight.people, places: matching(staff, typed).slice(0, MOST) },
  ];
  return { groups: groups.filter((group) => group.places.length > 0), pending: sees && asked && (found.isFetching || wanted !== typed.trim()) };
}

export function Spotlight({ close }: { close: () => void }): ReactNode {
  const id = useId();
  const [typed, setTyped] = useState("");
  const [at, setAt] = useState(0);
  const { groups, pending } = useGroups(typed);
  const places = groups.flatMap((group) => group.places);
  const here = Math.min(at, Math.max(0, places.length - 1));
  const go = (place: Place | undefined): void => {
    if (place === undefined) return;
    close();
    void place.go();
  };
  const keyed = (event: KeyboardEvent): void => {
    const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (by !== undefined && places.length > 0) setAt((here + by + places.length) % places.length);
    else if (event.key === "Enter") go(places[here]);
    else return;
    event.preventDefault();
  };
  return (
    <Modal opened onClose={close} withCloseButton={false} padding={0} size={600} yOffset="12vh" attributes={{ content: { "aria-label": words.spotlight.label } }} transitionProps={{ duration: 0 }}>
      <label className="spot-i">
        <IconSearch size={18} aria-hidden />
        <input
          // At once, for who types on; the dialog's own focus comes a moment later.
          autoFocus
          data-autofocus
          role="combobox"
          aria-label={words.spotlight.label}
          aria-expanded={places.length > 0}
          aria-controls={`${id}-list`}
          aria-autocomplete="list"
          aria-activedescendant={places[here] === undefined ? undefined : `${id}-${here}`}
          value={typed}
          placeholder={words.shell.find}
          autoComplete="off"
          spellCheck={false}
          onChange={(event) => { setTyped(event.target.value); setAt(0); }}
          onKeyDown={keyed}
        />
        <kbd>Esc</kbd>
      </label>
      <div className="spot-l" role="listbox" id={`${id}-list`} aria-label={words.spotlight.label} aria-busy={pending}>
        {groups.map((group) => (
          <div key={group.label} role="group" aria-label={group.label}>
            <div className="xs t3 spot-g" aria-hidden>{group.label}</div>
            {group.places.map((place) => {
              const index = places.indexOf(place);
              return (
                <div
                  key={place.id}
                  id={`${id}-${index}`}
                  role="option"
                  aria-selected={index === here}
                  className={index === here ? "spot-o on" : "spot-o"}
                  ref={index === here ? (row) => row?.scrollIntoView({ block: "nearest" }) : null}
                  onMouseMove={() => { if (index !== here) setAt(index); }}
                  onMouseDown={(event) => event.preventDefault()}
                  onClick={() => go(place)}
                >
                  <place.icon size={16} stroke={1.7} aria-hidden />
                  <span className="b ell">{place.name}</span>
                  {place.hint && <span className="t3 ell end">{place.hint}</span>}
                </div>
              );
            })}
          </div>
        ))}
      </div>
      <div className="spot-f xs t3" role="status">{pending ? words.spotlight.looking : places.length === 0 ? words.spotlight.none : words.spotlight.keys}</div>
    </Modal>
  );
}
