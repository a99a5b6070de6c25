/** Many photos at once: sending them as a job, and the jobs there are. */
import { useEffect, useRef, useState } from "preact/hooks";

import { failureBehind, type Failure } from "../api/failure";
import { create, jobs } from "../api/jobs";
import type { Job } from "../api/types";
import { sentence } from "../answer/failure";
import { KeyField } from "../key";
import { batchTakes } from "../state";
import { megabytes, moment, t, told } from "../words/words";
import { JobView } from "./job";

const ACCEPTED = "image/*,.zip,.tar,.tgz,.gz,.ndjson,.jsonl";

export function Batch() {
  const [known, setKnown] = useState<readonly Job[]>([]);
  const [job, setJob] = useState<Job>();
  const [sending, setSending] = useState<readonly File[]>([]);
  const [failure, setFailure] = useState<Failure>();
  const picker = useRef<HTMLInputElement>(null);
  const attempt = async (work: () => Promise<void>) => {
    setFailure(undefined);
    try {
      await work();
    } catch (error) {
      setFailure(failureBehind(error));
    }
  };
  const load = () => attempt(async () => { setKnown(await jobs()); });
  const send = (files: readonly File[]) => attempt(async () => {
    if (!files.length) return;
    setSending(files);
    try {
      const made = await create(files);
      setKnown((others) => [made, ...others]);
      setJob(made);
    } finally {
      setSending([]);
    }
  });
  useEffect(() => {
    void load();
    batchTakes.value = (files) => void send(files);
    return () => { batchTakes.value = undefined; };
  }, []);
  return (
    <>
      <section class="card">
        <h2>{t("batch")}</h2>
        <p class="soft">{t("batchDetail")}</p>
        <div class="row">
          <button type="button" class="primary" disabled={sending.length > 0}
            onClick={() => picker.current?.click()}>
            {t("batchPick")}
          </button>
          <input ref={picker} hidden type="file" multiple accept={ACCEPTED}
            onChange={(event) => {
              void send([...(event.currentTarget.files ?? [])]);
              event.currentTarget.value = "";
            }} />
        </div>
        {sending.length > 0 && (
          <p role="status">{t("batchSending", {
            count: sending.length, size: megabytes(sending.reduce((sum, { size }) => sum + size, 0)),
          })}</p>
        )}
        {failure && (
          <p class="note" role="alert">{takesNone(failure) ? t("batchNone") : sentence(failure)}</p>
        )}
        {failure?.kind === "unauthenticated" && <KeyField onUse={() => void load()} />}
        {known.length > 0 && (
          <label>
            {t("batchKnown")}
            <select value={job?.id ?? ""} onChange={(event) => {
              setJob(known.find(({ id }) => id === event.currentTarget.value));
            }}>
              <option value="">–</option>
              {known.map((each) => (
                <option value={each.id} key={each.id}>
                  {`${moment(each.created_at)} · ${t("photosHere", { count: each.request_counts.total })} · ${told("state", each.state, each.state)}`}
                </option>
              ))}
            </select>
          </label>
        )}
      </section>
      {job && <JobView key={job.id} first={job} onChange={(now) => {
        setKnown((jobs) => jobs.map((each) => (each.id === now.id ? now : each)));
      }} onGone={() => {
        setKnown((jobs) => jobs.filter(({ id }) => id !== job.id));
        setJob(undefined);
      }} />}
    </>
  );
}

/** A service without jobs says that it will have none for long; a busy one comes back soon. */
function takesNone({ kind, retryAfterS = 0 }: Failure): boolean {
  return kind === "unavailable" && retryAfterS >= 600;
}
