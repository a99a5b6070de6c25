/** The photos taken in, to choose from. */
import { remove, selectedKey, shots, type Shot } from "../state";
import { country, t } from "../words/words";

export function Shots() {
  if (shots.value.length < 2) return null;
  return (
    <ul class="shots" aria-label={t("photos")}>
      {shots.value.map((shot) => (
        <li key={shot.key}>
          <button
            type="button"
            class="shot"
            aria-current={shot.key === selectedKey.value}
            aria-label={`${t("show", { name: shot.name })}: ${state(shot)}`}
            onClick={() => (selectedKey.value = shot.key)}
          >
            {shot.url ? <img src={shot.url} alt="" /> : <span class="blank" />}
            <span class={`dot ${shot.phase}`} />
          </button>
          <button
            type="button"
            class="remove"
            aria-label={t("remove", { name: shot.name })}
            onClick={() => { remove(shot.key); }}
          >
            ×
          </button>
        </li>
      ))}
    </ul>
  );
}

function state({ phase, answer }: Shot): string {
  if (answer?.abstention) return t("abstains");
  if (answer) return country(answer.place.country, answer.place.country_name) || t("atSea");
  return { waiting: t("waiting"), locating: t("locating"), failed: t("failed"), answered: "" }[phase];
}
