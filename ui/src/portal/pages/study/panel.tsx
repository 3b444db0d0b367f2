// The panel on the right: who can see the study, what happened to it, what its objects say.
import { Tabs } from "@mantine/core";
import { type ReactNode, useState } from "react";

import { words } from "../../app/words";
import { Access } from "./access";
import { History } from "./history";
import { Metadata } from "./metadata";

export function Panel({ study }: { study: string }): ReactNode {
  const [tab, setTab] = useState<string | null>("access");
  return (
    <aside className="pan" aria-label={words.study.panel}>
      <Tabs value={tab} onChange={setTab} keepMounted={false} className="pan-tabs">
        <Tabs.List>
          <Tabs.Tab value="access">{words.study.tabs.access}</Tabs.Tab>
          <Tabs.Tab value="history">{words.study.tabs.history}</Tabs.Tab>
          <Tabs.Tab value="metadata">{words.study.tabs.metadata}</Tabs.Tab>
        </Tabs.List>
        <Tabs.Panel value="access"><Access study={study} /></Tabs.Panel>
        <Tabs.Panel value="history"><History study={study} /></Tabs.Panel>
        <Tabs.Panel value="metadata"><Metadata /></Tabs.Panel>
      </Tabs>
    </aside>
  );
}
