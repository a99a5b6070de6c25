/** How sure the answer is, from the street to the continent, and which places it may be. */
import type { Answer, Share, Summary } from "../api/types";
import { country, percent, t, type Key } from "../words/words";

const LEVELS = ["2500", "750", "200", "25", "1"] as const;

export function Levels({ answer }: { answer: Summary }) {
  return (
    <section class="card">
      <h3>{t("levels")}</h3>
      <ul class="levels">
        {LEVELS.map((level) => {
          const share = answer.within[level] ?? 0;
          const said = { share: percent(share), km: level };
          return (
            <li key={level} title={t("levelWithin", said)} class={share >= 0.5 ? "sure" : ""}>
              <span>{t(`level.${level}`)}</span> <strong>{percent(share)}</strong>
            </li>
          );
        })}
      </ul>
    </section>
  );
}

export function Places({ answer }: { answer: Answer }) {
  const rows: [Key, readonly Share[], (share: Share) => string][] = [
    ["continents", answer.continents, ({ name }) => name],
    ["countries", answer.countries, ({ code, name }) => country(code, name)],
    ["regions", answer.regions, ({ name }) => name],
    ["cities", answer.cities, ({ name }) => name],
  ];
  if (rows.every(([, shares]) => shares.length === 0)) return null;
  return (
    <section class="card">
      <h3>{t("places")}</h3>
      <dl class="places">
        {rows.map(
          ([key, shares, name]) =>
            shares.length > 0 && (
              <div key={key}>
                <dt>{t(key)}</dt>
                {shares.slice(0, 3).map((share) => (
                  <dd key={`${share.code}${share.name}`}>
                    <span>{name(share)}</span>
                    <Bar share={share.probability} />
                  </dd>
                ))}
              </div>
            ),
        )}
      </dl>
    </section>
  );
}

export function Bar({ share }: { share: number }) {
  return (
    <>
      <svg class="bar" viewBox="0 0 100 4" preserveAspectRatio="none" aria-hidden="true">
        <rect width="100" height="4" class="rail" />
        <rect width={Math.max(0.5, share * 100)} height="4" />
      </svg>
      <span class="share">{percent(share)}</span>
    </>
  );
}
