// The platform's description of itself, as it serves it: with its own address.
import { request } from "../../api/client";
import type { Document } from "./openapi";

export const DOCUMENT = {
  queryKey: ["openapi"],
  queryFn: async (): Promise<Document> => (await (await request("/api/openapi.json")).json()) as Document,
  staleTime: Infinity,
};

/** The address by which applications reach the platform. */
export function serverOf(document: Document | undefined): string {
  return document?.servers[0]?.url ?? location.origin;
}
