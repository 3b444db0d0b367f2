// What is said to the server of a batch: the tus protocol 1.0 (docs/reference/uploads.md).
import { api, request } from "../../api/client";
import type { Batch, Level, Told } from "./model";

export const TUS = { "Tus-Resumable": "1.0.0" };
const PIECE = 4 * 2 ** 20;

/** Begin an upload of the files of a batch; its id. */
export async function create(batch: Batch, level: Level, signal: AbortSignal): Promise<string> {
  const sizes = batch.items.map((one) => one.size).join(",");
  const metadata = `level ${btoa(level)},sizes ${btoa(sizes)}`;
  const answer = await request("/api/v1/uploads", { method: "POST", headers: { ...TUS, "Upload-Length": String(batch.length), "Upload-Metadata": metadata }, signal });
  return ((await answer.json()) as Told).id;
}

export async function show(id: string): Promise<Told> {
  const { data } = await api.GET("/api/v1/uploads/{upload}", { params: { path: { upload: id } } });
  if (!data) throw new Error("nothing was answered");
  return data;
}

export async function end(id: string): Promise<void> {
  await request(`/api/v1/uploads/${id}`, { method: "DELETE", headers: TUS });
}

/** Send the next bytes of a batch; where it stands then. */
export async function append(batch: Batch, signal: AbortSignal): Promise<number> {
  const bytes = await piece(batch);
  const headers: Record<string, string> = { ...TUS, "Content-Type": "application/offset+octet-stream", "Upload-Offset": String(batch.offset) };
  if (crypto.subtle) headers["Upload-Checksum"] = `sha256 ${base64(new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)))}`;
  const answer = await request(`/api/v1/uploads/${batch.id}`, { method: "PATCH", headers, body: bytes, signal });
  return Number(answer.headers.get("upload-offset"));
}

/** The next bytes of a batch, over the ends of its files. */
async function piece(batch: Batch): Promise<ArrayBuffer> {
  const parts: Blob[] = [];
  let [begin, left] = [0, PIECE];
  for (const item of batch.items) {
    const end = begin + item.size;
    if (end > batch.offset && left > 0) {
      const from = Math.max(0, batch.offset - begin);
      const part = (await item.source.blob()).slice(from, from + left);
      parts.push(part);
      left -= part.size;
    }
    begin = end;
  }
  return new Blob(parts).arrayBuffer();
}

function base64(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes));
}
