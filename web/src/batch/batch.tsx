/** Many photos at once: a job's progress, its results on the map and in a table, and export. */
import { useEffect, useMemo, useRef, useState } from "preact/hooks";

import { failureBehind, type Failure } from "../api/failure";
import {
  act, create, ENDED, erase, follow, FORMATS, job as ask, jobs, results, rows, type Row,
} from "../api/jobs";
import type { Job } from "../api/types";
import { sentence } from "../answer/failure";
import { download } from "../export/download";
import { KeyField } from "../key";
import { atlas } from "../map/view";
import { announced } from "../state";
import { country, km, t, told } from "../words/words";
import { Clusters } from "./map";

const A_PAGE = 50;
const REFRESH_MS = 1500;

export function Batch() {
  const [known, setKnown] = useState<readonly Job[]>([]);
  const [job, setJob] = useState<Job>();
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
  useEffect(() => {
    void attempt(async () => { setKnown(await jobs()); });
  }, []);
  const send = (files: readonly File[]) => attempt(async () => {
    if (!files.length) return;
    const made = await create(files);
    setKnown((others) => [made, ...others]);
    setJob(made);
  });
  return (
    <>
      <section class="card">
        <h2>{t("batch")}</h2>
        <p class="soft">{t("batchDetail")}</p>
        <div class="row">
          <button type="button" class="primary" onClick={() => picker.current?.click()}>
            {t("batchPick")}
          </button>
          <input ref={picker} hidden type="file" multiple accept="image/*,.zip,.tar,.tgz"
            onChange={(event) => {
              void send([...(event.currentTarget.files ?? [])]);
              event.currentTarget.value = "";
            }} />
        </div>
        {failure && (
          <p class="note" role="alert">{takesNone(failure) ? t("batchNone") : sentence(failure)}</p>
        )}
        {failure?.kind === "unauthenticated" && <KeyField />}
        {known.length > 0 && (
          <label>
            {t("batchKnown")}
            <select value={job?.id ?? ""} onChange={(event) => {
              setJob(known.find(({ id }) => id === event.currentTarget.value));
            }}>
              <option value="">–</option>
              {known.map((each) => (
                <option value={each.id} key={each.id}>
                  {`${new Date(each.created_at).toLocaleString()} · ${each.request_counts.total}`}
                </option>
              ))}
            </select>
          </label>
        )}
      </section>
      {job && <JobView key={job.id} first={job} onGone={() => {
        setKnown(known.filter(({ id }) => id !== job.id));
        setJob(undefined);
      }} />}
    </>
  );
}

/** A service without jobs says that it will have none for long; a busy one comes back soon. */
function takesNone({ kind, retryAfterS = 0 }: Failure): boolean {
  return kind === "unavailable" && retryAfterS >= 600;
}

function JobView({ first, onGone }: { first: Job; onGone: () => void }) {
  const [job, setJob] = useState(first);
  const [found, setFound] = useState<readonly Row[]>([]);
  const [failure, setFailure] = useState<Failure>();
  const [round, setRound] = useState(0);
  const ended = ENDED.includes(job.state);

  useEffect(() => {
    const stop = new AbortController();
    let timer = 0;
    const refresh = async () => {
      timer = 0;
      const now = await ask(job.id);
      if (stop.signal.aborted) return;
      setJob(now);
      if (now.request_counts.completed) setFound(await rows(job.id));
    };
    const soon = () => { timer ||= window.setTimeout(() => void refresh(), REFRESH_MS); };
    const watch = async () => {
      try {
        await refresh();
        await follow(job.id, soon, stop.signal);
        await refresh();
        announced.value = t("batchDone");
      } catch (error) {
        if (!stop.signal.aborted) setFailure(failureBehind(error));
      }
    };
    void watch();
    return () => {
      stop.abort();
      window.clearTimeout(timer);
    };
  }, [round]);

  const run = async (what: "cancel" | "retry") => {
    setJob(await act(job.id, what));
    setRound(round + 1);
  };
  const { total, completed, failed } = job.request_counts;
  return (
    <>
      <section class="card">
        <div class="row spread">
          <h3>{told("state", job.state, job.state)}</h3>
          {!ended && <button type="button" onClick={() => void run("cancel")}>{t("stop")}</button>}
          {ended && failed > 0 && (
            <button type="button" onClick={() => void run("retry")}>{t("batchRetry")}</button>
          )}
          {ended && (
            <button type="button" onClick={() => void erase(job.id).then(onGone)}>
              {t("batchErase")}
            </button>
          )}
        </div>
        <progress max={Math.max(1, total)} value={completed + failed} aria-label={t("stages")} />
        <p>{t("batchCounts", { completed, failed, total })}</p>
        {job.eta && !ended && (
          <p class="soft">{t("batchEta", { time: new Date(job.eta).toLocaleTimeString() })}</p>
        )}
        {failure && <p class="note" role="alert">{sentence(failure)}</p>}
        {completed > 0 && (
          <div class="row">
            {FORMATS.map((format) => (
              <button type="button" key={format}
                aria-label={t("exportAs", { format: format.toUpperCase() })}
                onClick={() => void results(job.id, format).then(async (response) => {
                  download(`${job.id}.${format}`, await response.blob());
                })}>
                {format.toUpperCase()}
              </button>
            ))}
          </div>
        )}
      </section>
      {found.length > 0 && <Results rows={found} />}
    </>
  );
}

