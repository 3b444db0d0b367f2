// The platform's own description of its API, as the pages need it.
export interface Schema {
  $ref?: string;
  type?: string | string[];
  enum?: unknown[];
  const?: unknown;
  format?: string;
  pattern?: string;
  description?: string;
  items?: Schema;
  properties?: Record<string, Schema>;
  required?: string[];
  anyOf?: Schema[];
  minimum?: number;
  maximum?: number;
  minLength?: number;
  maxLength?: number;
  minItems?: number;
  maxItems?: number;
  examples?: unknown[];
  additionalProperties?: boolean | Schema;
}

export interface Parameter {
  $ref?: string;
  name: string;
  in: "path" | "query" | "header";
  required?: boolean;
  description?: string;
  schema?: Schema;
}

interface Answer {
  $ref?: string;
  description: string;
  content?: Record<string, { schema?: Schema }>;
}

interface Described {
  operationId: string;
  summary: string;
  description: string;
  parameters?: Parameter[];
  responses: Record<string, Answer>;
  requestBody?: { content: Record<string, { schema?: Schema }> };
  "x-wardlight": { action?: string; kinds?: string[]; scopes?: string[]; "step-up"?: boolean; public?: string; open?: string };
}

export interface Document {
  servers: { url: string }[];
  paths: Record<string, Record<string, unknown>>;
  components: { schemas: Record<string, Schema>; parameters: Record<string, Parameter>; responses: Record<string, Answer> };
}

export interface Route {
  id: string;
  method: string;
  path: string;
  area: string;
  summary: string;
  description: string;
  parameters: Parameter[];
  takes: { media: string; schema: Schema } | null;
  gives: { status: string; description: string; media: string[]; schema: Schema | null }[];
  errors: { status: string; description: string }[];
  rule: Described["x-wardlight"];
}

const AREAS: readonly [string, RegExp][] = [
  ["Images: DICOMweb", /^\/dicom-web\b/],
  ["Sharing", /^\/api\/v1\/(grants|studies)\b/],
  ["Events and webhooks", /^\/api\/v1\/(events|webhooks)\b/],
  ["Applications", /^\/api\/v1\/(platform\/)?applications\b/],
  ["Agreements", /^\/api\/v1\/(agreements|entitlements|subscriptions|sources)\b/],
  ["Audit trail", /^\/api\/v1\/audit\b/],
  ["Deletion", /^\/api\/v1\/deletions\b/],
  ["Receivers", /^\/api\/v1\/(receivers?|enrolments)\b/],
  ["People and institutions", /^\/api\/v1\/(people|institutions|platform)\b/],
  ["Tokens and sign-in", /^\/(oauth2|signin|federation|\.well-known)\b|^\/api\/v1\/(session|consents)\b/],
];
const METHODS = ["get", "post", "put", "patch", "delete"] as const;

function area(path: string): string {
  const known = AREAS.find(([, pattern]) => pattern.test(path))?.[0];
  if (known) return known;
  const step = /^\/api\/v1\/([a-z-]+)/.exec(path)?.[1];
  return step ? step[0]?.toUpperCase() + step.slice(1).replaceAll("-", " ") : "The platform";
}

/** All routes, by area; heads are left out, and so are the portal's own pages and files. */
export function routesOf(document: Document): Route[] {
  const found: Route[] = [];
  for (const [path, entry] of Object.entries(document.paths)) {
    const shared = (entry["parameters"] as Parameter[] | undefined) ?? [];
    for (const method of METHODS) {
      const one = entry[method] as Described | undefined;
      if (one === undefined || /^Portal (page|file)$/.test(one.summary)) continue;
      const answers = Object.entries(one.responses).map(([status, given]) => ({ status, given: resolved(document, given, "responses") }));
      const taken = Object.entries(one.requestBody?.content ?? {})[0];
      found.push({
        id: one.operationId,
        method: method.toUpperCase(),
        path,
        area: area(path),
        summary: one.summary,
        description: one.description,
        parameters: [...shared, ...(one.parameters ?? [])].map((each) => resolved(document, each, "parameters")),
        takes: taken ? { media: taken[0], schema: taken[1].schema ?? {} } : null,
        gives: answers.filter(({ status }) => status < "400").map(({ status, given }) => ({
          status,
          description: given.description,
          media: Object.keys(given.content ?? {}),
          schema: Object.values(given.content ?? {}).map((each) => each.schema).find((each) => each && Object.keys(each).length > 0) ?? null,
        })),
        errors: answers.filter(({ status }) => status >= "400").map(({ status, given }) => ({ status, description: given.description })),
        rule: one["x-wardlight"],
      });
    }
  }
  const order = [...AREAS.map(([name]) => name)];
  const place = (name: string): number => (order.includes(name) ? order.indexOf(name) : order.length);
  return found.sort((a, b) => place(a.area) - place(b.area) || a.area.localeCompare(b.area));
}

