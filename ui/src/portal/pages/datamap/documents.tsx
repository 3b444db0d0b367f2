// The documents that the law asks for, each as a file in the forms that it has.
import { IconDownload } from "@tabler/icons-react";
import { Menu } from "@mantine/core";
import { type ReactNode, useState } from "react";

import { api } from "../../api/client";
import { words } from "../../app/words";
import { save } from "../study/history";

const say = words.dataMap;
type Kind = keyof typeof say.kinds;

const MEDIA = { pdf: "application/pdf", html: "text/html", csv: "text/csv", json: "application/json" } as const;
type Form = keyof typeof MEDIA;

const EACH = ["pdf", "html", "csv", "json"] as const;
const PAGES = ["pdf", "html"] as const;
const FORMS: Record<Kind, readonly Form[]> = { map: EACH, record: EACH, assessment: PAGES };
const NAMES: Record<Kind, string> = { map: "data-map", record: "record-of-processing", assessment: "impact-assessment" };

/** The document in this form, as it is now. */
async function fetched(kind: Kind, form: Form): Promise<Blob> {
  const parseAs = "blob" as const;
  if (kind === "map") return (await api.GET("/api/v1/data-map", { params: { query: { format: form } }, parseAs })).data as unknown as Blob;
  if (kind === "record") return (await api.GET("/api/v1/data-map/record", { params: { query: { format: form } }, parseAs })).data as unknown as Blob;
  return (await api.GET("/api/v1/data-map/assessment", { params: { query: { format: form === "html" ? "html" : "pdf" } }, parseAs })).data as unknown as Blob;
}

export function Documents(): ReactNode {
  const [told, setTold] = useState("");
  const get = (kind: Kind, form: Form): void => {
    const name = `${NAMES[kind]}.${form}`;
    setTold(say.making);
    fetched(kind, form).then(
      (file) => {
        save(file, name, MEDIA[form]);
        setTold(`${say.made} ${name}`);
      },
      (error: unknown) => setTold(error instanceof Error ? error.message : String(error)),
    );
  };
  return (
    <span className="row end">
      <span className="t2 xs" role="status">{told}</span>
      {(Object.keys(say.kinds) as Kind[]).map((kind) => (
        <Menu key={kind} position="bottom-end" width={180}>
          <Menu.Target>
            <button type="button" className="btn" title={say.kinds[kind][1]}><IconDownload size={16} stroke={1.7} aria-hidden />{say.kinds[kind][0]}</button>
          </Menu.Target>
          <Menu.Dropdown aria-label={say.kinds[kind][0]}>
            <Menu.Label>{say.kinds[kind][1]}</Menu.Label>
            {FORMS[kind].map((form) => <Menu.Item key={form} onClick={() => get(kind, form)}>{form.toUpperCase()}</Menu.Item>)}
          </Menu.Dropdown>
        </Menu>
      ))}
    </span>
  );
}
