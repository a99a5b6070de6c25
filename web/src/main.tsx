import "leaflet/dist/leaflet.css";
import "./page.css";

import { render } from "preact";

import { pageSettings } from "./api/client";
import { App } from "./app";
import { readSharedAnswer } from "./export/link";
import { restoreKey } from "./key";
import { addShared, settings } from "./state";
import { restoreTheme } from "./theme";
import { language } from "./words/words";

restoreTheme();
restoreKey();
document.documentElement.lang = language.value;
const root = document.getElementById("app");
if (root) render(<App />, root);

function showShared(): void {
  const shared = readSharedAnswer(location.hash);
  if (shared) addShared(shared.name, shared.answer);
}
showShared();
addEventListener("hashchange", showShared); // a link opened in the page itself

pageSettings().then(
  (told) => (settings.value = told),
  () => undefined, // the defaults do; whatever is wrong shows when a photo is sent
);
