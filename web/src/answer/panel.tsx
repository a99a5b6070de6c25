/** Everything about one photo: its progress, its answer and why, or what went wrong. */
import { useEffect } from "preact/hooks";

import type { Answer, Summary } from "../api/types";
import { announced, stop, type Shot } from "../state";
import { country, km, position, t, told } from "../words/words";
import { Correct } from "./correct";
import { Evidence } from "./evidence";
import { FailureCard } from "./failure";
import { Levels, Places } from "./levels";
import { Photo } from "./photo";
import { Progress } from "./progress";
import { Save } from "./save";
import { WhatIf } from "./whatif";

export function Panel({ shot }: { shot: Shot }) {
  const { answer, phase } = shot;
  useEffect(() => {
    if (answer) announced.value = `${t("answerOf", { name: shot.name })}: ${headline(answer)}`;
  }, [answer]);
  return (
    <>
      {shot.file && <Photo shot={shot} />}
      {(phase === "waiting" || phase === "locating") && (
        <section class="card" aria-busy="true">
          <div class="row spread">
            <h2>{phase === "waiting" ? t("waiting") : t("locating")}</h2>
            <button type="button" onClick={() => { stop(shot.key); }}>
              {t("stop")}
            </button>
          </div>
          <Progress stages={shot.stages} />
        </section>
      )}
      {phase === "failed" && <FailureCard shot={shot} />}
      {answer && phase === "answered" && (
        <>
          <Verdict answer={answer} />
          <Levels answer={answer} />
          <WhatIf shot={shot} />
          <Places answer={answer} />
          <Evidence answer={answer} stages={shot.stages} />
          <Correct key={answer.id} answer={answer} />
          <Save shot={shot} answer={answer} />
        </>
      )}
      {shot.shared && (
        <>
          <Verdict answer={shot.shared} isShared />
          <Levels answer={shot.shared} />
          <Save shot={shot} answer={shot.shared} />
        </>
      )}
    </>
  );
}

/** The answer in one line. */
export function headline(answer: Summary): string {
  return answer.abstention ? t("abstains") : placeName(answer);
}

/** A city further off than this is not where the answer is, only near it. */
const IN_TOWN_KM = 15;

export function placeName({ place }: Summary): string {
  const isOutside = (place.city_km ?? 0) > IN_TOWN_KM;
  const city = place.city && isOutside ? t("near", { city: place.city }) : place.city;
  const parts = [city, place.region, country(place.country, place.country_name)];
  return [...new Set(parts.filter(Boolean))].join(", ") || t("atSea");
}

type Judged = Summary & Partial<Pick<Answer, "degraded" | "calibrated">>;

function Verdict({ answer, isShared = false }: { answer: Judged; isShared?: boolean }) {
  const { abstention, position: at, degraded = [], calibrated } = answer;
  return (
    <section class={abstention ? "card verdict unsure" : "card verdict"}>
      {isShared && <p class="soft">{t("sharedDetail")}</p>}
      <h2>
        {headline(answer)}
      </h2>
      {abstention && (
        <>
          <p>{told("abstention", abstention.cause, abstention.detail)}</p>
          <p class="soft">{t("bestGuess", { place: placeName(answer) })}</p>
        </>
      )}
      <p class="position">{position(at.lat, at.lon)}</p>
      <ul class="radii">
        <li class="r50">{t("radius50", { km: km(answer.radius_50_km) })}</li>
        <li class="r90">{t("radius90", { km: km(answer.radius_90_km) })}</li>
      </ul>
      {calibrated !== undefined && <p class="soft small-print">{calibration(calibrated)}</p>}
      {degraded.length > 0 && (
        <p class="note">
          {t("degraded")}:{" "}
          {degraded
            .map(({ channel, cause }) =>
              `${told("channel", channel, channel)} ${told("cause", cause, cause)}`)
            .join("; ")}
          .
        </p>
      )}
    </section>
  );
}

function calibration(calibrated: Answer["calibrated"]): string {
  if (!calibrated) return t("uncalibrated");
  const { dataset, date, photos, simulated } = calibrated;
  return t(simulated ? "simulated" : "calibrated", { dataset, date, photos });
}

