/** What if: other generators, filters or galleries, answered from what the service kept. */
import { useEffect, useState } from "preact/hooks";

import { galleries } from "../api/client";
import { failureBehind, type Failure } from "../api/failure";
import type { Refinement } from "../api/types";
import { distanceKm, type Ring } from "../map/geodesy";
import { drawBox, drawPolygon, GivenUpError, stopDrawing } from "../map/drawing";
import { atlas, task } from "../map/view";
import { again, wonder, type Shot } from "../state";
import { km, t, type Key } from "../words/words";
import { sentence } from "./failure";

const GENERATORS = ["text", "attributes", "lmm"] as const;
type Generator = (typeof GENERATORS)[number];

interface Wish {
  off: readonly Generator[];
  countries: string;
  galleries: readonly string[];
  bbox?: [number, number, number, number] | undefined;
  polygon?: [number, number][] | undefined;
}

const NOTHING: Wish = { off: [], countries: "", galleries: [] };

export function WhatIf({ shot }: { shot: Shot }) {
  const [wish, setWish] = useState<Wish>(NOTHING);
  const [busy, setBusy] = useState(false);
  const [failure, setFailure] = useState<Failure>();
  const [known, setKnown] = useState<readonly string[]>([]);
  const used = generatorsOf(shot);

  useEffect(() => {
    galleries().then(
      (found) => { setKnown(found.map(({ name }) => name)); },
      () => undefined, // a key that may not list them may still choose none
    );
    return () => {
      stopDrawing();
      task.value = "";
      atlas.value?.area(undefined);
    };
  }, []);

  const ask = async (wanted: Wish) => {
    if (wanted.bbox && !isBox(wanted.bbox)) {
      setFailure({ kind: "invalid-box", detail: "" });
      return;
    }
    setWish(wanted);
    setBusy(true);
    setFailure(undefined);
    atlas.value?.area(ring(wanted));
    try {
      await wonder(shot.key, refinement(wanted, used));
    } catch (error) {
      setFailure(failureBehind(error));
    } finally {
      setBusy(false);
    }
  };
  const draw = async (what: "bbox" | "polygon") => {
    const map = atlas.value?.map;
    if (!map) return;
    task.value = t(what === "bbox" ? "drawingBox" : "drawingPolygon");
    map.getContainer().scrollIntoView({ block: "nearest" });
    try {
      const drawn =
        what === "bbox"
          ? { bbox: await drawBox(map), polygon: undefined }
          : { polygon: await drawPolygon(map), bbox: undefined };
      await ask({ ...wish, ...drawn });
    } catch (error) {
      if (!(error instanceof GivenUpError)) throw error;
    } finally {
      task.value = "";
    }
  };
  const isChanged = shot.answer !== shot.first;
  return (
    <details class="card whatif">
      <summary>{t("whatIf")}</summary>
      <p class="soft">{t("whatIfDetail")}</p>
      {failure && (
        <p class="note" role="alert">
          {failure.kind === "not-found" ? t("whatIfOver") : sentence(failure)}{" "}
          {failure.kind === "not-found" && (
            <button type="button" onClick={() => { again(shot.key); }}>
              {t("sendAgain")}
            </button>
          )}
        </p>
      )}
      <fieldset disabled={busy}>
        <legend>{t("use")}</legend>
        {used.map((name) => (
          <label class="check" key={name}>
            <input
              type="checkbox"
              checked={!wish.off.includes(name)}
              onChange={(event) => {
                const off = wish.off.filter((each) => each !== name);
                void ask({ ...wish, off: event.currentTarget.checked ? off : [...off, name] });
              }}
            />
            {t(`channel.${name}`)}
          </label>
        ))}
      </fieldset>
      {known.length > 1 && (
        <fieldset disabled={busy}>
          <legend>{t("galleries")}</legend>
          {known.map((name) => (
            <label class="check" key={name}>
              <input
                type="checkbox"
                checked={wish.galleries.includes(name)}
                onChange={(event) => {
                  const others = wish.galleries.filter((each) => each !== name);
                  const chosen = event.currentTarget.checked ? [...others, name] : others;
                  void ask({ ...wish, galleries: chosen });
                }}
              />
              {name}
            </label>
          ))}
        </fieldset>
      )}
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void ask(read(new FormData(event.currentTarget), wish));
        }}
      >
        <label>
          {t("onlyIn")}
          <input name="countries" defaultValue={wish.countries} placeholder="FR, DE"
            aria-description={t("countryCodes")} />
        </label>
        <label>
          {t("box")}
          <input name="bbox" key={String(wish.bbox)} placeholder="-10, 35, 30, 60"
            defaultValue={wish.bbox?.map((degrees) => degrees.toFixed(3)).join(", ") ?? ""} />
        </label>
        <div class="row">
          <button type="submit" class="primary" disabled={busy}>
            {t("apply")}
          </button>
          <button type="button" disabled={busy} onClick={() => void draw("bbox")}>
            {t("drawBox")}
          </button>
          <button type="button" disabled={busy} onClick={() => void draw("polygon")}>
            {t("drawPolygon")}
          </button>
        </div>
      </form>
      <p role="status">{busy ? t("thinking") : isChanged ? moved(shot) : ""}</p>
      {isChanged && (
        <button type="button" onClick={() => void reset(shot, setWish)}>
          {t("reset")}
        </button>
      )}
    </details>
  );
}