function Results({ rows: all }: { rows: readonly Row[] }) {
  const [words, setWords] = useState("");
  const [where, setWhere] = useState("");
  const [onlySure, setOnlySure] = useState(false);
  const [page, setPage] = useState(0);
  const clusters = useRef<Clusters>(null);
  const countries = useMemo(() => [...new Set(all.map((row) => row.country))].sort(), [all]);
  const left = useMemo(
    () => all.filter((row) =>
      (!words || `${row.custom_id} ${row.city} ${row.region}`.toLowerCase().includes(words.toLowerCase()))
      && (!where || row.country === where)
      && (!onlySure || !row.abstained)),
    [all, words, where, onlySure],
  );
  useEffect(() => {
    const map = atlas.value?.map;
    if (!map) return undefined;
    const layer = new Clusters((row) => atlas.value?.fit(row, row.radius_90_km));
    layer.addTo(map);
    clusters.current = layer;
    map.fitBounds(all.map(({ lat, lon }) => [lat, lon]), { maxZoom: 8, padding: [24, 24] });
    return () => { layer.remove(); };
  }, []);
  useEffect(() => {
    clusters.current?.load(left);
    setPage(0);
  }, [left]);
  const pages = Math.ceil(left.length / A_PAGE);
  return (
    <section class="card">
      <h3>{t("batchResults", { shown: left.length, total: all.length })}</h3>
      <div class="row">
        <label>
          {t("batchSearch")}
          <input type="search" value={words} onInput={(event) => { setWords(event.currentTarget.value); }} />
        </label>
        <label>
          {t("countries")}
          <select value={where} onChange={(event) => { setWhere(event.currentTarget.value); }}>
            <option value="">–</option>
            {countries.map((code) => <option value={code} key={code}>{country(code, code)}</option>)}
          </select>
        </label>
      </div>
      <label class="check">
        <input type="checkbox" checked={onlySure} onChange={(event) => { setOnlySure(event.currentTarget.checked); }} />
        {t("batchSure")}
      </label>
      <div class="scrolled" tabIndex={0} role="region" aria-label={t("batchTable")}>
        <table>
          <thead>
            <tr>
              <th scope="col">{t("photos")}</th>
              <th scope="col">{t("places")}</th>
              <th scope="col">90 %</th>
            </tr>
          </thead>
          <tbody>
            {left.slice(page * A_PAGE, (page + 1) * A_PAGE).map((row) => (
              <tr key={row.index}>
                <td>
                  <button type="button" class="plain" onClick={() => atlas.value?.fit(row, row.radius_90_km)}>
                    {row.custom_id || row.index}
                  </button>
                </td>
                <td>
                  {row.abstained && <span class="soft">{t("abstains")}: </span>}
                  {[row.city, country(row.country, row.country)].filter(Boolean).join(", ")}
                </td>
                <td>{km(row.radius_90_km)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {pages > 1 && (
        <div class="row">
          <button type="button" disabled={page === 0} aria-label={t("before")} onClick={() => { setPage(page - 1); }}>←</button>
          <span>{`${page + 1} / ${pages}`}</span>
          <button type="button" disabled={page >= pages - 1} aria-label={t("after")} onClick={() => { setPage(page + 1); }}>→</button>
        </div>
      )}
    </section>
  );
}
