// Whom studies may be shared with: what those who share may know of applications and colleagues.
import { useQuery, type UseQueryResult } from "@tanstack/react-query";

import { api } from "../api/client";
import type { components } from "../api/schema";
import { useRole } from "../app/session";

export type Recipient = components["schemas"]["Recipients"]["recipients"][number];

/** Nothing is asked for who shares nothing. */
export function useRecipients(kind: "applications" | "colleagues", wanted = true): UseQueryResult<readonly Recipient[]> {
  const shares = useRole("administrator", "clinician");
  return useQuery({
    queryKey: ["recipients", kind],
    enabled: wanted && shares,
    queryFn: async () => (await api.GET(kind === "applications" ? "/api/v1/recipients/applications" : "/api/v1/recipients/colleagues")).data?.recipients ?? [],
  });
}
