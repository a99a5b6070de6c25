/** What went wrong, in a sentence, and the way on. */
import { useEffect, useState } from "preact/hooks";

import { KeyField } from "../key";
import { again, announced, settings, type Shot } from "../state";
import { megabytes, t, told } from "../words/words";
import { shrunk } from "../intake/shrink";
import type { Failure } from "../api/failure";

const TOO_LARGE = new Set(["photo-too-large", "photo-too-large-here"]);
const NO_USE_TRYING = new Set([
  "archive-here", "photo-refused", "empty-photo", "unsupported-format", "unreadable-photo", ...TOO_LARGE,
]);

export function FailureCard({ shot }: { shot: Shot }) {
  const { failure, key, file, retryAt } = shot;
  const [noCopy, setNoCopy] = useState(false);
  const text = failure ? sentence(failure, file) : "";
  useEffect(() => {
    announced.value = text;
  }, [text]);
  const smaller = async () => {
    try {
      if (file) again(key, await shrunk(file));
    } catch {
      setNoCopy(true); // the browser cannot read it either
    }
  };
  return (
    <section class="card failed" role="alert">
      <h2>{failure ? t("failed") : t("stop")}</h2>
      {text && <p>{text}</p>}
      {noCopy && <p>{t("failure.unreadable-photo")}</p>}
      {retryAt !== undefined && <Countdown until={retryAt} />}
      {failure?.kind === "unauthenticated" && <KeyField />}
      <div class="row">
        {failure && TOO_LARGE.has(failure.kind) && !noCopy && (
          <button type="button" class="primary" onClick={() => void smaller()}>
            {t("sendSmaller")}
          </button>
        )}
        {!(failure && NO_USE_TRYING.has(failure.kind)) && (
          <button type="button" onClick={() => { again(key); }}>
            {t("again")}
          </button>
        )}
      </div>
      {failure?.request && (
        <p class="soft small-print">{t("requestId", { id: failure.request })}</p>
      )}
    </section>
  );
}

/** A failure as a sentence; the service's own, in English, where we have none. */
export function sentence(failure: Failure, file: Blob | null = null): string {
  const { kind, detail } = failure;
  if (kind === "photo-too-large-here" && file) {
    const limit = megabytes(settings.value.max_body_bytes);
    return t("failure.photo-too-large-here", { size: megabytes(file.size), limit });
  }
  return told("failure", kind, detail || t("failure.internal"), { detail });
}

function Countdown({ until }: { until: number }) {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    const timer = setInterval(() => { setNow(Date.now()); }, 500);
    return () => { clearInterval(timer); };
  }, []);
  return <p>{t("retryIn", { seconds: Math.max(0, Math.ceil((until - now) / 1000)) })}</p>;
}
