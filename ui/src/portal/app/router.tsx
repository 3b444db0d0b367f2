// The pages. Each is loaded when it is first needed.
import { createRootRouteWithContext, createRoute, createRouter, lazyRouteComponent, redirect } from "@tanstack/react-router";
import type { QueryClient } from "@tanstack/react-query";

import { Failure } from "../parts/states";
import { SESSION } from "./session";
import { Shell } from "./shell";

interface Context {
  queries: QueryClient;
}

const root = createRootRouteWithContext<Context>()({
  beforeLoad: ({ context }) => context.queries.ensureQueryData(SESSION),
  component: Shell,
  errorComponent: ({ error }) => <Failure error={error} />,
  notFoundComponent: () => <Failure error={new Error("There is no such page.")} />,
});

const home = createRoute({
  getParentRoute: () => root,
  path: "/",
  beforeLoad: async ({ context }) => {
    const { role } = await context.queries.ensureQueryData(SESSION);
    throw redirect({ to: role === "operator" ? "/developers" : "/studies" });
  },
});

const studies = createRoute({
  getParentRoute: () => root,
  path: "/studies",
  validateSearch: (given: Record<string, unknown>): { q?: string; modality?: string; days?: number; page?: string } => ({
    ...(typeof given["q"] === "string" && given["q"] ? { q: given["q"] } : {}),
    ...(typeof given["modality"] === "string" ? { modality: given["modality"] } : {}),
    ...(Number.isInteger(given["days"]) ? { days: given["days"] as number } : {}),
    ...(typeof given["page"] === "string" ? { page: given["page"] } : {}),
  }),
  component: lazyRouteComponent(() => import("../pages/studies"), "Studies"),
});

const developers = [
  createRoute({
    getParentRoute: () => root,
    path: "/developers",
    component: lazyRouteComponent(() => import("../pages/developers/applications"), "Applications"),
  }),
  createRoute({
    getParentRoute: () => root,
    path: "/developers/webhooks",
    component: lazyRouteComponent(() => import("../pages/developers/webhooks"), "Webhooks"),
  }),
  createRoute({
    getParentRoute: () => root,
    path: "/developers/api",
    validateSearch: (given: Record<string, unknown>): { op?: string } => (typeof given["op"] === "string" ? { op: given["op"] } : {}),
    component: lazyRouteComponent(() => import("../pages/developers/reference"), "Reference"),
  }),
  createRoute({
    getParentRoute: () => root,
    path: "/developers/quick-start",
    component: lazyRouteComponent(() => import("../pages/developers/quick-start"), "QuickStart"),
  }),
] as const;

const study = createRoute({
  getParentRoute: () => root,
  path: "/studies/$study",
  component: lazyRouteComponent(() => import("../pages/study/index"), "Study"),
});

const admin = [
  createRoute({ getParentRoute: () => root, path: "/applications", component: lazyRouteComponent(() => import("../pages/applications"), "Applications") }),
  createRoute({ getParentRoute: () => root, path: "/agreements", component: lazyRouteComponent(() => import("../pages/agreements/list"), "Agreements") }),
  createRoute({ getParentRoute: () => root, path: "/agreements/$application", component: lazyRouteComponent(() => import("../pages/agreements/one"), "OneAgreement") }),
  createRoute({ getParentRoute: () => root, path: "/receivers", component: lazyRouteComponent(() => import("../pages/receivers/index"), "Receivers") }),
  createRoute({ getParentRoute: () => root, path: "/people", component: lazyRouteComponent(() => import("../pages/people/index"), "People") }),
  createRoute({ getParentRoute: () => root, path: "/account", component: lazyRouteComponent(() => import("../pages/account"), "Account") }),
] as const;

const upload = createRoute({
  getParentRoute: () => root,
  path: "/upload",
  component: lazyRouteComponent(() => import("../pages/upload/index"), "Upload"),
});

const quarantine = createRoute({
  getParentRoute: () => root,
  path: "/quarantine",
  component: lazyRouteComponent(() => import("../pages/quarantine/index"), "Quarantine"),
});

const notifications = createRoute({
  getParentRoute: () => root,
  path: "/notifications",
  component: lazyRouteComponent(() => import("../pages/notifications/index"), "Notifications"),
});

/** Texts that the trail's filters in the address may be. */
const TRAIL = ["day", "from", "to", "actor", "group", "action", "outcome", "study"] as const;

const account = [
  createRoute({
    getParentRoute: () => root,
    path: "/trail",
    validateSearch: (given: Record<string, unknown>): { [name in (typeof TRAIL)[number]]?: string } =>
      Object.fromEntries(TRAIL.flatMap((name) => (typeof given[name] === "string" && given[name] ? [[name, given[name]]] : []))),
    component: lazyRouteComponent(() => import("../pages/trail/index"), "Trail"),
  }),
  createRoute({ getParentRoute: () => root, path: "/machine-data", component: lazyRouteComponent(() => import("../pages/machine/index"), "MachineData") }),
  createRoute({ getParentRoute: () => root, path: "/data-map", component: lazyRouteComponent(() => import("../pages/datamap/index"), "DataMapPage") }),
  createRoute({
    getParentRoute: () => root,
    path: "/studies/deleted/$deletion",
    component: lazyRouteComponent(() => import("../pages/study/delete"), "Deletion"),
  }),
] as const;

export const routeTree = root.addChildren([home, studies, upload, notifications, quarantine, study, ...developers, ...admin, ...account]);

export const router = createRouter({ routeTree, context: { queries: undefined as unknown as QueryClient }, defaultPreload: "intent" });

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}
