// The bell: how much is unread, live, and the newest of it.
import { Popover, Tooltip } from "@mantine/core";
import { IconBell } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { type ReactNode, useState } from "react";

import "./bell.css";
import { api } from "../api/client";
import { useAct } from "../parts/ask";
import { Notice } from "../parts/notice";
import { Failure } from "../parts/states";
import { NOTIFICATIONS, useUnread } from "./live";
import { useSession } from "./session";
import { words } from "./words";

const text = words.bell;
const NEWEST = 8;
const MOST = 99;

export function Bell(): ReactNode {
  const [opened, setOpened] = useState(false);
  const unread = useUnread() ?? 0;
  if (useSession().role === "operator") return null;
  const label = text.label(unread);
  return (
    <Popover opened={opened} onChange={setOpened} position="bottom-end" width={380} shadow="md" trapFocus returnFocus>
      <Popover.Target>
        <Tooltip label={label} disabled={opened}>
          <button type="button" className="icb" aria-label={label} aria-expanded={opened} onClick={() => setOpened(!opened)}>
            <IconBell size={18} stroke={1.7} aria-hidden />
            {unread > 0 && <span className="dot" aria-hidden>{unread > MOST ? `${MOST}+` : unread}</span>}
          </button>
        </Tooltip>
      </Popover.Target>
      <Popover.Dropdown className="bell" aria-label={text.title}>{opened && <Newest close={() => setOpened(false)} />}</Popover.Dropdown>
    </Popover>
  );
}

function Newest({ close }: { close: () => void }): ReactNode {
  const act = useAct(NOTIFICATIONS);
  const found = useQuery({
    queryKey: [...NOTIFICATIONS, "newest"],
    queryFn: async () => (await api.GET("/api/v1/notifications", { params: { query: { limit: NEWEST } } })).data,
  });
  const rows = found.data?.notifications ?? [];
  return (
    <>
      <header className="row">
        <h2>{text.title}</h2>
        <button type="button" className="btn xs qt end" disabled={!found.data?.unread}
          onClick={() => void act(() => api.POST("/api/v1/notifications/read", { body: { all: true } }))}>{text.allRead}</button>
      </header>
      {found.error ? <Failure error={found.error} again={() => void found.refetch()} /> : found.isPending ? (
        <ul aria-busy>{Array.from({ length: 3 }, (_, row) => <li key={row} className="notice"><div className="skeleton" style={{ width: `${60 - row * 12}%` }} /></li>)}</ul>
      ) : rows.length === 0 ? <p className="none t2">{text.none}. {text.noneHint}</p> : (
        <ul>{rows.map((one) => <Notice key={one.id} one={one} close={close} />)}</ul>
      )}
      <footer><Link to="/notifications" className="btn sm" onClick={close}>{text.all}</Link></footer>
    </>
  );
}
