// Proofs of what is shown, and the mark that says so only after this browser has checked.
import { useQuery } from "@tanstack/react-query";
import { IconClock, IconRosetteDiscountCheck, IconShieldX } from "@tabler/icons-react";
import type { ReactNode } from "react";

import { words } from "../../app/words";
import { type Head, newestHead, type Proof, proofsOf } from "../../parts/proof";
import { isSealed, type Row } from "./entry";

export const HEAD = { queryKey: ["audit", "head"], queryFn: newestHead, staleTime: 5_000, refetchOnWindowFocus: false };

export interface Proofs {
  head: Head | undefined;
  error: unknown;
  busy: boolean;
  of: (row: Row) => { proof: Proof | "checking"; path: number };
  verified: number;
  /** Index of the first entry shown that does not fit; null: none. */
  failed: number | null;
  again: () => void;
}

/** Checks rows against the newest head; `page` names what is shown. */
export function useProofs(rows: readonly Row[], ready: boolean): Proofs {
  const sealed = rows.filter(isSealed).filter((row) => row.entry !== undefined);
  const top = sealed.reduce((most, row) => Math.max(most, row.index + 1), 0);
  const found = useQuery({
    queryKey: ["audit", "proofs", sealed.map((row) => `${row.index}.${row.leaf ?? ""}`).join()],
    enabled: ready,
    gcTime: 60_000,
    staleTime: Infinity,
    refetchOnWindowFocus: false,
    queryFn: async () => {
      let head = await newestHead();
      // What was sealed this second is in the next head.
      for (let tries = 0; head.state === "good" && head.size < top && tries < 5; tries++) {
        await new Promise((done) => setTimeout(done, 1000));
        head = await newestHead();
      }
      return { head, proofs: head.state === "unsupported" ? new Map() as Awaited<ReturnType<typeof proofsOf>> : await proofsOf(head, sealed) };
    },
  });
  const proofs = found.data?.proofs;
  const failed = [...(proofs ?? [])].filter(([, one]) => one.proof === "failed").map(([index]) => index).sort((a, b) => a - b)[0] ?? null;
  return {
    head: found.data?.head,
    error: found.error,
    busy: found.isFetching,
    of: (row) => (row.index === null ? { proof: "waiting", path: 0 } : proofs?.get(row.index) ?? { proof: "checking", path: 0 }),
    verified: [...(proofs ?? [])].filter(([, one]) => one.proof === "verified").length,
    failed,
    again: () => void found.refetch(),
  };
}

export function ProofMark({ proof, label = false }: { proof: Proof | "checking"; label?: boolean }): ReactNode {
  if (proof === "verified") {
    return <span className="ver xs pm" title={words.trail.verified}><IconRosetteDiscountCheck size={15} stroke={1.7} aria-hidden /><span className={label ? "" : "vh"}>{words.trail.verified}</span></span>;
  }
  if (proof === "failed") {
    return <span className="xs pm bad" title={words.trail.notVerified}><IconShieldX size={15} stroke={1.7} aria-hidden /><span className={label ? "" : "vh"}>{words.trail.notVerified}</span></span>;
  }
  const said = proof === "waiting" ? words.trail.waitingSeal : words.trail.checking;
  return <span className="xs t3 pm" title={said}><IconClock size={15} stroke={1.7} aria-hidden /><span className={label ? "" : "vh"}>{said}</span></span>;
}
