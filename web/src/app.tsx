/** The page as a whole: the header, the map, and the panel beside it. */
import type { ComponentType } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";

import { Panel } from "./answer/panel";
import { MapPane } from "./map/view";
import { Intake } from "./intake/intake";
import { DropEverywhere } from "./intake/drop";
import { Shots } from "./intake/shots";
import { KeyField } from "./key";
import { announced, selected, view, VIEWS } from "./state";
import { choose, theme, THEMES } from "./theme";
import { language, LANGUAGES, speak, t, type Language } from "./words/words";

export function App() {
  return (
    <>
      <a class="skip" href="#panel" onClick={(event) => {
        event.preventDefault(); // the address says which view is shown
        document.getElementById("panel")?.focus();
      }}>
        {t("skip")}
      </a>
      <Header />
      <main>
        <MapPane />
        <section id="panel" class="panel" tabIndex={-1} aria-label={t("answer")}>
          <View />
        </section>
      </main>
      <DropEverywhere />
      <p class="hidden" role="status" aria-live="polite">
        {announced.value}
      </p>
    </>
  );
}

function View() {
  const [Shown, setShown] = useState<ComponentType>();
  useEffect(() => {
    setShown(undefined);
    if (view.value === "photos") return;
    if (view.value === "batch") {
      void import("./batch/batch").then(({ Batch }) => { setShown(() => Batch); });
    } else {
      void import("./gallery/galleries").then(({ Galleries }) => { setShown(() => Galleries); });
    }
  }, [view.value]);
  if (view.value !== "photos") return Shown ? <Shown /> : null;
  return (
    <>
      <Intake />
      <Shots />
      {selected.value && <Panel shot={selected.value} key={selected.value.key} />}
    </>
  );
}

function Header() {
  const menu = useRef<HTMLDetailsElement>(null);
  useEffect(() => {
    const close = ({ key }: KeyboardEvent) => {
      if (key !== "Escape" || !menu.current?.open) return;
      menu.current.open = false;
      menu.current.querySelector("summary")?.focus();
    };
    document.addEventListener("keydown", close);
    return () => { document.removeEventListener("keydown", close); };
  }, []);
  return (
    <header class="top">
      <h1>Geofix</h1>
      <p class="tagline">{t("tagline")}</p>
      <nav aria-label={t("views")}>
        {VIEWS.map((name) => (
          <a href={name === "photos" ? "#" : `#${name}`} key={name}
            aria-current={view.value === name ? "page" : undefined}>
            {t(name)}
          </a>
        ))}
      </nav>
      <details class="menu" ref={menu}>
        <summary aria-label={t("apiKey")}>
          <svg viewBox="0 0 24 24" width="20" height="20" aria-hidden="true">
            <circle cx="8" cy="12" r="4" fill="none" stroke="currentColor" stroke-width="2" />
            <path d="M12 12h9m-3 0v4" fill="none" stroke="currentColor" stroke-width="2" />
          </svg>
        </summary>
        <div class="popup">
          <KeyField />
        </div>
      </details>
      <select
        aria-label={t("theme")}
        value={theme.value}
        onChange={(event) => {
          const wanted = THEMES.find((each) => each === event.currentTarget.value);
          if (wanted) choose(wanted);
        }}
      >
        {THEMES.map((each) => (
          <option value={each} key={each}>
            {t(`theme.${each}`)}
          </option>
        ))}
      </select>
      <select
        aria-label={t("language")}
        value={language.value}
        onChange={(event) => {
          speak(event.currentTarget.value as Language);
        }}
      >
        {Object.entries(LANGUAGES).map(([code, name]) => (
          <option value={code} key={code} lang={code}>
            {name}
          </option>
        ))}
      </select>
    </header>
  );
}
