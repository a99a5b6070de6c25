/** What language models said of a photo, and what each call of them took. */
import type { Answer, Candidate } from "../api/types";
import { atlas } from "../map/view";
import { money, percent, position, seconds, t, told } from "../words/words";

const MOST = 8;

/** A place that a model named, as often as it did. */
export interface Statement {
  name: string;
  model: string;
  lat: number;
  lon: number;
  times: number;
  /** Share of all that was said that agrees with it. */
  score: number;
}

/** What the models said, most agreed first; the same words of the same model are one. */
export function statements(candidates: readonly Candidate[]): Statement[] {
  const found = new Map<string, Statement>();
  for (const { channel, lat, lon, name, score, source } of candidates) {
    if (channel !== "lmm") continue;
    const model = source.split(":").slice(1, -2).join(":"); // lmm:<model>:<prompt>:<generation>
    const said = name || position(lat, lon, 2);
    const key = `${model}\n${said}`;
    const known = found.get(key);
    if (known) {
      known.times += 1;
      known.score = Math.max(known.score, score);
    } else {
      found.set(key, { name: said, model, lat, lon, times: 1, score });
    }
  }
  return [...found.values()].sort((a, b) => b.score - a.score || b.times - a.times);
}

export function Statements({ answer }: { answer: Answer }) {
  const { calls, rejected } = answer;
  const said = statements(answer.clusters.flatMap(({ candidates }) => candidates));
  if (said.length === 0 && calls.length === 0) return null;
  const unusable = Object.values(rejected).reduce((sum, count) => sum + count, 0);
  return (
    <>
      <h4>{t("statements")}</h4>
      {said.length === 0 && <p class="soft">{t("statementsNone")}</p>}
      <ul class="clues">
        {said.slice(0, MOST).map(({ name, model, times, score, lat, lon }) => (
          <li key={`${model} ${name}`}>
            <button type="button" class="plain" onClick={() => atlas.value?.fit({ lat, lon }, 50)}>
              {name}
            </button>{" "}
            <span class="soft">{t("saidBy", { model, times, share: percent(score) })}</span>
          </li>
        ))}
      </ul>
      {unusable > 0 && <p class="soft small-print">{t("unusable", { count: unusable })}</p>}
      <ul class="clues">
        {calls.map((call, at) => (
          <li key={at} class="soft small-print">
            {[
              call.model,
              call.prompt,
              told("outcome", call.outcome, call.outcome),
              seconds(call.latency_ms),
              t("tokens", { count: call.tokens_in + call.tokens_out }),
              ...(call.cost_usd > 0 ? [money(call.cost_usd)] : []),
              ...(call.estimated ? [t("estimated")] : []),
            ].join(" · ")}
          </li>
        ))}
      </ul>
    </>
  );
}