async function reset(shot: Shot, setWish: (wish: Wish) => void): Promise<void> {
  setWish(NOTHING);
  atlas.value?.area(undefined);
  await wonder(shot.key, null);
}

/** The generators that the first answer used; only those can be taken away and given back. */
function generatorsOf({ first }: Shot): Generator[] {
  return GENERATORS.filter((name) => name in (first?.timings_ms ?? {}));
}

function moved({ first, answer }: Shot): string {
  if (!first || !answer) return "";
  const distance = distanceKm(first.position, answer.position);
  const key: Key = distance < 0.01 ? "unmoved" : "moved";
  return t(key, { km: km(distance) });
}

function read(form: FormData, before: Wish): Wish {
  const text = (name: string) => {
    const value = form.get(name);
    return typeof value === "string" ? value.trim() : "";
  };
  const sides = text("bbox") ? text("bbox").split(/[\s,;]+/).map(Number) : [];
  const [west, south, east, north] = sides;
  const bbox: Wish["bbox"] = sides.length
    ? [west ?? NaN, south ?? NaN, east ?? NaN, north ?? NaN]
    : undefined;
  return { ...before, countries: text("countries"), bbox };
}

export function refinement(wish: Wish, used: readonly Generator[]): Refinement | null {
  const left = used.filter((name) => !wish.off.includes(name));
  const wanted: Refinement = {};
  if (wish.off.length) wanted.generators = left.length ? left : ["none"];
  const countries = wish.countries.split(/[\s,;]+/).filter(Boolean);
  if (countries.length) wanted.country = countries;
  if (wish.galleries.length) wanted.gallery = [...wish.galleries];
  if (wish.bbox) wanted.bbox = wish.bbox;
  if (wish.polygon) wanted.polygon = wish.polygon;
  return Object.keys(wanted).length ? wanted : null;
}

function isBox([west, south, east, north]: NonNullable<Wish["bbox"]>): boolean {
  const within = (degrees: number, most: number) => Math.abs(degrees) <= most; // false for NaN
  return within(west, 180) && within(east, 180) && within(south, 90) && within(north, 90) && south < north;
}

function ring({ bbox, polygon }: Wish): Ring | undefined {
  if (polygon) return polygon;
  if (!bbox) return undefined;
  const [west, south, east, north] = bbox;
  const right = west <= east ? east : east + 360;
  return [[south, west], [south, right], [north, right], [north, west]];
}
