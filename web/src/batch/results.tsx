/** A job's results: on the map, in a table, and filtered. */
import { useEffect, useMemo, useRef, useState } from "preact/hooks";

import type { Row } from "../api/jobs";
import { atlas } from "../map/view";
import { country, km, t } from "../words/words";
import { Clusters } from "./map";

const A_PAGE = 50;

export function Results({ rows: all }: { rows: readonly Row[] }) {
  const [words, setWords] = useState("");
  const [where, setWhere] = useState("");
  const [onlySure, setOnlySure] = useState(false);
  const [page, setPage] = useState(0);
  const clusters = useRef<Clusters>(null);
  const isMoved = useRef(false);
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
    const stop = new AbortController();
    for (const event of ["pointerdown", "wheel", "keydown"]) {
      const own = () => { isMoved.current = true; };
      map.getContainer().addEventListener(event, own, { signal: stop.signal, passive: true });
    }
    return () => {
      stop.abort();
      layer.remove();
    };
  }, []);
  useEffect(() => {
    if (isMoved.current) return; // from now on the person says what is seen
    const places = all.map(({ lat, lon }): [number, number] => [lat, lon]);
    atlas.value?.map.fitBounds(places, { maxZoom: 8, padding: [24, 24] });
  }, [all]);
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
