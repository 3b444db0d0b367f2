// Who is signed in. The cookie is the browser's; the page knows the name, the role and the CSRF value.
import { useQuery } from "@tanstack/react-query";

import { api, setCsrf, toSignIn } from "../api/client";
import type { components } from "../api/schema";

export type Session = components["schemas"]["Session"];
export type Role = Session["role"];

export const SESSION = {
  queryKey: ["session"],
  queryFn: async (): Promise<Session> => {
    const { data } = await api.GET("/api/v1/session");
    if (!data?.signed_in || data.limited) {
      toSignIn();
      throw new Error("nobody is signed in");
    }
    setCsrf(data.csrf);
    return data;
  },
  staleTime: 60_000,
};

/** The session; pages are shown only once it is known. */
export function useSession(): Session {
  const { data } = useQuery(SESSION);
  if (data === undefined) throw new Error("the session is not known yet");
  return data;
}

/** Whether somebody of one of these roles is signed in. The server decides; this only hides what it would refuse. */
export function useRole(...roles: Role[]): boolean {
  return roles.includes(useSession().role);
}
