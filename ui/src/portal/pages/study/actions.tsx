// What one does with a study: share it, delete it, end all access to it.
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { type ReactNode, useState } from "react";

import { useRole } from "../../app/session";
import { words } from "../../app/words";
import { Confirm } from "../../parts/confirm";
import { type DicomRow, text } from "../../parts/dicom";
import { useApplications } from "../trail/entry";
import { isOpen, revoke, usePeople } from "./access";
import { grantsQuery, T } from "./data";
import { DeleteButton } from "./delete";
import { OpenIn } from "./open-in";
import { ShareButton } from "./share";

/** The buttons in the head of the page. `row`: the study as QIDO-RS gives it. */
export function Actions({ study, row }: { study: string; row: DicomRow }): ReactNode {
  const looks = useRole("administrator", "clinician", "researcher");
  return (
    <>
      {looks && <OpenIn study={study} />}
      <ShareButton study={study} />
      <DeleteButton study={study} name={text(row, T.patientId) || text(row, T.patientName) || study} />
    </>
  );
}

/** The button at the right of the ward line, while anybody besides us can see the study. */
export function EndAll({ study }: { study: string }): ReactNode {
  const may = useRole("administrator", "clinician", "privacy-officer");
  const queries = useQueryClient();
  const applications = useApplications();
  const people = usePeople();
  const [asking, setAsking] = useState(false);
  const grants = useQuery(grantsQuery(study));
  const open = (grants.data ?? []).filter(isOpen);
  if (!may || open.length === 0) return null;
  const names = [...new Set(open.map((one) => (one.application ? applications.get(one.application) ?? one.application : people.get(one.person ?? "") ?? one.person ?? "–")))];
  const go = async (): Promise<void> => {
    try {
      for (const one of open) await revoke(one.id);
    } finally {
      await Promise.all([queries.invalidateQueries({ queryKey: ["grants"] }), queries.invalidateQueries({ queryKey: ["audit"] })]);
    }
  };
  return (
    <>
      <button type="button" className="btn sm dan-q" onClick={() => setAsking(true)}>{words.access.revokeAll}</button>
      <Confirm opened={asking} title={words.access.revokeAllTitle} action={words.access.revokeAll} act={go} close={() => setAsking(false)}>
        <p><b className="bb">{names.join(", ")}</b> {words.access.revokeAllSays}</p>
        <p className="t2">{words.access.revokeAllNot}</p>
      </Confirm>
    </>
  );
}
