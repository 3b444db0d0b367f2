// The list of studies: find, and see at a glance who else can see what.
import { keepPreviousData, useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { IconSearch } from "@tabler/icons-react";
import { type ReactNode, useDeferredValue, useMemo, useState } from "react";

import { api, ApiError, dicomJson } from "../api/client";
import { Top } from "../app/shell";
import { words } from "../app/words";
import { AccessBadge, type Access } from "../parts/badges";
import { type DicomRow, date, number, text, texts } from "../parts/dicom";
import { Empty, Failure, LoadingRows } from "../parts/states";
import "./studies.css";

const PAGE = 50;
const route = getRouteApi("/studies");

/** In capitals, so that nobody's name is taken for one. */
const MODALITY = /^(CR|CT|DX|ES|IO|MG|MR|NM|OT|PT|PX|RF|RTDOSE|RTPLAN|RTSTRUCT|SC|SEG|SM|SR|US|XA|XC)$/;
const DAY = /^(\d{4})-(\d{2})(?:-(\d{2}))?$/;

/** What one types: modalities, a day or a month, and how a name, an ID (with digits) or a pseudonym begins. */
function keys(typed: string): URLSearchParams {
  const found = new URLSearchParams({ limit: String(PAGE), fuzzymatching: "true", includefield: "00081030" });
  const rest: string[] = [];
  for (const word of typed.trim().split(/\s+/).filter(Boolean)) {
    const day = DAY.exec(word);
    if (MODALITY.test(word)) found.set("ModalitiesInStudy", word);
    else if (day) found.set("StudyDate", day[3] ? day.slice(1, 4).join("") : `${day[1]}${day[2]}01-${day[1]}${day[2]}31`);
    else rest.push(word.replaceAll("*", ""));
  }
  const wanted = rest.join(" ");
  if (wanted) found.set(/\d/.test(wanted) ? "PatientID" : "PatientName", `${wanted}*`);
  return found;
}

export function Studies(): ReactNode {
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const [typed, setTyped] = useState(search.q ?? "");
  const wanted = useDeferredValue(typed);
  const found = useInfiniteQuery({
    queryKey: ["studies", wanted],
    initialPageParam: `/dicom-web/studies?${keys(wanted)}`,
    queryFn: async ({ pageParam, signal }) => {
      const { rows, response } = await dicomJson<DicomRow>(pageParam, signal);
      return { rows, next: next(response) };
    },
    getNextPageParam: (page) => page.next,
    placeholderData: keepPreviousData,
  });
  const grants = useQuery({
    queryKey: ["grants"],
    queryFn: async () => (await api.GET("/api/v1/grants", { params: { query: { limit: 500 } } })).data?.grants ?? [],
  });
  const access = useMemo(() => {
    const by = new Map<string, Access[]>();
    for (const grant of grants.data ?? []) {
      if (grant.images_study) by.set(grant.images_study, [...(by.get(grant.images_study) ?? []), grant]);
    }
    return by;
  }, [grants.data]);
  const rows = found.data?.pages.flatMap((page) => page.rows) ?? [];
  return (
    <>
      <Top crumbs={<b>{words.nav.studies}</b>} />
      <main className="page" id="content">
        <div className="phead"><h1>{words.nav.studies}</h1></div>
        <div className="row">
          <label className="inp" style={{ width: 320 }}>
            <IconSearch size={16} aria-hidden />
            <input
              type="search"
              value={typed}
              placeholder={words.studies.find}
              aria-label={words.studies.find}
              onChange={(event) => {
                setTyped(event.target.value);
                void navigate({ search: event.target.value ? { q: event.target.value } : {}, replace: true });
              }}
            />
          </label>
        </div>
        {broad(found.error) ? <Empty title={words.broad.title}><p className="t2">{words.broad.hint}</p></Empty> : found.error ? <Failure error={found.error} again={() => void found.refetch()} /> : !found.isPending && rows.length === 0 ? (
          <Empty title={wanted ? words.studies.none : words.studies.empty}><p className="t2">{wanted ? words.studies.noneHint : words.studies.emptyHint}</p></Empty>
        ) : (
          <div className="tw">
            <div className="scroll">
              <table>
                <thead>
                  <tr>
                    <th>{words.studies.patient}</th><th>{words.studies.study}</th><th>{words.studies.date}</th>
                    <th className="num hide-md">{words.studies.series}</th><th className="num hide-md">{words.studies.images}</th><th>{words.studies.access}</th>
                  </tr>
                </thead>
                {found.isPending ? <LoadingRows rows={12} columns={6} /> : (
                  <tbody>
                    {rows.map((row) => <StudyRow key={text(row, "0020000D")} row={row} grants={access.get(text(row, "0020000D")) ?? []} />)}
                  </tbody>
                )}
              </table>
            </div>
            <div className="tfoot">
              <span>{rows.length} {words.studies.shown}</span>
              {found.hasNextPage && <button type="button" className="btn sm end" disabled={found.isFetchingNextPage} onClick={() => void found.fetchNextPage()}>{words.studies.older}</button>}
            </div>
          </div>
        )}
      </main>
    </>
  );
}

/** A search that leaves too many candidates is no failure: one types on. */
function broad(error: unknown): boolean {
  return error instanceof ApiError && error.problem.code === "query-too-broad";
}

function StudyRow({ row, grants }: { row: DicomRow; grants: readonly Access[] }): ReactNode {
  return (
    <tr className="to">
      <td><Link className="mono b" to="/studies/$study" params={{ study: text(row, "0020000D") }}>{text(row, "00100020") || text(row, "00100010") || "–"}</Link></td>
      <td>
        <span className="row">
          {texts(row, "00080061").slice(0, 2).map((one) => <span key={one} className="tag mod">{one}</span>)}
          <span className="ell b">{text(row, "00081030") || "–"}</span>
        </span>
      </td>
      <td className="t2">{date(row, "00080020")}</td>
      <td className="num t2 hide-md">{number(row, "00201206")}</td>
      <td className="num t2 hide-md">{number(row, "00201208")}</td>
      <td><AccessBadge grants={grants} /></td>
    </tr>
  );
}

function next(response: Response): string | undefined {
  const address = /<([^>]+)>;\s*rel="next"/.exec(response.headers.get("link") ?? "")?.[1];
  if (address === undefined) return undefined;
  const url = new URL(address, location.href);
  return url.pathname + url.search;
}
