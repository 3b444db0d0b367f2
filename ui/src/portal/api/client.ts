// The one way to the server: the generated client with the session's cookie and, on unsafe requests, its CSRF header.
import createClient, { type Middleware } from "openapi-fetch";

import type { paths } from "./schema";

export interface Problem {
  status: number;
  code: string;
  title: string;
  detail?: string;
  reason?: string;
}

/** A refusal in the platform's words (docs/reference/errors.md). */
export class ApiError extends Error {
  readonly problem: Problem;
  constructor(problem: Problem) {
    super(problem.detail ?? problem.title);
    this.problem = problem;
  }
}

let csrf = "";

/** The value that unsafe requests of this session must bring; kept in memory only. */
export function setCsrf(value: string): void {
  csrf = value;
}

export async function problemOf(response: Response): Promise<Problem> {
  const given: unknown = await response.json().catch(() => ({}));
  const told = (given ?? {}) as Partial<Problem> & { type?: string };
  return {
    status: response.status,
    code: told.code ?? told.type?.split("/").pop() ?? String(response.status),
    title: told.title ?? "The server did not say why",
    ...(told.detail ? { detail: told.detail } : {}),
    ...(told.reason ? { reason: told.reason } : {}),
  };
}

function guarded(headers: Headers, method: string): void {
  if (method !== "GET" && method !== "HEAD" && csrf) headers.set("X-CSRF", csrf);
}

/** Nobody's request leads to the sign-in page; a wrong password or code (step-up) is told where it was typed. */
function refused(problem: Problem): ApiError {
  if (problem.status === 401 && problem.code !== "sign-in-failed") toSignIn();
  return new ApiError(problem);
}

const middleware: Middleware = {
  onRequest({ request }) {
    guarded(request.headers, request.method);
    return request;
  },
  async onResponse({ response }) {
    if (!response.ok) throw refused(await problemOf(response));
    return response;
  },
};

export const api = createClient<paths>({ baseUrl: "", credentials: "same-origin" });
api.use(middleware);

/** For what the description has no JSON answer of: DICOMweb, downloads, streams. */
export async function request(path: string, options: RequestInit = {}): Promise<Response> {
  const headers = new Headers(options.headers);
  guarded(headers, options.method ?? "GET");
  const response = await fetch(path, { ...options, headers, credentials: "same-origin" });
  if (!response.ok) throw refused(await problemOf(response));
  return response;
}

/** Whatever is answered, for those who try the API: refusals are answers, and lead nowhere. */
export async function answerOf(path: string, options: RequestInit): Promise<Response> {
  const headers = new Headers(options.headers);
  guarded(headers, options.method ?? "GET");
  return fetch(path, { ...options, headers, credentials: "same-origin" });
}

/** A JSON answer of DICOMweb. 204: nothing was found. */
export async function dicomJson<Row>(path: string, signal?: AbortSignal): Promise<{ rows: Row[]; response: Response }> {
  const response = await request(path, { headers: { Accept: "application/dicom+json" }, signal: signal ?? null });
  const rows = response.status === 204 ? [] : ((await response.json()) as Row[]);
  return { rows, response };
}

let leaving = false;

/** The session is over: the page to sign in with, which leads back here. */
export function toSignIn(): void {
  if (leaving || location.pathname === "/signin") return;
  leaving = true;
  location.assign(`/signin?return=${encodeURIComponent(location.pathname + location.search)}`);
}
