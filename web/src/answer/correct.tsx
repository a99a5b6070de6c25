/** Where the photo was really taken, from somebody who knows. */
import { useEffect, useState } from "preact/hooks";

import { tellTruth } from "../api/client";
import { failureBehind, type Failure } from "../api/failure";
import type { Answer, LatLon, Measured } from "../api/types";
import { GivenUpError, pickPoint, stopDrawing } from "../map/drawing";
import { atlas, task } from "../map/view";
import { km, t } from "../words/words";
import { sentence } from "./failure";

export function Correct({ answer }: { answer: Answer }) {
  const [truth, setTruth] = useState({ lat: "", lon: "" });
  const [measured, setMeasured] = useState<Measured>();
  const [failure, setFailure] = useState<Failure>();
  useEffect(() => stopDrawing, []);

  const point = async () => {
    const map = atlas.value?.map;
    if (!map) return;
    task.value = t("picking");
    map.getContainer().scrollIntoView({ block: "nearest" });
    try {
      const { lat, lon } = await pickPoint(map);
      setTruth({ lat: lat.toFixed(5), lon: lon.toFixed(5) });
      atlas.value?.hint({ lat, lon });
    } catch (error) {
      if (!(error instanceof GivenUpError)) throw error;
    } finally {
      task.value = "";
    }
  };
  const send = async (event: Event) => {
    event.preventDefault();
    setFailure(undefined);
    setMeasured(undefined);
    try {
      const position: LatLon = { lat: degrees(truth.lat), lon: degrees(truth.lon) };
      setMeasured(await tellTruth(answer.id, position));
    } catch (error) {
      setFailure(failureBehind(error));
    }
  };
  return (
    <details class="card">
      <summary>{t("correct")}</summary>
      <p class="soft">{t("correctDetail")}</p>
      <form onSubmit={(event) => void send(event)}>
        <div class="row">
          {(["lat", "lon"] as const).map((axis) => (
            <label key={axis}>
              {t(axis === "lat" ? "latitude" : "longitude")}
              <input
                required
                inputMode="decimal"
                pattern="(-|−)?[0-9]{1,3}([.,][0-9]+)?"
                value={truth[axis]}
                onInput={(event) => {
                  setTruth({ ...truth, [axis]: event.currentTarget.value });
                }}
              />
            </label>
          ))}
        </div>
        <div class="row">
          <button type="button" onClick={() => void point()}>
            {t("pickOnMap")}
          </button>
          <button type="submit" class="primary">
            {t("send")}
          </button>
        </div>
      </form>
      <p role="status">
        {failure && sentence(failure)}
        {measured &&
          `${t("thanks", { km: km(measured.distance_km) })} ${t(measured.within_radius_90 ? "held" : "notHeld")}`}
      </p>
    </details>
  );
}

function degrees(text: string): number {
  return Number(text.trim().replace(",", ".").replace("−", "-"));
}
