/** Why: similar photos, text, what the photo shows, and what the language model said. */
import { useEffect, useState } from "preact/hooks";

import { thumbnail } from "../api/client";
import type { Answer, Neighbour, Stage, TextClue } from "../api/types";
import { distanceKm } from "../map/geodesy";
import { atlas } from "../map/view";
import { country, km, percent, position, t, told } from "../words/words";
import { Bar } from "./levels";
import { pointedAt } from "./photo";
import { Progress } from "./progress";
import { Statements } from "./statements";

const FIRST_FEW = 6;

export function Evidence({ answer, stages }: { answer: Answer; stages: readonly Stage[] }) {
  const { text, attributes } = answer.evidence;
  const wasRead = "text" in answer.timings_ms && !answer.degraded.some(({ channel }) => channel === "text");
  return (
    <section class="card evidence">
      <h3>{t("evidence")}</h3>
      <Neighbours answer={answer} />
      {(text.length > 0 || wasRead) && <h4>{t("textClues")}</h4>}
      {text.length === 0 && wasRead && <p class="soft">{t("noText")}</p>}
      <ul class="clues">
        {text.map((clue, at) => (
          <Clue clue={clue} at={at} key={at} />
        ))}
      </ul>
      {attributes.length > 0 && (
        <>
          <h4>{t("attributes")}</h4>
          <ul class="places">
            {attributes.map(({ name, probability }) => (
              <li key={name}>
                <span>{told("attribute", name, name)}</span>
                <Bar share={probability} />
              </li>
            ))}
          </ul>
        </>
      )}
      <Statements answer={answer} />
      <Candidates answer={answer} />
      <details>
        <summary>{t("timings")}</summary>
        <Progress stages={[...stages, total(answer)]} />
      </details>
    </section>
  );
}

function total(answer: Answer): Stage {
  return { stage: t("total"), ms: answer.timings_ms.total ?? 0, detail: {} };
}

function Neighbours({ answer }: { answer: Answer }) {
  const [all, setAll] = useState(false);
  const { neighbours } = answer.evidence;
  return (
    <>
      <h4>{t("neighbours")}</h4>
      {neighbours.length === 0 && <p class="soft">{t("noNeighbours")}</p>}
      <ul class="neighbours">
        {(all ? neighbours : neighbours.slice(0, FIRST_FEW)).map((neighbour) => (
          <Neighbouring neighbour={neighbour} answer={answer} key={neighbour.id} />
        ))}
      </ul>
      {neighbours.length > FIRST_FEW && (
        <button type="button" class="plain" aria-expanded={all} onClick={() => { setAll(!all); }}>
          {all ? "−" : `+ ${neighbours.length - FIRST_FEW}`}
        </button>
      )}
    </>
  );
}

function Neighbouring({ neighbour, answer }: { neighbour: Neighbour; answer: Answer }) {
  const [picture, setPicture] = useState("");
  useEffect(() => {
    if (!neighbour.thumbnail) return undefined;
    let address = "";
    let gone = false;
    thumbnail(neighbour).then(
      (found) => {
        address = found;
        if (gone) URL.revokeObjectURL(found);
        else setPicture(found);
      },
      () => undefined, // it was removed a moment ago
    );
    return () => {
      gone = true;
      URL.revokeObjectURL(address);
    };
  }, [neighbour.id]);
  const away = km(distanceKm(neighbour, answer.position));
  return (
    <li>
      <button
        type="button"
        onClick={() => atlas.value?.fit(neighbour, 20)}
        onPointerEnter={() => atlas.value?.hint(neighbour)}
        onPointerLeave={() => atlas.value?.hint(undefined)}
        onFocus={() => atlas.value?.hint(neighbour)}
        onBlur={() => atlas.value?.hint(undefined)}
      >
        {picture ? <img src={picture} alt="" /> : <span class="blank">{t("noPicture")}</span>}
        <strong>{t("similarity", { share: percent(Math.max(0, neighbour.similarity)) })}</strong>
        <span>{t("fromAnswer", { km: away })}</span>
        <span class="soft">
          {country(neighbour.country, neighbour.country)}
          {neighbour.contributor && ` · ${t("photoBy", { contributor: neighbour.contributor })}`}
          {neighbour.licence && ` · ${neighbour.licence}`}
        </span>
      </button>
    </li>
  );
}

function Clue({ clue, at }: { clue: TextClue; at: number }) {
  return (
    <li
      class={[clue.rejected ? "rejected" : "", pointedAt.value === at ? "on" : ""].join(" ")}
      onPointerEnter={() => (pointedAt.value = at)}
      onPointerLeave={() => (pointedAt.value = null)}
    >
      <q lang={clue.language || "und"}>{clue.text}</q>{" "}
      <span class="soft">
        {percent(clue.confidence)}
        {clue.places.length > 0 && ` · ${t("pointsTo", { places: clue.places.slice(0, 3).join(", ") })}`}
        {clue.rejected && ` · ${t("notUsed", { reason: clue.rejected })}`}
      </span>
    </li>
  );
}

function Candidates({ answer }: { answer: Answer }) {
  if (answer.clusters.length === 0) return null;
  return (
    <>
      <h4>{t("candidates")}</h4>
      <ul class="places">
        {answer.clusters.slice(0, 5).map((cluster, at) => (
          <li key={at}>
            <button
              type="button"
              class="plain"
              title={cluster.channels.map((name) => told("channel", name, name)).join(", ")}
              onClick={() => atlas.value?.fit(cluster, 50)}
            >
              {[cluster.city, country(cluster.country, cluster.country)].filter(Boolean).join(", ")
                || position(cluster.lat, cluster.lon, 2)}
            </button>
            <Bar share={cluster.probability} />
          </li>
        ))}
      </ul>
    </>
  );
}