function resolved<One extends { $ref?: string }>(document: Document, one: One, kind: "parameters" | "responses"): One {
  const name = one.$ref?.split("/").pop();
  return name === undefined ? one : ((document.components[kind] as unknown as Record<string, One>)[name] ?? one);
}

export function schemaOf(document: Document, schema: Schema): Schema {
  const name = schema.$ref?.split("/").pop();
  return name === undefined ? schema : (document.components.schemas[name] ?? {});
}

/** "string", "list of Grant", "one of a, b". */
export function typeText(document: Document, schema: Schema): string {
  if (schema.$ref) return schema.$ref.split("/").pop() ?? "";
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum) return schema.enum.length > 14 ? `one of ${schema.enum.length} words` : `one of ${schema.enum.map(String).join(", ")}`;
  if (schema.anyOf) return schema.anyOf.map((one) => typeText(document, one)).join(" or ");
  const type = Array.isArray(schema.type) ? schema.type.join(" or ") : (schema.type ?? "any");
  if (type === "array") return `list of ${schema.items ? typeText(document, schema.items) : "any"}`;
  const limits = [
    schema.format ?? "",
    schema.minimum !== undefined || schema.maximum !== undefined ? `${schema.minimum ?? ""}…${schema.maximum ?? ""}` : "",
    schema.maxLength !== undefined ? `at most ${schema.maxLength} characters` : "",
  ].filter(Boolean);
  return [type, ...limits].join(", ");
}

/** A body to begin with: what is required, and of choices the first. */
export function sample(document: Document, given: Schema, depth = 0): unknown {
  const schema = schemaOf(document, given);
  if (schema.const !== undefined) return schema.const;
  if (schema.examples?.length) return schema.examples[0];
  if (schema.enum) return schema.enum[0];
  if (schema.anyOf) return schema.anyOf[0] ? sample(document, schema.anyOf[0], depth) : null;
  const type = Array.isArray(schema.type) ? schema.type[0] : schema.type;
  if (type === "array") return schema.items && depth < 4 ? [sample(document, schema.items, depth + 1)] : [];
  if (type === "integer" || type === "number") return schema.minimum ?? 0;
  if (type === "boolean") return false;
  if (type === "string") return schema.format === "date" ? "2026-01-31" : "";
  const wanted = schema.required ?? [];
  return Object.fromEntries(wanted.map((name) => [name, depth < 4 && schema.properties?.[name] ? sample(document, schema.properties[name], depth + 1) : ""]));
}

/** Its own members, or those of what it is a list of. */
export function membersOf(document: Document, given: Schema): { schema: Schema; members: [string, Schema][] } {
  let schema = schemaOf(document, given);
  for (let depth = 0; depth < 4 && schema.type === "array" && schema.items; depth += 1) schema = schemaOf(document, schema.items);
  return { schema, members: Object.entries(schema.properties ?? {}) };
}

/** The address with what was filled in; "" while a step of the path is missing. */
export function addressOf(route: Route, values: Readonly<Record<string, string>>): string {
  let missing = false;
  const path = route.path.replace(/\{(\w+)\}/g, (_, name: string) => {
    const value = values[`path:${name}`]?.trim() ?? "";
    missing ||= value === "";
    return encodeURIComponent(value).replaceAll("%2C", ",");
  });
  const query = new URLSearchParams();
  for (const one of route.parameters) {
    const value = one.in === "query" ? (values[`query:${one.name}`] ?? "") : "";
    if (value) query.set(one.name, value);
  }
  return missing ? "" : path + (query.size > 0 ? `?${query}` : "");
}

/** The same for people to read: steps that are missing keep their names. */
export function shownAddress(route: Route, values: Readonly<Record<string, string>>): string {
  const filled = { ...values };
  for (const one of route.parameters) if (one.in === "path" && !filled[`path:${one.name}`]?.trim()) filled[`path:${one.name}`] = `{${one.name}}`;
  return addressOf(route, filled).replaceAll("%7B", "{").replaceAll("%7D", "}");
}
