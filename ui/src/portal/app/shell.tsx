// Navigation on the left, a bar on top, the page.
import { Menu, Tooltip, useComputedColorScheme, useMantineColorScheme } from "@mantine/core";
import { useHotkeys } from "@mantine/hooks";
import { IconLogout, IconUserCircle, IconMoon, IconSun } from "@tabler/icons-react";
import { useQueryClient } from "@tanstack/react-query";
import { Link, Outlet, useNavigate, useRouterState } from "@tanstack/react-router";
import type { ReactNode } from "react";

import { api } from "../api/client";
import { Find, Finding } from "./find";
import { Bell } from "./bell";
import { useLive } from "./live";
import { NAVIGATION } from "./navigation";
import { useSession } from "./session";
import { StepUp } from "./step-up";
import { words } from "./words";

export function Shell(): ReactNode {
  const session = useSession();
  useLive();
  const navigate = useNavigate();
  const rail = useRouterState({ select: (state) => /^\/studies\/./.test(state.location.pathname) });
  useHotkeys(
    NAVIGATION.flatMap((group) => group.pages)
      .filter((page) => page.key !== undefined && page.roles.includes(session.role))
      .map((page) => [`alt+${page.key}`, () => void navigate({ to: page.to })]),
  );
  return (
    <div className={rail ? "app rail" : "app"}>
      <a className="skip" href="#content">{words.shell.skip}</a>
      <nav className="nav" aria-label="Main">
        <Link to="/" className="brand">
          <Shield />
          <span className="lbl">Wardlight</span>
        </Link>
        {NAVIGATION.map((group) => {
          const pages = group.pages.filter((page) => page.roles.includes(session.role));
          return pages.length === 0 ? null : (
            <div key={group.label}>
              <div className="h">{group.label}</div>
              <ul>
                {pages.map((page) => (
                  <li key={page.to}>
                    <Tooltip label={page.label} position="right" openDelay={300}>
                      <Link to={page.to} activeProps={{ className: "on", "aria-current": "page" }}>
                        <page.icon size={16} stroke={1.7} aria-hidden />
                        <span className="lbl">{page.label}</span>
                      </Link>
                    </Tooltip>
                  </li>
                ))}
              </ul>
            </div>
          );
        })}
        <Me />
      </nav>
      <div className="main">
        <Finding><Outlet /></Finding>
      </div>
      <StepUp />
    </div>
  );
}

/** The bar above a page: where one is, and what is there on every page. */
export function Top({ crumbs, children }: { crumbs: ReactNode; children?: ReactNode }): ReactNode {
  return (
    <header className="top">
      <div className="crumbs">{crumbs}</div>
      <div className="row end">
        <Find />
        {children}
        <Bell />
        <Scheme />
      </div>
    </header>
  );
}

function Scheme(): ReactNode {
  const { setColorScheme } = useMantineColorScheme();
  const dark = useComputedColorScheme("light") === "dark";
  const label = dark ? words.shell.toLight : words.shell.toDark;
  return (
    <Tooltip label={label}>
      <button type="button" className="icb" aria-label={label} onClick={() => setColorScheme(dark ? "light" : "dark")}>
        {dark ? <IconSun size={18} stroke={1.7} /> : <IconMoon size={18} stroke={1.7} />}
      </button>
    </Tooltip>
  );
}

function Me(): ReactNode {
  const session = useSession();
  const queries = useQueryClient();
  const initials = session.name.split(/\s+/).map((word) => word[0] ?? "").join("").slice(0, 2).toUpperCase();
  const leave = async (): Promise<void> => {
    await api.DELETE("/api/v1/session");
    queries.clear();
    location.assign("/signin");
  };
  return (
    <Menu position="right-end">
      <Menu.Target>
        <button type="button" className="me">
          <span className="ava" aria-hidden>{initials}</span>
          <span className="lbl ell">
            <span className="b ell">{session.name}</span>
            <span className="xs t3 ell">{session.role}</span>
          </span>
        </button>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Item leftSection={<IconUserCircle size={16} />} component={Link} to="/account">{words.nav2.account}</Menu.Item>
        <Menu.Item leftSection={<IconLogout size={16} />} onClick={() => void leave()}>{words.shell.signOut}</Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}

function Shield(): ReactNode {
  return (
    <svg viewBox="0 0 24 24" fill="none" stroke="currentColor" strokeWidth="2" strokeLinejoin="round" aria-hidden>
      <path d="M12 3l8 3v6c0 4.6-3.3 7.7-8 9-4.7-1.3-8-4.4-8-9V6z" />
      <circle cx="12" cy="11.5" r="2.6" fill="var(--lamp)" stroke="none" />
    </svg>
  );
}
