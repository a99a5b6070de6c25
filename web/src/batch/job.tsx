/** One job: its progress as it happens, what failed of it, and its results. */
import { useEffect, useState } from "preact/hooks";

import { failureBehind, failureOf, type Failure } from "../api/failure";
import {
  act, ENDED, erase, failed as failures, follow, FORMATS, job as ask, results, rows,
  type FailedPhoto, type Format, type Row,
} from "../api/jobs";
import type { Job } from "../api/types";
import { sentence } from "../answer/failure";
import { download } from "../export/download";
import { announced } from "../state";
import { clock, t, told } from "../words/words";
import { Results } from "./results";

const REFRESH_MS = 1500;
const SHARE_OF_TIME = 5;
const MOST_FAILED = 50;

interface Shown {
  first: Job;
  onChange: (job: Job) => void;
  onGone: () => void;
}

export function JobView({ first, onChange, onGone }: Shown) {
  const [job, setJob] = useState(first);
  const [found, setFound] = useState<readonly Row[]>([]);
  const [broken, setBroken] = useState<readonly FailedPhoto[]>([]);
  const [failure, setFailure] = useState<Failure>();
  const [round, setRound] = useState(0);
  const ended = ENDED.includes(job.state);
  const attempt = async (work: () => Promise<void>) => {
    setFailure(undefined);
    try {
      await work();
    } catch (error) {
      setFailure(failureBehind(error));
    }
  };

  useEffect(() => {
    const stop = new AbortController();
    let timer = 0;
    let rest = REFRESH_MS;
    const refresh = async () => {
      const began = Date.now();
      const now = await ask(job.id);
      const { completed, failed } = now.request_counts;
      const [good, bad] = await Promise.all([
        completed ? rows(job.id) : [],
        failed ? failures(job.id) : [],
      ]);
      if (stop.signal.aborted) return;
      setJob(now);
      onChange(now);
      setFound(good);
      setBroken(bad);
      rest = Math.max(REFRESH_MS, SHARE_OF_TIME * (Date.now() - began)); // large jobs less often
    };
    const soon = () => {
      timer ||= window.setTimeout(() => {
        refresh().catch(() => undefined).finally(() => { timer = 0; }); // the next one tells
      }, rest);
    };
    void attempt(async () => {
      try {
        await refresh();
        await follow(job.id, soon, stop.signal);
        await refresh();
        if (!stop.signal.aborted) announced.value = t("batchDone");
      } catch (error) {
        if (!stop.signal.aborted) throw error;
      }
    });
    return () => {
      stop.abort();
      window.clearTimeout(timer);
    };
  }, [round]);

  const again = () => { setRound((before) => before + 1); };
  const run = (what: "cancel" | "retry") => attempt(async () => {
    setJob(await act(job.id, what));
    again();
  });
  const save = (format: Format) => attempt(async () => {
    download(`${job.id}.${format}`, await (await results(job.id, format)).blob());
  });
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
            <button type="button" onClick={() => void attempt(() => erase(job.id).then(onGone))}>
              {t("batchErase")}
            </button>
          )}
        </div>
        <progress max={Math.max(1, total)} value={completed + failed} aria-label={t("stages")} />
        <p>{t("batchCounts", { completed, failed, total })}</p>
        {job.eta && !ended && <p class="soft">{t("batchEta", { time: clock(job.eta) })}</p>}
        {job.skipped_count > 0 && (
          <p class="soft">{t("batchSkipped", { count: job.skipped_count })}</p>
        )}
        {failure && (
          <p class="note" role="alert">
            {sentence(failure)}{" "}
            <button type="button" onClick={again}>{t("again")}</button>
          </p>
        )}
        {broken.length > 0 && <Broken photos={broken} />}
        {completed > 0 && (
          <div class="row">
            {FORMATS.map((format) => (
              <button type="button" key={format} onClick={() => void save(format)}
                aria-label={t("exportAs", { format: format.toUpperCase() })}>
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

/** The photos that failed, and why. */
function Broken({ photos }: { photos: readonly FailedPhoto[] }) {
  return (
    <details>
      <summary>{t("batchFailed", { count: photos.length })}</summary>
      <ul class="clues">
        {photos.slice(0, MOST_FAILED).map(({ index, custom_id: id, problem }) => (
          <li key={index}>
            {id || index}: <span class="soft">{sentence(failureOf(problem))}</span>
          </li>
        ))}
      </ul>
    </details>
  );
}
